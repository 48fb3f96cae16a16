"""The benchmarks of the storage still run, and say what they should; how fast anything is, no test asks."""

from __future__ import annotations

from typing import Any

from benchmarks import resident
from benchmarks.goals import judge
from benchmarks.storage import run as storage
from benchmarks.storage.content import PIECE, pieces
from benchmarks.storage.goals import GOALS
from benchmarks.storage.report import make_tables
from benchmarks.storage.run import TOPICS, measure
from benchmarks.storage.scale import SCALES, TINY
from benchmarks.storage.uploads import PLACES, WAYS


async def test_uploads() -> None:
    """Files go to every place in every way, and each is compared with obstore."""
    results = await measure(TINY, ["storage-uploads"])
    assert [row["key"] for row in results["uploads"]] == [f"{way}.{place}" for place in PLACES for way in WAYS]
    assert all(row["megabytes_per_second"]["median"] > 0 for row in results["uploads"])
    assert all(row["memory"]["median"] >= 0 for row in results["uploads"])
    assert [row["ratio"]["median"] for row in results["uploads"] if row["key"].startswith("obstore")] == [1, 1]
    assert [outcome.goal.unit for outcome in judge(results, GOALS)] == [" MB"] * 2 + [" %"] * 2
    assert results["meta"]["skipped"] == {}


async def test_images() -> None:
    """The same image comes out of all ways, and is weighed."""
    results = await measure(TINY, ["storage-images"])
    assert [row["key"] for row in results["images"]] == ["pillow", "pillow_again", "rustforge"]
    assert all(row["milliseconds"]["median"] > 0 for row in results["images"])
    assert len([*judge(results, GOALS)]) == 1
    results["meta"]["command"] = "make bench"
    assert "Pillow by hand" in make_tables(results)["storage-images"]


def test_what_is_uploaded() -> None:
    """It has as many bytes as were asked for, and begins like what it says to be."""
    for size in (1, PIECE, 20 * PIECE + 7):
        content = b"".join(pieces(size))
        assert len(content) == size
        assert content.startswith(b"%PDF-1.7\n"[:size])


def test_memory_of_this_process() -> None:
    """What is held for a moment is in the most that was held."""
    before = resident.begin()
    held = bytearray(b"x" * (40 << 20))
    del held
    assert resident.most() - before > 30 << 20


def test_parts_that_were_not_measured() -> None:
    """Tables and goals come out of results that have none of the parts."""
    names = ("date", "cpu", "cores", "system", "python", "server", "command", "rounds", "upload", "images", "pixels")
    meta: dict[str, Any] = dict.fromkeys((*names, "took_seconds", "load_before", "load_after"), 1)
    meta |= {"skipped": {}, "versions": dict.fromkeys(storage.LIBRARIES), "scale": "tiny"}
    results: dict[str, Any] = {"meta": meta, "uploads": [], "images": []}
    assert list(judge(results, GOALS)) == []
    assert "quick look" in make_tables(results)["storage-summary"]
    assert sorted(SCALES) == ["full", "quick", "tiny"]
    assert {name.partition("-")[2] for name in TOPICS} == {"uploads", "images"}
