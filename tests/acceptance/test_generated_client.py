"""A client that is generated from the OpenAPI document knows the types, and works."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.exchanges import serve
from tools.snippets import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
APPLICATION = ROOT / "examples" / "snippets" / "responses" / "articles.py"
PROGRAM = ROOT / "examples" / "client" / "read_articles.py"


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with the generated client at hand."""
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the application that the page shows."""
    with serve(APPLICATION) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def folder(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate the client, of which no part may be left out."""
    place = tmp_path_factory.mktemp("client")
    with urllib.request.urlopen(f"{address}/openapi.json") as document:
        (place / "openapi.json").write_bytes(document.read())
    (place / "config.yml").write_text("post_hooks: []\n")
    options = ("--meta", "none", "--output-path", "articles_client", "--config", "config.yml", "--fail-on-warning")
    done = run(BIN / "openapi-python-client", "generate", "--path", "openapi.json", *options, folder=place)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.mark.timeout(120)
def test_a_program_that_uses_it_works(address: str, folder: Path) -> None:
    """The program of the page prints what the page says, in which it reads an article and an error."""
    done = run(sys.executable, "-W", "error", PROGRAM, address, folder=folder)
    assert done.stderr == ""
    assert done.stdout == PROGRAM.with_suffix(".out").read_text()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("right", "", "", None),
        ("field", "article.title", "article.subtitle", '"Article" has no attribute "subtitle"'),
        ("argument", "slug, client", "1, client", 'expected "str"'),
        ("error", '"NOT_FOUND")', '"NOT_FOUND", status=404)', 'has no attribute "status"'),
    ],
)
def test_a_type_checker_understands_it(folder: Path, name: str, old: str, new: str, complaint: str | None) -> None:
    """The program passes mypy's strict mode, and one with a mistake in it does not."""
    program = folder / f"{name}.py"
    program.write_text(PROGRAM.read_text().replace(old, new, 1) if old else PROGRAM.read_text())
    cache = ROOT / ".cache" / "mypy-client"
    done = run(BIN / "mypy", "--strict", "--cache-dir", cache, program.name, folder=folder)
    assert (done.returncode == 0) == (complaint is None), done.stdout + done.stderr
    assert (complaint or "Success") in done.stdout
