"""Fill templates in."""

from pathlib import Path

# --8<-- [start:import]
from rustforge.notify import Mail, MailTemplates

# --8<-- [end:import]

folder = Path("templates/mail")
folder.mkdir(parents=True)

# --8<-- [start:files]
text = """\
Subject: Your order {{ number }}

Dear {{ name }},

thank you for your order:
{% for item in items %}
- {{ item.name }}: {{ item.cents | money }}
{%- endfor %}
"""
html = """\
<p>Dear {{ name }},</p>
<ul>{% for item in items %}<li>{{ item.name }}</li>{% endfor %}</ul>
"""
(folder / "order_confirmation.txt").write_text(text)
(folder / "order_confirmation.html").write_text(html)
# --8<-- [end:files]

# --8<-- [start:render]
templates = MailTemplates("templates/mail")
templates.environment.filters["money"] = lambda cents: f"{cents / 100:.2f} €"

mail = Mail(
    to="tom@example.com",
    **templates.render(
        "order_confirmation",
        number=7,
        name="Tom & Jerry",
        items=[{"name": "Tea", "cents": 450}, {"name": "Cup", "cents": 1200}],
    ),
)
print(mail.subject)
print(mail.text)
print(mail.html)
# --8<-- [end:render]
