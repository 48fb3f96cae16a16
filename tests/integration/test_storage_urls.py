"""Signed URLs: who has one reads or uploads one object for a while, from a bucket or through `files_app`."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import AsyncClient
from starlette.applications import Starlette
from starlette.routing import Mount

from rustforge.clock import ManualClock
from rustforge.errors import StorageTokenError
from rustforge.http import files, files_app
from rustforge.storage import Storage
from tests.support import http
from tests.support.serving import serve
from tests.support.storages import SECRET, S3Server, keys, make_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from httpx2 import Response
    from starlette.types import Receive, Scope, Send

KEY = "articles/cover/7.png"
DATA = bytes(range(256)) * 20


@pytest.fixture(params=["file", "memory"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    """Open a storage whose URLs the application serves."""
    place = make_place(request.param, tmp_path / "objects", None)
    async with place.connect(clock=ManualClock(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp())) as storage:
        yield storage
    assert place.leftovers() == []


@asynccontextmanager
async def client_for(storage: Storage) -> AsyncIterator[AsyncClient]:
    """Serve its files, and give a client."""
    app = Starlette(routes=[Mount("/files", files_app(storage))])
    async with serve(app) as port, AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


@pytest.fixture
async def client(storage: Storage) -> AsyncIterator[AsyncClient]:
    """Give a client of the files."""
    async with client_for(storage) as client:
        yield client


def error_of(response: Response) -> tuple[int, str]:
    """Read the envelope of an error."""
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == {"message", "error_code"}
    return response.status_code, response.json()["error_code"]


# Reading


async def test_a_file(storage: Storage, client: AsyncClient) -> None:
    """It comes with its type and length, and with headers that forbid everything it does not need."""
    await storage.put(KEY, DATA, content_type="image/png", inline=True, filename="Cover.png")
    stored = await storage.head(KEY)
    response = await client.get(storage.presign(KEY))
    assert response.status_code == 200
    assert response.content == DATA
    for name in ("date", "server"):
        response.headers.pop(name, None)
    assert dict(response.headers) == {
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=300",
        "content-disposition": 'inline; filename="Cover.png"',
        "content-length": str(len(DATA)),
        "content-security-policy": "default-src 'none'; sandbox",
        "content-type": "image/png",
        "cross-origin-resource-policy": "same-site",
        "etag": f'"{stored.etag}"',
        "last-modified": format_datetime(stored.modified, usegmt=True),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


async def test_head(storage: Storage, client: AsyncClient) -> None:
    """It has the headers of GET, ranges included, and no body."""
    await storage.put(KEY, DATA)
    for headers in ({}, {"range": "bytes=5-9"}):
        asked, got = [await client.request(method, storage.presign(KEY), headers=headers) for method in ("HEAD", "GET")]
        assert asked.status_code == got.status_code
        assert asked.content == b""
        assert {**asked.headers, "date": ""} == {**got.headers, "date": ""}


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
async def test_sizes(storage: Storage, client: AsyncClient, size: int) -> None:
    """Empty and large files come whole."""
    await storage.put(KEY, bytes(size))
    response = await client.get(storage.presign(KEY))
    assert response.content == bytes(size)
    assert response.headers["content-length"] == str(size)


@pytest.mark.parametrize(
    ("content_type", "inline", "expected"),
    [
        ("image/png", True, "inline"),
        ("image/png", False, "attachment"),
        ("application/pdf", True, "inline"),
        ("image/svg+xml", True, "attachment"),
        ("text/html", True, "attachment"),
        ("text/html; charset=utf-8", True, "attachment"),
        ("application/xhtml+xml", True, "attachment"),
        ("text/xml", True, "attachment"),
    ],
)
async def test_what_browsers_may_show(
    storage: Storage, client: AsyncClient, content_type: str, inline: bool, expected: str
) -> None:
    """Images and PDF, where that was stored or signed; what could carry scripts is saved, whoever asks for what."""
    await storage.put(KEY, DATA, content_type=content_type, inline=inline)
    assert (await client.get(storage.presign(KEY))).headers["content-disposition"] == expected
    await storage.put(KEY, DATA, content_type=content_type)
    response = await client.get(storage.presign(KEY, inline=inline, filename="a.html"))
    assert response.headers["content-disposition"] == f'{expected}; filename="a.html"'
    assert response.headers["content-type"] == content_type
    assert "sandbox" in response.headers["content-security-policy"] or content_type == "application/pdf"


RANGES: dict[str, tuple[int, int]] = {
    "bytes=0-0": (0, 1),
    "bytes=2-4": (2, 5),
    "bytes=5000-": (5000, 5120),
    "bytes=5000-9999999": (5000, 5120),
    "bytes=-10": (5110, 5120),
    "bytes=-9999999": (0, 5120),
    "bytes=0-": (0, 5120),
}


@pytest.mark.parametrize("asked", RANGES)
async def test_ranges(storage: Storage, client: AsyncClient, asked: str) -> None:
    """One range is answered by just these bytes."""
    await storage.put(KEY, DATA)
    start, end = RANGES[asked]
    response = await client.get(storage.presign(KEY), headers={"range": asked})
    assert response.status_code == 206
    assert response.content == DATA[start:end]
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/5120"
    assert response.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "bytes=-", "bytes=a-b", "items=0-1", "bytes=1", ""])
async def test_ranges_that_are_not_understood(storage: Storage, client: AsyncClient, asked: str) -> None:
    """All bytes are sent, as the standard says."""
    await storage.put(KEY, DATA)
    response = await client.get(storage.presign(KEY), headers={"range": asked})
    assert response.status_code == 200
    assert response.content == DATA
    assert "content-range" not in response.headers


@pytest.mark.parametrize(
    ("size", "asked"), [(5120, "bytes=5120-"), (5120, "bytes=-0"), (0, "bytes=0-"), (0, "bytes=-5")]
)
async def test_ranges_that_are_not_there(storage: Storage, client: AsyncClient, size: int, asked: str) -> None:
    """The answer says how many bytes there are."""
    await storage.put(KEY, DATA[:size])
    response = await client.get(storage.presign(KEY), headers={"range": asked})
    assert error_of(response) == (416, "RANGE_NOT_SATISFIABLE")
    assert response.headers["content-range"] == f"bytes */{size}"


async def test_what_the_client_has_already(storage: Storage, client: AsyncClient) -> None:
    """The same version is not sent again; another one is."""
    await storage.put(KEY, DATA)
    stored = await storage.head(KEY)
    url = storage.presign(KEY)
    modified = format_datetime(stored.modified, usegmt=True)
    earlier = format_datetime(stored.modified - timedelta(seconds=1), usegmt=True)
    known: list[dict[str, str]] = [
        {"if-none-match": f'"{stored.etag}"'},
        {"if-none-match": f'"other", W/"{stored.etag}"'},
        {"if-none-match": "*"},
        {"if-modified-since": modified},
        {"if-none-match": f'"{stored.etag}"', "if-modified-since": earlier, "range": "bytes=0-1"},
    ]
    unknown: list[dict[str, str]] = [
        {"if-none-match": '"other"'},
        {"if-none-match": '"other"', "if-modified-since": modified},
        {"if-modified-since": earlier},
        {"if-modified-since": "yesterday"},
        {"if-modified-since": "Tue, 24 Nov 2026 12:00:00"},
        {"if-modified-since": "Tue, 24 Nov 99999999999999999999 12:00:00 GMT"},
        {"if-modified-since": "Tue, 24 Nov 2026 12:00:00 +99999999999999999999"},
    ]
    for headers in known:
        response = await client.get(url, headers=headers)
        assert (response.status_code, response.content) == (304, b""), headers
        assert response.headers["etag"] == f'"{stored.etag}"'
    for headers in unknown:
        assert (await client.get(url, headers=headers)).content == DATA, headers


async def test_if_range(storage: Storage, client: AsyncClient) -> None:
    """A download goes on only where it began: with the same version, else from the start."""
    await storage.put(KEY, DATA)
    stored = await storage.head(KEY)
    url = storage.presign(KEY)
    modified = format_datetime(stored.modified, usegmt=True)
    for condition, status in {
        f'"{stored.etag}"': 206,
        modified: 206,
        '"other"': 200,
        f'W/"{stored.etag}"': 200,
    }.items():
        response = await client.get(url, headers={"range": "bytes=5-", "if-range": condition})
        assert response.status_code == status, condition
        assert response.content == (DATA[5:] if status == 206 else DATA)


async def test_a_file_that_is_replaced_meanwhile(
    storage: Storage, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers and the bytes are of one version, or there is no answer."""
    await storage.put(KEY, b"first")
    head, replaced = storage.head, 0

    async def replace_after_head(key: str) -> Any:
        nonlocal replaced
        found = await head(key)
        if replaced < turns:
            replaced += 1
            await storage.put(key, b"version %d" % replaced)
        return found

    monkeypatch.setattr(storage, "head", replace_after_head)
    turns = 2
    response = await client.get(storage.presign(KEY))
    assert response.content == b"version 2"
    assert response.headers["etag"] == f'"{(await head(KEY)).etag}"'
    turns = 1000
    assert error_of(await client.get(storage.presign(KEY))) == (404, "NOT_FOUND")


async def test_a_file_that_is_not_there(storage: Storage, client: AsyncClient) -> None:
    """A right signature of nothing is 404, for those who have it only."""
    for method in ("GET", "HEAD"):
        assert (await client.request(method, storage.presign(KEY))).status_code == 404
    assert error_of(await client.get(storage.presign(KEY))) == (404, "NOT_FOUND")


async def test_other_methods(storage: Storage, client: AsyncClient) -> None:
    """They are refused, and told what there is."""
    for method in ("POST", "DELETE", "PATCH", "OPTIONS"):
        response = await client.request(method, storage.presign(KEY))
        assert error_of(response) == (405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET, HEAD, PUT"


# Signatures


async def test_without_a_right_signature(storage: Storage, client: AsyncClient) -> None:
    """Nothing is served, whether it is there or not, and nothing is told."""
    await storage.put(KEY, DATA)
    await storage.put("other.png", DATA)
    url = storage.presign(KEY)
    token = urlsplit(url).query
    upload = storage.presign_upload("a", max_size=10)
    wrong = [
        *("/files/", f"/files/{KEY}", f"/files/{KEY}?token=", f"/files/{KEY}?token=x.y", f"/files/{KEY}?{token[:-2]}"),
        *(f"/files/other.png?{token}", f"/files/none?{token}", f"/files//{KEY}?{token}", f"/files/{KEY}/?{token}"),
        *(f"/files/articles/%2e%2e/{KEY}?{token}", f"/files/.rustforge/key?{token}", f"/files/%2e%2e/a?{token}"),
        *(f"/files/{KEY}?token={upload.token}", upload.url, f"/files/{KEY}?{urlsplit(upload.url).query}"),
    ]
    bodies = set()
    for address in wrong:
        response = await client.get(address)
        assert error_of(response) == (403, "FORBIDDEN"), address
        bodies.add(response.content)
    assert len(bodies) == 1
    for address in (url, f"/files/{KEY}?token={upload.token}", f"/files/{KEY}?{urlsplit(upload.url).query}"):
        assert error_of(await client.put(address, content=b"x")) == (403, "FORBIDDEN"), address
    assert await storage.get(KEY) == DATA
    assert (await client.get(f"{url}&more=1")).content == DATA


async def test_a_signature_expires(tmp_path: Path) -> None:
    """Until then a browser may keep the file, but no longer."""
    clock = ManualClock()
    async with make_place("file", tmp_path, None).connect(clock=clock) as storage, client_for(storage) as client:
        await storage.put(KEY, DATA)
        url = storage.presign(KEY, expires=timedelta(days=2))
        assert (await client.get(url)).headers["cache-control"] == "private, max-age=3600"
        clock.advance(2 * 24 * 3600 - 10)
        assert (await client.get(url)).headers["cache-control"] == "private, max-age=10"
        clock.advance(10)
        assert error_of(await client.get(url)) == (403, "FORBIDDEN")


async def test_where_files_are_mounted(storage: Storage) -> None:
    """The storage may come from the request; the place in the path does not matter, only HTTP is served."""
    await storage.put(KEY, DATA)
    app = Starlette(routes=[Mount("/a", Mount("/files", files_app(lambda request: request.app.state.storage)))])
    app.state.storage = storage
    async with serve(app) as port, AsyncClient(base_url=f"http://127.0.0.1:{port}/a") as client:
        assert (await client.get(storage.presign(KEY))).content == DATA
    app = Starlette(routes=[Mount("/files", files_app(storage))])

    async def behind_a_proxy(scope: Scope, receive: Receive, send: Send) -> None:
        """Say what the proxy has in front, whether it takes that off or not."""
        await app({**scope, "root_path": "/api"}, receive, send)

    async with serve(behind_a_proxy) as port, AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for prefix in ("", "/api"):
            assert (await client.get(prefix + storage.presign(KEY))).content == DATA
    with pytest.raises(RuntimeError, match="HTTP only"):
        await files_app(storage)({"type": "websocket"}, None, None)  # type: ignore[arg-type]


# Uploading


async def test_an_upload(storage: Storage, client: AsyncClient) -> None:
    """The object is in the quarantine, with the type that was permitted, and its token says where."""
    upload = storage.presign_upload("articles/cover", max_size=10_000, content_type="image/png", expires=60)
    assert (upload.method, upload.headers, upload.fields) == ("PUT", {"Content-Type": "image/png"}, {})
    assert upload.expires_at == datetime(2026, 11, 24, 12, 1, tzinfo=UTC)
    response = await client.put(upload.url, content=DATA, headers=upload.headers)
    assert (response.status_code, response.content) == (204, b"")
    grant = storage.read_upload_token(upload.token)
    assert grant.key.startswith("quarantine/articles/cover/")
    assert (grant.max_size, grant.content_type) == (10_000, "image/png")
    found = await storage.head(grant.key)
    assert (found.size, found.content_type, found.disposition) == (len(DATA), "image/png", "attachment")
    assert await storage.get(grant.key) == DATA


async def test_uploads_have_keys_of_their_own(storage: Storage) -> None:
    """Nobody can name the object."""
    tokens = [storage.presign_upload("a", max_size=1).token for _ in range(3)]
    assert len({storage.read_upload_token(token).key for token in tokens}) == 3


async def test_an_upload_that_is_repeated(storage: Storage, client: AsyncClient) -> None:
    """What was uploaded, and perhaps looked at already, cannot be replaced."""
    upload = storage.presign_upload("a", max_size=10)
    assert (await client.put(upload.url, content=b"first")).status_code == 204
    assert error_of(await client.put(upload.url, content=b"other")) == (409, "CONFLICT")
    assert await storage.get(storage.read_upload_token(upload.token).key) == b"first"


async def chunked(pieces: int) -> AsyncIterator[bytes]:
    """Send a body without saying how long it is."""
    for _ in range(pieces):
        yield bytes(1000)


async def test_an_upload_that_is_too_large(storage: Storage, client: AsyncClient) -> None:
    """It is refused by its header, and where it has none, at the first byte too many; nothing is left of it."""
    upload = storage.presign_upload("a", max_size=5000)
    assert error_of(await client.put(upload.url, content=bytes(5001))) == (413, "CONTENT_TOO_LARGE")
    assert error_of(await client.put(upload.url, content=chunked(6))) == (413, "CONTENT_TOO_LARGE")
    assert await keys(storage) == []
    assert (await client.put(upload.url, content=chunked(5))).status_code == 204


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "many"])
async def test_an_upload_whose_length_is_none(storage: Storage, length: str) -> None:
    """Its bytes are counted."""
    upload = storage.presign_upload("a", max_size=5000)
    async with http.client_of(Starlette(routes=[Mount("/files", files_app(storage))])) as client:
        for size, status in ((5001, 413), (5000, 204)):
            response = await client.put(upload.url, content=bytes(size), headers={"content-length": length})
            assert response.status_code == status


async def test_an_upload_of_another_size_or_type(storage: Storage, client: AsyncClient) -> None:
    """It must be what the client said, where the client did."""
    upload = storage.presign_upload("a", max_size=5000, size=3000, content_type="image/png")
    for pieces, kind in ((2, "image/png"), (4, "image/png"), (3, "text/html"), (3, "")):
        response = await client.put(upload.url, content=chunked(pieces), headers={"content-type": kind})
        assert response.status_code == (413 if pieces == 4 else 400), (pieces, kind)
        assert "text/html" not in response.text
    assert await keys(storage) == []
    assert (await client.put(upload.url, content=chunked(3), headers={"content-type": "Image/PNG"})).status_code == 204


async def test_an_upload_that_breaks_off(storage: Storage) -> None:
    """Nothing of it is there, and the client may try again."""
    upload = storage.presign_upload("a", max_size=10_000)
    app = Starlette(routes=[Mount("/files", files_app(storage))])
    ended = asyncio.Event()

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            ended.set()

    async with serve(watched) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"PUT {upload.url} HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\nhalf of it".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(ended.wait(), 5)
        assert await keys(storage) == []
        async with AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.put(upload.url, content=b"all")).status_code == 204


async def test_an_upload_of_which_nothing_comes(
    storage: Storage, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that falls silent is not waited for, and nothing of its object is there."""
    monkeypatch.setattr(files, "_SILENCE", 0.1)
    silent = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield b"half of it"
        await silent.wait()

    upload = storage.presign_upload("a", max_size=10_000)
    asking = asyncio.create_task(client.put(upload.url, content=half()))
    await asyncio.sleep(0.5)
    silent.set()
    assert error_of(await asking) == (408, "REQUEST_TIMEOUT")
    assert await keys(storage) == []


async def test_tokens_of_uploads(tmp_path: Path) -> None:
    """They are valid for a day, and no other token is one."""
    clock = ManualClock()
    storage = make_place("file", tmp_path, None)
    async with storage.connect(clock=clock) as place:
        upload = place.presign_upload("a", max_size=1, expires=60)
        clock.advance(24 * 3600 - 1)
        place.read_upload_token(upload.token)
        for token in ("", "x", parse_qs(urlsplit(upload.url).query)["token"][0], upload.token[:-1]):
            with pytest.raises(StorageTokenError):
                place.read_upload_token(token)
        clock.advance(1)
        with pytest.raises(StorageTokenError, match="expired"):
            place.read_upload_token(upload.token)


# Buckets


@pytest.fixture
async def bucket(s3_server: S3Server) -> AsyncIterator[Storage]:
    """Open a storage in a bucket."""
    async with Storage.connect(s3_server.url(s3_server.bucket()), secret=SECRET) as storage:
        yield storage


async def test_a_bucket_serves_by_itself(bucket: Storage) -> None:
    """With what was stored, or what the URL says instead."""
    await bucket.put(KEY, DATA, content_type="image/png", filename="Cover.png")
    async with AsyncClient() as client:
        response = await client.get(bucket.presign(KEY))
        assert (response.content, response.headers["content-type"]) == (DATA, "image/png")
        assert response.headers["content-disposition"] == 'attachment; filename="Cover.png"'
        response = await client.get(bucket.presign(KEY, filename="Ünï & co.png", inline=True))
        assert response.content == DATA
        assert response.headers["content-disposition"] == (
            "inline; filename=\"_n_ _ co.png\"; filename*=UTF-8''%C3%9Cn%C3%AF%20&%20co.png"
        )


async def test_a_bucket_shows_no_scripts(bucket: Storage) -> None:
    """What is shown has the type of the key's extension, whatever it was stored with; all else is saved."""
    for key in ("a.png", "a.html", "a.svg", "a"):
        await bucket.put(key, b"<script>", content_type="text/html")
    async with AsyncClient() as client:
        response = await client.get(bucket.presign("a.png", inline=True))
        assert (response.headers["content-disposition"], response.headers["content-type"]) == ("inline", "image/png")
        for key in ("a.html", "a.svg", "a"):
            response = await client.get(bucket.presign(key, inline=True))
            assert response.headers["content-disposition"] == "attachment"


def test_what_the_signature_of_a_bucket_covers() -> None:
    """Method, host, time and every header and query that the URL adds."""
    storage = Storage("s3://key:secret@bucket/a?region=eu-west-1", secret=SECRET)
    query = parse_qs(urlsplit(storage.presign(KEY, 60, filename="a.png")).query)
    assert query["response-content-disposition"] == ['attachment; filename="a.png"']
    assert query["X-Amz-Expires"] == ["60"]
    upload = storage.presign_upload("a", max_size=10, size=7, content_type="image/png", expires=60)
    signed = parse_qs(urlsplit(upload.url).query)["X-Amz-SignedHeaders"]
    assert signed == ["content-disposition;content-length;content-type;host"]
    assert upload.headers == {"Content-Type": "image/png", "Content-Disposition": "attachment"}


async def test_an_upload_to_a_bucket(bucket: Storage) -> None:
    """A form, whose policy bounds it to one key, one type and so many bytes."""
    upload = bucket.presign_upload("articles/cover", max_size=10_000, content_type="image/png", expires=60)
    assert (upload.method, upload.headers) == ("POST", {})
    policy = json.loads(base64.b64decode(upload.fields["policy"]))
    grant = bucket.read_upload_token(upload.token)
    assert ["content-length-range", 0, 10_000] in policy["conditions"]
    assert {"key": f"shop/files/{grant.key}"} in policy["conditions"]
    assert {"Content-Type": "image/png"} in policy["conditions"]
    until = datetime.fromisoformat(policy["expiration"])
    assert until == upload.expires_at
    fields = {name: value for name, value in upload.fields.items() if name not in {"policy", "x-amz-signature"}}
    conditions = [next(iter(condition)) for condition in policy["conditions"] if isinstance(condition, dict)]
    assert set(fields) | {"bucket"} == set(conditions)
    async with AsyncClient() as client:
        response = await client.post(upload.url, data=dict(upload.fields), files={"file": ("client.html", DATA)})
    assert response.status_code == 204
    found = await bucket.head(grant.key)
    assert (found.size, found.content_type, found.disposition) == (len(DATA), "image/png", "attachment")


async def test_an_upload_of_known_size_to_a_bucket(bucket: Storage) -> None:
    """A PUT whose signature has the length."""
    upload = bucket.presign_upload("a", max_size=10_000, size=len(DATA))
    async with AsyncClient() as client:
        response = await client.put(upload.url, content=DATA, headers=upload.headers)
    assert response.status_code == 200
    assert await bucket.get(bucket.read_upload_token(upload.token).key) == DATA
