"""The pictures of jobs: they show every move that the scripts make, and nothing else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, get_args

import pytest

from rustforge.jobs.source import Outcome
from tests.site.conftest import ROOT
from tools import diagrams
from tools.diagrams import DiagramError, Move

if TYPE_CHECKING:
    from pathlib import Path


def test_the_files_are_what_the_scripts_say() -> None:
    """Each picture and table is what `python -m tools.diagrams` makes of the scripts as they are."""
    for file, text in diagrams.make().items():
        assert file.read_text() == text, f"{file.relative_to(ROOT)}: run python -m tools.diagrams"


def test_every_outcome_of_a_run_is_a_move() -> None:
    """Whatever may become of a run leads somewhere."""
    actions = {move.action.removeprefix("outcomes.") for move in diagrams.read_moves() if move.start == "running"}
    assert actions == {*get_args(Outcome), "give_back"}


def test_a_new_move_is_noticed(tmp_path: Path) -> None:
    """A script that moves a job where the picture has no line fails, and is named."""
    folder = tmp_path / "lua"
    shutil.copytree(diagrams.SCRIPTS, folder)
    script = folder / "settle.lua"
    text = script.read_text()
    head = "function outcomes.park(id, o, name)\n"
    script.write_text(text.replace(head, f"{head}  ready(id, {{}})\n"))
    assert Move("running", "ready", "outcomes.park") in diagrams.read_moves(folder)
    script.write_text(text + "\nlocal function bring_back(id)\n  call('ZREM', dead, id)\n  ready(id, {})\nend\n")
    with pytest.raises(DiagramError, match="bring_back"):
        diagrams.check_lines(diagrams.read_moves(folder))


def test_a_new_key_is_noticed(tmp_path: Path) -> None:
    """A key that a script uses and the list at the head of common.lua does not name fails, and is named."""
    folder = tmp_path / "lua"
    shutil.copytree(diagrams.SCRIPTS, folder)
    (folder / "extra.lua").write_text("call('SET', base .. 'secret', '1')\n")
    with pytest.raises(DiagramError, match="secret"):
        diagrams.all_keys(folder)


def test_a_job_reaches_an_end_from_everywhere() -> None:
    """From each place of the picture a way leads to the end, and each place is reached."""
    moves = diagrams.read_moves()
    assert {move.end for move in moves} | {"new"} == set(diagrams.PLACES)
    ending = {"over"}
    while more := {move.start for move in moves if move.end in ending} - ending:
        ending |= more
    assert ending == set(diagrams.PLACES)
