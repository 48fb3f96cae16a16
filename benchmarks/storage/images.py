"""An image of twelve megapixels: made smaller and written anew, beside Pillow with the same steps by hand."""

from __future__ import annotations

import io
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from benchmarks import resident
from benchmarks.bench import centre, count_rounds, summarise
from benchmarks.children import Child
from rustforge.attachments import Resize
from rustforge.attachments.images import rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.storage.scale import StorageScale

SECONDS = 120.0
WIDTH = 1600
QUALITY = 85
BASELINE = "pillow"
LABELS = {BASELINE: "Pillow by hand", "pillow_again": "The same again", "rustforge": "Rustforge's attachments"}


def by_hand(photo: bytes) -> bytes:
    """Do with Pillow what the attachments do."""
    with Image.open(io.BytesIO(photo)) as image:
        image.thumbnail((WIDTH, image.height), Image.Resampling.LANCZOS, reducing_gap=2.0)
        upright = ImageOps.exif_transpose(image)
        out = io.BytesIO()
        upright.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def ours(photo: bytes) -> bytes:
    """Do it with the attachments."""
    resize = Resize(width=WIDTH, quality=QUALITY)
    return rewrite(io.BytesIO(photo), "image/jpeg", max_pixels=25_000_000, resize=resize).data


class Patient(Child):
    """A process that says nothing until all its turns are over."""

    _seconds = 300.0


WAYS: dict[str, Callable[[bytes], bytes]] = {BASELINE: by_hand, "pillow_again": by_hand, "rustforge": ours}


def make_photo(width: int) -> bytes:
    """Make an image that is about as hard to pack as a photo: large shapes, small ones, and noise."""
    height = width * 3 // 4
    large, small = (
        Image.effect_noise((width // size, height // size), 255 / size**0.5).resize((width, height)) for size in (64, 8)
    )
    grain = Image.effect_noise((width, height), 16)
    bands = [Image.blend(Image.blend(large, small, part), grain, 0.3) for part in (0.2, 0.4, 0.6)]
    out = io.BytesIO()
    Image.merge("RGB", bands).save(out, "JPEG", quality=92)
    return out.getvalue()


async def measure(scale: StorageScale, skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Let them take turns in a few processes; then weigh each in a process of its own."""
    options = {"count": scale.images, "width": scale.width}
    turns: list[dict[str, dict[str, float]]] = []
    for _ in count_rounds("Images", SECONDS, scale.processes, skipped):
        async with Patient("benchmarks.storage.images", **options) as child:
            turns += await child.result()
    memory: dict[str, list[int]] = {way: [] for way in WAYS}
    for _ in range(scale.processes):
        for way, found in memory.items():
            async with Patient("benchmarks.storage.images", way=way, **options) as child:
                found.append(await child.result())
    return [
        {
            "client": LABELS[way],
            "key": way,
            "milliseconds": centre([1000 * turn[way]["seconds"] for turn in turns], 1),
            "ratio": centre([turn[BASELINE]["seconds"] / turn[way]["seconds"] for turn in turns], 4),
            "cpu_ratio": centre([turn[BASELINE]["cpu"] / turn[way]["cpu"] for turn in turns], 4),
            "memory": summarise(memory[way]),
        }
        for way in WAYS
    ]


def work(*, count: int, width: int, way: str = "") -> list[dict[str, dict[str, float]]] | int:
    """In a child: measure the ways in turn, so many times; or tell by how many bytes one lets the process grow."""
    photo = make_photo(width)
    small = make_photo(80)
    if way:
        WAYS[way](small)
        before = resident.begin()
        WAYS[way](photo)
        return resident.most() - before
    assert len({do(photo) for do in WAYS.values()}) == 1, "the images differ"
    turns = []
    for number in range(count):
        turn = {}
        for name, do in [*WAYS.items()][:: -1 if number % 2 else 1]:
            began, cpu = perf_counter(), process_time()
            do(photo)
            turn[name] = {"seconds": perf_counter() - began, "cpu": process_time() - cpu}
        turns.append(turn)
    return turns
