"""Forms are read while they come, part by part, and everything in them is bounded."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from rustforge.errors import InvalidArgumentError
from rustforge.http.uploads import multipart
from tests.support.forms import BOUNDARY, CONTENT_TYPE, Client, form, part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustforge.http.uploads import UploadPart

MEBIBYTE = 1024 * 1024


async def read(client: Client, **limits: Any) -> list[tuple[str, str | None, bytes]]:
    """Read all parts."""
    return [
        (one.name, one.filename, b"".join([piece async for piece in one])) async for one in _parts(client, **limits)
    ]


def _parts(client: Client, *, content_type: str | None = CONTENT_TYPE, length: int | None = None, **limits: Any) -> Any:
    return multipart(client.request(content_type=content_type, length=length), **limits)


async def refusal(pieces: Iterable[bytes], *, end: str = "done", **limits: Any) -> tuple[int, str]:
    """Read a form that is refused, and tell with which status and why."""
    with pytest.raises(HTTPException) as refused:
        await read(Client(pieces, end), **limits)
    return refused.value.status_code, str(refused.value.detail)


async def test_parts_come_in_order() -> None:
    """Fields and files are given as they were sent; what a client says of them is told apart from what they are."""
    body = form(
        part("title", "Grüße".encode()),
        part("cover", b"\r\n--f1a7b0undar\r\n", filename="a.png", content_type="image/png"),
        part("cover", b"", filename=""),
        part("", b"x"),
    )
    found: list[tuple[Any, ...]] = []
    async for one in multipart(Client([body]).request()):
        assert "filename" not in one.name
        found.append((one.name, one.filename, one.claimed_type, await one.content()))
    assert found == [
        ("title", None, None, "Grüße".encode()),
        ("cover", "a.png", "image/png", b"\r\n--f1a7b0undar\r\n"),
        ("cover", "", None, b""),
        ("", None, None, b"x"),
    ]


async def test_parts_that_nobody_reads_are_skipped() -> None:
    """Also those that are read in part; and a part that is over gives nothing more."""
    body = form(part("a", b"1" * 200_000), part("b", b"2" * 200_000), part("c", b"3"))
    parts: list[UploadPart] = []
    async for one in multipart(Client([body]).request()):
        parts.append(one)
        if one.name == "b":
            assert await anext(aiter(one))
            assert await parts[0].content() == b""
    assert [one.name for one in parts] == ["a", "b", "c"]
    assert [await one.content() for one in parts] == [b"", b"", b""]


async def test_text() -> None:
    """A field is read as UTF-8, and what is none is refused."""
    async for one in multipart(Client([form(part("a", "ä".encode()))]).request()):
        assert await one.text() == "ä"
    async for one in multipart(Client([form(part("a", b"\xff"))]).request()):
        with pytest.raises(HTTPException, match="400: A field of the form is not text in UTF-8"):
            await one.text()


async def test_nothing_is_read_ahead() -> None:
    """As long as the application has not taken what came, nothing more is taken from the client."""
    pieces = [form(part("a", b"x" * 10 * MEBIBYTE, filename="a"))[at : at + 65_536] for at in range(0, 10**7, 65_536)]
    client = Client(pieces)
    parts = multipart(client.request())
    one = await anext(parts)
    assert client.taken == 1
    bytes_of = aiter(one)
    for n in range(1, 20):
        await anext(bytes_of)
        assert client.taken <= n + 1
    await parts.aclose()


async def test_one_enormous_piece_is_taken_apart() -> None:
    """A server that hands over the whole body at once does not make the parser copy it over and over."""
    data = bytes(30 * MEBIBYTE)
    async for one in multipart(Client([form(part("a", data, filename="a"))]).request(), max_size=40 * MEBIBYTE):
        sizes = [len(piece) async for piece in one]
        assert max(sizes) <= 65_536
        assert sum(sizes) == len(data)


PARTS = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n'), max_size=20),
        st.none() | st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=20),
        st.binary(max_size=400) | st.sampled_from([b"\r\n--" + BOUNDARY[:-1], b"\r", b"--", b"\r\n" * 30]),
    ),
    max_size=6,
)


@settings(deadline=None)
@given(PARTS, st.lists(st.integers(1, 60), min_size=1, max_size=30))
async def test_any_form_comes_through_however_it_is_cut(
    parts: list[tuple[str, str | None, bytes]], cuts: list[int]
) -> None:
    """What was written is read, wherever the network cuts it, and just as Starlette reads it."""
    parts = [(name, filename, data.replace(BOUNDARY, b"")) for name, filename, data in parts]
    body = form(*(part(name, data, filename=filename) for name, filename, data in parts))
    assert await read(Client(cut(body, cuts))) == parts
    whole = await Client([body]).request().form()
    theirs = [
        (name, value.filename, await value.read()) if isinstance(value, UploadFile) else (name, None, value)
        for name, value in whole.multi_items()
    ]
    await whole.close()
    ours = [(n, f, d) if f is not None else (n, None, _loosely(d)) for n, f, d in parts]
    assert sorted(map(repr, theirs)) == sorted(map(repr, ours))


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a body into pieces of these lengths, again and again."""
    rest = io.BytesIO(body)
    pieces: list[bytes] = []
    while piece := rest.read(cuts[len(pieces) % len(cuts)]):
        pieces.append(piece)
    return pieces


def _loosely(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"--", BOUNDARY, b"\r\n", b"\n", b"\r", b":", b";", b'"', b"=", b"\0", b" ", b"Content-Disposition", b"*",
             b": form-data; name=", b"a", b'"a"; filename="../b"', b"Content-Type: text/html", b"\xff\xfe", b"x" * 300]
        )
        | st.binary(max_size=20),
        max_size=60,
    ),
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
)  # fmt: skip
async def test_no_body_does_anything_but_be_read_or_refused(words: list[bytes], cuts: list[int]) -> None:
    """Whatever a client sends as a form is parts, or a refusal that blames the client; there is no third way."""
    try:
        found = await read(Client(cut(b"".join(words), cuts)), max_files=3, max_fields=3, max_size=5000)
    except HTTPException as refused:
        assert refused.status_code in {400, 413}  # noqa: PT017 - either is right
    else:
        assert len(found) <= 6
        assert all(filename is None or not set("/\\\0\r\n") & set(filename) for _, filename, _ in found)


@given(st.text(max_size=300), st.booleans())
async def test_no_content_type_does_anything_else(text: str, begin: bool) -> None:
    """The header is read, or refused, whatever it says."""
    written = ("multipart/form-data; boundary=" if begin else "") + text.encode("latin-1", "replace").decode("latin-1")
    with pytest.raises(HTTPException) as refused:
        await read(Client([]), content_type=written)
    assert refused.value.status_code in {400, 415}


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "multipart/mixed; boundary=a", "application/x-www-form-urlencoded"]
)
async def test_what_is_no_form_is_refused(content_type: str | None) -> None:
    """Only `multipart/form-data` is read."""
    assert (await refusal([], content_type=content_type))[0] == 415


@pytest.mark.parametrize("boundary", ["", "; boundary=", '; boundary=""', "; boundary=" + "b" * 1000])
async def test_a_form_needs_a_boundary(boundary: str) -> None:
    """A boundary is there, and short."""
    assert (await refusal([], content_type=f"multipart/form-data{boundary}"))[0] == 400


async def test_the_whole_body_is_bounded() -> None:
    """By what the client announces, and by what it sends; before, between and after the parts, too."""
    body = form(part("a", b"x" * 5000, filename="a"))
    assert len(await read(Client([body]), max_size=len(body), length=len(body))) == 1
    client = Client([body])
    with pytest.raises(HTTPException, match="413: The form is larger than 5,000 bytes"):
        await read(client, max_size=5000, length=len(body))
    assert client.taken == 0
    for lie in (None, 10, -1):
        assert await refusal(cut(body, [100]), max_size=5000, length=lie) == (
            413,
            "The form is larger than 5,000 bytes.",
        )
    endless = (b"\r\n" * 1000 for _ in range(10**9))
    assert (await refusal(endless, max_size=MEBIBYTE))[0] == 413


async def test_what_follows_the_form_is_not_waited_for() -> None:
    """After the last boundary the form is complete, whatever the client goes on to send."""
    endless = (form(part("a", b"x")) if n == 0 else b"x" * 65_536 for n in range(10**9))
    assert await read(Client(endless)) == [("a", None, b"x")]


async def test_parts_are_counted() -> None:
    """Files and fields apart; ten thousand of them are refused at the first one too many."""
    fields = [part("a", b"x")] * 3
    files = [part("a", b"x", filename="a")] * 2
    assert len(await read(Client([form(*fields, *files)]), max_fields=3, max_files=2)) == 5
    assert await refusal([form(*fields)], max_fields=2) == (400, "The form has too many fields.")
    assert await refusal([form(*files)], max_files=1) == (400, "The form has too many files.")
    client = Client(cut(form(*[part("a", b"x", filename="")] * 10_000), [65_536]))
    with pytest.raises(HTTPException, match="too many files"):
        await read(client)
    assert client.taken == 1


async def test_fields_are_bounded() -> None:
    """A field that is read into memory is small, and a file is when it is read like one."""
    for filename in (None, "a"):
        async for one in multipart(
            Client([form(part("a", b"x" * 101, filename=filename))]).request(), max_field_size=100
        ):
            with pytest.raises(HTTPException, match="413: A field of the form is larger than 100 bytes"):
                await one.content()


@pytest.mark.parametrize(
    "headers",
    [
        b"X: " + b"x" * 100_000,
        b"X" * 100_000 + b": x",
        b"\r\n".join(b"X-%d: x" % n for n in range(10_000)),
        b"\r\n".join(b"X-%d: " % n + b"x" * 3000 for n in range(5)),
    ],
    ids=["value", "name", "many", "together"],
)
async def test_headers_of_parts_are_bounded(headers: bytes) -> None:
    """In each way in which a client can make them large."""
    body = form(headers + b"\r\n" + part("a", b"x"))
    assert (await refusal([body]))[0] == 400
    assert (await refusal(cut(body, [7])))[0] == 400


@pytest.mark.parametrize(
    "written",
    [
        b"\r\nx",
        b"Content-Type: text/plain\r\n\r\nx",
        b"Content-Disposition: attachment; name=a\r\n\r\nx",
        b"Content-Disposition: form-data\r\n\r\nx",
        b"Content-Disposition: form-data; name*=utf-8''a\r\n\r\nx",
        part("a", b"").removesuffix(b"\r\n\r\n") + b"\r\n" + part("b", b"x"),
        b"Bad header\r\n\r\nx",
    ],
    ids=["none", "no disposition", "other kind", "no name", "extended", "twice", "damaged"],
)
async def test_a_part_says_what_it_is(written: bytes) -> None:
    """A part has one name, and says it in one way."""
    assert (await refusal([form(written)]))[0] == 400


async def test_a_name_hidden_from_filters_does_not_count() -> None:
    """The extended syntax, which forms must not have, neither renames a part nor makes it a file."""
    sly = b"Content-Disposition: form-data; name=\"a\"; name*=utf-8''b; filename*=utf-8''evil.php\r\n\r\nx"
    assert await read(Client([form(sly)])) == [("a", None, b"x")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\Users\\me\\a.png", "a.png"),
        ("/", ""),
        ("a\0b\x1b.png", "ab.png"),
        ("Grüße.pdf", "Grüße.pdf"),
        (b"\xfcber.pdf", "über.pdf"),
    ],
)
async def test_file_names_lead_nowhere(sent: str | bytes, kept: str) -> None:
    """Of a name, what a person can read is left."""
    assert await read(Client([form(part("a", b"x", filename=sent))])) == [("a", kept, b"x")]


@pytest.mark.parametrize("cut_at", [1, 20, 80, 5000, -4, -20])
async def test_a_form_that_ends_early_is_refused(cut_at: int) -> None:
    """Wherever it ends: no part of it is taken for a whole one."""
    body = form(part("a", b"x" * 6000, filename="a"))[:cut_at]
    assert await refusal([body]) == (400, "The form ended before its last part was complete.")


async def test_an_empty_body_is_refused() -> None:
    """It is no form without parts, which would have its last boundary."""
    assert (await refusal([]))[0] == 400
    assert await read(Client([form()])) == []


async def test_a_client_that_goes_away() -> None:
    """The reader learns of it, and nothing is taken for the end of the part."""
    with pytest.raises(ClientDisconnect):
        await read(Client([form(part("a", b"x" * 100))[:100]], "gone"))


async def test_a_client_that_falls_silent() -> None:
    """It is not waited for without end."""
    body = form(part("a", b"x" * 100))[:100]
    assert await refusal([body], end="silent", timeout=timedelta(milliseconds=20)) == (
        408,
        "Nothing came for 0.02 seconds.",
    )
    with pytest.raises(InvalidArgumentError, match="timeout must be more than 0 seconds"):
        await read(Client([body]), timeout=0)
