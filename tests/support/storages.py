"""The places where tests keep objects: a folder, this process, and a server that speaks S3."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from botocore.config import Config
from botocore.session import Session
from moto.server import ThreadedMotoServer

from rustforge.storage import Storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rustforge.storage import StorageConnecting

KINDS = ("file", "memory", "s3")
SECRET = "a secret of the tests, which is long enough"

_numbers = itertools.count(1)


class S3Server:
    """moto's server in a thread of its own, with a new bucket for whoever asks."""

    def __init__(self) -> None:
        """Start it on a free port."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # which logs every request
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.port: int = self._server.get_host_and_port()[1]
        self.client: Any = Session().create_client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(s3={"addressing_style": "path"}),
        )

    def __enter__(self) -> Self:
        """Give the server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.client.close()
        self._server.stop()

    def bucket(self) -> str:
        """Make a bucket."""
        name = f"bucket-{next(_numbers)}"
        self.client.create_bucket(Bucket=name)
        return name

    def url(self, bucket: str, port: int | None = None, options: str = "") -> str:
        """Name a prefix in a bucket, also by way of a proxy."""
        place = f"http://127.0.0.1:{port or self.port}"
        return f"s3://key:secret@{bucket}/shop/files?endpoint={place}&region=us-east-1{options}"


@dataclass(frozen=True)
class Place:
    """Where a test keeps objects.

    Attributes:
        kind: `"file"`, `"memory"` or `"s3"`.
        url: Its URL.
        server: The server, for `"s3"`.
    """

    kind: str
    url: str
    server: S3Server | None = None

    def connect(self, **options: Any) -> StorageConnecting:
        """Open a storage there."""
        return Storage.connect(self.url, **{"secret": SECRET, **options})

    @property
    def folder(self) -> Path:
        """The folder, for `"file"`."""
        return Path(self.url.removeprefix("file:"))

    @property
    def bucket(self) -> str:
        """The bucket, for `"s3"`."""
        return self.url.partition("@")[2].partition("/")[0]

    def leftovers(self) -> list[str]:
        """List what unfinished writes have left: drafts, descriptions of nothing, and uploads of parts."""
        if self.server is not None:
            uploads = self.server.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
            return [upload["Key"] for upload in uploads]
        if self.kind == "memory":
            return []
        own = self.folder / ".rustforge"
        files = [file for name in ("drafts", "about") for file in (own / name).rglob("*") if file.is_file()]
        return [str(file.relative_to(own)) for file in files if not _describes(file, own / "about", self.folder)]


def _describes(file: Path, notes: Path, folder: Path) -> bool:
    """Tell whether a file describes the version of an object that is there."""
    if notes not in file.parents:
        return False
    key, _, version = str(file.relative_to(notes)).rpartition("@")
    facts = (folder / key).stat() if (folder / key).exists() else None
    return facts is not None and version == f"{facts.st_mtime_ns:x}-{facts.st_size:x}"


def make_place(kind: str, folder: Path, server: S3Server | None) -> Place:
    """Make an empty place."""
    if server is not None:
        return Place(kind, server.url(server.bucket()), server)
    return Place(kind, f"file:{folder}" if kind == "file" else f"memory://{next(_numbers)}")


async def keys(storage: Storage, prefix: str = "") -> list[str]:
    """List the keys in their order."""
    return sorted([found.key async for found in storage.list(prefix)])


async def read(stream: AsyncIterator[bytes]) -> bytes:
    """Read a stream to its end."""
    return b"".join([piece async for piece in stream])
