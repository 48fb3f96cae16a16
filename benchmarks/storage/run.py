"""Measure the storage and the attachments, and describe with what."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import machine
from benchmarks.part import measure_topics
from benchmarks.storage import images, uploads

if TYPE_CHECKING:
    from collections.abc import Collection

    from benchmarks.storage.scale import StorageScale

LIBRARIES = ("obstore", "moto", "pillow", "python-multipart", "uvicorn", "httptools", "uvloop")
TOPICS = {"storage-uploads": uploads.measure, "storage-images": images.measure}


async def measure(scale: StorageScale, topics: Collection[str] = tuple(TOPICS)) -> dict[str, Any]:
    """Measure topics one after the other.

    Args:
        scale: How much.
        topics: The names of the topics.
    """
    skipped: dict[str, str] = {}
    versions = machine.versions_of(*LIBRARIES)
    meta = machine.describe() | {
        "versions": versions,
        "server": f"moto {versions['moto']}",
        "scale": scale.name,
        "rounds": scale.rounds,
        "upload": scale.upload,
        "images": scale.processes * scale.images,
        "pixels": scale.width * (scale.width * 3 // 4),
    }
    measured = {name: partial(topic, scale, skipped) for name, topic in TOPICS.items()}
    return await measure_topics(measured, topics, meta, skipped)
