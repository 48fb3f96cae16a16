"""Slots: where the files of an application's rows go, declared on its models and without a column there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.orm.attributes import instance_state

from rustforge.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rustforge.attachments.rules import AttachmentRules

__all__ = [
    "ManySlot",
    "Owner",
    "SingleSlot",
    "find_slot",
    "known_mappers",
    "many_slot",
    "owner_of",
    "owner_type_of",
    "single_slot",
    "slots_of",
    "text_of_key",
]

_declaring: WeakSet[type[Any]] = WeakSet()
_known: WeakKeyDictionary[type[Any], dict[str, SingleSlot | ManySlot]] = WeakKeyDictionary()


class _Slot:
    """What both kinds of slots have in common.

    Attributes:
        rules: Which files it takes.
        field: Its name on the model.
    """

    def __init__(self, rules: AttachmentRules) -> None:
        """Keep the rules; the name comes with the class."""
        self.rules: AttachmentRules = rules
        self.field: str = ""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        """Take the name of the attribute."""
        if self.field not in {"", name}:
            msg = f"{owner.__name__}.{name} is the slot {self.field!r} already: make one for each name"
            raise InvalidArgumentError(msg)
        self.field = name
        _declaring.add(owner)

    def __set__(self, instance: object, value: object) -> NoReturn:
        """Refuse an assignment, which nothing would store."""
        verb = "set" if isinstance(self, SingleSlot) else "add"
        msg = f"nothing is stored by assigning to {self.field!r}: await attachments.{verb}(owner, {self.field!r}, file)"
        raise AttributeError(msg)

    def __repr__(self) -> str:
        """Show the kind and the name."""
        return f"<{type(self).__name__} {self.field}>"


class SingleSlot(_Slot):
    """A slot that holds one file or none; made by [`single_slot`][rustforge.attachments.single_slot].

    Attributes:
        rules: Which files it takes.
        field: Its name on the model.
    """


class ManySlot(_Slot):
    """A slot that holds files in an order; made by [`many_slot`][rustforge.attachments.many_slot].

    Attributes:
        rules: Which files it takes.
        field: Its name on the model.
        max_count: How many files it holds at most; `None` for any number.
    """

    def __init__(self, rules: AttachmentRules, max_count: int | None = None) -> None:
        """Keep the rules and the bound."""
        if max_count is not None and max_count < 1:
            msg = f"max_count must be 1 or more, or None for any number, not {max_count!r}"
            raise InvalidArgumentError(msg)
        super().__init__(rules)
        self.max_count: int | None = max_count


def single_slot(rules: AttachmentRules) -> SingleSlot:
    """Declare a slot for one file on a model of SQLAlchemy; the model gets no column.

    Args:
        rules: Which files it takes.

    Returns:
        The slot, which [`Attachments`][rustforge.attachments.Attachments] works with.

    Example:
        ```python
        class Magazine(Base):
            __tablename__ = "magazines"

            id: Mapped[int] = mapped_column(primary_key=True)
            cover = single_slot(AttachmentRules(allowed=["image/*"]))
        ```
    """
    return SingleSlot(rules)


def many_slot(rules: AttachmentRules, *, max_count: int | None = None) -> ManySlot:
    """Declare a slot for any number of files, in an order, on a model of SQLAlchemy; the model gets no column.

    Args:
        rules: Which files it takes.
        max_count: How many at most; `None` for any number.

    Returns:
        The slot, which [`Attachments`][rustforge.attachments.Attachments] works with.

    Raises:
        InvalidArgumentError: `max_count` is below 1.

    Example:
        ```python
        class Album(Base):
            __tablename__ = "albums"

            id: Mapped[int] = mapped_column(primary_key=True)
            photos = many_slot(AttachmentRules(allowed=["image/*"]), max_count=100)
        ```
    """
    return ManySlot(rules, max_count)


# -- owners -----------------------------------------------------------------------------------------------------------


class Owner(NamedTuple):
    """A row that has files.

    Attributes:
        type: The name of its table.
        id: Its primary key as text.
        root: The mapper of that table.
        key: Its primary key as it is.
    """

    type: str
    id: str
    root: Mapper[Any]
    key: tuple[Any, ...]


def owner_of(instance: object) -> Owner:
    """Find out which row an object of the ORM stands for.

    Raises:
        InvalidArgumentError: It has no primary key yet, or was deleted.
        InvalidTypeError: It is no object of the ORM.
    """
    state = state_of(instance)
    if state.was_deleted or state.deleted:
        msg = f"this {type(instance).__name__} was deleted"
        raise InvalidArgumentError(msg)
    if state.identity is None:
        msg = f"this {type(instance).__name__} is in no session: session.add(...) it first"
        raise InvalidArgumentError(msg)
    root = root_of(state.mapper)
    return Owner(owner_type_of(root), text_of_key(state.identity), root, tuple(state.identity))


def state_of(instance: object) -> InstanceState[Any]:
    """Get what SQLAlchemy knows of an object."""
    if not isinstance(inspect(instance, raiseerr=False), InstanceState):
        msg = f"an owner must be an object of a mapped class, not {type(instance).__name__}"
        raise InvalidTypeError(msg)
    return instance_state(instance)


def root_of(mapper: Mapper[Any]) -> Mapper[Any]:
    """Find the mapper whose table has the primary keys of a class and of all that inherit its rows."""
    while mapper.inherits is not None and not mapper.concrete:
        mapper = mapper.inherits
    return mapper


def owner_type_of(mapper: Mapper[Any]) -> str:
    """Name the type of a class's rows: their table, with its schema where it has one."""
    return str(getattr(root_of(mapper).local_table, "fullname", mapper.class_.__name__))


def text_of_key(key: Sequence[Any]) -> str:
    """Write a primary key as text; one of several columns as a list in JSON."""
    parts = [part.hex() if isinstance(part, bytes) else str(part) for part in key]
    return parts[0] if len(parts) == 1 else json.dumps(parts, ensure_ascii=False)


# -- which slots there are --------------------------------------------------------------------------------------------


def slots_of(cls: type[Any]) -> dict[str, SingleSlot | ManySlot]:
    """List the slots of a class by their names, inherited ones included."""
    found = _known.get(cls)
    if found is None:
        names: dict[str, object] = {}
        for base in reversed(cls.__mro__):
            names |= vars(base)
        found = {name: slot for name, slot in sorted(names.items()) if isinstance(slot, (SingleSlot, ManySlot))}
        _known[cls] = found
    return found


def find_slot(cls: type[Any], slot: SingleSlot | ManySlot | str) -> SingleSlot | ManySlot:
    """Find a slot of a class, and refuse one of another class.

    Raises:
        InvalidArgumentError: The class has no such slot.
        InvalidTypeError: It is neither a slot nor a name.
    """
    if not isinstance(slot, (SingleSlot, ManySlot, str)):
        msg = f"slot must be a slot such as {cls.__name__}.cover, or its name, not {type(slot).__name__}"
        raise InvalidTypeError(msg)
    slots = slots_of(cls)
    name = slot if isinstance(slot, str) else slot.field
    found = slots.get(name)
    if found is None or (slot is not found and not isinstance(slot, str)):
        known = ", ".join(slots) or "none"
        msg = f"{cls.__name__} has no such slot {name!r}; its slots are: {known}"
        raise InvalidArgumentError(msg)
    return found


def known_mappers() -> dict[str, list[Mapper[Any]]]:
    """List the mapped classes of this process that have slots, by their type."""
    found: dict[str, list[Mapper[Any]]] = {}
    for cls in {cls for declaring in _declaring for cls in _with_subclasses(declaring)}:
        mapper: Mapper[Any] | None = inspect(cls, raiseerr=False)
        if mapper is not None:
            found.setdefault(owner_type_of(mapper), []).append(mapper)
    return found


def _with_subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    yield cls
    for subclass in cls.__subclasses__():
        yield from _with_subclasses(subclass)
