"""Values as JSON: what comes back is what went in, errors show no value, and the type is found where it is written."""

from __future__ import annotations

import asyncio  # noqa: TC003 - resolved at run time, as the next
import enum
import functools
import math
import traceback
import typing
import uuid
from collections import deque
from collections.abc import Awaitable, Coroutine  # noqa: TC003
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple
from unittest.mock import AsyncMock

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, Field, computed_field, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from rustforge import codec
from rustforge.codec import DecodeError, EncodeError, decode, encode, return_type
from rustforge.errors import InvalidTypeError

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

SECRET = "hunter2"


class Colour(enum.Enum):
    """An enumeration by value."""

    RED = "r"
    BLUE = 2


class Author(BaseModel):
    """A model inside of another."""

    name: str
    born: date | None = None


class Article(BaseModel):
    """Names that differ from their aliases, a computed field, and nested models."""

    article_id: int = Field(alias="articleId")
    title: str = Field(validation_alias=AliasChoices("title", "headline"), serialization_alias="Title")
    authors: list[Author] = []
    tags: frozenset[str] = frozenset()
    price: Decimal = Decimal(0)
    colour: Colour = Colour.RED

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        """Return what must not be stored."""
        return self.title.upper()


class Cat(BaseModel):
    """One side of a tagged union."""

    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    """The other side."""

    kind: Literal["dog"]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


@dataclass
class Point:
    """A plain dataclass."""

    x: int
    y: float = 0.0
    seen: set[int] = field(default_factory=set)


@checked_dataclass
class Checked:
    """A dataclass of pydantic."""

    when: datetime


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: str


class Row(TypedDict):
    """A typed dictionary."""

    id: uuid.UUID
    data: bytes


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(codec="utf-8"))
AUTHORS = st.builds(Author, name=TEXT, born=st.none() | st.dates())
VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, FLOATS),
    (str, TEXT),
    (bool, st.booleans()),
    (bytes, TEXT.map(str.encode)),
    (int | None, st.none() | st.integers()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (datetime, st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))),  # noqa: DTZ001
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas(timedelta(days=-9999), timedelta(days=9999))),
    (uuid.UUID, st.uuids()),
    (Colour, st.sampled_from(Colour)),
    (IPv4Address, st.ip_addresses(v=4)),
    (PurePosixPath, st.sampled_from(["/", "a/b", "ä"]).map(PurePosixPath)),
    (list[int], st.lists(st.integers())),
    (tuple[int, str], st.tuples(st.integers(), TEXT)),
    (set[str], st.sets(TEXT)),
    (deque[int], st.lists(st.integers()).map(deque)),
    (dict[int, list[str]], st.dictionaries(st.integers(), st.lists(TEXT))),
    (dict[date, float], st.dictionaries(st.dates(), FLOATS)),
    (Author, AUTHORS),
    (
        Article,
        st.builds(
            lambda number, title, authors, tags: Article(articleId=number, title=title, authors=authors, tags=tags),
            st.integers(),
            TEXT,
            st.lists(AUTHORS),
            st.frozensets(TEXT),
        ),
    ),
    (Pet, st.builds(Cat, kind=st.just("cat"), lives=st.integers()) | st.just(Dog(kind="dog"))),
    (Point, st.builds(Point, x=st.integers(), y=FLOATS, seen=st.sets(st.integers()))),
    (Checked, st.builds(Checked, when=st.datetimes(timezones=st.just(UTC)))),
    (Pair, st.builds(Pair, left=st.integers(), right=TEXT)),
    (Row, st.fixed_dictionaries({"id": st.uuids(), "data": TEXT.map(str.encode)})),
    (list[Pet | None], st.lists(st.none() | st.just(Dog(kind="dog")))),
]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])  # the first draw of dates reads all time zones
def test_round_trip_of_types(data: st.DataObject) -> None:
    """Whatever the type, its values come back equal and of the same class."""
    kind, strategy = data.draw(st.sampled_from(VALUES))
    value = data.draw(strategy)
    found = decode(encode(value), kind)
    assert found == value
    assert type(found) is type(value)


@given(PLAIN)
def test_round_trip_of_plain_json(value: Any) -> None:
    """Without a type, JSON comes back as JSON."""
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, b"null"),
        ({"a": 1}, b'{"a":1}'),
        ("ä", '"ä"'.encode()),
        (Author(name="A", born=date(2000, 1, 2)), b'{"name":"A","born":"2000-01-02"}'),
        ([Point(1), (2, 3)], b'[{"x":1,"y":0.0,"seen":[]},[2,3]]'),
        ({"NaN": "Infinity"}, b'{"NaN":"Infinity"}'),
    ],
)
def test_what_is_written(value: object, text: bytes) -> None:
    """The JSON is compact, has field names and no aliases; words such as NaN are text like any other."""
    assert encode(value) == text


def test_aliases_and_computed_fields_do_not_get_in_the_way() -> None:
    """Fields are written by name, computed ones not at all, and read by name or alias."""
    article = Article(articleId=1, headline="T")
    text = encode(article)
    assert b"articleId" not in text
    assert b"Title" not in text
    assert b"shout" not in text
    assert decode(text, Article) == article
    assert decode(b'{"articleId":1,"headline":"T"}', Article) == article


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "type object cannot be written as JSON"),
        ({"a": [open]}, "type dict cannot be written"),
        (math.nan, "NaN and infinity"),
        ([1.0, {"x": -math.inf}], "NaN and infinity"),
        ([math.nan, "NaN"], "NaN and infinity"),
        ("\ud800", "type str cannot be written"),
        (b"\xff", "type bytes cannot be written"),
    ],
)
def test_what_cannot_be_written(value: object, words: str) -> None:
    """What JSON cannot hold is refused, not bent into something else."""
    with pytest.raises(EncodeError, match=words):
        encode(value)


def test_a_value_inside_of_itself_cannot_be_written() -> None:
    """A cycle is an error and no endless loop."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(EncodeError):
        encode(cycle)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"{", None, "is not JSON"),
        (b"", None, "is not JSON"),
        (b"\xff", None, "is not JSON"),
        (f'"{SECRET}"'.encode(), int, "does not fit int: Input should be a valid integer"),
        (f'{{"name":["{SECRET}"]}}'.encode(), Author, "does not fit Author: name: Input should be a valid string"),
        (f'{{"{SECRET}":1}}'.encode(), dict[int, int], r"does not fit dict\[int, int\]: \*.\*: Input should be"),
        (f'{{"{SECRET}":"{SECRET}"}}'.encode(), dict[str, int], r"\*: Input should be a valid integer"),
        (f'[1,"{SECRET}"]'.encode(), list[int], r"does not fit list\[int\]: \*: Input should be a valid integer"),
        (f'{{"kind":"{SECRET}"}}'.encode(), Pet, "union_tag_invalid"),
        (f'{{"kind":"cat","lives":"{SECRET}"}}'.encode(), Pet, "cat.lives: Input should be a valid integer"),
        (f'"{SECRET}"'.encode(), uuid.UUID, "does not fit UUID: uuid_parsing"),
        (f'"{SECRET}"'.encode(), Literal["a"], "Input should be 'a'"),
        (f'"{SECRET}"'.encode(), pydantic.HttpUrl, "does not fit HttpUrl: url_parsing"),
        (b'{"articleId":"x","title":1}', Article, r"\(and 1 more\)"),
        (f'{{"authors":[{{"name":"","born":"{SECRET}"}}]}}'.encode(), dict[str, list[Author]], r"\*.\*.born"),
        (b"{", Author, "does not fit Author: Invalid JSON"),
        (b"[1, 2]", tuple[int], "does not fit tuple"),
    ],
)
def test_what_cannot_be_read(data: bytes, kind: Any, message: str) -> None:
    """The error says what does not fit and where, and never shows the value: neither it nor any exception behind it."""
    with pytest.raises(DecodeError, match=message) as caught:
        decode(data, kind)
    assert SECRET not in "".join(traceback.format_exception(caught.value, chain=True))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_validator_of_the_users_does_not_leak_either() -> None:
    """What a validator says may quote the value, so only its kind is shown."""

    class Picky(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def check(cls, value: str) -> str:
            msg = f"{value} is not good enough"
            raise ValueError(msg)

    with pytest.raises(DecodeError) as caught:
        decode(f'{{"name":"{SECRET}"}}'.encode(), Picky)
    assert str(caught.value) == "does not fit Picky: name: value_error"


def test_types_that_pydantic_does_not_know() -> None:
    """A type that cannot be read is named, at once and as a TypeError."""

    class Opaque:
        pass

    for _ in range(2):
        with pytest.raises(InvalidTypeError, match="type Opaque cannot be read from JSON"):
            decode(b"1", Opaque)
    with pytest.raises(InvalidTypeError, match="cannot be read"):
        decode(b"1", "Nowhere")


def test_unhashable_types() -> None:
    """An annotation that cannot be hashed works, only slower."""
    kind = Annotated[int, Field(gt=0), {"unhashable": []}]
    assert decode(b"3", kind) == 3
    with pytest.raises(DecodeError, match="greater than 0"):
        decode(b"-3", kind)


# -- return types ------------------------------------------------------------------------------------------------------


async def load_article() -> Article:
    """Return a model, by an annotation that is a string here."""
    raise NotImplementedError


def load_number(a: int, b: Fraction | None = None) -> int:
    """Return a number; another annotation names what exists for type checkers only."""
    return a + int(b or 0)


def nothing_said():  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Return whatever."""


async def none() -> None:
    """Return nothing."""


async def anything() -> Any:
    """Return whatever."""


def awaitable() -> Awaitable[list[Article]]:
    """Return an awaitable."""
    raise NotImplementedError


def coroutine() -> Coroutine[Any, Any, Article | None]:
    """Return a coroutine."""
    raise NotImplementedError


def future() -> asyncio.Future[int]:
    """Return a future."""
    raise NotImplementedError


def annotated() -> Annotated[int, "positive"]:
    """Return a number above zero."""
    return 1


class Loader:
    """Everything that a class can offer as a factory."""

    def __call__(self) -> Author:
        """Be called."""
        raise NotImplementedError

    async def method(self) -> Article:
        """Be a method."""
        raise NotImplementedError

    @classmethod
    def of_class(cls) -> dict[str, Article]:
        """Be a class method."""
        return {}

    @staticmethod
    def static() -> Point:
        """Be a static method."""
        return Point(1)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function, as decorators do."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


RETURN_TYPES: dict[str, tuple[Callable[..., Any], Any]] = {
    "async def": (load_article, Article),
    "def": (load_number, int),
    "partial": (functools.partial(load_number, 1), int),
    "partial of a partial": (functools.partial(functools.partial(load_number), 1, b=None), int),
    "nothing said": (nothing_said, None),
    "None": (none, None),
    "Any": (anything, None),
    "lambda": (lambda: 1, None),
    "Awaitable": (awaitable, list[Article]),
    "Coroutine": (coroutine, Article | None),
    "Future": (future, int),
    "Annotated": (annotated, Annotated[int, "positive"]),
    "callable object": (Loader(), Author),
    "method": (Loader().method, Article),
    "class method": (Loader.of_class, dict[str, Article]),
    "static method": (Loader.static, Point),
    "partial of a method": (functools.partial(Loader.method, Loader()), Article),
    "wrapper": (logged(load_article), Article),
    "wrapper of a wrapper": (logged(logged(load_number)), int),
    "wrapper of a method": (functools.partial(logged(Loader().method)), Article),
    "lru_cache": (functools.lru_cache(load_number), int),
    "mock": (AsyncMock(return_value=1), None),
    "class": (dict, None),
    "built-in": (print, None),
    "partial of a built-in": (functools.partial(max, 1), None),
}


@pytest.mark.parametrize("case", RETURN_TYPES)
def test_return_type(case: str) -> None:
    """The annotation is found through partials, wrappers, methods, callable objects and awaitables; twice the same."""
    function, expected = RETURN_TYPES[case]
    assert return_type(function) == expected
    assert return_type(function) == expected


def test_one_wrapper_around_two_functions() -> None:
    """Functions that one decorator wrapped keep types of their own, though they share the wrapper's code."""
    assert [return_type(logged(function)) for function in (load_number, load_article)] == [int, Article]


def test_one_function_made_with_two_types() -> None:
    """A function that is made anew for each type says that type each time, though its code is the same."""

    def make(kind: type) -> Callable[[], Any]:
        def load() -> kind:  # type: ignore[valid-type]
            return kind()  # type: ignore[no-any-return]

        def load_many() -> list[kind]:  # type: ignore[valid-type]
            return [kind()]

        return load if kind is not float else load_many

    assert [return_type(make(kind)) for kind in (int, str, int, float)] == [int, str, int, list[float]]
    scope: dict[str, Any] = {}
    without_strings = compile("def make(kind):\n def load() -> list[kind]: ...\n return load", "", "exec", 0, True)
    exec(without_strings, scope)
    assert [return_type(scope["make"](kind)) for kind in (int, str)] == [list[int], list[str]]


def test_local_types() -> None:
    """A type that a function body defines is found, and it is the one of this call."""

    def make() -> tuple[Callable[[], Any], type]:
        class Local(BaseModel):
            x: int = 0

        async def load() -> Local | None:
            return Local()

        return load, Local

    (first, first_type), (second, second_type) = make(), make()
    assert return_type(first) == first_type | None
    assert return_type(second) == second_type | None
    assert return_type(first) == first_type | None


def test_annotations_that_cannot_be_resolved() -> None:
    """A type that exists for type checkers only is an error: plain JSON in its place would be a lie."""

    def load() -> Fraction:
        raise NotImplementedError

    for function in (load, functools.partial(load)):
        with pytest.raises(InvalidTypeError, match=r"return annotation 'Fraction' of .*load\(\) cannot be resolved"):
            return_type(function)


def test_a_later_definition_is_found() -> None:
    """An annotation that names what comes later in the module is resolved once it is there."""
    scope: dict[str, Any] = {"__name__": "later"}
    exec("from __future__ import annotations\ndef load() -> Later: ...", scope)
    with pytest.raises(InvalidTypeError, match="Later"):
        return_type(scope["load"])
    exec("class Later: ...", scope)
    assert return_type(scope["load"]) is scope["Later"]


def test_a_later_local_type_is_found() -> None:
    """The same for a type that the function around defines after its factory."""

    def load() -> Later:
        return Later()

    with pytest.raises(InvalidTypeError, match="Later"):
        return_type(load)

    class Later(BaseModel):
        pass

    assert return_type(load) is Later


def test_the_memory_of_types_is_bounded() -> None:
    """Functions that come and go do not fill the memory."""
    for number in range(1100):
        scope: dict[str, Any] = {}
        exec(f"def load{number}() -> 'list[int]': ...", scope)
        assert return_type(scope[f"load{number}"]) == list[int]
    assert len(codec._return_types) <= 1024
