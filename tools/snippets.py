"""Hold the rule that pages have no code of their own: every block is a file that runs, or of a kind that is checked.

python -m tools.snippets run      # run every file of examples/snippets and keep what it prints beside it, as <name>.out
python -m tools.snippets check    # run them again, compare, and check every block of every page
python -m tools.snippets compare  # only run them again and compare

A page shows a file, or a section of one (`# --8<-- [start:write]` to `# --8<-- [end:write]`), and what it printed:

    ```python
    --8<-- "caching/remember.py:write"
    ```

    ```text title="Output"
    --8<-- "caching/remember.out"
    ```

Exchanges over HTTP are `http` blocks that show sections of what tools/exchanges.py sends and keeps. A `js` block shows
a section of a file that a test of the site runs in a browser. A `console` block that shows what commands print is a
section of a `.console` file, whose answers a test compares.
Other blocks are checked by a parser of their kind: see `CHECKS`.
README.md and its like are read without the site, so their blocks are copies: the same as some file or section.
Python in docstrings is run by a test of its own, tests/site/test_docstrings.py.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import tree_sitter
import tree_sitter_php
import yaml  # type: ignore[import-untyped] # its stubs are a package of their own

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 30
"""How long a snippet may take."""

_FENCE = re.compile(r"^(?P<indent>[ \t>]*)(?P<ticks>`{3,}|~{3,}) *(?P<info>[^`]*)$")
_PHP = tree_sitter.Language(tree_sitter_php.language_php_only())
_INCLUDE = re.compile(r'^-+8<-+ +"(?P<path>[^":]+)(?::(?P<section>[a-z][\w-]*)|(?P<lines>(?::\d*){1,2}))?"$')
_MARKER = re.compile(r"^.*-8<-+ +\[(?P<edge>start|end):(?P<name>[a-z][\w-]*)\].*\n?", re.MULTILINE)


_PRE = re.compile(r"<pre[^>]*>(.*?)</pre>", re.DOTALL)
_OF_THE_REFERENCE = re.compile(
    r'<div class="[\w -]*doc-signature[\w -]*">.*?</pre>|<details class="mkdocstrings-source">.*?</details>', re.DOTALL
)


class Kind(StrEnum):
    """How it is proven that a block is right."""

    EXECUTED = "executed"
    OUTPUT = "captured output"
    EXCHANGE = "captured exchange"
    PARSED = "parsed"


class BlockError(Exception):
    """A block breaks the rule; the message says how."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    title: str
    body: str


@dataclass(frozen=True)
class Proof:
    """A block that was checked.

    Attributes:
        block: The block.
        kind: How.
        text: What readers see.
    """

    block: Block
    kind: Kind
    text: str


def find_blocks(page: Path) -> Iterator[Block]:
    """Find the fenced blocks of a page, or of the docstrings of a module, also inside lists, tabs and quotes."""
    opened: tuple[str, str, str, int] | None = None
    body: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line) if "``" in line or "~~" in line else None
        if opened is None and fence:
            language = re.match(r"\{? *\.?([\w+-]*)", fence["info"])
            title = re.search(r'title="([^"]*)"', fence["info"])
            opened, body = (fence["ticks"], language[1] if language else "", title[1] if title else "", number), []
        elif opened and fence and fence["ticks"].startswith(opened[0]) and not fence["info"].strip():
            yield Block(page, opened[3], opened[1], opened[2], textwrap.dedent("\n".join(body)))
            opened = None
        else:
            body.append(line.lstrip("> ") if line.lstrip().startswith(">") else line)
    if opened:
        msg = f"{page}:{opened[3]}: the block does not end"
        raise BlockError(msg)


@cache
def read_sections(text: str) -> dict[str, str]:
    """Read the sections of a file, each without the markers in it and without its common indentation.

    Raises:
        BlockError: A section starts or ends more or less than once.
    """
    markers = Counter((match["name"], match["edge"]) for match in _MARKER.finditer(text))
    names = dict.fromkeys(name for name, _ in markers)  # in the order in which they stand
    if wrong := sorted(name for name in names for edge in ("start", "end") if markers[name, edge] != 1):
        msg = f"sections must start once and end once: {', '.join(wrong)}"
        raise BlockError(msg)
    edges = {(match["name"], match["edge"]): match.span() for match in _MARKER.finditer(text)}
    between = {name: text[edges[name, "start"][1] : edges[name, "end"][0]] for name in names}
    return {name: textwrap.dedent(_MARKER.sub("", part)).strip("\n") for name, part in between.items()}


def check_prompts(body: str) -> None:
    """Check commands, each after `$ ` or none; what they print is shown from a `.console` file only."""
    lines = body.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", "> "))]
    if commands and len(commands) != len([line for line in lines if line.strip()]):
        msg = "what commands print is shown from a .console file of examples/, which a test compares"
        raise BlockError(msg)
    check_shell("\n".join(commands) or body)


def check_shell(body: str) -> None:
    """Check the grammar of shell commands, which are not run."""
    checked = subprocess.run(["bash", "-n"], input=body, capture_output=True, text=True, check=False)
    if checked.returncode:
        raise BlockError(checked.stderr.strip())


def check_dotenv(body: str) -> None:
    """Check that each line is a name and a value, a comment, or empty."""
    for line in body.splitlines():
        if not re.fullmatch(r"\s*(#.*|(export )?[A-Z][A-Z0-9_]*=.*)?", line):
            msg = f"neither NAME=value nor a comment: {line}"
            raise BlockError(msg)


def check_php(body: str) -> None:
    """Check the grammar of PHP, which is not run."""
    if tree_sitter.Parser(_PHP).parse(body.encode()).root_node.has_error:
        msg = "the grammar of PHP has no such text"
        raise BlockError(msg)


CHECKS: dict[str, Callable[[str], object]] = {
    "bash": check_shell,
    "console": check_prompts,
    "dotenv": check_dotenv,
    "ini": lambda body: configparser.ConfigParser().read_string(body),
    "jinja": jinja2.Environment().parse,  # noqa: S701 - nothing is filled in
    "json": json.loads,
    "php": check_php,
    "toml": tomllib.loads,
    "yaml": lambda body: list(yaml.safe_load_all(body)),
}


_SHOWN = {
    "python": (Kind.EXECUTED, ".py"),
    "text": (Kind.OUTPUT, ".out"),
    "http": (Kind.EXCHANGE, ".http"),
    "js": (Kind.EXECUTED, ".js"),
}
"""Blocks that show nothing but files of `examples/`, with their suffix."""

PROVEN_BY = {
    "examples/client/*": "tests/acceptance/test_generated_client.py",
    "examples/peers/*/*.out": "tests/site/test_peers.py",
    "examples/peers/*/*.py": "tests/site/test_peers.py",
    "examples/shop/**/*.py": "examples/shop/tests/conftest.py",
    "examples/snippets/*/*.http": "tests/integration/test_exchanges.py",
    "examples/snippets/*/*.out": "tests/site/test_snippets.py",
    "examples/snippets/*/*.py": "tests/site/test_snippets.py",
    "examples/snippets/cookbook/redis.console": "tests/integration/test_shop.py",
    "examples/snippets/realtime/*.js": "tests/site/test_realtime_page.py",
}
"""What runs the files that pages show."""


class Project:
    """The pages and the snippets of a working copy."""

    def __init__(self, root: Path = ROOT) -> None:
        """Find them; what is wrong with a snippet's sections is raised here."""
        self.root = root
        self.snippets = root / "examples" / "snippets"
        self.scripts = sorted(self.snippets.glob("*/*.py"))
        self.pages = sorted((root / "docs").rglob("*.md"))
        self.copies = sorted([*root.glob("*.md"), *root.glob("examples/*/README.md")])
        self.modules = sorted((root / "src").rglob("*.py"))
        self.proven = {file for pattern in PROVEN_BY for file in root.glob(pattern)}
        self._used: set[Path] = set()
        self._shown: set[Path] = set()
        self._parse = True

    # Running

    def run(self, script: Path) -> str:
        """Run a snippet as a reader would, in an empty folder, and return what it prints.

        Raises:
            BlockError: It failed, or left something undone that Python complains of.
        """
        keep = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"} or name.startswith("COV")}
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-W", "error", str(script)]
            env = {**keep, "HOME": folder, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
            try:
                done = subprocess.run(
                    command, cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
                )
            except subprocess.TimeoutExpired as error:
                msg = f"{self._name(script)}: not done after {SECONDS} seconds"
                raise BlockError(msg) from error
        if done.returncode or "Exception ignored" in done.stderr:
            msg = f"{self._name(script)}: exit code {done.returncode}\n{done.stderr}"
            raise BlockError(msg)
        return done.stdout

    def run_all(self) -> dict[Path, str | BlockError]:
        """Run every snippet, several at a time; give what each printed, or why it failed."""

        def attempt(script: Path) -> str | BlockError:
            try:
                return self.run(script)
            except BlockError as error:
                return error

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(self.scripts, pool.map(attempt, self.scripts), strict=True))

    # Checking

    def problems_of_runs(self) -> list[str]:
        """Run every snippet and say where what it prints is not what is kept beside it."""
        problems = []
        results = self.run_all()
        for script, result in results.items():
            kept = script.with_suffix(".out")
            if isinstance(result, BlockError):
                problems.append(str(result))
            elif result != (kept.read_text() if kept.exists() else ""):
                problems.append(f"{self._name(script)}: prints something else than {kept.name} says:\n{result}")
        stale = (kept for kept in self.snippets.glob("*/*.out") if kept.with_suffix(".py") not in results)
        return problems + [f"{self._name(kept)}: there is no such .py file" for kept in sorted(stale)]

    def problems_of_pages(self, *, parse: bool = True) -> tuple[list[str], list[Proof]]:
        """Check every block of every page and docstring, and that every snippet is shown.

        Args:
            parse: Whether the parsers run, too; it is quicker without them.

        Returns:
            What is wrong, and the blocks that are right.
        """
        problems: list[str] = []
        proofs: list[Proof] = []
        self._used.clear()
        self._parse = parse
        for blocks, check in self._sources():
            self._shown = set()
            try:
                for block in blocks:
                    try:
                        proofs.append(check(block))
                    except BlockError as error:
                        problems.append(f"{self._name(block.page)}:{block.line}: {error}")
            except BlockError as error:
                problems.append(str(error))
            alone = sorted(path for path in self._shown if path.suffix == ".out")
            problems += [
                f"{self._name(path)}: a page shows it without the script that prints it"
                for path in alone
                if path.with_suffix(".py") not in self._shown
            ]
            self._used |= self._shown
        problems += [f"{self._name(script)}: no page shows it" for script in self.scripts if script not in self._used]
        return problems, proofs

    def _sources(self) -> Iterator[tuple[Iterator[Block], Callable[[Block], Proof]]]:
        """Give the blocks of each page, and how they are checked."""
        yield from ((find_blocks(page), self._check_block) for page in self.pages)
        yield from ((find_blocks(page), self._check_copy) for page in self.copies)
        yield from ((find_blocks(module), self._check_docstring) for module in self.modules)

    def _check_block(self, block: Block) -> Proof:
        """Check a block of a page."""
        lines = block.body.splitlines()
        includes = [_INCLUDE.match(line.strip()) for line in lines]
        kind, suffix = _SHOWN.get(block.language, (Kind.PARSED, ""))
        if block.language == "console" and re.search(r'\.console[":]', block.body):
            kind, suffix = Kind.OUTPUT, ".console"
        typed = [line for include, line in zip(includes, lines, strict=True) if not include and line.strip()]
        if suffix and (typed or not any(includes)):
            msg = f'a {block.language} block holds nothing but lines such as --8<-- "page/file{suffix}"'
            raise BlockError(msg)
        text = ("\n\n" if suffix else "\n").join(  # sections with a blank line between
            self._resolve(include, suffix) if include else line for include, line in zip(includes, lines, strict=True)
        )
        if not suffix:
            self._check_parsed(block.language, text)
            if block.title == "Output":
                msg = "what stands below 'Output' is shown from a file that keeps what was printed"
                raise BlockError(msg)
        return Proof(block, kind, text)

    def _check_copy(self, block: Block) -> Proof:
        """Check a block of a file that is read without the site, such as README.md."""
        kind, suffix = _SHOWN.get(block.language, (Kind.PARSED, ""))
        if not suffix:
            self._check_parsed(block.language, block.body)
            return Proof(block, kind, block.body)
        for script in self.scripts:
            shown = script.with_suffix(suffix)
            text = shown.read_text() if shown.exists() else ""
            parts = [_MARKER.sub("", text), *(read_sections(text).values() if suffix == ".py" else ())]
            if block.body.strip() and block.body.strip("\n") in [part.strip("\n") for part in parts]:
                self._shown |= {script, shown}
                return Proof(block, kind, block.body)
        msg = f"no file or section in {self._name(self.snippets)} is the same as this {block.language} block"
        raise BlockError(msg)

    def _check_docstring(self, block: Block) -> Proof:
        """Check a block of a docstring."""
        if block.language == "python":
            return Proof(block, Kind.EXECUTED, block.body)
        self._check_parsed(block.language, block.body)
        return Proof(block, Kind.PARSED, block.body)

    def _check_parsed(self, language: str, text: str) -> None:
        """Check a block that does not run by a parser of its kind."""
        if language not in CHECKS:
            msg = f"nothing can check a block of kind {language or 'none'!r}; use one of {', '.join(sorted(CHECKS))}"
            raise BlockError(msg)
        if not self._parse:
            return
        try:
            CHECKS[language](text)
        except (ValueError, configparser.Error, yaml.YAMLError) as error:
            msg = f"not {language}: {error}"
            raise BlockError(msg) from error

    def _resolve(self, include: re.Match[str] | None, suffix: str) -> str:
        """Find the text that an include stands for."""
        assert include
        found = [folder / include["path"] for folder in (self.root, self.snippets)]
        path = next((path for path in found if path.is_file()), None)
        if path is None:
            msg = f"there is no file {include['path']}"
            raise BlockError(msg)
        if suffix and (path.suffix != suffix or not path.is_relative_to(self.root / "examples")):
            msg = f"{include['path']}: show a {suffix} file of examples/ here"
            raise BlockError(msg)
        if suffix and path not in self.proven:
            msg = f"{include['path']}: nothing runs this file; PROVEN_BY in tools/snippets.py says which are run"
            raise BlockError(msg)
        self._shown.add(path)
        text = path.read_text()
        if include["section"]:
            sections = read_sections(text)
            if include["section"] not in sections:
                msg = f"{include['path']} has no section {include['section']}"
                raise BlockError(msg)
            return sections[include["section"]]
        if include["lines"] and suffix == ".py":
            msg = f"{include['path']}: name a section, as line numbers move"
            raise BlockError(msg)
        return text

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


def find_unproven(site: Path, proofs: Iterable[Proof]) -> list[str]:
    """Find code on the pages of a built site that is none of the blocks that were checked, letter for letter.

    This holds whatever a page does to show code: by indentation, as HTML, by including a file that nothing checks.
    """
    known = {_squeeze(proof.text) for proof in proofs}
    unproven = []
    for file in sorted(site.rglob("*.html")):
        page = file.relative_to(site)
        text = file.read_text()
        if page.parts[0] == "reference":
            text = _OF_THE_REFERENCE.sub("", text)
        for code in _PRE.findall(text):
            shown = unescape(re.sub(r"<[^>]*>", "", code))
            if _squeeze(shown) not in known:
                unproven.append(f"{page}: this code is nowhere checked:\n{shown}")
    return unproven


def _squeeze(text: str) -> str:
    """Leave out what does not show: indentation that all lines have, and blank lines."""
    return textwrap.dedent("\n".join(line.rstrip() for line in text.splitlines() if line.strip()))


def run(project: Project) -> list[str]:
    """Keep what each snippet prints beside it, and return what is wrong."""
    problems = []
    for script, result in project.run_all().items():
        kept = script.with_suffix(".out")
        if isinstance(result, BlockError):
            problems.append(str(result))
        elif result:
            kept.write_text(result)
        else:
            kept.unlink(missing_ok=True)
    for kept in project.snippets.glob("*/*.out"):
        if not kept.with_suffix(".py").exists():
            kept.unlink()
    return problems


def check(project: Project, report: io.TextIOBase | None = None) -> list[str]:
    """Return what is wrong with the snippets and the pages; write the number of blocks of each kind."""
    problems, proofs = project.problems_of_pages()
    print(f"{len(project.pages)} pages, {len(project.scripts)} snippets, {len(proofs)} blocks", file=report)
    for (kind, language), count in sorted(Counter((proof.kind, proof.block.language) for proof in proofs).items()):
        print(f"  {count:4} {language}, {kind}", file=report)
    return problems + project.problems_of_runs()


def main() -> int:
    """Do what the command line says; return 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.snippets", description="Run and check the pages' code.")
    commands = {"run": run, "check": check, "compare": Project.problems_of_runs}
    parser.add_argument("command", choices=commands)
    command = commands[parser.parse_args().command]
    problems = command(Project())
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
