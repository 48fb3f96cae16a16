"""The faults of the Rust edition's attachments, which must not come back.

Each has a test that is named after what it prevents, here or where its part is tested:

    the key is the client's file name, so that files overwrite each other     a_name_of_the_client_is_in_no_key
    nothing is checked on the way into the storage                            an_upload_is_checked_before_it_is_stored
    the names on the page do not exist                                        examples/snippets, which the tests run
    any rule for an image admits SVG                                          no_rule_for_images_admits_svg
    a rule for one kind of image admits the others                            a_rule_admits_its_own_type_only
    HTML that is named x.png is stored as HTML                                a_page_named_as_a_picture_is_refused
    the type and the extension are the client's                               type_and_extension_come_from_the_bytes
    a smaller GIF or WebP is a PNG under the wrong extension                  a_resized_image_is_what_its_key_says
    no width and height without a rule to resize                              every_image_has_its_width_and_height
    the owner and the field change places in the key                          a_key_names_owner_and_field
    nothing ever removes an object                                            a_replaced_object_is_removed
    the same for a slot that is cleared, and a row that is deleted            a_cleared_slot_and_a_deleted_row
    a slot for one can have two rows                     test_attachments: writers_of_one_slot_take_turns
    a damaged or oversized form is an error of the server                     test_upload_pitfalls
    the whole file is held in memory                                          test_receive
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from pydantic import TypeAdapter

from rustforge.attachments import AttachmentInput, AttachmentRules, Resize, receive
from rustforge.errors import AttachmentRejectedError
from rustforge.storage import Storage
from tests.support.attaching import Article, Desk, tidy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HTML = b"<!doctype html><script>alert(document.cookie)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    """Give a storage in this process."""
    async with Storage.connect("memory://") as storage:
        yield storage


def picture(kind: str, width: int = 8, height: int = 6) -> bytes:
    """Make a picture of a format."""
    file = BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, kind)
    return file.getvalue()


async def take(
    storage: Storage,
    data: bytes,
    allowed: Sequence[str] = ("image/*",),
    *,
    name: str | None = None,
    resize: Resize | None = None,
) -> AttachmentInput:
    """Receive a file for the cover of an article."""
    chosen = AttachmentRules(allowed=allowed, resize=resize)
    return await receive(storage, data, chosen, owner="articles", field="cover", name=name)


async def test_a_name_of_the_client_is_in_no_key(storage: Storage) -> None:
    """Files of the same name do not overwrite each other, and no name leads out of the folder."""
    names = ["cover.png", "cover.png", "../../etc/passwd", "x" * 300, "a\0b.png", "..\\..\\boot.ini", "%2e%2e%2f", ""]
    files = [await take(storage, picture("PNG"), name=name) for name in names]
    assert len({file.path for file in files}) == len(names)
    for file, name in zip(files, names, strict=True):
        assert re.fullmatch(r"articles/cover/\d{4}/\d\d/\d\d/[0-9a-f]{32}\.png", file.path)
        assert not name or name not in file.path
    with pytest.raises(TypeError, match="cannot be read from a request"):
        TypeAdapter(AttachmentInput)


async def test_an_upload_is_checked_before_it_is_stored(storage: Storage) -> None:
    """What the rules do not allow leaves nothing in the storage."""
    for data in (HTML, SVG, b"", b"text", b"\x89PNG\r\n\x1a\n", picture("BMP")):
        with pytest.raises(AttachmentRejectedError):
            await take(storage, data)
    with pytest.raises(AttachmentRejectedError, match="larger than"):
        await receive(storage, picture("PNG"), AttachmentRules(max_size=20), owner="articles", field="cover")
    assert [stored.key async for stored in storage.list()] == []


@pytest.mark.parametrize("allowed", ["image/png", "image/*", "image/gif"])
async def test_no_rule_for_images_admits_svg(storage: Storage, allowed: str) -> None:
    """SVG can carry scripts, so a rule must name it."""
    with pytest.raises(AttachmentRejectedError) as caught:
        await take(storage, SVG, [allowed])
    assert caught.value.reason == "type_not_allowed"


async def test_a_rule_admits_its_own_type_only(storage: Storage) -> None:
    """`image/png` means PNG."""
    for kind in ("GIF", "JPEG", "WEBP"):
        with pytest.raises(AttachmentRejectedError):
            await take(storage, picture(kind), ["image/png"])
        assert (await take(storage, picture(kind), [f"image/{kind.lower()}"])).content_type == f"image/{kind.lower()}"


@pytest.mark.parametrize("data", [HTML, b"GIF89a/*" + HTML + b"*/=1;"], ids=["html", "gif and script"])
async def test_a_page_named_as_a_picture_is_refused(storage: Storage, data: bytes) -> None:
    """A name and a first word make no picture."""
    with pytest.raises(AttachmentRejectedError):
        await take(storage, data, name="x.png")
    assert [stored.key async for stored in storage.list()] == []


async def test_type_and_extension_come_from_the_bytes(storage: Storage) -> None:
    """Whatever it is called, a file is stored as what it is."""
    file = await take(storage, picture("PNG"), name="page.html")
    stored = await storage.head(file.path)
    assert (file.content_type, stored.content_type, file.name) == ("image/png", "image/png", "page.html")
    assert file.path.endswith(".png")
    assert stored.size == file.size


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "JPEG"])
@pytest.mark.parametrize("target", [None, "webp"], ids=["as it is", "webp"])
async def test_a_resized_image_is_what_its_key_says(storage: Storage, kind: str, target: str | None) -> None:
    """The bytes, the type and the extension agree, whatever the image was made smaller from."""
    resize = Resize(width=4, format="webp") if target else Resize(width=4)
    file = await take(storage, picture(kind), resize=resize)
    with Image.open(BytesIO(await storage.get(file.path))) as image:
        assert image.format == (target.upper() if target else kind)
        assert image.size == (4, 3) == (file.width, file.height)
        assert Image.MIME[image.format or ""] == file.content_type
    assert file.path.endswith({"JPEG": ".jpg"}.get(image.format or "", f".{(image.format or '').lower()}"))


async def test_every_image_has_its_width_and_height(storage: Storage) -> None:
    """They are read without a rule that makes it smaller."""
    file = await take(storage, picture("PNG", 31, 17))
    assert (file.width, file.height) == (31, 17)


async def test_a_key_names_owner_and_field(storage: Storage) -> None:
    """Owner, field, date, a name of the server's, the extension: in this order."""
    file = await receive(storage, picture("PNG"), AttachmentRules(), owner="people", field="avatar")
    assert file.path.split("/")[:2] == ["people", "avatar"]
    assert file.path.count("/") == 5


async def test_a_replaced_object_is_removed(desk: Desk) -> None:
    """After a file was replaced, the storage has the new one alone."""
    article = await desk.article()
    paths = []
    for _ in range(2):
        file = await take(desk.storage, picture("PNG"))
        async with desk.db.transaction() as session:
            paths.append((await desk.at(session).set(article, "cover", file)).path)
    assert await tidy(desk) == {paths[1]}


async def test_a_cleared_slot_and_a_deleted_row(desk: Desk) -> None:
    """Neither leaves an object behind."""
    for slot, remove in (("cover", "clear"), ("cover", "delete")):
        article = await desk.article()
        file = await take(desk.storage, picture("PNG"))
        async with desk.db.transaction() as session:
            await desk.at(session).set(article, slot, file)
        async with desk.db.transaction() as session:
            there = await session.get_one(Article, article.id)
            await (session.delete(there) if remove == "delete" else desk.at(session).clear(there, slot))
        assert await tidy(desk) == set()
