"""Envelopes and ids of jobs: what is written is read back, whatever it is, and no two ids are the same."""

from __future__ import annotations

import itertools
import os
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import JobDecodeError
from rustforge.jobs.envelope import Envelope, encode_body, enqueued_at, new_id

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "v": st.integers(2, 2**31),
        "p": st.sampled_from("hl"),
        "g": KEYS,
        "gh": st.just(1),
        "u": KEYS,
        "ul": st.integers(1, 2**40),
        "c": st.tuples(KEYS, st.integers(1, 2**31)).map(list),
        "r": st.tuples(KEYS, st.integers(1, 2**31), st.integers(1, 2**40)).map(list),
        "b": KEYS,
        "rs": st.integers(1, 2**40),
        "f": st.integers(0, 2**31),
    },
)
NAMES = st.from_regex(r"[A-Za-z0-9_.:/-]{1,50}", fullmatch=True)
PAYLOADS = st.binary(max_size=200).map(lambda raw: b"{" + raw.replace(b"\n", b"") + b"}")


@given(name=NAMES, payload=PAYLOADS, options=OPTIONS)
def test_a_body_is_read_back(name: str, payload: bytes, options: dict[str, object]) -> None:
    """Whatever the name, the payload and the options are."""
    written = Envelope("1", "default", name, payload, options)
    assert Envelope.parse("1", "default", written.body) == written
    assert written.body.count(b"\n") == 1


@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No body is an error of another kind, and what is taken as a job is written as one again."""
    try:
        found = Envelope.parse("1", "default", body)
    except JobDecodeError:
        return
    again = Envelope.parse("1", "default", encode_body(found.name, found.payload, found.options))
    assert again == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"name",
        b" \n{}",
        b"name [1]\n{}",
        b"name 1\n{}",
        b"name {\n{}",
        b"na\xffme\n{}",
        b'name {"a":"\xff"}\n{}',
        b'name {"v":"2"}\n{}',
        b'name {"v":true}\n{}',
        b'name {"f":"x"}\n{}',
        b'name {"g":7}\n{}',
        b'name {"g":null}\n{}',
        b'name {"u":[]}\n{}',
        b'name {"b":{}}\n{}',
        b'name {"rs":"x"}\n{}',
        b'name {"c":5}\n{}',
        b'name {"c":["k"]}\n{}',
        b'name {"r":["k",1]}\n{}',
    ],
)
def test_what_is_not_a_job_is_refused(body: bytes) -> None:
    """Also where only an option is of the wrong kind: what goes by it would fail later, and for ever."""
    with pytest.raises(JobDecodeError, match="not one that Rustforge wrote"):
        Envelope.parse("1", "default", body)


def test_a_body_without_options_is_short() -> None:
    """The name, a line break and the payload."""
    assert Envelope("1", "default", "name", b"{}").body == b"name\n{}"
    assert Envelope("1", "default", "name", b"{}", {"g": "ü"}).body == b'name {"g":"\\u00fc"}\n{}'


def test_ids_are_unique_and_sorted() -> None:
    """Ids of one process sort as they were made."""
    ids = [new_id() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert {len(one) for one in ids} == {24}
    turns = sum(second < first for first, second in itertools.pairwise(ids))
    assert turns <= 1, "the counter turned more than once"


def test_ids_are_unique_over_threads() -> None:
    """Threads share the counter."""
    made: list[list[str]] = [[] for _ in range(4)]

    def make(mine: list[str]) -> None:
        mine.extend(new_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for mine in made for one in mine}) == 20_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_ids_are_unique_over_forks() -> None:
    """A forked child has its parent's counter, and a number of its own."""
    reading, writing = os.pipe()
    children = 3
    for _ in range(children):
        if os.fork() == 0:
            os.write(writing, "".join(new_id() for _ in range(50)).encode())
            os._exit(0)
    mine = [new_id() for _ in range(50)]
    for _ in range(children):
        os.wait()
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    theirs = [text[index : index + 24] for index in range(0, len(text), 24)]
    assert len({*mine, *theirs}) == 50 * (children + 1)
    assert len({one[11:20] for one in theirs} | {mine[0][11:20]}) == children + 1


def test_the_time_of_enqueueing_is_in_the_id() -> None:
    """To the millisecond; what is no id of ours is as old as can be."""
    before = SYSTEM_CLOCK.time()
    found = enqueued_at(new_id()).timestamp()
    assert before - 0.001 <= found <= SYSTEM_CLOCK.time()
    for other in ("", "x", "job-1", "zzzzzzzzzzz"):
        assert enqueued_at(other) == datetime(1970, 1, 1, tzinfo=UTC)
    assert enqueued_at("f" * 24).year > 2400
