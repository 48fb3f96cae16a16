"""The words of the pages: those of the glossary, written as it writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.prose import Terms, check

if TYPE_CHECKING:
    from pathlib import Path

TERMS = Terms(["Dead letter", "Fan-out", "Job"], ["Redis", "JSON"], {"back-off": "backoff", "task queue": "queue"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Dead letters, their fan-out, and Redis' JSON.", []),
        ("A dead-letter\nor deadletters.", [(1, "dead-letter", "dead letter"), (2, "deadletter", "dead letter")]),
        ("A long\ndead\n  letter, a Fan out.", [(3, "Fan out", "fan-out")]),
        ("Backoff, back off, back-offs.", [(1, "back off", "backoff"), (1, "back-off", "backoff")]),
        ("The task\nqueue of redis.", [(1, "task queue", "queue"), (2, "redis", "Redis")]),
        ("redis-py, redis.asyncio, problem+json, https://redis.io/json, redis://host", []),
        ("`redis`, ``a `redis` b``, [`x`](redis.md#json), [JSON][redis.json], <b id=json>, {: #json }", []),
        (
            "---\ntitle: redis\n---\n```python\nredis\n```\n<!--\nredis -->\n::: redis\n    json: 1\n\nredis",
            [(12, "redis", "Redis")],
        ),
        ("    Args:\n        json: The json.", [(2, "json", "JSON")]),
    ],
)
def test_words_are_found(text: str, found: list[tuple[int, str, str]]) -> None:
    """Words that are written otherwise are found by line, and code, links and names of packages are left alone."""
    assert list(TERMS.problems(text)) == found


def test_pages_and_docstrings_are_checked(tmp_path: Path) -> None:
    """Both are read, exceptions are granted in their place alone, and one that nothing needs is told."""
    for folder in ("docs/project", "docs/includes", "src"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docs/project/glossary.md").write_text("**Near cache, hit** { #near-cache }\n:   What is near.\n")
    exceptions = "".join(
        f'[[except]]\n{line}\nreason = "a test"\n'
        for line in (
            'file = "docs/index.md"\nword = "near-cache"',
            'file = "docs/index.md"\nword = "gone"',
            'word = "e-mail"',
        )
    )
    (tmp_path / "docs/includes/terms.toml").write_text(f'names = ["Redis"]\n[instead]\n"e-mail" = "mail"\n{exceptions}')
    (tmp_path / "docs/index.md").write_text("A near-cache.\n\nAn e-mail.\n")
    (tmp_path / "src/it.py").write_text(
        '"""One.\n\nA near-cache of redis.\n"""\n\ndef get():\n    """Get from redis."""\n'
    )
    assert check(tmp_path) == [
        'src/it.py:3: "near-cache": write "near cache"',
        'src/it.py:3: "redis": write "Redis"',
        'src/it.py:7: "redis": write "Redis"',
        'docs/includes/terms.toml: no "gone" in docs/index.md',
    ]


def test_the_pages_are_right() -> None:
    """No page and no docstring writes a word otherwise."""
    assert check() == []
