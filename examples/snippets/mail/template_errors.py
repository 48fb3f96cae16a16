"""See what an error of a template says."""

from pathlib import Path

from rustforge.errors import MailTemplateError
from rustforge.notify import MailTemplates

Path("hello.txt").write_text("Subject: Hello\n\nDear {{ name }}!\n")
templates = MailTemplates(".")

# --8<-- [start:errors]
for name, values in (("hello", {"nmae": "Ann"}), ("goodbye", {})):
    try:
        templates.render(name, **values)
    except MailTemplateError as error:
        print(error)
# --8<-- [end:errors]
