"""Objects as files in a folder.

Every step from the folder down to a file refuses links, so no key leads out of the folder, not even through a link
that is made meanwhile. An object is written to a temporary file, brought to the disk, and then named, so that it is
there as a whole or not at all. What its name does not tell lies in `.rustforge/about/`, in a file named after the
object's version: its time and size, which copies of the folder keep.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import InvalidArgumentError, ObjectExistsError, ObjectNotFoundError, StorageError
from rustforge.storage.keys import check_key
from rustforge.storage.objects import DEFAULT_TYPE, Description, StoredObject, type_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence

    from rustforge.clock import Clock

__all__ = ["LocalBackend"]

P = ParamSpec("P")

_OWN = ".rustforge"
_ABOUT = (_OWN, "about")
_DRAFTS = (_OWN, "drafts")
_KEY_FILE = "key"
_PIECE = 1 << 20
_BATCH = 1000
_STALE = 24 * 3600.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class LocalBackend:
    """Objects in a folder, which is made when it is first written to."""

    def __init__(self, root: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Say which folder; relative to the working directory of now."""
        self.root: Path = Path(os.path.abspath(root))  # noqa: PTH100 - links in it stay what they are
        self.clock = clock

    async def open(self) -> None:
        """Make the folder, and remove what killed processes left in it."""
        await asyncio.to_thread(self._sweep)

    async def put(self, key: str, parts: AsyncIterator[bytes], what: Description, *, overwrite: bool) -> StoredObject:
        """Write a temporary file, then name it."""
        draft = _Draft(self, key)
        try:
            waiting = bytearray()
            async for part in parts:
                waiting += part
                if len(waiting) >= _PIECE:
                    await draft.run(draft.write, waiting)
                    waiting = bytearray()
            await draft.run(draft.publish, waiting, what, overwrite)
        finally:
            if not draft.published:
                await draft.run(draft.discard)
        return StoredObject(
            key, draft.size, what.content_type, draft.modified, draft.version, what.metadata, what.disposition
        )

    async def head(self, key: str) -> StoredObject:
        """Describe a file."""
        return await asyncio.to_thread(self._head, key)

    async def stream(self, key: str, start: int, end: int | None, etag: str | None = None) -> AsyncIterator[bytes]:
        """Read a file in pieces of 1 MiB."""
        opening = asyncio.ensure_future(asyncio.to_thread(self._open, key))
        try:
            file = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise
        try:
            if etag not in {None, _version(os.fstat(file))}:
                raise ObjectNotFoundError(key)
            while (wanted := _PIECE if end is None else min(_PIECE, end - start)) > 0:
                piece = await asyncio.to_thread(os.pread, file, wanted, start)
                if not piece:
                    break
                yield piece
                start += len(piece)
        finally:
            os.close(file)

    async def get(self, key: str) -> bytes:
        """Read a whole file."""
        return await asyncio.to_thread(self._get, key)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove files."""
        await asyncio.to_thread(self._delete, keys)

    async def copy(self, source: str, target: str) -> None:
        """Write the same bytes again."""
        found = await self.head(source)
        what = Description(found.content_type or DEFAULT_TYPE, found.disposition or "attachment", found.metadata)
        try:
            await self.put(target, self.stream(source, 0, None, found.etag), what, overwrite=True)
        except ObjectNotFoundError:  # it is gone, or was replaced between
            await self.copy(source, target)

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Walk through the folders, in the order of the names."""
        walk = self._walk(prefix)
        while batch := await asyncio.to_thread(lambda: [*islice(walk, _BATCH)]):
            for found in batch:
                yield found

    def secret(self) -> str:
        """Read the folder's own key for signatures; the first process makes it, and only its user may read it."""
        try:
            with self.inside((_OWN,), make=True) as folder:
                with contextlib.suppress(FileNotFoundError):
                    return _text_of(_KEY_FILE, folder)
                draft = secrets.token_hex(16)
                _write(draft, secrets.token_hex(32), folder)
                with contextlib.suppress(FileExistsError):  # another process was first
                    os.link(draft, _KEY_FILE, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                os.unlink(draft, dir_fd=folder)
                os.fsync(folder)
                return _text_of(_KEY_FILE, folder)
        except OSError as error:
            msg = f"the key for signatures in {self.root / _OWN} cannot be used: {error.strerror}"
            raise StorageError(msg) from error

    @contextlib.contextmanager
    def inside(self, names: Sequence[str], *, make: bool = False) -> Generator[int]:
        """Open a folder from the root down, through no link."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                try:
                    below = os.open(name, _FOLDER, dir_fd=folder)
                except FileNotFoundError:
                    if not make:
                        raise
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700 if name == _OWN else 0o777, dir_fd=folder)
                        os.fsync(folder)
                    below = os.open(name, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def alone(self) -> Generator[int]:
        """Open the folder of drafts; nobody else, in whatever process, names or removes an object meanwhile."""
        with self.inside(_DRAFTS, make=True) as drafts:
            fcntl.flock(drafts, fcntl.LOCK_EX)
            yield drafts

    def forget(self, key: str, version: str) -> None:
        """Remove the description of a version that is gone."""
        *folders, name = key.split("/")
        with contextlib.suppress(OSError), self.inside((*_ABOUT, *folders)) as folder:
            os.unlink(f"{name}@{version}", dir_fd=folder)

    def _open(self, key: str) -> int:
        """Open an object's file for reading."""
        *folders, name = key.split("/")
        try:
            with self.inside(folders) as folder:
                file = os.open(name, _READ, dir_fd=folder)
        except OSError as error:
            if error.errno in _ABSENT:
                raise ObjectNotFoundError(key) from None
            raise _refused(error, key) from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise ObjectNotFoundError(key)
        return file

    def _get(self, key: str) -> bytes:
        with os.fdopen(self._open(key), "rb") as file:
            return file.read()

    def _facts(self, key: str) -> os.stat_result:
        with os.fdopen(self._open(key), "rb") as file:
            return os.fstat(file.fileno())

    def _head(self, key: str) -> StoredObject:
        facts = self._facts(key)
        while (what := self._about(key, _version(facts))) is None:
            again = self._facts(key)
            if _version(again) == _version(facts):
                what = _derived(key)
                break
            facts = again  # it was replaced meanwhile, and the description that belonged to it is gone
        return _stored(key, facts, what)

    def _about(self, key: str, version: str) -> Description | None:
        *folders, name = key.split("/")
        try:
            with self.inside((*_ABOUT, *folders)) as folder:
                return Description(**json.loads(_text_of(f"{name}@{version}", folder)))
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise _refused(error, key) from error

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._delete_one(key)

    def _delete_one(self, key: str) -> None:
        *folders, name = key.split("/")
        try:
            with self.inside(folders) as folder, self.alone():
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not stat.S_ISREG(facts.st_mode):
                    return
                os.unlink(name, dir_fd=folder)
        except OSError as error:
            if error.errno in _ABSENT:
                return
            raise _refused(error, key) from error
        self.forget(key, _version(facts))

    def _walk(self, prefix: str) -> Iterator[StoredObject]:
        above = prefix.split("/") if prefix else []
        try:
            with self.inside(above) as folder:
                names = sorted(os.listdir(folder))  # noqa: PTH208 - of an open folder
        except OSError as error:
            if error.errno in _ABSENT:
                return
            raise _refused(error, prefix) from error
        for name in names:
            key = "/".join([*above, name])
            with contextlib.suppress(ObjectNotFoundError, InvalidArgumentError):
                check_key(key)  # what others put there, and our own folder, are no objects
                try:
                    yield _stored(key, self._facts(key), None)
                except ObjectNotFoundError:
                    yield from self._walk(key)

    def _sweep(self) -> None:
        """Remove drafts of processes that were killed."""
        oldest = self.clock.time() - _STALE
        try:
            with self.inside(_DRAFTS, make=True) as folder:
                for name in os.listdir(folder):  # noqa: PTH208 - of an open folder
                    with contextlib.suppress(FileNotFoundError):
                        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime < oldest:
                            os.unlink(name, dir_fd=folder)
        except OSError as error:
            msg = f"the folder {self.root} cannot be used: {error.strerror}"
            raise StorageError(msg) from error


class _Draft:
    """An object that is being written."""

    def __init__(self, backend: LocalBackend, key: str) -> None:
        self._backend = backend
        self._key = key
        self._name = secrets.token_hex(16)
        self._file = -1
        self._cancelled = False
        self.published = False
        self.size = 0
        self.version = ""
        self.modified = datetime.fromtimestamp(0, UTC)

    async def run(self, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Take a step in a thread; nobody goes on before it has ended, not even who is cancelled."""
        work = asyncio.ensure_future(asyncio.to_thread(step, *args, **kwargs))
        try:
            await asyncio.shield(work)
        except OSError as error:
            raise _refused(error, self._key) from error
        except asyncio.CancelledError:
            self._cancelled = True
            while not work.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([work])
            work.exception()
            raise

    def write(self, piece: bytes | bytearray) -> None:
        """Append bytes."""
        if self._file < 0:
            with self._backend.inside(_DRAFTS, make=True) as drafts:
                self._file = os.open(self._name, _CREATE, 0o666, dir_fd=drafts)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def publish(self, piece: bytes | bytearray, what: Description, overwrite: bool) -> None:  # noqa: FBT001
        """Append the last bytes, bring everything to the disk, and give the object its name."""
        self.write(piece)
        # Microseconds of the clock, and random nanoseconds: kernels stamp files that are written at once alike.
        moment = round(self._backend.clock.time() * 1_000_000) * 1000 + secrets.randbelow(1000)
        os.utime(self._file, ns=(moment, moment))
        os.fsync(self._file)
        facts = os.fstat(self._file)
        self.size, self.version, self.modified = facts.st_size, _version(facts), _modified(facts)
        *folders, name = self._key.split("/")
        described = what == _derived(self._key)
        if not described:
            with self._backend.inside((*_ABOUT, *folders), make=True) as about:
                _write(f"{name}@{self.version}", json.dumps(asdict(what)), about)
                os.fsync(about)
        before: str | None = None
        try:
            with self._backend.inside(folders, make=True) as folder, self._backend.alone() as drafts:
                with contextlib.suppress(FileNotFoundError):
                    before = _version(os.stat(name, dir_fd=folder, follow_symlinks=False))
                if self._cancelled:
                    return
                if overwrite:
                    os.replace(self._name, name, src_dir_fd=drafts, dst_dir_fd=folder)
                else:
                    os.link(self._name, name, src_dir_fd=drafts, dst_dir_fd=folder, follow_symlinks=False)
                    os.unlink(self._name, dir_fd=drafts)
                self.published = True
                os.fsync(folder)
        except FileExistsError:
            if overwrite:
                raise
            raise ObjectExistsError(self._key) from None
        finally:
            os.close(self._file)
            self._file = -1
            if self.published and before is not None:
                self._backend.forget(self._key, before)
            elif not self.published and not described:
                self._backend.forget(self._key, self.version)

    def discard(self) -> None:
        """Leave nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        with contextlib.suppress(OSError), self._backend.inside(_DRAFTS) as drafts:
            os.unlink(self._name, dir_fd=drafts)


def _close(opened: asyncio.Future[int]) -> None:
    """Close a file that nobody waits for any more."""
    if not opened.cancelled() and opened.exception() is None:
        os.close(opened.result())


def _write(name: str, text: str, folder: int) -> None:
    """Make a small file that only its user may read, and bring it to the disk."""
    file = os.open(name, _CREATE, 0o600, dir_fd=folder)
    try:
        os.write(file, text.encode())
        os.fsync(file)
    finally:
        os.close(file)


def _text_of(name: str, folder: int) -> str:
    with os.fdopen(os.open(name, _READ, dir_fd=folder), encoding="utf-8") as file:
        return file.read()


def _version(facts: os.stat_result) -> str:
    return f"{facts.st_mtime_ns:x}-{facts.st_size:x}"


def _modified(facts: os.stat_result) -> datetime:
    return datetime.fromtimestamp(facts.st_mtime_ns // 1000 / 1_000_000, UTC)


def _derived(key: str) -> Description:
    """Describe a file by its name, as we do for most that we wrote, and for all that others did."""
    return Description(type_of(key))


def _stored(key: str, facts: os.stat_result, what: Description | None) -> StoredObject:
    size, modified, version = facts.st_size, _modified(facts), _version(facts)
    if what is None:
        return StoredObject(key, size, None, modified, version)
    return StoredObject(key, size, what.content_type, modified, version, what.metadata, what.disposition)


def _refused(error: OSError, key: str) -> StorageError:
    if error.errno in {errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EEXIST}:
        return StorageError(
            f"the object {key!r} cannot be stored: a file, a folder or a link of this name is in its way"
        )
    return StorageError(f"the folder of the storage cannot be used for {key!r}: {error.strerror}")
