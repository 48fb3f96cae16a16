"""Images: bounded before they are decoded, and written anew as the picture alone."""

from __future__ import annotations

import io
import tracemalloc
import warnings
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageFile

from rustforge.attachments import Resize
from rustforge.attachments.detect import types_of
from rustforge.attachments.images import IMAGES, Picture, rewrite
from rustforge.errors import AttachmentRejectedError
from tests.support import hostile

KINDS = ("AVIF", "GIF", "JPEG", "PNG", "WEBP")
Format = Literal["avif", "gif", "jpeg", "png", "webp"]
FORMATS: tuple[Format, ...] = ("avif", "gif", "jpeg", "png", "webp")


def written(data: bytes, *, max_pixels: int = 1_000_000, resize: Resize | None = None) -> Picture:
    """Write an image anew, by the type that is found in it."""
    file = io.BytesIO(data)
    [[content_type]] = types_of(file)
    return rewrite(file, content_type, max_pixels=max_pixels, resize=resize)


def opened(found: Picture) -> ImageFile.ImageFile:
    """Decode what was written, which must be what it is said to be."""
    image = Image.open(io.BytesIO(found.data))
    image.load()
    assert image.size == (found.width, found.height)
    assert Image.MIME[image.format or ""] == found.content_type
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """Tell how far two pictures are from one another, from 0 to 255."""
    histogram = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).convert("L").histogram()
    return sum(value * count for value, count in enumerate(histogram)) / sum(histogram)


def reason(data: bytes, *, max_pixels: int = 1_000_000, resize: Resize | None = None) -> str:
    """Tell why an image is refused."""
    with pytest.raises(AttachmentRejectedError) as refused:
        written(data, max_pixels=max_pixels, resize=resize)
    return refused.value.reason


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_stays_the_picture_that_it_was(kind: str, mode: str) -> None:
    """Every mode of every format is written anew, as itself and in each other format, large and small."""
    try:
        data = hostile.picture(kind, mode=mode)
    except (OSError, ValueError, KeyError):
        return  # the format has no such mode
    original = Image.open(io.BytesIO(data)).convert("RGB")
    same = opened(written(data))
    assert same.format == kind
    if mode != "I;16":
        assert difference(same, original) < 6
    for target in FORMATS:
        small = opened(written(data, resize=Resize(width=20, format=target)))
        assert small.size == (20, 15)
        assert small.format == target.upper()


def test_grey_of_sixteen_bits_keeps_its_shades() -> None:
    """Half as bright stays half as bright."""
    out = io.BytesIO()
    Image.new("I;16", (4, 4), 0x8000).save(out, "PNG")
    assert opened(written(out.getvalue())).getpixel((0, 0)) == 128


@pytest.mark.parametrize(
    ("resize", "size"),
    [
        (Resize(width=20), (20, 15)),
        (Resize(height=10), (13, 10)),
        (Resize(width=30, height=10), (13, 10)),
        (Resize(width=400), (40, 30)),
        (Resize(quality=50), (40, 30)),
        (Resize(width=1, height=1), (1, 1)),
    ],
)
def test_the_proportions_stay(resize: Resize, size: tuple[int, int]) -> None:
    """An image fits into the box, is never made larger, and never vanishes."""
    for kind in KINDS:
        assert opened(written(hostile.picture(kind), resize=resize)).size == size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation: int) -> None:
    """What the camera noted is applied, before and after the picture is made smaller, and the note is gone."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}  # where it was taken
    data = hostile.picture("JPEG", (40, 30), exif=exif)
    sideways = orientation >= 5
    assert opened(written(data)).size == ((30, 40) if sideways else (40, 30))
    small = opened(written(data, resize=Resize(width=15)))
    assert small.size == ((15, 20) if sideways else (15, 11))
    assert not small.getexif()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_notes_do_not_spoil_the_picture() -> None:
    """EXIF that cannot be read is dropped like any other."""
    for exif in (b"Exif\0\0" + b"\xff" * 50, b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"\0"):
        assert opened(written(hostile.picture("JPEG", exif=exif))).size == (40, 30)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_the_picture_is_kept(kind: str) -> None:
    """Notes, comments, profiles and what follows the image are gone, whatever they say."""
    exif = Image.Exif()
    exif[0x010E] = hostile.SCRIPT.decode()
    options: dict[str, Any] = {} if kind == "GIF" else {"exif": exif.tobytes()}
    if kind in {"GIF", "JPEG"}:
        options["comment"] = hostile.SCRIPT
    data = hostile.picture(kind, **options) + hostile.SCRIPT
    assert hostile.SCRIPT in data
    for resize in (None, Resize(width=20)):
        found = written(data, resize=resize)
        assert b"<script" not in found.data
        assert set(opened(found).info) <= {"background", "dpi", "jfif", "jfif_density", "jfif_unit", "jfif_version",
                                           "loop", "timestamp", "transparency", "version", "duration"}  # fmt: skip


def test_texts_of_a_png_are_dropped() -> None:
    """Chunks with texts, and unknown ones, do not pass."""
    texts = hostile.chunk(b"tEXt", b"Comment\0" + hostile.SCRIPT) + hostile.chunk(b"prVt", hostile.SCRIPT)
    found = written(hostile.png_of(9, 9, chunks=texts) + hostile.SCRIPT)
    assert b"script" not in found.data


def test_a_gif_that_is_a_script_is_one_no_longer() -> None:
    """Nothing of its code is left in one piece."""
    data = hostile.gif_that_is_a_script()
    assert data[6:8] == b"/*"
    assert b"*/=1;alert(document.domain)//" in data
    found = written(data, max_pixels=10_000_000)
    assert b"alert" not in found.data


def test_a_profile_is_applied_before_it_is_dropped() -> None:
    """Colours of another space are turned into those of sRGB, so that they look the same without the profile."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    for profile, colour in ((srgb, (255, 0, 0)), (swapped, (0, 0, 255)), (lab, (255, 0, 0)), (b"junk", (255, 0, 0))):
        out = io.BytesIO()
        red.save(out, "PNG", icc_profile=profile)
        image = opened(written(out.getvalue()))
        assert "icc_profile" not in image.info
        assert difference(image, Image.new("RGB", (8, 8), colour)) < 3


def test_what_is_transparent_becomes_white_in_a_jpeg() -> None:
    """And stays transparent in the others."""
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(out, "PNG")
    for target in FORMATS:
        image = opened(written(out.getvalue(), resize=Resize(format=target)))
        if target == "jpeg":
            assert image.getpixel((0, 0)) == (255, 255, 255)
        else:
            assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("kind", ["AVIF", "GIF", "PNG", "WEBP"])
def test_animations_stay_animations(kind: str) -> None:
    """All frames are there, with their times and in their new size; a JPEG takes the first one."""
    data = hostile.animation(kind)
    image = opened(written(data, resize=Resize(width=10)))
    assert image.size == (10, 5)
    assert getattr(image, "n_frames", 1) == 3
    image.seek(2)
    image.load()
    assert image.info["duration"] == 50
    assert kind == "AVIF" or image.info["loop"] == 0
    assert getattr(opened(written(data, resize=Resize(format="jpeg"))), "n_frames", 1) == 1


def test_a_second_picture_in_a_jpeg_is_no_frame() -> None:
    """Phones put more than one into a file, of which only the first is meant to be seen."""
    out = io.BytesIO()
    second = Image.new("RGB", (40, 30), "black")
    Image.new("RGB", (40, 30), "red").save(out, "MPO", save_all=True, append_images=[second])
    for target in FORMATS:
        image = opened(written(out.getvalue(), resize=Resize(format=target)))
        assert getattr(image, "n_frames", 1) == 1
        assert difference(image, Image.new("RGB", (40, 30), "red")) < 3


@pytest.mark.parametrize("size", [(14_000, 14_000), (12_000, 12_000), (5001, 5000), (100_000, 300)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    """A few kilobytes that say they are a huge picture are refused by their header, and without a warning."""
    data = hostile.png_of(*size)
    assert len(data) < 60_000
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason(data, max_pixels=25_000_000) == "too_many_pixels"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_the_bound_is_the_rules_and_no_other() -> None:
    """An application may allow more than Pillow warns of; what is exactly as large as allowed passes."""
    data = hostile.png_of(10_000, 9_500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert written(data, max_pixels=95_000_000, resize=Resize(width=10)).width == 10
        assert reason(data, max_pixels=94_999_999) == "too_many_pixels"


def test_a_bomb_of_frames_is_refused() -> None:
    """The pixels of all frames count, and so does their number."""
    assert reason(hostile.gif_of_frames(1000, 1000, 30), max_pixels=25_000_000) == "too_many_pixels"
    assert reason(hostile.gif_of_frames(1, 1, 5000), max_pixels=25_000_000) == "too_many_pixels"
    assert reason(hostile.animation("WEBP", frames=20), max_pixels=3000) == "too_many_pixels"
    assert reason(hostile.gif_of_frames(10, 10, 3, last=(65_535, 65_535))) == "too_many_pixels"
    assert written(hostile.gif_of_frames(10, 10, 3)).width == 10


@pytest.mark.parametrize("kind", ["AVIF", "GIF", "WEBP"])
def test_other_bombs_are_refused_too(kind: str) -> None:
    """Every format says how large it is before it is decoded."""
    out = io.BytesIO()
    Image.new("L", (3000, 3000)).save(out, kind, **({"speed": 10} if kind == "AVIF" else {}))
    assert reason(out.getvalue(), max_pixels=8_999_999) == "too_many_pixels"


def test_a_bomb_of_passes_is_refused() -> None:
    """A JPEG that is drawn a thousand times takes a thousand times as long; an honest progressive one passes."""
    assert opened(written(hostile.jpeg_of_scans(1))).size == (64, 64)
    assert reason(hostile.jpeg_of_scans(1000)) == "too_many_pixels"


def test_more_bytes_than_the_picture_can_have_are_refused() -> None:
    """Decoders that read the whole file never get one that only pretends to be an image."""
    assert reason(hostile.picture("WEBP") + bytes(2_000_000), max_pixels=100_000) == "too_large"


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images_are_refused(kind: str) -> None:
    """Half an image is none, whatever Pillow's setting for truncated files is not."""
    data = hostile.picture(kind, (200, 200))
    assert reason(data[: len(data) // 2]) == "unreadable"


def test_a_bomb_of_text_is_refused() -> None:
    """Texts of a PNG that unpack to megabytes are not unpacked."""
    import zlib  # noqa: PLC0415 - only here

    packed = zlib.compress(bytes(70_000_000), 9)
    for name in (b"zTXt", b"iCCP"):
        data = hostile.png_of(9, 9, chunks=hostile.chunk(name, b"a\0\0" + packed))
        tracemalloc.start()
        try:
            written(data)
        except AttachmentRejectedError as refused:
            assert refused.reason == "unreadable"  # noqa: PT017 - passing without the text would do as well
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20_000_000


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=8),
    st.integers(0, 2000),
)
def test_no_bytes_do_anything_else(kind: str, changes: list[tuple[int, bytes]], cut: int) -> None:
    """An image that was tampered with is written anew, or refused; there is no third way."""
    data = bytearray(SAMPLES[kind])
    for at, new in changes:
        data[12 + at % len(data) : 12 + at % len(data) + len(new)] = new
    file = io.BytesIO(bytes(data[: len(data) - cut % len(data)]))
    content_type = next(name for name, one in IMAGES.items() if one == kind)
    try:
        found = rewrite(file, content_type, max_pixels=50_000, resize=Resize(width=16))
    except AttachmentRejectedError as refused:
        assert refused.reason in {"unreadable", "too_many_pixels", "too_large"}  # noqa: PT017 - either is right
    else:
        assert opened(found).width <= 16


SAMPLES = {kind: hostile.picture(kind, (24, 18)) for kind in KINDS}
