"""Keys, URLs and headers of objects hold nothing that leads, or says, anything else than it seems."""

from __future__ import annotations

import re
from email.message import Message
from urllib.parse import parse_qs, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from rustforge.attachments import Attachments
from rustforge.attachments.detect import KNOWN, extension_of
from rustforge.errors import InvalidArgumentError, StorageTokenError
from rustforge.storage import Storage, check_key, new_key
from rustforge.storage.objects import disposition

SEGMENT = r"[A-Za-z0-9_-]([A-Za-z0-9_.-]*[A-Za-z0-9_-])?"
KEY = re.compile(rf"{SEGMENT}(/{SEGMENT})*")
HOSTILE = st.sampled_from(
    ["..", ".", "", "/", "//", "a/../b", "a\\b", "%2e%2e", "%2f", "a\0", "a\n", "a\r\nb", "con", "NUL.png", "a ", "a:b",
     "\u2215", "\uff0e\uff0e", "é", "~", "$HOME", "-rf", "a?b", "a#b", "a;b", "*", "x" * 2000]
)  # fmt: skip
WORD = st.text(max_size=30) | HOSTILE | st.from_regex(r"[a-z_]{1,12}", fullmatch=True)


@given(WORD, WORD, WORD | st.sampled_from(["png", ".png", ""]))
@example("articles", "cover", "png")
def test_any_owner_and_field_make_a_sound_key_or_none(owner: str, field: str, extension: str) -> None:
    """What the server makes is a key that means the same on every storage, in the place that was asked for."""
    try:
        key = new_key(owner, field, extension)
    except InvalidArgumentError as error:
        told = str(error)
        assert told.isprintable()
        assert len(told) < 600
    else:
        assert KEY.fullmatch(key)
        assert check_key(key) == key
        assert key.startswith(f"{owner}/{field}/")
        assert len(key) <= 1024
        assert not {".", ".."} & set(key.split("/"))


@given(st.sampled_from(sorted(KNOWN)))
def test_every_type_has_an_extension_for_its_key(content_type: str) -> None:
    """No type that is detected makes a key impossible."""
    assert check_key(new_key("articles", "cover", extension_of(content_type)))


@given(WORD, WORD)
@example("articles/cover/a.png", "a.png")
async def test_any_url_leads_to_its_key_alone(key: str, filename: str) -> None:
    """The path of a signed URL is the key, and its signature opens nothing else."""
    storage = Storage("memory://", base_url="https://files.example.com/files")
    try:
        url = storage.presign(key, filename=filename)
    except InvalidArgumentError:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "files.example.com", "")
    assert parts.path == f"/files/{key}"
    assert re.fullmatch(r"token=[A-Za-z0-9_.-]+", parts.query)
    [token] = parse_qs(parts.query)["token"]
    _, facts = storage.signer.read(f"GET {key}", token)
    assert facts == [filename, False]
    for other in (f"GET {key}x", f"PUT {key}", "upload"):
        try:
            storage.signer.read(other, token)
        except StorageTokenError:
            continue
        raise AssertionError(other)


@given(WORD)
@example("//example.com/evil")
@example("javascript:alert(1)")
@example("articles/cover/a.png")
async def test_a_cdn_serves_what_is_below_its_base(path: str) -> None:
    """Whatever a row says, the link stays on the CDN's host and in one attribute of a page; URLs of old rows pass."""
    async with AsyncSession() as session:
        attachments = Attachments(session, Storage("memory://"), cdn_base_url="https://cdn.example.com/shop/")
        assert attachments.url("https://old.example.com/a.png") == "https://old.example.com/a.png"
        url = attachments.url(path)
    assert re.fullmatch(r"https://cdn\.example\.com/shop/[A-Za-z0-9/_.~%-]*", url)
    assert KEY.fullmatch(path) is None or url == f"https://cdn.example.com/shop/{path}"


@given(st.none() | WORD, st.booleans(), st.sampled_from(sorted(KNOWN)))
@example("a.png\r\nX-Evil: 1", True, "image/png")
@example('a"; filename="evil.html', False, "text/html")
def test_any_name_makes_one_sound_header(filename: str | None, inline: bool, content_type: str) -> None:
    """Whatever a client calls a file, the header has one value, one name, and no second line."""
    header = disposition(filename, inline=inline, content_type=content_type)
    assert header.isascii()
    assert header.isprintable()
    parsed = Message()
    parsed["Content-Disposition"] = header
    kind, *options = parsed.get_params(header="content-disposition")  # type: ignore[misc]
    assert kind[0] in {"inline", "attachment"}
    assert kind[0] == "attachment" or content_type in {*_SHOWN, "application/pdf"}
    assert len(options) <= 2
    saved = parsed.get_filename() or ""
    assert not set("/\\\0\r\n") & set(saved)


_SHOWN = {"image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"}
