"""Images: looked at before they are decoded, made smaller, and written anew without anything but the picture."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast

from PIL import (
    AvifImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from rustforge.errors import AttachmentRejectedError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IMAGES", "Picture", "Resize", "check_whole", "image_type", "rewrite"]

IMAGES: Final[Mapping[str, str]] = {
    "image/avif": "AVIF",
    "image/gif": "GIF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
}
"""The images that are decoded and written anew, with Pillow's names for them."""

_PLUGINS = (AvifImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin)  # register themselves
_ANIMATED = frozenset({"AVIF", "GIF", "PNG", "WEBP"})
_FORMATS = ("avif", "gif", "jpeg", "png", "webp")
_QUALITY = 90
_MAX_FRAMES = 1000
_MAX_SCANS = 64  # of a JPEG: programs write about ten
_SCAN = re.compile(b"\xff\xda")  # which finds them in a fifth of the time that bytes.count takes
_BYTES_PER_PIXEL = 8
_BLOCK = 256 * 1024
_SIDEWAYS = range(5, 9)
_WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """How images are made smaller. They keep their proportions, and are never made larger.

    Attributes:
        width: The widest that they may be, in pixels; `None` for any.
        height: The highest that they may be, in pixels; `None` for any.
        quality: From 1 to 100, for formats that lose something: AVIF, JPEG and WebP.
        format: The format that they are stored in; `None` for the one that they came in. An animation becomes a
            still picture in JPEG, and what is transparent becomes white.

    Raises:
        InvalidArgumentError: A value cannot be used.

    Example:
        ```python
        Resize(width=1600, height=1600, format="webp")
        ```
    """

    width: int | None = None
    height: int | None = None
    quality: int = 85
    format: Literal["avif", "gif", "jpeg", "png", "webp"] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be used."""
        for name in ("width", "height"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name))
        if type(self.quality) is not int or not 1 <= self.quality <= 100:  # noqa: PLR2004 - a percentage
            msg = f"quality must be a whole number from 1 to 100, not {self.quality!r}"
            raise InvalidArgumentError(msg)
        if self.format is not None and self.format not in _FORMATS:
            msg = f"format must be one of {', '.join(_FORMATS)}, not {self.format!r}"
            raise InvalidArgumentError(msg)


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that was written anew."""

    data: bytes
    content_type: str
    width: int
    height: int


def check_whole(name: str, value: object) -> None:
    """Refuse what is not a positive whole number."""
    if type(value) is not int or value < 1:
        msg = f"{name} must be a whole number from 1 on, not {value!r}"
        raise InvalidArgumentError(msg)


def image_type(head: bytes) -> str | None:
    """Tell which of the images begins like this.

    Args:
        head: The first bytes of the file, 16 or more.
    """
    for content_type, kind in IMAGES.items():
        accept = Image.OPEN[kind][1]
        if accept is not None and accept(head[:16]) is True:  # it is a text where Pillow was built without the format
            return content_type
    return None


def rewrite(file: IO[bytes], content_type: str, *, max_pixels: int, resize: Resize | None) -> Picture:
    """Decode an image and write it anew, which drops all that is not the picture.

    Args:
        file: The file. Its position is changed.
        content_type: Its type, one of `IMAGES`.
        max_pixels: The most pixels that it may have, over all frames.
        resize: How it is made smaller.

    Raises:
        AttachmentRejectedError: It is too large, damaged, or no image after all.
    """
    kind = IMAGES[content_type]
    target = resize.format.upper() if resize is not None and resize.format is not None else kind
    try:
        _look_at_size(file, kind, max_pixels)
        file.seek(0)
        # Not Image.open, which would count the pixels against a bound of its own, and only warn.
        with Image.OPEN[kind][0](file, "") as image:
            frames, durations = _frames(image, target, resize, max_pixels)
            loop = image.info.get("loop")
        data = _encoded(frames, durations, loop, target, _QUALITY if resize is None else resize.quality)
    except AttachmentRejectedError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many(max_pixels) from error
    except Exception as error:  # Pillow raises whatever its decoders stumble over
        text = "The image cannot be read; it may be damaged."
        raise AttachmentRejectedError(reason="unreadable", text=text) from error
    stored_as = next(name for name, one in IMAGES.items() if one == target)
    return Picture(data, stored_as, *frames[0].size)


def _too_many(max_pixels: int) -> AttachmentRejectedError:
    return AttachmentRejectedError(
        reason="too_many_pixels", text="The image has more than {count} pixels.", count=f"{max_pixels:,}"
    )


def _look_at_size(file: IO[bytes], kind: str, max_pixels: int) -> None:
    """Refuse a file that would take long, although its picture is small."""
    if file.seek(0, 2) > max_pixels * _BYTES_PER_PIXEL + _BLOCK:
        raise AttachmentRejectedError(reason="too_large", text="The file is larger than its picture can be.")
    if kind != "JPEG":
        return
    file.seek(0)
    scans, last = 0, b""
    while block := file.read(_BLOCK):
        scans += len(_SCAN.findall(last + block))
        last = block[-1:]
    if scans > _MAX_SCANS:
        raise AttachmentRejectedError(reason="too_many_pixels", text="The image is drawn in too many passes.")


def _frames(
    image: Image.Image, target: str, resize: Resize | None, max_pixels: int
) -> tuple[list[Image.Image], list[int]]:
    """Decode the frames, one after the other, as long as they are within bounds."""
    frames: list[Image.Image] = []
    durations: list[int] = []
    pixels = 0
    animated = False
    while True:
        pixels += image.width * image.height
        if pixels > max_pixels or len(frames) == _MAX_FRAMES:
            raise _too_many(max_pixels)
        if not frames:
            animated = {image.format, target} <= _ANIMATED and bool(getattr(image, "is_animated", False))
        frames.append(_prepared(image.copy() if animated else image, target, resize, alone=not animated))
        durations.append(int(image.info.get("duration") or 0))
        if not animated:
            return frames, durations
        try:
            image.seek(len(frames))
        except EOFError:
            return frames, durations


def _prepared(image: Image.Image, target: str, resize: Resize | None, *, alone: bool) -> Image.Image:
    """Make a frame as it is to be written."""
    profile = image.info.get("icc_profile")
    orientation = _orientation(image)
    smaller = resize is not None and (resize.width is not None or resize.height is not None)
    image = _in_full_colour(image, keep_palette=alone and target == "PNG" and not smaller)
    if resize is not None and smaller:
        any_length = image.width + image.height
        width, height = resize.width or any_length, resize.height or any_length
        box = (height, width) if orientation in _SIDEWAYS else (width, height)
        image.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if orientation != 1:
        image = ImageOps.exif_transpose(image)
    if profile:
        image = _in_srgb(image, profile)
    if target == "JPEG" and image.mode == "RGBA":
        page = Image.new("RGB", image.size, _WHITE)
        page.paste(image, mask=image.getchannel("A"))
        image = page
    elif target != "JPEG" and image.mode == "CMYK":
        image = image.convert("RGB")
    image.load()
    image.info = {"transparency": image.info["transparency"]} if "transparency" in image.info else {}
    return image


def _in_full_colour(image: Image.Image, *, keep_palette: bool) -> Image.Image:
    """Change the modes that cannot be made smaller, or written in each format."""
    if image.mode == "P" and keep_palette:
        return image
    if image.mode in {"CMYK", "L", "RGB", "RGBA"} and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits of grey
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - a picture with damaged notes is a picture
        return 1
    return found if isinstance(found, int) and 1 < found <= _SIDEWAYS[-1] else 1


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Turn colours into those that are meant where no profile stands beside the picture."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        target: Any = cast("Any", ImageCms).createProfile("sRGB")
        turned = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return image
    return image if turned is None else turned


def _encoded(frames: list[Image.Image], durations: list[int], loop: int | None, target: str, quality: int) -> bytes:
    """Write the frames."""
    options: dict[str, Any] = {} if target in {"GIF", "PNG"} else {"quality": quality}
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:], "duration": durations}
        options |= {} if loop is None else {"loop": loop}
        options |= {"disposal": 2} if target == "GIF" and frames[0].mode == "RGBA" else {}
    out = io.BytesIO()
    frames[0].save(out, target, **options)
    return out.getvalue()
