"""The search of the site finds what people ask for: `tools/quality/search.toml` holds their questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.quality import search

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


def test_the_right_section_comes_first(page: Page, address: str) -> None:
    """Of all questions, typed into the search box, 90% find a right section first and 98% among the first three."""
    answers = search.ask(page, address, search.read_questions())
    assert len(answers) >= 100
    wrong = [
        f"{one.rank}: {one.question.text}: {[shown[0] for shown in one.shown[:3]]}" for one in answers if one.rank != 1
    ]
    assert search.share_of(answers, first=1) >= search.FIRST, "\n".join(wrong)
    assert search.share_of(answers, first=3) >= search.FIRST_THREE, "\n".join(wrong)


def test_every_answer_is_there(site: Path) -> None:
    """Each section that answers a question is in the index, so that a heading that was renamed is noticed."""
    known = search.read_locations(site)
    questions = [*search.read_questions(), *search.read_questions(search.UNPREPARED)]
    answers = {place for question in questions for place in question.answers}
    assert sorted(answers - known) == []
