"""Attach files to the rows of an application, and read what is attached."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload
from urllib.parse import quote

from sqlalchemy import and_, func, insert, literal, not_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from rustforge.attachments.hooks import drop, remember
from rustforge.attachments.records import Attachment, attachment_of, lock_path
from rustforge.attachments.slots import ManySlot, Owner, SingleSlot, find_slot, owner_of, state_of
from rustforge.db.tables import attachments, utc_now
from rustforge.errors import AttachmentError, AttachmentRejectedError, InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement

    from rustforge.attachments.input import AttachmentInput
    from rustforge.storage import Storage
    from rustforge.types import Duration

__all__ = ["Attachments"]

OwnerT = TypeVar("OwnerT")
V_co = TypeVar("V_co", covariant=True)

_BATCH = 10_000
_table = attachments.c


class Attachments:
    """Attaches stored files to rows, within a transaction of the caller's.

    Everything it changes commits or rolls back with that transaction, and the storage follows: an object whose row is
    gone is removed after the commit, and a new object whose row never came is removed after the rollback.

    Writers of the same row take turns, so a slot for one file never holds two.

    Example:
        ```python
        file = await receive(ctx.storage, png, Book.cover.rules, owner="books", field="cover")
        async with ctx.db.transaction() as session:
            attachments = Attachments(session, ctx.storage)
            cover = await attachments.set(book, Book.cover, file)
            link = attachments.url(cover)
        ```
    """

    def __init__(
        self, session: AsyncSession, storage: Storage, *, cdn_base_url: str = "", expires: Duration = 300
    ) -> None:
        """Say within which transaction, and where the files are.

        Args:
            session: A session of SQLAlchemy, such as that of `ctx.db.transaction()`.
            storage: The storage, such as `ctx.storage`.
            cdn_base_url: What URLs begin with where a CDN or a public bucket serves the files; empty for signed URLs.
            expires: For how long a signed URL can be used, in seconds or as a `timedelta`.

        Raises:
            InvalidTypeError: The session is not one of SQLAlchemy with asyncio.
        """
        if not isinstance(session, AsyncSession):
            msg = f"session must be an AsyncSession of SQLAlchemy, not {type(session).__name__}"
            raise InvalidTypeError(msg)
        self._session = session
        self._storage = storage
        self._base = cdn_base_url.rstrip("/")
        self._expires = expires

    # Writing

    async def set(self, owner: object, slot: SingleSlot | str, file: AttachmentInput) -> Attachment:
        """Put a file into a slot for one, in place of the one that is there.

        Args:
            owner: The row. One that is new in the session is flushed first.
            slot: The slot or its name.
            file: What [`receive`][rustforge.attachments.receive] returned.

        Returns:
            What is attached now.

        Raises:
            AttachmentError: The row or the stored object is not there any more.
            InvalidArgumentError: The class has no such slot, it is one for many files, or the file was stored for
                another slot or is attached already.
        """
        place = await self._place(owner, slot, SingleSlot)
        meta = await self._take(place, file, elsewhere=not_(place.rows))
        await self._session.run_sync(drop, place.rows)
        return await self._insert(place, file, meta, 0)

    async def add(self, owner: object, slot: ManySlot | str, file: AttachmentInput) -> Attachment:
        """Put a file at the end of a slot for many.

        Args:
            owner: The row. One that is new in the session is flushed first.
            slot: The slot or its name.
            file: What [`receive`][rustforge.attachments.receive] returned.

        Returns:
            What was attached.

        Raises:
            AttachmentRejectedError: The slot is full; the reason is `too_many`.
            AttachmentError: The row or the stored object is not there any more.
            InvalidArgumentError: As for `set`.
        """
        place = await self._place(owner, slot, ManySlot)
        meta = await self._take(place, file, elsewhere=true())
        query = select(func.count(), func.coalesce(func.max(_table.position), -1)).where(place.rows)
        count, last = (await self._session.execute(query)).one()
        bound = place.slot.max_count if isinstance(place.slot, ManySlot) else None
        if bound is not None and count >= bound:
            text = "There can be at most {count} files here."
            raise AttachmentRejectedError(reason="too_many", text=text, field=place.slot.field, count=bound)
        return await self._insert(place, file, meta, last + 1)

    async def clear(self, owner: object, slot: SingleSlot | ManySlot | str) -> int:
        """Remove all files of a slot.

        Args:
            owner: The row.
            slot: The slot or its name.

        Returns:
            How many there were.
        """
        place = await self._place(owner, slot)
        await self._lock(place)
        return await self._session.run_sync(drop, place.rows)

    async def remove(self, attachment: Attachment) -> bool:
        """Remove one file.

        Args:
            attachment: As `get` or `all` returned it.

        Returns:
            Whether it was there.
        """
        return bool(await self._session.run_sync(drop, _table.id == attachment.id))

    async def reorder(self, owner: object, slot: ManySlot | str, ids: Sequence[str]) -> list[Attachment]:
        """Put the files of a slot into an order.

        Args:
            owner: The row.
            slot: The slot or its name.
            ids: The ids of all files of the slot, each once.

        Returns:
            The files in their new order.

        Raises:
            InvalidArgumentError: The ids are not those of the slot's files.
        """
        place = await self._place(owner, slot, ManySlot)
        await self._lock(place)
        there = {one.id: one for one in await self._read(place.rows)}
        if sorted(ids) != sorted(there):
            msg = f"reorder needs the ids of all {len(there)} files of {place.slot.field!r}, each once"
            raise InvalidArgumentError(msg)
        for position, one in enumerate(ids):
            if there[one].position != position:
                moved = update(attachments).where(_table.id == one)
                await self._session.execute(moved.values(position=position, updated_at=utc_now()))
        return await self._read(place.rows)

    # Reading

    async def get(self, owner: object, slot: SingleSlot | str) -> Attachment | None:
        """Read the file of a slot for one.

        Args:
            owner: The row.
            slot: The slot or its name.

        Returns:
            The file; `None` where there is none.
        """
        found = await self._read((await self._place(owner, slot, SingleSlot)).rows)
        return found[0] if found else None

    async def all(self, owner: object, slot: ManySlot | str) -> list[Attachment]:
        """Read the files of a slot for many, in their order.

        Args:
            owner: The row.
            slot: The slot or its name.
        """
        return await self._read((await self._place(owner, slot, ManySlot)).rows)

    @overload
    async def load(self, owners: Iterable[OwnerT], slot: SingleSlot) -> Mapping[OwnerT, Attachment | None]: ...
    @overload
    async def load(self, owners: Iterable[OwnerT], slot: ManySlot) -> Mapping[OwnerT, list[Attachment]]: ...
    @overload
    async def load(self, owners: Iterable[OwnerT], slot: str) -> Mapping[OwnerT, Any]: ...

    async def load(self, owners: Iterable[OwnerT], slot: SingleSlot | ManySlot | str) -> Mapping[OwnerT, Any]:
        """Read the files of many rows in one query.

        Args:
            owners: The rows.
            slot: The slot or its name.

        Returns:
            For each row what `get` or `all` would return. A row is found by its identity, so it need not be hashable.
        """
        places = [(owner, await self._place(owner, slot)) for owner in owners]
        found: dict[tuple[str, str], list[Attachment]] = {}
        for start in range(0, len(places), _BATCH):
            batch = [place for _, place in places[start : start + _BATCH]]
            of_owners = and_(
                _table.owner_type.in_({place.owner.type for place in batch}),
                _table.owner_id.in_({place.owner.id for place in batch}),
                _table.field == batch[0].slot.field,
            )
            for one in await self._read(of_owners):
                found.setdefault((one.owner_type, one.owner_id), []).append(one)
        return _ByIdentity([(owner, place.pick(found.get(place.owner[:2], []))) for owner, place in places])

    def url(self, attachment: Attachment | str) -> str:
        """Write the URL of a file.

        Args:
            attachment: The file, or its path. A path that is an `http:`, `https:` or `data:` URL already, as rows of
                the Rust edition may have, is returned as it is.

        Returns:
            Below the CDN's base URL where there is one, else a URL that is signed and expires.
        """
        path = attachment if isinstance(attachment, str) else attachment.path
        if path.startswith(("https://", "http://", "data:")):
            return path
        if self._base:
            return f"{self._base}/{quote(path)}"
        return self._storage.presign(path, self._expires)

    # Parts

    async def _place(self, owner: object, slot: SingleSlot | ManySlot | str, kind: type[Any] | None = None) -> _Place:
        """Find the slot, and the row, which gets its primary key if it has none yet."""
        state = state_of(owner)
        found = find_slot(type(owner), slot)
        if kind is not None and not isinstance(found, kind):
            holds, verbs = (
                ("one file", "set and get") if isinstance(found, SingleSlot) else ("many files", "add and all")
            )
            msg = f"{found.field!r} of {type(owner).__name__} holds {holds}: use {verbs}"
            raise InvalidArgumentError(msg)
        if state.pending:
            await self._session.flush()
        return _Place(owner_of(owner), found)

    async def _take(self, place: _Place, file: AttachmentInput, *, elsewhere: ColumnElement[bool]) -> str:
        """Check a file, and keep others from its object and its owner until the end of the transaction.

        Returns:
            Its `meta` as JSON.
        """
        prefix = f"{place.owner.type}/{place.slot.field}/"
        if not file.path.startswith(prefix):
            names = f"owner={place.owner.type!r}, field={place.slot.field!r}"
            msg = f"the file was stored for something else than {prefix[:-1]}: receive it with {names}"
            raise InvalidArgumentError(msg)
        try:
            meta = json.dumps(dict(file.meta), allow_nan=False)
        except (TypeError, ValueError) as error:
            msg = f"meta must be JSON: {error}"
            raise InvalidArgumentError(msg) from error
        remember(self._session, self._storage, file.path)
        await lock_path(self._session, file.path)
        if not await self._storage.exists(file.path):
            msg = "the stored file is not there any more, as a transaction with it was rolled back: receive it again"
            raise AttachmentError(msg)
        if await self._session.scalar(select(_table.id).where(_table.path == file.path, elsewhere)) is not None:
            msg = "the file is attached already, and a stored file belongs to one slot: receive it again for another"
            raise InvalidArgumentError(msg)
        await self._lock(place)
        return meta

    async def _lock(self, place: _Place) -> None:
        """Lock the owner's row, which keeps others from changing its files, and from deleting it."""
        root = place.owner.root
        is_owner = and_(*[column == value for column, value in zip(root.primary_key, place.owner.key, strict=True)])
        query = select(literal(1)).select_from(root.local_table).where(is_owner).with_for_update(key_share=True)
        if (await self._session.execute(query)).first() is None:
            msg = f"the row of {place.owner.type} is not there any more"
            raise AttachmentError(msg)

    async def _insert(self, place: _Place, file: AttachmentInput, meta: str, position: int) -> Attachment:
        row = insert(attachments).values(
            id=str(uuid.uuid4()),
            owner_type=place.owner.type,
            owner_id=place.owner.id,
            field=place.slot.field,
            single=isinstance(place.slot, SingleSlot),
            position=position,
            path=file.path,
            content_type=file.content_type,
            size=file.size,
            width=file.width,
            height=file.height,
            name=file.name,
            checksum=file.checksum,
            meta=meta,
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        return attachment_of((await self._session.execute(row.returning(attachments))).mappings().one())

    async def _read(self, which: ColumnElement[bool]) -> list[Attachment]:
        query = select(attachments).where(which).order_by(_table.position, _table.created_at, _table.id)
        return [attachment_of(row) for row in (await self._session.execute(query)).mappings()]


class _Place:
    """One slot of one row."""

    def __init__(self, owner: Owner, slot: SingleSlot | ManySlot) -> None:
        self.owner = owner
        self.slot = slot
        self.rows = and_(_table.owner_type == owner.type, _table.owner_id == owner.id, _table.field == slot.field)

    def pick(self, found: list[Attachment]) -> Any:
        """Give what the slot holds: one file or none, or a list."""
        return found if isinstance(self.slot, ManySlot) else found[0] if found else None


class _ByIdentity(Mapping[OwnerT, V_co]):
    """What belongs to objects, whether they can be hashed or not."""

    def __init__(self, pairs: Sequence[tuple[OwnerT, V_co]]) -> None:
        self._pairs = {id(key): (key, value) for key, value in pairs}

    def __getitem__(self, key: OwnerT) -> V_co:
        """Get what belongs to this very object."""
        return self._pairs[id(key)][1]

    def __iter__(self) -> Iterator[OwnerT]:
        """Give the objects."""
        return (key for key, _ in self._pairs.values())

    def __len__(self) -> int:
        """Count the objects."""
        return len(self._pairs)
