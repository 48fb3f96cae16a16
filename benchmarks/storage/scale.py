"""How much of the storage is measured: all of it, a quick look, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageScale:
    """The sizes of one run.

    Attributes:
        name: Kept with the results.
        upload: Bytes of an upload.
        rounds: How often everything is uploaded.
        processes: In how many processes the image is written anew.
        images: How often in each.
        width: The image's width in pixels; its height is three quarters of it.
    """

    name: str
    upload: int
    rounds: int
    processes: int
    images: int
    width: int


FULL = StorageScale(name="full", upload=1_000_000_000, rounds=3, processes=4, images=30, width=4_000)
QUICK = StorageScale(name="quick", upload=64_000_000, rounds=5, processes=2, images=15, width=4_000)
TINY = StorageScale(name="tiny", upload=10_000_000, rounds=1, processes=1, images=1, width=800)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TINY)}
