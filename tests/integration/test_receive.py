"""What somebody sends is bounded while it comes, looked at as a whole, and stored only then."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from rustforge.attachments import AttachmentInput, AttachmentRules, Resize, accept, receive
from rustforge.attachments.images import Picture, rewrite
from rustforge.clock import ManualClock
from rustforge.errors import (
    AttachmentRejectedError,
    InvalidArgumentError,
    InvalidTypeError,
    ObjectNotFoundError,
    StorageTokenError,
    StorageUnavailableError,
)
from rustforge.storage import Storage, check_key
from tests.support import hostile
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = re.compile(r"articles/cover/\d{4}/\d\d/\d\d/[0-9a-f]{32}\.[a-z0-9]{1,5}")
PDF = AttachmentRules(allowed=["application/pdf"])
IMAGE = AttachmentRules()
SLOT: dict[str, Any] = {"owner": "articles", "field": "cover"}


async def keys(storage: Storage) -> list[str]:
    """List all that is stored, in the quarantine too."""
    return [found.key async for found in storage.list()]


async def slowly(*pieces: bytes) -> AsyncIterator[bytes]:
    """Give pieces one after the other."""
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def test_an_image_is_stored_as_what_it_is(storage: Storage) -> None:
    """Under a key of the server's, with the type of its bytes, and with the facts of what is stored."""
    sent = hostile.picture("JPEG", (40, 30))
    rules = AttachmentRules(resize=Resize(width=20))
    stored = await receive(storage, sent, rules, **SLOT, name="C:\\fakepath\\cover.PNG")
    assert KEY.fullmatch(stored.path)
    assert stored.path.endswith(".jpg")
    data = await storage.get(stored.path)
    assert stored == AttachmentInput(
        stored.path, "image/jpeg", len(data), 20, 15, "cover.PNG", hashlib.sha256(data).hexdigest()
    )
    assert Image.open(io.BytesIO(data)).size == (20, 15)
    found = await storage.head(stored.path)
    assert (found.content_type, found.disposition) == ("image/jpeg", 'inline; filename="cover.PNG"')


async def test_other_files_are_stored_byte_by_byte(storage: Storage) -> None:
    """Also those that are too large for memory; browsers save them."""
    data = hostile.PDF + b"\0" * 5_000_000
    stored = await receive(storage, data, PDF, **SLOT)
    assert stored == AttachmentInput(
        stored.path, "application/pdf", len(data), checksum=hashlib.sha256(data).hexdigest()
    )
    assert await storage.get(stored.path) == data
    found = await storage.head(stored.path)
    assert (found.content_type, found.disposition) == ("application/pdf", "attachment")


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "file", "upload", "pieces", "coming"])
async def test_bytes_come_from_anywhere(storage: Storage, kind: str) -> None:
    """From memory, from files of both kinds, and piece by piece."""
    data = hostile.PDF
    sources: dict[str, Any] = {
        "bytes": data,
        "bytearray": bytearray(data),
        "file": io.BytesIO(data),
        "upload": UploadFile(io.BytesIO(data)),
        "pieces": [data[:9], b"", data[9:]],
        "coming": slowly(data[:9], data[9:]),
    }
    counts: list[int] = []
    stored = await receive(storage, sources[kind], PDF, **SLOT, progress=counts.append)
    assert await storage.get(stored.path) == data
    assert counts[-1] == len(data)


async def test_what_is_no_bytes_is_refused(storage: Storage) -> None:
    """As an error of the programmer's."""
    with pytest.raises(InvalidTypeError):
        await receive(storage, "text", PDF, **SLOT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "rules", "reason", "message"),
    [
        (b"", IMAGE, "empty", "The file is empty."),
        (
            hostile.HTML,
            IMAGE,
            "type_not_allowed",
            "Files of this type cannot be attached; those that can are: image/*.",
        ),
        (hostile.SVG, IMAGE, "type_not_allowed", None),
        (hostile.PDF, IMAGE, "type_not_allowed", None),
        (hostile.picture("GIF"), AttachmentRules(allowed=["image/png"]), "type_not_allowed", None),
        (hostile.png_of(12_000, 12_000), IMAGE, "too_many_pixels", "The image has more than 25,000,000 pixels."),
        (hostile.picture("PNG")[:-30], IMAGE, "unreadable", "The image cannot be read; it may be damaged."),
        (hostile.PDF, AttachmentRules(allowed=["application/pdf"], max_size=20), "too_large", "larger than 20 bytes"),
        (bytes(2**20 + 1), AttachmentRules(max_size=2**20), "too_large", "The file is larger than 1 MiB."),
    ],
    ids=["empty", "html", "svg", "pdf", "gif", "bomb", "damaged", "bytes", "mebibytes"],
)
async def test_a_refused_file_leaves_nothing(
    storage: Storage, data: bytes, rules: AttachmentRules, reason: str, message: str | None
) -> None:
    """The error has a word for programs and a sentence for people, and repeats nothing of what was sent."""
    with pytest.raises(AttachmentRejectedError) as refused:
        await receive(storage, data, rules, **SLOT, name="s3cret.png")
    assert (refused.value.reason, refused.value.field) == (reason, "cover")
    assert message is None or message in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert await keys(storage) == []


async def test_a_file_that_is_too_large_is_not_read_to_its_end(storage: Storage) -> None:
    """The bound counts while the bytes come."""
    given_out = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given_out
        while True:
            given_out += 1000
            yield bytes(1000)

    with pytest.raises(AttachmentRejectedError):
        await receive(storage, endless(), AttachmentRules(max_size=1_000_000), **SLOT)
    assert given_out == 1_001_000


async def test_a_source_that_breaks_off_leaves_nothing(storage: Storage) -> None:
    """Its error goes to the caller as it is."""

    async def broken() -> AsyncIterator[bytes]:
        yield hostile.PDF
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await receive(storage, broken(), PDF, **SLOT)
    assert await keys(storage) == []


@pytest.mark.parametrize("moment", ["coming", "storing"])
async def test_a_cancelled_call_leaves_nothing(storage: Storage, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Whether the client went away while it sent, or while its file was stored."""
    reached = asyncio.Event()

    async def hanging(*pieces: bytes) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
        reached.set()
        await asyncio.Event().wait()

    put = storage.put

    async def put_half(key: str, _data: Any, **options: Any) -> Any:
        return await put(key, hanging(b"half"), **options)

    source = hanging(hostile.PDF)
    if moment == "storing":
        monkeypatch.setattr(storage, "put", put_half)
        source = slowly(hostile.PDF)
    task = asyncio.create_task(receive(storage, source, PDF, **SLOT))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await keys(storage) == []


async def test_wrong_names_of_slots_are_told_before_anything_is_read(storage: Storage) -> None:
    """They are the programmer's, so the client's bytes need not be waited for."""
    for owner, field in (("../articles", "cover"), ("articles", "a b"), ("", "cover"), ("articles", "..")):
        with pytest.raises(InvalidArgumentError):
            await receive(storage, _unread(), PDF, owner=owner, field=field)


async def _unread() -> AsyncIterator[bytes]:
    pytest.fail("it was read")
    yield b""


async def test_the_loop_goes_on_while_an_image_is_decoded(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes the CPU does so in a thread."""
    begun, go_on = threading.Event(), threading.Event()

    def held(*arguments: Any, **options: Any) -> Picture:
        begun.set()
        assert go_on.wait(5)
        return rewrite(*arguments, **options)

    monkeypatch.setattr(sys.modules["rustforge.attachments.receive"], "rewrite", held)
    task = asyncio.create_task(receive(storage, hostile.picture("PNG"), IMAGE, **SLOT))
    await wait_until(begun.is_set)
    go_on.set()
    assert (await task).width == 40


async def test_many_at_once(storage: Storage) -> None:
    """Uploads do not stand in one another's way, nor in one another's files."""
    files = [hostile.picture("PNG", (10 + n, 10)) for n in range(12)]
    stored = await asyncio.gather(*(receive(storage, data, IMAGE, **SLOT) for data in files))
    assert [one.width for one in stored] == [10 + n for n in range(12)]
    assert len(await keys(storage)) == 12


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([hostile.PDF, hostile.HTML, hostile.picture("PNG"), b"text"]) | st.binary(max_size=60),
    st.none()
    | st.text()
    | st.sampled_from(["../../x", "a\r\nb", "x.php", "con", ".htaccess", "%2e%2e%2f", "a" * 9999]),
)
async def test_whatever_is_sent_under_whatever_name(data: bytes, name: str | None) -> None:
    """A file is stored under a sound key of which no character is the client's, or it is refused."""
    rules = AttachmentRules(allowed=["image/*", "application/pdf", "text/plain"])
    async with Storage.connect("memory://") as storage:
        try:
            stored = await receive(storage, data, rules, **SLOT, name=name)
        except AttachmentRejectedError:
            assert await keys(storage) == []
        else:
            assert KEY.fullmatch(stored.path)
            assert await keys(storage) == [check_key(stored.path)]
            found = await storage.head(stored.path)
            assert found.content_type == stored.content_type
            assert found.content_type in {"image/png", "application/pdf", "text/plain"}
            assert (found.disposition or "").isascii()
            assert (found.disposition or "").isprintable()


# -- direct uploads


async def uploaded(storage: Storage, data: bytes, *, max_size: int = 10_000_000) -> str:
    """Upload directly, and return the token."""
    upload = storage.presign_upload("articles/cover", max_size=max_size)
    grant = storage.read_upload_token(upload.token)
    await storage.put(grant.key, data)
    return upload.token


async def test_a_direct_upload_is_looked_at_like_any_other(storage: Storage) -> None:
    """It is stored anew under a key of its own, and the quarantine is empty."""
    token = await uploaded(storage, hostile.picture("PNG") + hostile.SCRIPT)
    stored = await accept(storage, token, IMAGE, **SLOT, name="../a.png")
    assert KEY.fullmatch(stored.path)
    assert (stored.content_type, stored.name) == ("image/png", "a.png")
    assert hostile.SCRIPT not in await storage.get(stored.path)
    assert await keys(storage) == [stored.path]


async def test_a_refused_direct_upload_is_removed(storage: Storage) -> None:
    """What nobody may have does not wait in the quarantine."""
    for data, reason in ((hostile.HTML, "type_not_allowed"), (b"", "empty")):
        token = await uploaded(storage, data)
        with pytest.raises(AttachmentRejectedError) as refused:
            await accept(storage, token, IMAGE, **SLOT)
        assert (refused.value.reason, refused.value.field) == (reason, "cover")
        assert await keys(storage) == []


async def test_a_direct_upload_is_bounded_twice(storage: Storage) -> None:
    """By what was permitted and by the rules, and without reading it."""
    rules = AttachmentRules(allowed=["application/pdf"], max_size=2000)
    for permitted, size, bound in ((1000, 1500, "1,000 bytes"), (9000, 2001, "2,000 bytes")):
        token = await uploaded(storage, hostile.PDF.ljust(size, b"\0"), max_size=permitted)
        with pytest.raises(AttachmentRejectedError, match=f"larger than {bound}"):
            await accept(storage, token, rules, **SLOT)
        assert await keys(storage) == []


async def test_a_token_counts_once(storage: Storage) -> None:
    """As long as nothing new was uploaded with it."""
    token = await uploaded(storage, hostile.PDF)
    await accept(storage, token, PDF, **SLOT)
    with pytest.raises(ObjectNotFoundError):
        await accept(storage, token, PDF, **SLOT)


async def test_what_is_swapped_meanwhile_is_not_stored(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends other bytes after those that were looked at gains nothing."""
    token = await uploaded(storage, hostile.PDF)
    key = storage.read_upload_token(token).key
    put = storage.put

    async def put_late(where: str, data: Any, **options: Any) -> Any:
        await put(key, hostile.HTML)
        return await put(where, data, **options)

    monkeypatch.setattr(storage, "put", put_late)
    stored = await accept(storage, token, PDF, **SLOT)
    assert await storage.get(stored.path) == hostile.PDF
    assert await keys(storage) == [stored.path]


async def test_no_token_names_another_object(storage: Storage) -> None:
    """Tokens are signed, for uploads only, by this application, and expire."""
    await storage.put("articles/cover/secret.pdf", hostile.PDF)
    reading = storage.presign("articles/cover/secret.pdf")
    mine = storage.presign_upload("articles/cover", max_size=100)
    async with Storage.connect("memory://", secret="of somebody else's") as elsewhere:
        foreign = elsewhere.presign_upload("articles/cover", max_size=100).token
    for token in ("", "articles/cover/secret.pdf", reading.partition("token=")[2], mine.url, mine.token[:-1], foreign):
        with pytest.raises(StorageTokenError):
            await accept(storage, token, PDF, **SLOT)
    assert await keys(storage) == ["articles/cover/secret.pdf"]


async def test_a_token_expires() -> None:
    """After a day nobody waits for the client any more."""
    clock = ManualClock()
    async with Storage.connect("memory://", clock=clock) as storage:
        token = await uploaded(storage, hostile.PDF)
        clock.advance(24 * 3600)
        with pytest.raises(StorageTokenError):
            await accept(storage, token, PDF, **SLOT)


async def test_a_quarantine_that_cannot_be_cleared_is_left_to_the_sweep(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is stored, so the caller gets it."""
    token = await uploaded(storage, hostile.PDF)

    async def unreachable(_key: str) -> bool:
        msg = "nobody answers"
        raise StorageUnavailableError(msg)

    monkeypatch.setattr(storage, "delete", unreachable)
    stored = await accept(storage, token, PDF, **SLOT)
    assert await storage.get(stored.path) == hostile.PDF
    assert "stays in the quarantine until it is swept: nobody answers" in caplog.text


# -- what is to be attached


def test_no_client_chooses_the_object() -> None:
    """An input cannot be a part of a request's body, of a job, or of a response."""
    with pytest.raises(TypeError, match="AttachmentInput cannot be read from a request"):

        class Order(BaseModel):
            """Takes the client's word for which object is meant."""

            file: AttachmentInput


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a/../b", "a\\b", "a b", "a%2e", "https://example.com/a"])
def test_an_input_has_a_sound_path(path: str) -> None:
    """Only keys of the storage are attached."""
    with pytest.raises(InvalidArgumentError):
        AttachmentInput(path, "image/png", 1)
    with pytest.raises(InvalidArgumentError, match="size must be at least 0 bytes, not -1"):
        AttachmentInput("a", "image/png", -1)
