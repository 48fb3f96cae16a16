"""What the site says of other libraries: their programs were run and do what ours do, and each claim has a source."""

from __future__ import annotations

import builtins
import json
import re
import sys

import pytest

from tests.site.conftest import ROOT
from tools.code_links.extension import Linker
from tools.peers import ENVIRONMENTS, RAN, digest, programs

OURS = ROOT / "examples" / "snippets" / "migrate"
PEERS = sorted(ENVIRONMENTS)


def pinned(peer: str) -> str:
    """Read the version of a library that its environment has."""
    name = f"bench-jobs-{peer}" if (ROOT / "requirements" / f"bench-jobs-{peer}.txt").exists() else "bench"
    found = re.search(rf"^{peer}==(\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("peer", PEERS)
def test_programs_were_run(peer: str) -> None:
    """What pages show of a library was run as it stands, with the version that is pinned and that its page names."""
    ran = json.loads(RAN.read_text())[peer]
    found = {"version": pinned(peer), "programs": {program.name: digest(program) for program in programs(peer)}}
    assert ran == found, "run: make peers"
    page = (ROOT / "docs" / "migrate" / f"{peer}.md").read_text()
    assert re.search(
        rf"Compared with {peer} {re.escape(ran['version'])}\b.*, on 20\d\d-\d\d-\d\d\.", page, re.IGNORECASE
    )


@pytest.mark.parametrize("peer", PEERS)
def test_both_print_the_same(peer: str) -> None:
    """Each program of theirs is shown, and the one of ours beside it prints the same."""
    page = (ROOT / "docs" / "migrate" / f"{peer}.md").read_text()
    for program in programs(peer):
        names = (f"{peer}_{program.name}", program.name)
        assert f'"examples/peers/{peer}/{program.name}:' in page
        ours = next(OURS / name for name in names if (OURS / name).exists())
        assert ours.with_suffix(".out").read_text() == program.with_suffix(".out").read_text(), program


def test_links_in_their_code_lead_to_the_standard_library() -> None:
    """No name of another library is taken for one of ours, or of a library that it does not come from."""
    linker = Linker(ROOT)
    linked = 0
    for peer in PEERS:
        for program in programs(peer):
            for name in linker.names(program).values():
                if linker.identifier_of(name) is not None:
                    linked += 1
                    module = name.path.partition(".")[0]
                    assert module in sys.stdlib_module_names or hasattr(builtins, module), f"{program}: {name}"
    assert linked > 50


def test_each_claim_has_its_source() -> None:
    """Each cell of the comparison leads to its source, on the site for ours; it is dated and names pinned versions."""
    page = (ROOT / "docs" / "project" / "comparison.md").read_text()
    bare: list[str] = []
    for line in re.findall(r"^\| (?!What |---).*\|$", page, re.MULTILINE):
        what, ours, *theirs = (cell.strip() for cell in line.strip("|").split("|"))
        bare += [f"{what}: {ours}"] * (re.fullmatch(r"\[[^]]+\]\((?!http)\S+\)", ours) is None)
        source = r"\[[^]]+\](\[[\w-]+\]|\(benchmarks\.md#[\w-]+\))|not by us"
        bare += [f"{what}: {cell}" for cell in theirs if re.fullmatch(source, cell) is None]
    assert bare == []
    used, defined = set(re.findall(r"\]\[([\w-]+)\]", page)), re.findall(r"^\[([\w-]+)\]: https://", page, re.MULTILINE)
    assert sorted(used) == sorted(defined)
    told = " ".join(page.split()).lower()
    assert re.search(r"compared on 20\d\d-\d\d-\d\d, with ", told)
    for peer in ("aiocache", "arq", "cashews", "celery", "dramatiq", "saq", "taskiq"):
        assert f"{peer} {pinned(peer)}" in told, peer
