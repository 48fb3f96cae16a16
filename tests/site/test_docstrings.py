"""The examples in docstrings, which the reference pages show: each runs, and what its comments say is true."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import opentelemetry.metrics
import pytest
from prometheus_client import CollectorRegistry

from rustforge.cache import Cache
from tests.site.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Example:
    """A block of code in a docstring."""

    module: str
    owner: str
    code: str


def find_examples() -> Iterator[Example]:
    """Find every block of code in the docstrings of the library."""
    source = ROOT / "src"
    for file in sorted((source / "rustforge").rglob("*.py")):
        module = ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node) or ""
                for found in re.finditer(r"^( *)```(?:python|py)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
                    yield Example(module, getattr(node, "name", module), textwrap.dedent(found[2]))


EXAMPLES = list(find_examples())


def stand_ins(cache: Cache) -> dict[str, Any]:
    """Give what examples may use without saying where it comes from: the application around them."""

    async def build_report() -> str:
        """Build nothing."""
        return "done"

    return {
        "app": SimpleNamespace(cache=cache),
        "Article": dict[str, str] | None,
        "build_report": build_report,
        "cache": cache,
        "opentelemetry": opentelemetry,
        "prometheus_client": SimpleNamespace(REGISTRY=CollectorRegistry()),
    }


async def run(example: Example, names: dict[str, Any]) -> list[str]:
    """Run an example statement by statement; return what its comments say of a value and is not so."""
    wrong = []
    lines = example.code.splitlines()
    for statement in ast.parse(example.code).body:
        is_value = isinstance(statement, ast.Expr)
        tree = ast.Expression(statement.value) if isinstance(statement, ast.Expr) else ast.Module([statement], [])
        mode = "eval" if is_value else "exec"
        value = eval(compile(tree, example.owner, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        value = await value if inspect.iscoroutine(value) else value
        comment = lines[(statement.end_lineno or 0) - 1][statement.end_col_offset or 0 :].strip().removeprefix("#")
        try:
            said = ast.literal_eval(comment.strip())
        except (SyntaxError, ValueError):
            continue  # a comment in words
        if is_value and said != value:
            wrong.append(f"{ast.unparse(statement)} is {value!r}, not {said!r}")
    return wrong


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{one.module}.{one.owner}" for one in EXAMPLES])
async def test_examples_run(example: Example, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each example runs against a cache in this process, and gives the values that its comments say."""
    monkeypatch.chdir(tmp_path)
    code = re.sub(r'(connect\(\s*)"redis[^"]*"', r'\1"memory://"', example.code)
    async with Cache.connect("memory://") as cache:
        names = {**stand_ins(cache), **vars(importlib.import_module(example.module))}
        assert await run(Example(example.module, example.owner, code), names) == []


def test_a_wrong_comment_is_found() -> None:
    """A comment that says another value than the code gives does not pass."""
    example = Example("m", "f", "1 + 1  # 3\n1 + 1  # 2\n1 + 1  # in words")
    coroutine = run(example, {})
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value == ["1 + 1 is 2, not 3"]


def test_examples_are_fences() -> None:
    """No docstring has an example in another form, which nothing would run."""
    files = (ROOT / "src").rglob("*.py")
    assert [str(file) for file in files if re.search(r"^ *>>> ", file.read_text(), re.MULTILINE)] == []
