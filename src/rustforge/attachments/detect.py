"""Telling the type of a file from its bytes, and from nothing else."""

from __future__ import annotations

import codecs
import re
import struct
import zipfile
from typing import IO, TYPE_CHECKING, Any, Final

import puremagic

from rustforge.attachments.images import IMAGES, image_type

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KNOWN", "extension_of", "types_of"]

_HTML: Final = "text/html"
_SVG: Final = "image/svg+xml"
_XML: Final = "application/xml"

_MARKUP: Final[Mapping[str, str]] = {_HTML: "html", _SVG: "svg", _XML: "xml"}
_TEXT: Final[Mapping[str, str]] = {
    "text/plain": "txt",
    "text/csv": "csv",
    "text/markdown": "md",
    "text/calendar": "ics",
    "text/vcard": "vcf",
}
_JSON: Final = "application/json"
_ZIP: Final = "application/zip"
_ANYTHING: Final = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument"
_OOXML: Final[Mapping[str, str]] = {
    "word/": f"{_OFFICE}.wordprocessingml.document",
    "xl/": f"{_OFFICE}.spreadsheetml.sheet",
    "ppt/": f"{_OFFICE}.presentationml.presentation",
}
_OPEN = "application/vnd.oasis.opendocument"
_NAMED_ZIPS: Final = ("application/epub+zip", f"{_OPEN}.text", f"{_OPEN}.spreadsheet", f"{_OPEN}.presentation")

# puremagic's names for what has a better known one
_ALIASES: Final[Mapping[str, str]] = {
    "application/ogg": "audio/ogg",
    "application/x-gzip": "application/gzip",
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-zip-compressed": _ZIP,
    "application/excel": "application/vnd.ms-excel",
    "application/mspowerpoint": "application/vnd.ms-powerpoint",
    "audio/mp3": "audio/mpeg",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "video/avi": "video/x-msvideo",
}
_OWN: Final[Mapping[str, str]] = {
    **{content_type: "jpg" if kind == "JPEG" else kind.lower() for content_type, kind in IMAGES.items()},
    **_MARKUP,
    **_TEXT,
    _JSON: "json",
    _ZIP: "zip",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    f"{_OFFICE}.presentationml.presentation": "pptx",
    "application/epub+zip": "epub",
    f"{_OPEN}.text": "odt",
    f"{_OPEN}.spreadsheet": "ods",
    f"{_OPEN}.presentation": "odp",
}
_USUAL: Final[Mapping[str, str]] = {
    "application/gzip": "gz",
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "video/mp4": "mp4",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
}

_puremagic: Any = puremagic  # whose tables have no types
_HEAD = 64 * 1024
_BLOCK = 256 * 1024
_DIRECTORY = 4 * 1024 * 1024
_WEAK = 3  # fewer bytes than these say little about a text
_TAG = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:[!?]|[a-z][a-z0-9:._-]*[\s/>])", re.IGNORECASE)
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml", re.IGNORECASE)
_SVG_TAG = re.compile(rb"<(?:[a-z0-9._-]+:)?svg[\s/>]", re.IGNORECASE)
_HTML_TAG = re.compile(rb"<!doctype\s+html|<html[\s/>]", re.IGNORECASE)
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_END = struct.Struct("<4s4H2LH")  # of a zip: its mark, two disks, two counts, the directory's size and place, ...
_ZIP64 = b"PK\x06\x07"


def types_of(file: IO[bytes]) -> list[list[str]]:
    """Tell which types a file can be of.

    Args:
        file: The file. Its position is changed.

    Returns:
        Content types, the likeliest first; those that the bytes cannot tell apart stand together. None for a file
        that is of no known type.
    """
    file.seek(0)
    head = file.read(_HEAD)
    if _TAG.match(head):
        return [[_markup(head)]]
    image = image_type(head)
    if image is not None:
        return [[image]]
    if head.startswith(b"PK\x03\x04"):
        return [[found] for found in _inside_zip(file)]
    text = _is_text(file)
    binary = _by_magic(head, least=_WEAK + 1 if text else 1)
    if binary or not text:
        return [binary] if binary else []
    return [*([[_JSON]] if _JSON_START.match(head) else []), [*_TEXT]]


def extension_of(content_type: str) -> str:
    """Give the extension for a type, without the dot."""
    return _OWN.get(content_type) or _MAGIC.get(content_type, "bin")


def _markup(head: bytes) -> str:
    """Tell apart what begins with a tag. In doubt it is HTML, which is what a browser would make of it."""
    if _SVG_TAG.search(head):
        return _SVG
    return _XML if _XML_START.match(head) and not _HTML_TAG.search(head) else _HTML


def _is_text(file: IO[bytes]) -> bool:
    """Look whether all of a file is text in UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while block := file.read(_BLOCK):
            if _CONTROL.search(decoder.decode(block)):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _inside_zip(file: IO[bytes]) -> list[str]:
    """Tell which kind of document a zip is, by its directory; nothing of it is unpacked."""
    file.seek(max(0, file.seek(0, 2) - 65_535 - _END.size))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        return []
    if _END.unpack_from(tail, at)[5] > _DIRECTORY or _ZIP64 in tail:
        return [_ZIP]
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            plain = names[:1] == ["mimetype"] and archive.infolist()[0].compress_type == zipfile.ZIP_STORED
            named = archive.open(names[0]).read(100).decode("ascii", "replace") if plain else ""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError):
        return []
    if named.strip() in _NAMED_ZIPS:
        return [named.strip(), _ZIP]
    if "[Content_Types].xml" not in names or any(name.endswith("vbaProject.bin") for name in names):
        return [_ZIP]
    found = [kind for folder, kind in _OOXML.items() if any(name.startswith(folder) for name in names)]
    return [*found[:1], _ZIP]


def _by_magic(head: bytes, *, least: int) -> list[str]:
    """Ask puremagic what begins like this, and keep the best of what it says."""
    try:
        matches: list[Any] = _puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return []
    named: list[tuple[float, str]] = [
        (match.confidence, _named(match.mime_type))
        for match in matches
        if match.offset >= 0 and len(match.byte_match) >= least and _named(match.mime_type) in _MAGIC
    ]
    best = max((confidence for confidence, _ in named), default=0.0)
    return list(dict.fromkeys(name for confidence, name in named if confidence == best))


def _named(mime_type: str) -> str:
    return _ALIASES.get(mime_type.lower(), mime_type.lower())


def _magic_types() -> dict[str, str]:
    """List the types that puremagic tells, with extensions: all but images, text and what has a scheme of its own."""
    several: list[Any] = [row for rows in _puremagic.multi_part_dict.values() for row in rows]
    rows: list[Any] = [*_puremagic.magic_header_array, *several]
    found = {_named(row.mime_type): re.sub("[^a-z0-9]", "", row.extension.lower()) or "bin" for row in rows}
    return {
        name: _USUAL.get(name, extension)
        for name, extension in found.items()
        if "/" in name and not name.startswith(("image/", "text/")) and name not in {*_OWN, _ANYTHING}
    }


_MAGIC: Final = _magic_types()
KNOWN: Final = frozenset({*_OWN, *_MAGIC})
"""Every type that a file can be found to be of."""
