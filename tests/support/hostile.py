"""Files as they are, and files as somebody with bad intentions makes them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

from PIL import Image

SCRIPT = b"<script>alert(document.domain)</script>"

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer\n%%EOF\n"
MP4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + bytes(64)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
HTML = b"<!DOCTYPE html><html><body>" + SCRIPT + b"</body></html>"


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    """Draw a picture in which each pixel has a colour of its own, as far as the mode goes."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    out = io.BytesIO()
    image.convert(mode).save(out, kind, **options)
    return out.getvalue()


def animation(kind: str = "GIF", size: tuple[int, int] = (20, 10), frames: int = 3, **options: Any) -> bytes:
    """Draw frames that differ."""
    drawn = [Image.new("RGB", size, (40 * n % 256, n % 256, 90)) for n in range(frames)]
    out = io.BytesIO()
    drawn[0].save(out, kind, save_all=True, append_images=drawn[1:], duration=[50] * frames, loop=0, **options)
    return out.getvalue()


def png_of(width: int, height: int, *, chunks: bytes = b"") -> bytes:
    """Write a black PNG of any size in few bytes, without drawing it."""
    row = bytes(1 + (width + 7) // 8)
    squeeze = zlib.compressobj(9)
    data = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunks + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    """Write a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def gif_that_is_a_script() -> bytes:
    """Write a GIF that is JavaScript, too: its width opens a comment, and its palette closes it and goes on."""
    image = Image.new("P", (0x2A2F, 1), 7)  # "/*"
    image.putpalette((b"*/=1;alert(document.domain)//" + bytes(768))[:768])
    image.putdata(range(256))
    out = io.BytesIO()
    image.save(out, "GIF")
    return out.getvalue()


def gif_of_frames(width: int, height: int, frames: int, *, last: tuple[int, int] = (1, 1)) -> bytes:
    """Write a GIF of many frames as large as its screen, of which each changes one pixel; the last may be larger."""
    pixel = b"\x02\x02\x44\x01\x00"
    small = struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + pixel
    end = struct.pack("<BHHHHB", 0x2C, 0, 0, *last, 0) + pixel
    out = io.BytesIO()
    Image.new("1", (width, height)).save(out, "GIF")
    return out.getvalue()[:-1] + small * (frames - 2) + end + b";"


def jpeg_of_scans(scans: int) -> bytes:
    """Write a progressive JPEG whose last scan is there many times."""
    data = picture("JPEG", (64, 64), progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * scans + data[-2:]


def archive(**members: bytes) -> bytes:
    """Write a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def docx() -> bytes:
    """Write as much of a Word document as tells one."""
    return archive(**{"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w:document/>"})
