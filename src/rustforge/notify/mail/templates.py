"""Templates of mail: a plain text and HTML of one name."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rustforge.errors import ConfigurationError, InvalidArgumentError, MailTemplateError
from rustforge.notify.mail.plain import PlainText

if TYPE_CHECKING:
    import os

try:
    import jinja2
except ModuleNotFoundError as _error:
    _msg = "jinja2 is not installed; it comes with: pip install 'rustforge[mail]'"
    raise ModuleNotFoundError(_msg, name=_error.name) from _error

__all__ = ["MailTemplates", "RenderedMail"]

_NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_SUBJECT = "Subject:"


class RenderedMail(TypedDict):
    """What a template made, to be given to [`Mail`][rustforge.notify.mail.Mail] as `**rendered`.

    Attributes:
        subject: The subject.
        text: The plain text; `None` where only an HTML template is there.
        html: The HTML; `None` where only a text template is there.
    """

    subject: str
    text: str | None
    html: str | None


class MailTemplates:
    """Templates of mail, written in Jinja.

    A mail is a text template, an HTML template, or both, of one name: `order_confirmation.txt` and
    `order_confirmation.html`. The text template begins with the subject, as the line `Subject: Order {{ number }}`, and
    a blank line. Where there is only an HTML template, its `<title>` is the subject.

    Values are escaped in HTML and left as they are in plain text. A name that is not given is an error.

    Attributes:
        environment: Jinja's environment, to add filters and globals to.

    Example:
        ```python
        templates = MailTemplates("templates/mail")
        mail = Mail(to="ann@example.com", **templates.render("order_confirmation", order=order))
        ```
    """

    def __init__(self, folder: str | os.PathLike[str], *, package: str | None = None) -> None:
        """Say where they are.

        Args:
            folder: The folder.
            package: The package in which the folder is, such as `"shop"`; `None` for the file system.

        Raises:
            ConfigurationError: There is no such folder or package.
        """
        try:
            if package is not None:
                loader: jinja2.BaseLoader = jinja2.PackageLoader(package, str(folder))
            else:
                if not Path(folder).is_dir():
                    msg = "there is no such folder"
                    raise ValueError(msg)  # noqa: TRY301 - said as of the package
                loader = jinja2.FileSystemLoader(folder)
        except (ModuleNotFoundError, ValueError) as error:
            place = f"{folder} of the package {package}" if package else f"{folder}"
            msg = f"mail templates in {place}: {error}"
            raise ConfigurationError(msg) from error
        self.environment: jinja2.Environment = jinja2.Environment(
            loader=loader,
            autoescape=_is_escaped,  # noqa: S701 - all but plain text
            undefined=jinja2.StrictUndefined,
        )

    def render(self, name: str, /, **values: Any) -> RenderedMail:
        """Fill a template in.

        Args:
            name: The template's name, without `.txt` and `.html`; `/` parts folders.
            values: What stands in the template.

        Returns:
            The subject, the text and the HTML.

        Raises:
            MailTemplateError: There is no such template, it is not right, or asks for what was not given. The message
                names the file and the line.
        """
        if not _NAME.fullmatch(name):
            msg = f"a mail template's name has letters, digits, _, - and /, and no extension, not {name!r}"
            raise InvalidArgumentError(msg)
        text = self._fill(f"{name}.txt", values)
        html = self._fill(f"{name}.html", values)
        if text is not None:
            subject, text = _part(f"{name}.txt", text)
            return {"subject": subject, "text": text, "html": html}
        if html is None:
            msg = f"there is no mail template {name!r}: neither {name}.txt nor {name}.html"
            raise MailTemplateError(msg)
        subject = PlainText(html).title
        if not subject:
            msg = f"mail template {name}.html has no <title>, and there is no {name}.txt to begin with a subject"
            raise MailTemplateError(msg)
        return {"subject": subject, "text": None, "html": html}

    def _fill(self, file: str, values: dict[str, Any]) -> str | None:
        """Fill a file in; `None` where there is none."""
        try:
            return self.environment.get_template(file).render(values)
        except jinja2.TemplateNotFound as error:
            if error.name == file:
                return None
            msg = f"mail template {file}: there is no template {error.name!r}, which it asks for"
            raise MailTemplateError(msg) from error
        except jinja2.TemplateSyntaxError as error:
            msg = f"mail template {error.name or file}, line {error.lineno}: {error.message}"
            raise MailTemplateError(msg) from error
        except jinja2.TemplateError as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}, line {frame.lineno}"
            msg = f"mail template {file}: {error.message} ({where})"
            raise MailTemplateError(msg) from error


def _is_escaped(file: str | None) -> bool:
    """Tell whether values are escaped in a file: in all but plain text."""
    return file is None or not file.endswith(".txt")


def _part(file: str, filled: str) -> tuple[str, str]:
    """Part the subject from the text."""
    head, _, rest = filled.lstrip("\n").partition("\n")
    blank, _, text = rest.partition("\n")
    subject = head.removeprefix(_SUBJECT).strip()
    if not head.startswith(_SUBJECT) or not subject or blank.strip():
        msg = f"mail template {file} must begin with a line 'Subject: ...', and then a blank line"
        raise MailTemplateError(msg)
    return subject, text.strip("\n") + "\n"
