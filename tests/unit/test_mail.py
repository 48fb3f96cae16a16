"""Mail as applications write it: addresses, headers, parts and files, and what is refused."""

from __future__ import annotations

import email
import email.policy
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from email.headerregistry import AddressHeader
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustforge import codec
from rustforge.errors import ConfigurationError, InvalidArgumentError
from rustforge.notify.mail import Mail, MailAddress, MailAttachment, MailUrl, SendMail
from rustforge.notify.mail.compose import Letter, compose
from rustforge.notify.mail.plain import PlainText

if TYPE_CHECKING:
    from email.message import EmailMessage

SHOP = MailAddress("shop@example.com", "Shop")
MOMENT = datetime(2026, 11, 29, 21, 50, tzinfo=UTC)


def letter_of(mail: Mail) -> Letter:
    """Write a mail for the wire."""
    contents = [one.data or b"" for one in mail.attachments]
    return compose(mail, mail.sender or SHOP, "<7@example.com>", MOMENT, contents)


def read(data: bytes) -> EmailMessage:
    """Read a message as the standard library does, with line ends as a mailbox has them."""
    return email.message_from_bytes(data.replace(b"\r\n", b"\n"), policy=email.policy.default)


def wire(**fields: Any) -> EmailMessage:
    """Write a mail, and read what goes over the wire."""
    return read(letter_of(Mail(**{"to": "ann@example.com", "text": "Hello", **fields})).data)


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("ann@example.com", "ann@example.com", ""),
        ("Ann Lee <ann@example.com>", "ann@example.com", "Ann Lee"),
        ('"Lee, Ann" <ann@example.com>', "ann@example.com", "Lee, Ann"),
        ("Ann@Example.COM", "Ann@example.com", ""),
        ("ann@bücher.example", "ann@xn--bcher-kva.example", ""),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example", ""),
        ("Jörg Müller <jm@example.com>", "jm@example.com", "Jörg Müller"),
        ("ops@mail.intranet", "ops@mail.intranet", ""),
        ("ops@localhost", "ops@localhost", ""),
        ("ops@Firm.Local", "ops@firm.local", ""),
        ("<ann@example.com>", "ann@example.com", ""),
        (r'"Ann \"A\" \\ Lee" <ann@example.com>', "ann@example.com", 'Ann "A" \\ Lee'),
        ("O'Neil (Ann) <ann@example.com>", "ann@example.com", "O'Neil (Ann)"),
        ("ann@shop.test", "ann@shop.test", ""),
    ],
)
def test_an_address_is_read(text: str, address: str, name: str) -> None:
    """Addresses are read alone or with a name; domains are in ASCII, and those of one's own network are taken."""
    found = MailAddress.parse(text)
    assert (found.address, found.name) == (address, name)
    assert MailAddress.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "a@example.com, b@example.com",
        "a@example.com; b@example.com",
        "a@example.com b@example.com",
        "a@example.com\nBcc: b@example.com",
        "a@example.com\r\nb@example.com",
        "a@example.com\x00",
        "Ann\r\nBcc: b@example.com <a@example.com>",
        "Ann <a@example.com>, Bob <b@example.com>",
        "Ann <a@example.com> <b@example.com>",
        '"a@example.com, b"@example.com',
        "a@exa mple.com",
        "a@[127.0.0.1]",
        "a@-example.com",
        f"{'a' * 250}@example.com",
        "a@local.",
        "a@b@local",
        "Ann <a@example.com",
        "a@example.com>",
        "<a@example.com> Ann",
        '"Ann" Lee <a@example.com>',
        "a@example.com\u2028b@example.com",
    ],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    """Nothing gets through that is no address, or several, or has a line break in it."""
    with pytest.raises(InvalidArgumentError):
        MailAddress.parse(text)
    with pytest.raises(InvalidArgumentError):
        Mail(to=text, text="Hello")


def test_an_address_is_text() -> None:
    """Something else is refused, and says so."""
    with pytest.raises(InvalidArgumentError, match="must be text, not int"):
        MailAddress.parse(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="must be text, not int"):
        MailAddress(7)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="is not one mail address"):
        MailAddress("Ann <ann@example.com>")


@given(st.text())
@example("\r\nBcc: evil@example.com")
@example("Ann\u2028Lee")
@example("=?utf-8?q?Ann?=")
@example('"')
@example("\\")
@example("Ann (comment) <evil@example.com>")
def test_any_name_is_a_name(name: str) -> None:
    """Whatever the name of an address is, it is refused, or arrives as a name, and adds neither address nor header."""
    try:
        address = MailAddress("ann@example.com", name)
    except InvalidArgumentError:
        return
    message = wire(to=address)
    header = message["To"]
    assert isinstance(header, AddressHeader)
    assert [one.addr_spec for one in header.addresses] == ["ann@example.com"]
    assert sorted(message.keys()) == sorted(HEADERS)


HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]


@given(st.text())
@example("a\r\nBcc: evil@example.com")
@example("a\n\nbody")
@example("a\x85b")
@example("\x0b\x0c\x1c\x1d\x1e")
@example("\ud800")
def test_any_subject_is_a_subject(subject: str) -> None:
    """Whatever the subject is, it is refused, or arrives as it is but for its blanks, and adds no header."""
    try:
        message = wire(subject=subject)
    except InvalidArgumentError:
        return
    assert message["Subject"].split() == subject.split()
    assert sorted(message.keys()) == sorted(HEADERS)
    assert message.get_content() == "Hello\n"


# -- headers -----------------------------------------------------------------------------------------------------------


def test_the_headers() -> None:
    """Each header holds what was said, with a Date, and the blind copy is in none of them."""
    mail = Mail(
        to=["Ann Lee <ann@example.com>", MailAddress("bob@example.com")],
        cc="Jörg <joerg@example.com>",
        bcc=["archive@example.com", "ann@example.com"],
        reply_to="help@example.com",
        subject="Grüße aus Köln",
        text="Hello",
        headers={"List-Unsubscribe": "<https://example.com/u/7>", "X-Order": "7"},
    )
    letter = letter_of(mail)
    message = read(letter.data)
    assert str(message["From"]) == "Shop <shop@example.com>"
    assert str(message["To"]) == "Ann Lee <ann@example.com>, bob@example.com"
    assert str(message["Cc"]) == "Jörg <joerg@example.com>"
    assert str(message["Reply-To"]) == "help@example.com"
    assert message["Subject"] == "Grüße aus Köln"
    assert message["Date"].datetime == MOMENT
    assert message["Message-ID"] == "<7@example.com>"
    assert message["List-Unsubscribe"] == "<https://example.com/u/7>"
    assert message["X-Order"] == "7"
    assert b"archive" not in letter.data
    assert letter.recipients == ("ann@example.com", "bob@example.com", "joerg@example.com", "archive@example.com")
    assert letter.data.isascii()
    assert not letter.utf8


def test_only_blind_copies() -> None:
    """Mail without a visible recipient says so, as the header must not be empty."""
    message = wire(to=(), bcc="ann@example.com")
    assert message["To"] == "undisclosed-recipients:;"
    assert message["Bcc"] is None


def test_a_long_link_in_a_header_stays_as_it_is() -> None:
    """A header of ASCII is not encoded on account of its length, as nobody would follow the link then."""
    link = f"<https://example.com/unsubscribe/{'a' * 200}>"
    data = letter_of(Mail(to="a@example.com", text="x", headers={"List-Unsubscribe": link})).data
    assert f"List-Unsubscribe: {link}\r\n".encode() in data
    assert all(len(line) < 998 for line in data.split(b"\r\n"))


@pytest.mark.parametrize("local", ["jörg", "用户"])
def test_letters_before_the_at_need_utf8(local: str) -> None:
    """An address with other letters than ASCII goes in UTF-8, and the letter says that the server must take it."""
    letter = letter_of(Mail(to=f"{local}@bücher.example", text="Hello"))
    assert letter.utf8
    assert letter.recipients == (f"{local}@xn--bcher-kva.example",)
    assert f"To: {local}@xn--bcher-kva.example\r\n".encode() in letter.data


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"to": ()}, "at least one recipient"),
        ({"text": None}, "needs text or html"),
        ({"text": "half \ud800"}, "half of a character"),
        ({"subject": 7}, "subject must be text, not int"),
        ({"text": 7}, "a mail's text cannot be used"),
        ({"subject": "a\nb"}, "subject must be one line without control characters; it has U.000A"),
        ({"headers": {"X-A": "a\r\nBcc: b@example.com"}}, "the header X-A must be one line"),
        ({"headers": {"X-A\r\nBcc": "b@example.com"}}, "header's name must have ASCII"),
        ({"headers": {"X A": "b"}}, "header's name"),
        ({"headers": {"": "b"}}, "header's name"),
        ({"headers": {"Bcc": "b@example.com"}}, "written by the mail itself"),
        ({"headers": {"SUBJECT": "b"}}, "written by the mail itself"),
        ({"headers": {"Content-Type": "text/html"}}, "written by the mail itself"),
        ({"reply_to": "a@example.com, b@example.com"}, "is not one mail address"),
        ({"sender": "nobody"}, "is not one mail address"),
    ],
)
def test_what_no_mail_can_have(fields: dict[str, Any], reason: str) -> None:
    """A mail that cannot be sent is refused when it is made, with a reason."""
    with pytest.raises(InvalidArgumentError, match=reason):
        Mail(**{"to": "ann@example.com", "text": "Hello", **fields})


# -- parts -------------------------------------------------------------------------------------------------------------


def test_text_and_html_are_alternatives() -> None:
    """Both are there, the HTML last, as it is to be preferred."""
    message = wire(text="Grüße\n", html="<p>Grüße</p>")
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert [lines(part.get_content()) for part in message.iter_parts()] == [["Grüße"], ["<p>Grüße</p>"]]


def test_html_alone_gets_a_text() -> None:
    """A mail of HTML alone has a plain text, made of it."""
    message = wire(text=None, html="<h1>Order 7</h1><p>Thank <b>you</b>!</p>")
    plain = message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content() == "Order 7\n\nThank you!\n"


def test_files() -> None:
    """Files go with their names and types, and those that the HTML shows are part of it."""
    message = wire(
        html='<img src="cid:logo">',
        attachments=[
            MailAttachment("Rechnung Müller.pdf", b"%PDF"),
            MailAttachment("logo.png", b"\x89PNG", content_id="logo"),
            MailAttachment("line.gif", b"GIF89a", content_id="line@shop"),
            MailAttachment(
                "invite.ics", b"BEGIN:VCALENDAR", content_type="text/calendar; method=REQUEST; charset=utf-8"
            ),
            MailAttachment("data.unknown", b"\x00\xff\r\n.\r\n"),
        ],
    )
    assert message.get_content_type() == "multipart/mixed"
    files = list(message.iter_attachments())
    assert [one.get_filename() for one in files] == ["Rechnung Müller.pdf", "invite.ics", "data.unknown"]
    assert [one.get_content_type() for one in files] == ["application/pdf", "text/calendar", "application/octet-stream"]
    assert files[1]["Content-Type"].params["method"] == "REQUEST"
    assert files[2].get_content() == b"\x00\xff\r\n.\r\n"
    (logo,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert logo["Content-ID"] == "<logo>"
    assert logo.get_content_disposition() == "inline"
    related = [part for part in message.walk() if part.get_content_type() == "multipart/related"]
    assert [part.get_content_type() for part in related[0].iter_parts()] == ["text/html", "image/png", "image/gif"]
    assert len(related) == 1


def test_an_inline_file_without_html_is_attached() -> None:
    """Where nothing can show it, it is a file as any other."""
    message = wire(attachments=[MailAttachment("logo.png", b"\x89PNG", content_id="logo")])
    assert [one.get_filename() for one in message.iter_attachments()] == ["logo.png"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "", "data": b""}, "needs the name of a file"),
        ({"name": "../../etc/passwd", "data": b""}, "without folders"),
        ({"name": "a\\b", "data": b""}, "without folders"),
        ({"name": "a\r\nX: y", "data": b""}, "must be one line"),
        ({"name": "a.txt"}, "either its bytes or the key"),
        ({"name": "a.txt", "data": b"", "key": "a.txt"}, "either its bytes or the key"),
        ({"name": "a.txt", "data": "text"}, "either its bytes or the key"),
        ({"name": "a.txt", "data": b"", "content_type": "text"}, "content type 'text'"),
        ({"name": "a.txt", "data": b"", "content_type": "text/plain\r\nX: y"}, "content type"),
        ({"name": "a.eml", "data": b"", "content_type": "message/rfc822"}, "content type"),
        ({"name": "a.txt", "data": b"", "content_type": "multipart/mixed"}, "content type"),
        ({"name": "a.png", "data": b"", "content_id": "a>\r\nX: y"}, "content_id"),
    ],
)
def test_what_no_file_can_have(fields: dict[str, Any], reason: str) -> None:
    """A file that cannot be attached is refused when it is made."""
    with pytest.raises(InvalidArgumentError, match=reason):
        MailAttachment(**fields)


@given(st.text(alphabet=st.characters(codec="utf-8")), st.binary(max_size=200))
@example("\x00\x01\x7f", b"")
@example(".\r\n.\r\nQUIT\r\n", b"\r\n.\r\n")
@example("a\rb\x0b\x0c\x85\u2028", b"\r")
@example("From the start\n" + "x" * 2000, b"")
def test_any_text_arrives(text: str, content: bytes) -> None:
    """Any text and any bytes arrive as they were but for line ends, in lines of ASCII of a length that servers take."""
    mail = Mail(to="a@example.com", text=text, html=f"<p>{text}</p>", attachments=[MailAttachment("a.bin", content)])
    data = letter_of(mail).data
    assert data.isascii()
    assert all(len(line) < 998 for line in data.split(b"\r\n"))
    assert not set(data.replace(b"\r\n", b"")) & set(b"\r\n")
    message = read(data)
    body = message.get_body(("plain",))
    assert body is not None
    assert lines(body.get_content()) == lines(text)
    assert [one.get_content() for one in message.iter_attachments()] == [content]


def lines(text: str) -> list[str]:
    """Part text into lines, however they end; blank ones at the end do not count."""
    return re.split("\r\n|\r|\n", text.rstrip("\r\n"))


# -- as JSON -----------------------------------------------------------------------------------------------------------


def test_a_mail_is_json_and_back() -> None:
    """What is queued is what was written: as a job's field, and as plain JSON."""
    mail = Mail(
        to=["Ann Lee <ann@example.com>", "jörg@bücher.example"],
        bcc="archive@example.com",
        sender="Shop <shop@example.com>",
        subject="Grüße",
        text="Hello",
        html="<p>Hello</p>",
        attachments=[MailAttachment("a.bin", b"\x00\xff"), MailAttachment("b.pdf", key="invoices/7.pdf")],
        headers={"X-Order": "7"},
    )
    assert Mail.model_validate(json.loads(json.dumps(mail.model_dump(mode="json")))) == mail
    job: SendMail = codec.decode(codec.encode(SendMail(mail=mail)), SendMail)
    assert job.mail == mail


def test_what_comes_back_is_checked() -> None:
    """JSON that is no mail, as somebody wrote it by hand, is refused, too."""
    for to in ("a@example.com, b@example.com", {"address": "a@example.com\nBcc: b@example.com"}, 7):
        with pytest.raises((InvalidArgumentError, ValueError, TypeError)):
            Mail.model_validate({"to": [to], "text": "Hello"})


# -- without extras ----------------------------------------------------------------------------------------------------

WITHOUT = """
import sys
sys.modules |= dict.fromkeys(sys.argv[1:])
from rustforge.notify import AlertChannel, Mail, MailChannel
for attempt in (
    lambda: MailChannel("smtp://mail"),
    lambda: MailChannel.target(Mail(to="ann@example.com", text="Hello")),
    lambda: AlertChannel.target("Hello"),
    lambda: AlertChannel(["json://127.0.0.1"]),
    lambda: __import__("rustforge.notify.mail.templates"),
):
    try:
        attempt()
    except ModuleNotFoundError as error:
        print(error)
"""


def test_a_missing_extra_is_named() -> None:
    """What needs a library that is not there says how it is installed, and the rest works without."""
    modules = ["aiosmtplib", "apprise", "jinja2", "sqlalchemy"]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *modules], capture_output=True, text=True, check=True)
    missing = [
        ("aiosmtplib", "mail"),
        ("sqlalchemy", "sql"),
        ("sqlalchemy", "sql"),
        ("apprise", "alerts"),
        ("jinja2", "mail"),
    ]
    expected = [f"{name} is not installed; it comes with: pip install 'rustforge[{extra}]'" for name, extra in missing]
    assert done.stdout.splitlines() == expected
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "email_validator"], capture_output=True, text=True, check=False
    )
    assert "email-validator is not installed; it comes with: pip install 'rustforge[mail]'" in done.stderr


# -- plain text of HTML ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", "\n"),
        ("just text", "just text\n"),
        ("<p>One</p><p>Two<br>Three</p>", "One\n\nTwo\nThree\n"),
        ("<ul><li>a</li><li>b</li></ul>after", "- a\n- b\n\nafter\n"),
        ("<table><tr><td>Tea</td><td>2.00</td></tr><tr><td>Cup</td><td>3.00</td></tr></table>", "Tea 2.00\nCup 3.00\n"),
        ('<a href="https://example.com/7">Your order</a>', "Your order (https://example.com/7)\n"),
        ('<a href="https://example.com/7">https://example.com/7</a>', "https://example.com/7\n"),
        ('<a href="#top">Top</a> <a>x</a>', "Top x\n"),
        ("<head><title>T</title><style>p{}</style></head><body><script>x()</script>Hi</body>", "Hi\n"),
        ("<head><title>T</title><body>Hi", "Hi\n"),
        ("Tom &amp; Jerry &lt;3", "Tom & Jerry <3\n"),
        ("  a \n  b\t c  ", "a b c\n"),
        ('<img alt="Logo" src="x">', "Logo\n"),
        ("</p></a></style><p>odd", "odd\n"),
        ("<p>a<!-- b --></p><p></p><p></p><p>c</p>", "a\n\nc\n"),
    ],
)
def test_plain_text_of_html(html: str, text: str) -> None:
    """Paragraphs, lists, tables and links become what a reader of plain text expects."""
    assert PlainText(html).text == text


@given(st.text())
@example("<" * 50)
@example("<a href=" * 20)
def test_any_html_has_a_plain_text(html: str) -> None:
    """However broken it is."""
    assert PlainText(html).text.endswith("\n")


def test_the_title_of_html() -> None:
    """The title is read, with its entities."""
    assert PlainText("<head><title> Tom &amp; \n Jerry </title></head>").title == "Tom & Jerry"
    assert PlainText("<p>no title</p>").title == ""


# -- URLs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown", "parts"),
    [
        ("log:", "log:", ("log", "", 0, None, None, "required")),
        ("log://", "log:", ("log", "", 0, None, None, "required")),
        ("memory:", "memory:", ("memory", "", 0, None, None, "required")),
        ("smtp://mail", "smtp://mail:587", ("smtp", "mail", 587, None, None, "auto")),
        ("smtp://127.0.0.1:1025", "smtp://127.0.0.1:1025", ("smtp", "127.0.0.1", 1025, None, None, "auto")),
        ("SMTP://u:pw7@mail", "smtp://mail:587", ("smtp", "mail", 587, "u", "pw7", "required")),
        ("smtp://u:pw7@mail?starttls=never", "smtp://mail:587", ("smtp", "mail", 587, "u", "pw7", "never")),
        ("smtp://[::1]:25?starttls=required", "smtp://[::1]:25", ("smtp", "::1", 25, None, None, "required")),
        ("smtps://a%40b:p%2F%3A%23@mail", "smtps://mail:465", ("smtp", "mail", 465, "a@b", "p/:#", "tls")),
    ],
)
def test_urls(url: str, shown: str, parts: tuple[Any, ...]) -> None:
    """Each form is read, and shown without credentials."""
    found = MailUrl.parse(url)
    assert (found.kind, found.host, found.port, found.username, found.password, found.encryption) == parts
    assert str(found) == shown
    assert not found.password or found.password not in f"{found!r}{found}"


def test_options_of_urls() -> None:
    """Options are numbers and a file."""
    found = MailUrl.parse("smtp://mail?timeout=2.5&connections=2&ssl_ca_certs=/etc/ca.pem")
    assert (found.timeout, found.connections, found.ssl_ca_certs) == (2.5, 2, "/etc/ca.pem")
    assert (MailUrl.parse("smtp://mail").timeout, MailUrl.parse("smtp://mail").connections) == (30, 4)


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://mail",
        "smtp:mail",
        "smtp://",
        "smtp://:587",
        "log:somewhere",
        f"smtp://u:{SECRET}@",
        f"smtp://u:{SECRET}@mail:0",
        f"smtp://u:{SECRET}@mail:99999",
        f"smtp://u:{SECRET}@mail:port",
        f"smtp://u:{SECRET}@mail/path",
        f"smtp://u:{SECRET}#@mail",
        f"smtp://u:{SECRET}?@mail",
        f"smtp://u:{SECRET}/@mail",
        f"smtp://u:{SECRET}@x@mail",
        f"smtp://{SECRET}@mail",
        f"smtp://:{SECRET}@mail",
        f"smtp://u:{SECRET}@mail?starttls=auto",
        f"smtp://u:{SECRET}@mail?starttls=maybe",
        f"smtps://u:{SECRET}@mail?starttls=required",
        f"smtp://u:{SECRET}@mail?tls=true",
        f"smtp://u:{SECRET}@mail?timeout=0",
        f"smtp://u:{SECRET}@mail?timeout=nan",
        f"smtp://u:{SECRET}@mail?timeout=soon",
        f"smtp://u:{SECRET}@mail?connections=1.5",
        f"smtp://u:{SECRET}@mail?connections=1000",
        f"{SECRET}://mail",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """A URL that is not understood is refused with one line that says what to write, and shows no password."""
    with pytest.raises(ConfigurationError) as caught:
        MailUrl.parse(url)
    assert "\n" not in str(caught.value)
    assert SECRET not in f"{caught.value!r}{caught.value.__cause__!r}" or url.startswith(SECRET)
