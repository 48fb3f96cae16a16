"""Templates of mail: what they make, what is escaped, and what an error says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rustforge.errors import ConfigurationError, InvalidArgumentError, MailTemplateError
from rustforge.notify.mail import Mail, MailTemplates

if TYPE_CHECKING:
    from pathlib import Path


def templates(folder: Path, **files: str) -> MailTemplates:
    """Write templates, each file under its name with `_` for the dot, and open them."""
    for name, text in files.items():
        stem, _, kind = name.rpartition("_")
        (folder / f"{stem}.{kind}").write_text(text)
    return MailTemplates(folder)


def test_text_and_html_of_one_name(tmp_path: Path) -> None:
    """Both are filled in, the subject comes from the text, and the result makes a mail."""
    made = templates(
        tmp_path,
        order_txt="Subject: Order {{ number }}\n\nDear {{ name }},\n\nThank you!\n",
        order_html="<p>Dear {{ name }}</p>",
    )
    rendered = made.render("order", number=7, name="Ann")
    assert rendered == {"subject": "Order 7", "text": "Dear Ann,\n\nThank you!\n", "html": "<p>Dear Ann</p>"}
    mail = Mail(to="ann@example.com", **rendered)
    assert (mail.subject, mail.text, mail.html) == ("Order 7", "Dear Ann,\n\nThank you!\n", "<p>Dear Ann</p>")


def test_html_is_escaped_and_text_is_not(tmp_path: Path) -> None:
    """What a customer calls himself cannot become HTML, and reads as it is in plain text and in the subject."""
    made = templates(tmp_path, hi_txt="Subject: Hi {{ name }}\n\n{{ name }}\n", hi_html="<p>{{ name }}</p>")
    rendered = made.render("hi", name="<script>Tom & Jerry</script>")
    assert rendered["subject"] == "Hi <script>Tom & Jerry</script>"
    assert rendered["text"] == "<script>Tom & Jerry</script>\n"
    assert rendered["html"] == "<p>&lt;script&gt;Tom &amp; Jerry&lt;/script&gt;</p>"


def test_html_alone(tmp_path: Path) -> None:
    """Its title is the subject, as text."""
    made = templates(tmp_path, hi_html="<title>Hi {{ name }}</title><p>Hello</p>")
    rendered = made.render("hi", name="Tom & Jerry")
    assert rendered["subject"] == "Hi Tom & Jerry"
    assert rendered["text"] is None


def test_text_alone(tmp_path: Path) -> None:
    """A mail of plain text needs no HTML."""
    assert templates(tmp_path, hi_txt="Subject: Hi\n\nHello").render("hi")["html"] is None


def test_layouts_and_folders(tmp_path: Path) -> None:
    """Templates extend others, and may lie in folders."""
    (tmp_path / "orders").mkdir()
    made = templates(
        tmp_path,
        base_txt="Subject: [Shop] {% block subject %}{% endblock %}\n\n{% block body %}{% endblock %}\n-- \nShop\n",
        base_html="<h1>Shop</h1>{% block body %}{% endblock %}",
    )
    (tmp_path / "orders" / "new.txt").write_text(
        '{% extends "base.txt" %}\n{% block subject %}New{% endblock %}\n{% block body %}It came.{% endblock %}\n'
    )
    (tmp_path / "orders" / "new.html").write_text('{% extends "base.html" %}{% block body %}It came.{% endblock %}')
    assert made.render("orders/new") == {
        "subject": "[Shop] New",
        "text": "It came.\n-- \nShop\n",
        "html": "<h1>Shop</h1>It came.",
    }


def test_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates may come with a package, wherever that is installed."""
    folder = tmp_path / "letters_of_the_test" / "mails"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "hi.txt").write_text("Subject: Hi\n\nHello\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert MailTemplates("mails", package="letters_of_the_test").render("hi")["subject"] == "Hi"
    with pytest.raises(ConfigurationError, match="elsewhere of the package letters_of_the_test"):
        MailTemplates("elsewhere", package="letters_of_the_test")
    sys.modules.pop("letters_of_the_test")


def test_filters_and_globals(tmp_path: Path) -> None:
    """Jinja's environment is there to add to."""
    made = templates(tmp_path, hi_txt="Subject: Hi\n\n{{ 450 | money }} at {{ shop }}\n")
    made.environment.filters["money"] = lambda cents: f"{cents / 100:.2f}"
    made.environment.globals["shop"] = "Shop"
    assert made.render("hi")["text"] == "4.50 at Shop\n"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "there is no mail template 'hi': neither hi.txt nor hi.html"),
        ({"hi_txt": "Subject: Hi\n\n{{ name }}\n"}, r"mail template hi.txt: 'name' is undefined \(hi.txt, line 3\)"),
        ({"hi_txt": "Subject: Hi\n\n{{ given.last }}\n"}, r"hi.txt: .*has no attribute 'last' \(hi.txt, line 3\)"),
        ({"hi_txt": "Subject: Hi\n\n{% if %}\n"}, "mail template hi.txt, line 3: "),
        ({"hi_txt": "Subject: Hi\n\n{{ 1 | money }}\n"}, "mail template hi.txt, line 3: No filter named 'money'"),
        ({"hi_txt": "Subject: Hi\n\n{% include 'no.txt' %}\n"}, "mail template hi.txt: there is no template 'no.txt'"),
        ({"hi_txt": "Hello\n"}, "hi.txt must begin with a line 'Subject: ...', and then a blank line"),
        ({"hi_txt": "Subject:\n\nHello\n"}, "must begin with"),
        ({"hi_txt": "Subject: Hi\nHello\n"}, "must begin with"),
        ({"hi_txt": "Subject: Hi {{ given }}\n\nHello\n"}, "must begin with"),
        ({"hi_html": "<p>Hello</p>"}, "hi.html has no <title>, and there is no hi.txt"),
        ({"hi_txt": "Subject: Hi\n\nHello\n", "hi_html": "{{ name }}"}, "mail template hi.html: 'name' is undefined"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    """An error names the file and, where there is one, the line; a line break in a subject is one, too."""
    with pytest.raises(MailTemplateError, match=reason):
        templates(tmp_path, **files).render("hi", given="Ann\nBcc: evil@example.com")


@pytest.mark.parametrize("name", ["", "../hi", "hi.txt", "/etc/passwd", "a//b", "hi\n"])
def test_names_of_templates(tmp_path: Path, name: str) -> None:
    """A name leads to no other folder, and has no extension."""
    with pytest.raises(InvalidArgumentError, match="a mail template's name"):
        templates(tmp_path).render(name)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is noticed at once, and not with the first mail."""
    with pytest.raises(ConfigurationError, match="nowhere: there is no such folder"):
        MailTemplates(tmp_path / "nowhere")
