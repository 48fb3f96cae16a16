"""The code that pages show: all of it comes from files that run, and the output shown is what they print."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.site.conftest import ROOT
from tools import snippets
from tools.snippets import PROVEN_BY, BlockError, Kind, Project, check, find_unproven, read_sections

if TYPE_CHECKING:
    from pathlib import Path


SCRIPT = """\
# --8<-- [start:all]
def hello() -> None:
    # --8<-- [start:inner]
    print("hello")
    # --8<-- [end:inner]


# --8<-- [end:all]
hello()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a working copy with one snippet, shown on one page with its output."""
    (tmp_path / "docs").mkdir()
    page = '```python\n--8<-- "a/hello.py:inner"\n```\n\n```text title="Output"\n--8<-- "a/hello.out"\n```\n'
    (tmp_path / "docs" / "index.md").write_text(page)
    folder = tmp_path / "examples" / "snippets" / "a"
    folder.mkdir(parents=True)
    (folder / "hello.py").write_text(SCRIPT)
    (folder / "hello.out").write_text("hello\n")
    return Project(tmp_path)


def test_every_block_is_checked_and_every_snippet_shown() -> None:
    """Every block of every page is a file that runs, its output, or of a kind that a parser accepts."""
    problems, proofs = Project().problems_of_pages()
    assert problems == []
    assert {proof.kind for proof in proofs} == set(Kind)
    assert all((ROOT / test).is_file() for test in PROVEN_BY.values())


@pytest.mark.timeout(900)  # all of them, each a program of its own
def test_every_snippet_prints_what_is_shown() -> None:
    """Every snippet runs as a program of its own in an empty folder, without a server, and prints what is kept."""
    assert Project().problems_of_runs() == []


def test_pages_have_no_other_code(site: Path) -> None:
    """No page shows code that is none of the blocks, by indentation, as HTML, or from a file that nothing checks."""
    assert find_unproven(site, Project().problems_of_pages()[1]) == []


def test_a_project_in_order_passes(project: Project) -> None:
    """A page that shows a section and its output has nothing wrong."""
    assert check(project) == []
    kinds = [proof.kind for proof in project.problems_of_pages()[1]]
    assert kinds == [Kind.EXECUTED, Kind.OUTPUT]


def test_output_is_kept_and_compared(project: Project) -> None:
    """What a snippet prints is kept by `run`; `check` then finds what changed, and what nothing makes any more."""
    script = project.scripts[0]
    script.write_text(SCRIPT.replace('"hello"', '"bye"'))
    assert "bye" in check(project)[0]
    assert snippets.run(project) == []
    assert script.with_suffix(".out").read_text() == "bye\n"
    assert check(project) == []
    script.with_name("gone.out").write_text("x")
    assert "no such .py" in check(project)[0]
    script.write_text("")
    snippets.run(project)
    assert list(script.parent.glob("*.out")) == []


@pytest.mark.parametrize(
    "code",
    ["1 / 0", "import asyncio\nasync def f(): ...\nf()", "import warnings\nwarnings.warn('old')"],
    ids=["exception", "never awaited", "warning"],
)
def test_a_snippet_that_fails_is_named(project: Project, code: str) -> None:
    """A snippet that raises, warns or forgets to await does not pass."""
    project.scripts[0].write_text(code)
    assert "examples/snippets/a/hello.py: exit code" in project.problems_of_runs()[0]


def test_a_snippet_that_hangs_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snippet that does not end is ended."""
    monkeypatch.setattr(snippets, "SECONDS", 0.2)
    project.scripts[0].write_text("import time\ntime.sleep(60)")
    assert "not done after 0.2 seconds" in project.problems_of_runs()[0]


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ('```python\nprint("typed by hand")\n```', "holds nothing but"),
        ("```python\n```", "holds nothing but"),
        ('```python\n--8<-- "a/gone.py"\n```', "no file a/gone.py"),
        ('```python\n--8<-- "a/hello.py:gone"\n```', "no section gone"),
        ('```python\n--8<-- "a/hello.py:1:2"\n```', "name a section"),
        ('```python\n--8<-- "docs/index.md"\n```', "show a .py file"),
        ("```text\nhello\n```", "holds nothing but"),
        ("```http\nGET / HTTP/1.1\n```", "holds nothing but"),
        ('```http\n--8<-- "a/hello.out"\n```', "show a .http file"),
        ("```\nhello\n```", "nothing can check"),
        ("```rust\nfn main() {}\n```", "nothing can check"),
        ("```console\n$ echo 'open\n```", "unexpected EOF"),
        ("```console\n$ make test\nEverything passed.\n```", "shown from a .console file"),
        ('```console\n--8<-- "a/gone.console"\n```', "no file a/gone.console"),
        ('```json title="Output"\n{}\n```', "keeps what was printed"),
        ('```python\n--8<-- "examples/other.py"\n```', "nothing runs this file"),
        ('```python\n--8<-- "a/b/deep.py"\n```', "nothing runs this file"),
        ("\t```rust\n\tfn main() {}\n\t```", "nothing can check"),
        ("!!! note\n\n    ```rust\n    fn main() {}\n    ```", "nothing can check"),
        ("1. One\n\n    ~~~rust\n    fn main() {}\n    ~~~", "nothing can check"),
        ("```bash\nif true\n```", "syntax error"),
        ("```toml\na = \n```", "not toml"),
        ("```yaml\na: [\n```", "not yaml"),
        ("```json\n{a}\n```", "not json"),
        ("```ini\na = 1\n```", "not ini"),
        ("```dotenv\nREDIS URL\n```", "neither NAME=value"),
        ("=== Tab\n\n    ```python\n    1\n    ```", "holds nothing but"),
        ("```json\n{}", "does not end"),
    ],
)
def test_a_block_that_breaks_the_rule_is_named(project: Project, block: str, problem: str) -> None:
    """Code typed into a page, and blocks that nothing can check, do not pass."""
    page = project.pages[0]
    page.write_text(f"{page.read_text()}\n{block}\n")
    (project.root / "examples" / "other.py").write_text("print()")
    (project.snippets / "a" / "b").mkdir()
    (project.snippets / "a" / "b" / "deep.py").write_text("print()")
    problems, _ = Project(project.root).problems_of_pages()
    assert len(problems) == 1
    assert "docs/index.md:" in problems[0]
    assert problem in problems[0]


@pytest.mark.parametrize(
    "block",
    [
        "```console\n$ make test\n$ make site\n```",
        "```console\nmake test # everything\n```",
        '```toml title="pyproject.toml"\na = 1\n```',
        "```yaml\na: 1\n---\nb: 2\n```",
        '```{.json title="x"}\n{}\n```',
        "```ini\n[a]\nb = 1\n```",
        "```dotenv\n# where\nREDIS_URL=redis://127.0.0.1\n\n```",
        "> ```json\n> {}\n> ```",
    ],
)
def test_other_kinds_are_parsed(project: Project, block: str) -> None:
    """What cannot run passes when a parser of its kind accepts it."""
    page = project.pages[0]
    page.write_text(f"{page.read_text()}\n{block}\n")
    assert project.problems_of_pages()[0] == []


def test_a_snippet_that_no_page_shows_is_named(project: Project) -> None:
    """A snippet that lost its page does not stay unseen."""
    project.pages[0].write_text("# Nothing\n")
    assert project.problems_of_pages()[0] == ["examples/snippets/a/hello.py: no page shows it"]


def test_copies_are_the_same_as_a_file(project: Project) -> None:
    """A block of README.md must be a section of a snippet, letter for letter."""
    readme = project.root / "README.md"
    readme.write_text('```python\nprint("hello")\n```\n\n```text\nhello\n```\n')
    assert Project(project.root).problems_of_pages()[0] == []
    readme.write_text('```python\nprint("hullo")\n```\n')
    assert "README.md:1: no file or section" in Project(project.root).problems_of_pages()[0][0]


def test_blocks_of_docstrings_are_checked(project: Project) -> None:
    """Python in a docstring counts as run, as a test runs it; another block must be of a kind that is parsed."""
    module = project.root / "src" / "module.py"
    module.parent.mkdir()
    module.write_text('"""A module.\n\n    ```python\n    1\n    ```\n"""\n')
    assert Project(project.root).problems_of_pages()[0] == []
    module.write_text('"""A module.\n\n    ```text\n    1\n    ```\n"""\n')
    assert "src/module.py:3: nothing can check" in Project(project.root).problems_of_pages()[0][0]


def test_output_stands_with_its_script(project: Project) -> None:
    """A page does not show the output of a script that it does not show."""
    page = project.pages[0]
    page.write_text(page.read_text().replace("hello.py:inner", "other.py"))
    (project.snippets / "a" / "other.py").write_text("1")
    problems = Project(project.root).problems_of_pages()[0]
    assert "examples/snippets/a/hello.out: a page shows it without the script that prints it" in problems


@pytest.mark.parametrize(
    "code",
    [
        "<pre><code>typed()</code></pre>",
        '<div class="highlight"><pre><span class="n">print</span><span>(&quot;hullo&quot;)</span></pre></div>',
        '<details class="mkdocstrings-source"><pre>typed()</pre></details>',
    ],
)
def test_code_that_no_block_holds_is_found(project: Project, code: str) -> None:
    """Whatever a page does to show code, it is a block that was checked, letter for letter, or it is named."""
    proofs = project.problems_of_pages()[1]
    site = project.root / "site" / "guide"
    site.mkdir(parents=True)
    page = site / "index.html"
    page.write_text('<pre><span></span><code><span class="nb">print</span>(&quot;hello&quot;)\n</code></pre>')
    assert find_unproven(site.parent, proofs) == []
    page.write_text(code)
    assert len(find_unproven(site.parent, proofs)) == 1


def test_the_writing_guide_names_what_there_is() -> None:
    """The files, sections and commands that the guide tells writers of are there."""
    guide = (ROOT / "docs" / "project" / "writing.md").read_text()
    includes = re.findall(r"`(--8<-- [^`]+)`", guide)
    assert len(includes) > 3
    for include in includes:
        assert Project()._resolve(snippets._INCLUDE.match(include), "")
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)", guide):
        assert f"\n{target}:" in makefile, target
    for file in re.findall(r"`((?:tools|docs|examples)/[\w/.-]+\.\w+)`", guide):
        assert (ROOT / file).is_file(), file


def test_sections_are_cut_out() -> None:
    """A section has neither the markers in it nor its indentation, and must start and end once."""
    assert read_sections(SCRIPT) == {
        "all": 'def hello() -> None:\n    print("hello")',
        "inner": 'print("hello")',
    }
    with pytest.raises(BlockError, match="start once and end once: all"):
        read_sections(SCRIPT.replace("[end:all]", ""))
