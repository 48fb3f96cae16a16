"""The type of a file is what its bytes are, and the rules say which are allowed."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.attachments import AttachmentRules, Resize
from rustforge.attachments.detect import KNOWN, extension_of, types_of
from rustforge.errors import InvalidArgumentError
from tests.support import hostile

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
FILES = [
    ("image/png", "png", hostile.picture("PNG")),
    ("image/jpeg", "jpg", hostile.picture("JPEG")),
    ("image/gif", "gif", hostile.picture("GIF")),
    ("image/webp", "webp", hostile.picture("WEBP")),
    ("image/avif", "avif", hostile.picture("AVIF")),
    ("application/pdf", "pdf", hostile.PDF),
    ("application/zip", "zip", hostile.archive(note=b"hello")),
    (WORD, "docx", hostile.docx()),
    ("application/epub+zip", "epub", hostile.archive(mimetype=b"application/epub+zip", text=b"x")),
    ("application/gzip", "gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\x01" * 40),
    ("application/rtf", "rtf", b"{\\rtf1\\ansi hello}"),
    ("application/json", "json", b'{"a": 1}'),
    ("audio/mpeg", "mp3", b"ID3\x03\0\0\0\0\0\0" + bytes(60)),
    ("audio/wav", "wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(60)),
    ("audio/flac", "flac", b'fLaC\0\0\0"' + bytes(60)),
    ("audio/mp4", "m4a", b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(60)),
    ("audio/ogg", "ogg", b"OggS\0\x02" + bytes(20) + b"\x01\x1e\x01vorbis" + bytes(60)),
    ("video/mp4", "mp4", hostile.MP4),
    ("video/quicktime", "mov", b"\0\0\0\x14ftypqt  " + bytes(60)),
    ("video/webm", "webm", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + bytes(60)),
    ("text/plain", "txt", "Grüße,\n\tWelt\r\n".encode()),
    ("text/csv", "csv", b"a,b\n1,2\n"),
    ("text/html", "html", b" \n<a href='x'>"),
    ("image/svg+xml", "svg", hostile.SVG),
    ("application/xml", "xml", b'<?xml version="1.0"?><note/>'),
]


def types(data: bytes) -> list[list[str]]:
    """Tell the types of bytes."""
    return types_of(io.BytesIO(data))


@pytest.mark.parametrize(("content_type", "extension", "data"), FILES, ids=[extension for _, extension, _ in FILES])
def test_a_file_is_what_its_bytes_are(content_type: str, extension: str, data: bytes) -> None:
    """Each type that people send is told from its bytes, and has its usual extension."""
    assert AttachmentRules(allowed=[content_type]).choose(types(data)) == content_type
    assert extension_of(content_type) == extension


@pytest.mark.parametrize(("content_type", "extension", "data"), FILES, ids=[extension for _, extension, _ in FILES])
def test_no_other_rule_lets_it_through(content_type: str, extension: str, data: bytes) -> None:
    """What is not allowed is refused, whichever other types are."""
    family = {
        "docx": {"application/zip"},
        "epub": {"application/zip"},
        "json": {"text/plain", "text/csv"},
        "txt": {"text/csv"},
        "csv": {"text/plain"},
    }
    others = {name for name, _, _ in FILES} - {content_type} - family.get(extension, set())
    assert AttachmentRules(allowed=sorted(others)).choose(types(data)) is None


def test_any_image_means_no_svg() -> None:
    """`image/*` stands for the images that are decoded."""
    rules = AttachmentRules()
    assert [rules.choose(types(data)) for _, extension, data in FILES if extension in {"png", "svg", "html"}] == [
        "image/png",
        None,
        None,
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"<script>alert(1)</script>",
        b"\xef\xbb\xbf <ScRiPt>",
        b"\n\n<!-- x --><b>",
        b"<!doctype html>",
        b"<x:svg onload=1>",
        b"<?xml version='1.0'?>" + b" " * 60_000 + b"<svg onload=1>",
    ],
    ids=["script", "mark", "comment", "doctype", "namespace", "late"],
)
def test_markup_is_never_text(data: bytes) -> None:
    """What a browser may take for a document of its own is neither text nor an image."""
    rules = AttachmentRules(allowed=["image/*", "text/plain", "text/csv", "application/json", "application/pdf"])
    assert rules.choose(types(data)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0<script>alert(1)</script>",
        "<script>alert(1)</script>".encode("utf-16"),
        b"plain \x1b[2J text",
        b"plain text \xff",
        "half a letter ä".encode()[:-1],
        b"a" * 300_000 + b"\0",
        b"MZ\x90\0" + bytes(60),
        b"PK\x03\x04 no zip",
        b"RIFF\x24\0\0\0AVI LIST" + bytes(60),
        bytes(range(256)),
    ],
    ids=["nul", "utf-16", "escape", "latin-1", "half", "late", "exe", "zip", "avi", "all"],
)
def test_what_is_no_text_is_not_taken_for_it(data: bytes) -> None:
    """Text is UTF-8 without control characters, from the first byte to the last."""
    rules = AttachmentRules(allowed=["text/plain", "application/zip", "audio/wav", WORD])
    assert rules.choose(types(data)) is None


def test_the_end_of_a_file_says_nothing() -> None:
    """What only ends like a PDF or a film is text, or nothing."""
    rules = AttachmentRules(allowed=["application/pdf", "video/mpeg"])
    assert rules.choose(types(b"\x81" * 100 + b"\0\0\x01\xb7")) is None
    assert rules.choose(types(b"\x00" * 40 + b"\n%%EOF\n")) is None
    assert rules.choose(types(b"hello" * 40 + b"\n%%EOF\n")) is None


def test_two_letters_do_not_make_a_text_something_else() -> None:
    """Short marks count only where the rest is no text."""
    assert AttachmentRules(allowed=["text/plain"]).choose(types(b"%! is how PostScript begins.")) == "text/plain"
    assert AttachmentRules(allowed=["audio/mpeg"]).choose(types(b"\xff\xfb\x90\x64" + bytes(60))) == "audio/mpeg"


def test_a_bare_zip_is_no_document() -> None:
    """A document with macros, and a zip whose directory is missing or enormous, are not taken for a document."""
    rules = AttachmentRules(allowed=[WORD])
    out = io.BytesIO(hostile.docx())
    with zipfile.ZipFile(out, "a") as long:
        for n in range(80):
            member = zipfile.ZipInfo(f"{n}")
            member.comment = b"x" * 60_000
            long.writestr(member, b"")
    assert rules.choose(types_of(out)) is None
    macros = {"[Content_Types].xml": b"", "word/document.xml": b"", "word/vbaProject.bin": b""}
    huge = bytearray(hostile.docx())
    at = huge.rindex(b"PK\x05\x06")
    struct.pack_into("<L", huge, at + 12, 2**31)
    for data in (hostile.archive(a=b"x"), hostile.archive(**macros), bytes(huge), hostile.docx()[:-30]):
        assert rules.choose(types(data)) is None


def test_the_order_of_the_rules_decides_between_texts() -> None:
    """Text has no mark, so the rules say which of their types it is; JSON starts like JSON."""
    assert AttachmentRules(allowed=["text/csv", "text/plain"]).choose(types(b"a,b")) == "text/csv"
    assert AttachmentRules(allowed=["text/plain", "text/csv"]).choose(types(b"a,b")) == "text/plain"
    assert AttachmentRules(allowed=["text/plain", "application/json"]).choose(types(b"[1]")) == "application/json"
    assert AttachmentRules(allowed=["text/plain", "application/json"]).choose(types(b"one")) == "text/plain"


@given(st.binary(max_size=300), st.sampled_from([b"", *(data[:60] for _, _, data in FILES)]))
def test_whatever_comes_has_a_known_type_or_none(tail: bytes, head: bytes) -> None:
    """No bytes break the detection, and what it says is a type that rules can name."""
    for likely in types(head + tail):
        assert set(likely) <= KNOWN
        assert likely
        assert all(extension_of(name).isalnum() for name in likely)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_nothing_is_unpacked(method: int) -> None:
    """A zip's own word for its type counts where it stands as it is; what is packed, or damaged, is not looked into."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        file.writestr("mimetype", "application/epub+zip" * 5)
    data = bytearray(out.getvalue())
    assert types(bytes(data)) == [["application/zip"]]
    start = data.index(b"mimetype") + len("mimetype") + 4
    data[start : start + 8] = b"\xff" * 8
    assert types(bytes(data)) == [["application/zip"]]


@given(st.binary(max_size=400).map(lambda tail: hostile.archive(mimetype=tail)))
def test_whatever_a_zip_says_of_itself(data: bytes) -> None:
    """A zip's own word for its type counts only if it is one of the known ones."""
    assert {name for likely in types(data) for name in likely} <= KNOWN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"allowed": []}, "allowed must list"),
        ({"allowed": "image/png"}, "allowed must list"),
        ({"allowed": ["application/octet-stream"]}, "is not a content type that can be told"),
        ({"allowed": ["image/jpg"]}, "'image/jpg' is not a content type .* image/jpeg"),
        ({"allowed": ["image/tiff"]}, "'image/tiff' is not a content type"),
        ({"allowed": ["audio/*"]}, "is not a content type that can be told"),
        ({"allowed": ["application/PDF"]}, "those like it are application/pdf"),
        ({"allowed": [""]}, "is not a content type"),
        ({"max_size": 0}, "max_size must be a whole number from 1 on, not 0"),
        ({"max_size": 1.5}, "max_size must be"),
        ({"max_pixels": True}, "max_pixels must be"),
    ],
)
def test_wrong_rules_are_refused(arguments: dict[str, Any], message: str) -> None:
    """A rule that could never be met, or never be broken, is an error where it is written."""
    with pytest.raises(InvalidArgumentError, match=message):
        AttachmentRules(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be a whole number"),
        ({"height": -3}, "height must be a whole number"),
        ({"quality": 0}, "quality must be a whole number from 1 to 100"),
        ({"quality": 101}, "quality must be"),
        ({"format": "bmp"}, "format must be one of avif, gif, jpeg, png, webp"),
    ],
)
def test_a_wrong_resize_is_refused(arguments: dict[str, Any], message: str) -> None:
    """So is a size that no image can have."""
    with pytest.raises(InvalidArgumentError, match=message):
        Resize(**arguments)


def test_rules_keep_what_they_were_given() -> None:
    """A list that is changed later changes no rules."""
    allowed = ["image/png"]
    rules = AttachmentRules(allowed=allowed)
    allowed.append("text/html")
    assert tuple(rules.allowed) == ("image/png",)
