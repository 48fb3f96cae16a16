"""What may be attached: types, sizes, pixels, and how images are made smaller."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustforge.attachments.detect import KNOWN
from rustforge.attachments.images import IMAGES, Resize, check_whole
from rustforge.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AttachmentRules", "Resize"]

_ANY_IMAGE = "image/*"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRules:
    """What may be attached. All that is not allowed is refused.

    The type of a file is what its bytes are, whatever its name and the client say. Images are decoded and written
    anew, so that nothing reaches the storage but the picture.

    Attributes:
        allowed: Content types, such as `"image/png"` or `"application/pdf"`. `"image/*"` stands for AVIF, GIF, JPEG,
            PNG and WebP, and never for SVG. Types that can carry scripts, which are `"image/svg+xml"`, `"text/html"`
            and `"application/xml"`, are allowed only where they are named. Text has no mark of its own: where several
            types of text are allowed, it is taken for the first of them.
        max_size: The most bytes that a file may have.
        max_pixels: The most pixels that an image may have, which are its width times its height, and for an animation
            those of all its frames. They are counted before the image is decoded.
        resize: How images are made smaller; `None` leaves them at their size.

    Raises:
        InvalidArgumentError: A type cannot be told from bytes, or a bound is not a positive whole number.

    Example:
        ```python
        cover = AttachmentRules(allowed=["image/jpeg", "image/png"], resize=Resize(width=1600))
        contract = AttachmentRules(allowed=["application/pdf"], max_size=20 * 1024 * 1024)
        ```
    """

    allowed: Sequence[str] = (_ANY_IMAGE,)
    max_size: int = 10 * 1024 * 1024
    max_pixels: int = 25_000_000
    resize: Resize | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be used."""
        if isinstance(self.allowed, str) or not self.allowed:
            msg = f"allowed must list one or more content types, such as ['image/*'], not {self.allowed!r}"
            raise InvalidArgumentError(msg)
        object.__setattr__(self, "allowed", tuple(self.allowed))
        for content_type in self.allowed:
            _check_type(content_type)
        check_whole("max_size", self.max_size)
        check_whole("max_pixels", self.max_pixels)

    def choose(self, found: Sequence[Sequence[str]]) -> str | None:
        """Choose the first type that is allowed.

        Args:
            found: The types that a file can be of, the likeliest first; where several are equally likely, they stand
                together, and the order of `allowed` decides.
        """
        for likely in found:
            for content_type in self.allowed:
                if content_type in likely:
                    return content_type
                if content_type == _ANY_IMAGE and likely[0] in IMAGES:
                    return likely[0]
        return None


def _check_type(content_type: str) -> None:
    """Refuse a type that no file would ever be found to be of."""
    if content_type == _ANY_IMAGE or content_type in KNOWN:
        return
    written = str(content_type).lower()
    images = written.startswith("image/")
    near = [_ANY_IMAGE, *IMAGES, "image/svg+xml"] if images else difflib.get_close_matches(written, sorted(KNOWN))
    hint = f"; those like it are {', '.join(near)}" if near else ""
    msg = f"{content_type!r} is not a content type that can be told from the bytes of a file{hint}"
    raise InvalidArgumentError(msg)
