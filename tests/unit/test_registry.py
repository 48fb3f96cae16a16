"""The jobs that a worker knows: names, versions, payloads that do not fit."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from rustforge.errors import ConfigurationError, JobDecodeError
from rustforge.jobs import Job, JobContext, JobRegistry


class Mail(Job):
    """A job whose payload has changed twice."""

    NAME: ClassVar[str] = "mail"
    VERSION: ClassVar[int] = 3
    to: list[str]
    subject: str = Field(alias="title")

    async def handle(self, ctx: JobContext) -> None:
        """Do nothing."""

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 had one address, version 2 no subject."""
        if version < 2:
            data = {"to": [data["to"]]}
        return data | {"subject": "none"}


class Threaded(Job):
    """A job that runs in a thread."""

    NAME: ClassVar[str] = "threaded"

    def handle(self, ctx: JobContext) -> None:
        """Do nothing."""


class Unable(Job):
    """A job that cannot be run."""

    NAME: ClassVar[str] = "unable"


class Twin(Mail):
    """Another job of the same name."""


def test_classes_are_found_by_name() -> None:
    """And it is known which ones are coroutines."""
    registry = JobRegistry(Mail, Threaded)
    assert len(registry) == 2
    assert list(registry) == [Mail, Threaded]
    mail, threaded = registry.find("mail"), registry.find("threaded")
    assert mail is not None
    assert threaded is not None
    assert (mail.is_async, threaded.is_async) == (True, False)
    assert registry.find("other") is None
    registry.add(Mail)
    assert len(registry) == 2
    assert JobRegistry.of(registry) is registry
    assert list(JobRegistry.of([Mail])) == [Mail]


@pytest.mark.parametrize("other", [Unable, dict, "mail", None, Mail(to=[], title="x")])
def test_what_cannot_be_run_is_refused(other: Any) -> None:
    """When the worker is made, not when a job comes."""
    with pytest.raises(ConfigurationError):
        JobRegistry(other)


def test_two_classes_of_one_name_are_refused() -> None:
    """Which one would run?"""
    with pytest.raises(ConfigurationError, match="both have the NAME 'mail'"):
        JobRegistry(Mail, Twin)


def test_payloads_of_every_version_are_read() -> None:
    """Older ones by `upcast`, which may name fields as Python does."""
    known = JobRegistry(Mail).find("mail")
    assert known is not None
    expected = Mail(to=["a@b"], title="none")
    assert known.read(b'{"to":"a@b"}', 1) == expected
    assert known.read(b'{"to":["a@b"]}', 2) == expected
    assert known.read(b'{"to":["a@b"],"title":"none"}', 3) == expected


@pytest.mark.parametrize(
    ("payload", "version"),
    [
        (b"", 3),
        (b"{", 3),
        (b"null", 3),
        (b"[]", 3),
        (b'{"title":"secret"}', 3),
        (b'{"to":"secret","title":"secret"}', 3),
        (b"\xff", 3),
        (b"secret", 1),
        (b"{}", 1),
        (b"[]", 1),
        (b"[]", 2),
        (b'{"to":7}', 2),
        (b"\xff", 1),
        (b"[" * 100_000, 1),
        (b"[" * 100_000, 3),
    ],
)
def test_a_payload_that_does_not_fit(payload: bytes, version: int) -> None:
    """It is one kind of error, whatever is wrong, and its text does not hold the payload."""
    known = JobRegistry(Mail).find("mail")
    assert known is not None
    with pytest.raises(JobDecodeError) as caught:
        known.read(payload, version)
    assert "secret" not in str(caught.value)


@given(payload=st.binary(max_size=40), version=st.integers(-1, 3))
def test_any_payload_is_read_or_refused(payload: bytes, version: int) -> None:
    """Nothing else comes out of it."""
    known = JobRegistry(Mail).find("mail")
    assert known is not None
    try:
        found = known.read(payload, version)
    except JobDecodeError:
        return
    assert isinstance(found, Mail)


def test_parked_names() -> None:
    """A name, or a name with the version of the payload; whatever else stands there is known to nobody."""
    registry = JobRegistry(Mail)
    assert [registry.knows(name) for name in ("mail", "mail@2", "mail@3", "mail@4")] == [True, True, True, False]
    assert [registry.knows(name) for name in ("other", "other@1", "mail@x", "mail@", "", "@", "mail@3@1")] == [
        False,
        False,
        False,
        True,
        False,
        False,
        False,
    ]
