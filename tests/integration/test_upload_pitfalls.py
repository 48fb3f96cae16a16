"""Uploads as somebody with bad intentions makes them, sent to a real server: each is refused, or made harmless."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from PIL import Image

from rustforge.attachments import AttachmentInput, AttachmentRules, accept
from rustforge.errors import AttachmentRejectedError
from rustforge.storage import Storage
from tests.support import hostile
from tests.support.forms import CONTENT_TYPE, form, part
from tests.support.serving import Raw, serve
from tests.support.uploading import ROUTES, application
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from httpx2 import Response

RULES = AttachmentRules(allowed=["image/*", "application/pdf", "text/plain"], max_size=300_000)
LIMITS: dict[str, Any] = {"max_size": 400_000, "max_files": 3, "max_fields": 5, "timeout": 0.3}
NAMES = [
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/cron.d/evil",
    "C:\\boot.ini",
    "%2e%2e%2fevil",
    "....//evil",
    "con",
    ".htaccess",
    "evil.php",
    "a.png\0.php",
    "a.png\r\nX-Evil: 1\r\n\r\n<script>alert(1)</script>",
    'a.png"; evil="1',
    "a.png; filename*=utf-8''evil.html",
    "\u202egnp.exe",
    "a" * 3000 + ".png",
    "file://etc/passwd",
    "https://example.com/a.png",
    "~/.ssh/authorized_keys",
    "$(reboot).png",
    "",
]


class Site:
    """The application as a client sees it."""

    def __init__(self, port: int, storage: Storage, root: Path) -> None:
        self.port = port
        self.storage = storage
        self.root = root
        self.client = AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    async def post(self, route: str, data: bytes, *, filename: str = "a.png", claimed: str = "image/png") -> Response:
        """Upload a file."""
        body = form(part("file", data, filename=filename, content_type=claimed))
        return await self.client.post(route, content=body, headers={"Content-Type": CONTENT_TYPE})

    async def stored(self, route: str, data: bytes, **options: str) -> dict[str, Any]:
        """Upload a file that is taken, and tell what became of it."""
        response = await self.post(route, data, **options)
        assert response.status_code == 200, response.text
        answer = response.json()
        [found] = answer if isinstance(answer, list) else [answer]
        return dict(found)

    async def is_empty(self) -> bool:
        """Tell whether nothing is stored, and nothing is about to be."""
        drafts = [path for path in self.root.rglob("*") if path.is_file() and path.name != "key"]
        return drafts == [] and [found.key async for found in self.storage.list()] == []


@asynccontextmanager
async def _site(root: Path, **limits: Any) -> AsyncIterator[Site]:
    async with Storage.connect(f"file:{root}") as storage, serve(application(storage, RULES, **limits)) as port:
        site = Site(port, storage, root)
        async with site.client:
            yield site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Serve the application from a folder."""
    async with _site(tmp_path / "objects", **LIMITS) as site:
        yield site


def refused(response: Response, status: int, code: str) -> str:
    """Check that a response is an error in the envelope, and return its message."""
    answer = response.json()
    assert (response.status_code, answer["error_code"]) == (status, code)
    assert set(answer) <= {"message", "error_code", "errors", "request_id"}
    return str(answer["message"])


# -- names


@pytest.mark.parametrize("route", ROUTES)
async def test_names_that_lead_elsewhere(site: Site, route: str) -> None:
    """Keys are made by the server alone; the name is one line for people to read, wherever it is shown."""
    for name in NAMES:
        sent = name.replace('"', "%22").replace("\r\n", "%0D%0A")  # as browsers do
        if route == "/whole" and not name:
            continue  # Starlette takes a part without a name for an empty field
        found = await site.stored(route, hostile.PDF, filename=sent)
        assert re.fullmatch(r"articles/cover/\d{4}/\d\d/\d\d/[0-9a-f]{32}\.pdf", found["path"])
        kept = found["name"] or ""
        assert not set("/\\\0\r\n") & set(kept)
        assert len(kept) <= 200
        served = await site.client.get(found["url"])
        assert served.content == hostile.PDF
        assert "x-evil" not in served.headers
        assert served.headers["content-disposition"].startswith("attachment")
    inside = {path.relative_to(site.root).parts[0] for path in site.root.rglob("*")}
    assert inside == {"articles", ".rustforge"}
    assert [path.name for path in site.root.parent.iterdir()] == [site.root.name]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "name",
    [b"a.png\r\nX-Evil: 1", b"a.png\nX-Evil: 1", b'a.png"\r\nContent-Type: text/html\r\n\r\n<script>', b"\xff\xfe\0"],
    ids=["crlf", "lf", "quote", "bytes"],
)
async def test_names_with_raw_bytes(site: Site, route: str, name: bytes) -> None:
    """What no browser sends opens no second header either, in the form or in what is served."""
    body = form(part("file", hostile.PDF, filename=name))
    response = await site.client.post(route, content=body, headers={"Content-Type": CONTENT_TYPE})
    assert response.status_code in {200, 400, 422}
    async for found in site.storage.list():
        served = await site.client.get(site.storage.presign(found.key))
        assert "x-evil" not in served.headers
        assert served.headers["content-type"] in {"application/pdf", "text/plain"}
        assert served.headers["content-disposition"].isprintable()


# -- types


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("data", "filename", "claimed"),
    [
        (hostile.HTML, "x.png", "image/png"),
        (hostile.HTML, "x.txt", "text/plain"),
        (hostile.SVG, "x.svg", "image/svg+xml"),
        (hostile.SVG, "x.png", "image/png"),
        (b"<svg/onload=alert(1)>", "x.jpg", "image/jpeg"),
        (b"\xef\xbb\xbf  <!-- --><ScRiPt>alert(1)</ScRiPt>", "x.txt", "text/plain"),
        ("<script>alert(1)</script>".encode("utf-16"), "x.txt", "text/plain"),
        (b"MZ\x90\0" + bytes(100), "x.pdf", "application/pdf"),
        (b"\x7fELF" + bytes(100), "x.png", "image/png"),
        (hostile.archive(a=b"x"), "x.docx", "application/vnd.openxmlformats-officedocument"),
        (b"\0\0\0\0\n%%EOF", "x.pdf", "application/pdf"),
        (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "x.txt", "text/plain"),
    ],
    ids=["html", "html text", "svg", "svg png", "slash", "mark", "utf-16", "exe", "elf", "zip", "end", "xhtml"],
)
async def test_spoofed_types(site: Site, route: str, data: bytes, filename: str, claimed: str) -> None:
    """Neither the name nor the client's word makes a file what it is not."""
    response = await site.post(route, data, filename=filename, claimed=claimed)
    message = refused(response, 422, "VALIDATION_ERROR")
    assert message == "Files of this type cannot be attached; those that can are: image/*, application/pdf, text/plain."
    assert response.json()["errors"] == {"cover": [message]}
    assert await site.is_empty()


@pytest.mark.parametrize("route", ROUTES)
async def test_the_stored_type_is_the_detected_one(site: Site, route: str) -> None:
    """A file that lies about itself in a harmless way is stored, and served, as what it is."""
    found = await site.stored(route, hostile.picture("JPEG"), filename="x.html", claimed="text/html")
    assert (found["type"], found["path"][-4:]) == ("image/jpeg", ".jpg")
    served = await site.client.get(found["url"])
    assert served.headers["content-type"] == "image/jpeg"


POLYGLOTS = {
    "gif": hostile.picture("GIF") + hostile.SCRIPT,
    "gif comment": hostile.picture("GIF", comment=hostile.SCRIPT),
    "gif script": hostile.gif_that_is_a_script(),
    "png": hostile.picture("PNG") + hostile.SCRIPT,
    "png text": hostile.png_of(9, 9, chunks=hostile.chunk(b"tEXt", b"a\0" + hostile.SCRIPT)),
    "png zip": hostile.picture("PNG") + hostile.archive(evil=hostile.SCRIPT),
    "jpeg": hostile.picture("JPEG", comment=hostile.SCRIPT) + hostile.HTML,
    "webp": hostile.picture("WEBP") + hostile.SCRIPT,
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", POLYGLOTS)
async def test_polyglots(site: Site, route: str, kind: str) -> None:
    """Of a picture that is a script, a page or an archive as well, the picture is stored; nothing can run it."""
    found = await site.stored(route, POLYGLOTS[kind])
    served = await site.client.get(found["url"])
    assert not re.search(rb"script|alert|PK\x03\x04", served.content, re.IGNORECASE)
    Image.open(io.BytesIO(served.content)).load()
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_what_could_run_is_never_shown(site: Site) -> None:
    """Where an application allows HTML, or stored it otherwise, browsers save it, even if it was signed inline."""
    for content_type, data in (("text/html", hostile.HTML), ("image/svg+xml", hostile.SVG)):
        await site.storage.put("articles/cover/page", data, content_type=content_type, inline=True, filename="a.html")
        for url in (
            site.storage.presign("articles/cover/page"),
            site.storage.presign("articles/cover/page", inline=True),
        ):
            served = await site.client.get(url)
            assert served.headers["content-disposition"].startswith("attachment")
            assert served.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in served.headers["content-security-policy"]


# -- sizes


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "data",
    [
        hostile.png_of(14_000, 14_000),
        hostile.png_of(12_000, 12_000),
        hostile.png_of(200_000, 200),
        hostile.gif_of_frames(2000, 2000, 20),
        hostile.gif_of_frames(10, 10, 5, last=(65_535, 65_535)),
        hostile.jpeg_of_scans(500),
    ],
    ids=["error", "warning", "wide", "frames", "last frame", "passes"],
)
async def test_bombs(site: Site, route: str, data: bytes) -> None:
    """Small files that would become huge, or take long, are refused before they do."""
    assert len(data) <= RULES.max_size
    response = await site.post(route, data)
    assert "The image" in refused(response, 422, "VALIDATION_ERROR")
    assert await site.is_empty()


@pytest.mark.parametrize("route", ROUTES)
async def test_a_file_that_is_too_large(site: Site, route: str) -> None:
    """The rules bound each file."""
    response = await site.post(route, hostile.PDF + bytes(RULES.max_size))
    assert refused(response, 422, "VALIDATION_ERROR") == "The file is larger than 300,000 bytes."
    assert await site.is_empty()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("route", ROUTES)
async def test_a_body_that_is_too_large(tmp_path: Path, route: str, chunked: bool) -> None:
    """The body is bounded as it comes, whether its length is told or not."""
    limits = {"max_body_bytes": 100_000} if route == "/whole" else {"max_size": 100_000}
    async with _site(tmp_path / "objects", **limits) as site, Raw.connect(site.port) as raw:
        body = form(part("file", hostile.PDF + bytes(100_000), filename="a.pdf"))
        length = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": str(len(body))}
        await raw.head(route, Content_Type=CONTENT_TYPE, **length)
        if chunked:
            await raw.chunks([body[:60_000], body[60_000:]])
        status, headers, answer = await raw.answer()
        assert status == 413
        assert headers["content-type"] == "application/json"
        assert b'"CONTENT_TOO_LARGE"' in answer
        assert await site.is_empty()


async def test_many_parts(site: Site) -> None:
    """The form is refused at the first part too many; what was stored before is the application's to remove."""
    for body in (form(*[part("a", b"")] * 5000), form(*[part("a", b"", filename="a")] * 5000)):
        response = await site.client.post("/parts", content=body, headers={"Content-Type": CONTENT_TYPE})
        assert response.status_code in {400, 422}
    assert await site.is_empty()


@pytest.mark.parametrize("route", ROUTES)
async def test_headers_of_parts_that_are_too_large(site: Site, route: str) -> None:
    """A part's headers are bounded in size and number."""
    for headers in (b"X: " + b"x" * 100_000, b"\r\n".join(b"X-%d: x" % n for n in range(9000))):
        body = form(headers + b"\r\n" + part("file", hostile.PDF, filename="a.pdf"))
        response = await site.client.post(route, content=body, headers={"Content-Type": CONTENT_TYPE})
        refused(response, 400, "BAD_REQUEST")
    assert await site.is_empty()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"--f1a7b0undary\r\nbad\r\n\r\n", form(b"\r\nx")],
    ids=["empty", "no form", "bad header", "no name"],
)
async def test_damaged_forms(site: Site, route: str, body: bytes) -> None:
    """They are the client's fault, and answered as that."""
    response = await site.client.post(route, content=body, headers={"Content-Type": CONTENT_TYPE})
    assert response.status_code in {400, 422}
    assert response.json()["error_code"] in {"BAD_REQUEST", "VALIDATION_ERROR"}
    assert await site.is_empty()


# -- connections


async def test_a_client_that_falls_silent(site: Site) -> None:
    """It is told so, and holds nothing any longer."""
    async with Raw.connect(site.port) as raw:
        await raw.head("/parts", Content_Type=CONTENT_TYPE, Content_Length="200000")
        await raw.send(form(part("file", hostile.PDF + bytes(10_000), filename="a.pdf"))[:-500])
        status, _, answer = await raw.answer()
    assert status == 408
    assert b'"REQUEST_TIMEOUT"' in answer
    assert await site.is_empty()


@pytest.mark.parametrize("route", ROUTES)
async def test_clients_that_go_away(site: Site, route: str) -> None:
    """Nothing is stored of what they sent, no draft is left, and others are served."""
    for _ in range(3):
        async with Raw.connect(site.port) as raw:
            await raw.head(route, Content_Type=CONTENT_TYPE, Transfer_Encoding="chunked")
            await raw.chunks([form(part("file", hostile.PDF + bytes(200_000), filename="a.pdf"))[:-500]])
            raw.abort()
    found = await site.stored(route, hostile.PDF)
    await wait_until(lambda: len([path for path in (site.root / "articles").rglob("*") if path.is_file()]) == 1)
    assert [stored.key async for stored in site.storage.list()] == [found["path"]]


async def test_slow_clients_hold_up_nobody(site: Site) -> None:
    """While many send byte by byte, another one is served."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            raw = await stack.enter_async_context(Raw.connect(site.port))
            await raw.head("/parts", Content_Type=CONTENT_TYPE, Transfer_Encoding="chunked")
            await raw.chunks([b"-", b"-"])
        assert (await site.stored("/parts", hostile.PDF))["size"] == len(hostile.PDF)


# -- signatures


async def test_a_url_opens_one_object_for_reading(site: Site) -> None:
    """Not another one, not for another method, not longer than it says, and not what waits in the quarantine."""
    await site.storage.put("articles/cover/a.txt", b"mine", content_type="text/plain")
    await site.storage.put("articles/cover/b.txt", b"theirs", content_type="text/plain")
    url = site.storage.presign("articles/cover/a.txt")
    assert (await site.client.get(url)).content == b"mine"
    query = url.partition("?")[2]
    upload = site.storage.presign_upload("articles/cover", max_size=100)
    others = [
        url.replace("a.txt", "b.txt"),
        url.replace("cover/a.txt", "cover/../cover/b.txt"),
        url.replace("cover/a.txt", "cover%2Fb.txt"),
        url.partition("?")[0],
        f"/files/.rustforge/key?{query}",
        f"/files/..%2f..%2fetc/passwd?{query}",
        url[:-1],
        url + "A",
        upload.url,
        f"{upload.url.partition('?')[0]}?{query}",
    ]
    for other in others:
        response = await site.client.get(other)
        assert response.status_code in {403, 404}, other
        assert b"theirs" not in response.content
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert (await site.client.request(method, url, content=b"evil")).status_code in {403, 405}
    assert await site.storage.get("articles/cover/a.txt") == b"mine"


async def test_a_url_for_an_upload_takes_one_object_of_its_size(site: Site) -> None:
    """It overwrites nothing, takes no byte too many, gives nothing back, and counts when it was looked at."""
    upload = site.storage.presign_upload("articles/cover", max_size=500)
    key = site.storage.read_upload_token(upload.token).key

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield bytes(100)

    assert (await site.client.put(upload.url, content=bytes(501))).status_code == 413
    assert (await site.client.put(upload.url, content=chunks())).status_code == 413
    assert not await site.storage.exists(key)
    elsewhere = upload.url.replace(key, "articles/cover/a.html")
    assert (await site.client.put(elsewhere, content=hostile.HTML)).status_code == 403
    assert (await site.client.put(upload.url, content=hostile.HTML)).status_code in {200, 201, 204}
    assert (await site.client.put(upload.url, content=b"other")).status_code == 409
    assert (await site.client.get(upload.url)).status_code == 403
    with pytest.raises(AttachmentRejectedError):
        await accept(site.storage, upload.token, RULES, owner="articles", field="cover")
    assert [found.key async for found in site.storage.list()] == []


def test_no_route_takes_the_clients_word_for_the_object() -> None:
    """An application that would let the client name the object does not start."""
    app = FastAPI()

    async def attach(file: AttachmentInput) -> None:
        """Attach whatever the client names."""

    attach.__annotations__["file"] = AttachmentInput
    with pytest.raises(TypeError, match="AttachmentInput cannot be read from a request"):
        app.post("/attach")(attach)


# -- what is told


@pytest.mark.parametrize("route", ROUTES)
async def test_a_refusal_repeats_nothing(site: Site, route: str) -> None:
    """Neither the name nor the content comes back, also not of a form that has the wrong fields."""
    secret = "4111-1111-1111-1111"
    bodies = [
        form(part("file", f"<b>{secret}".encode(), filename=f"{secret}.png", content_type=f"image/{secret}")),
        form(part("other", secret.encode())),
        form(part(secret, secret.encode())),
    ]
    for body in bodies:
        response = await site.client.post(route, content=body, headers={"Content-Type": CONTENT_TYPE})
        assert secret not in response.text
        assert secret not in str(response.headers)


async def test_requests_side_by_side(site: Site) -> None:
    """Good and bad uploads at the same time each get their own answer."""
    mixed = [hostile.PDF if n % 2 else hostile.HTML for n in range(16)]
    answers = await asyncio.gather(*(site.post(ROUTES[n % 4 // 2], data) for n, data in enumerate(mixed)))
    assert [answer.status_code for answer in answers] == [200 if n % 2 else 422 for n in range(16)]
    assert len([found async for found in site.storage.list()]) == 8
