"""Whether the search of the site finds what people ask for: the questions of `search.toml`, put to it in Chromium.

Each question goes into the search box of the home page, and what it then shows is read from the top. What counts is
what is seen without another click. The search shows a card for each page: its title, and below it the section that fits
best, with up to two more that fit almost as well. Each of these sections is a result; those behind "more on this page"
are none. The title is a link to the page: where the answer is the page, it counts at the place of the card's first
section, or by itself where the page fits best.
"""

from __future__ import annotations

import gzip
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.browser import open_browser, serve
from tools.quality.results import Row

if TYPE_CHECKING:
    from playwright.sync_api import Page

TITLE = "Search"
QUESTIONS = Path(__file__).with_suffix(".toml")
UNPREPARED = QUESTIONS.with_name("search_unprepared.toml")
FIRST = 0.90
FIRST_THREE = 0.98
SHOWN = 3
_INDEX = Path("search", "search_index.json")

_BOX = ".md-search__input"
_WATCH = """() => {
    const meta = document.querySelector(".md-search-result__meta")
    window.answers = 0
    new MutationObserver(() => window.answers++).observe(meta, { childList: true })
}"""
_READ = """async count => {
    while (window.answers < count) await new Promise(requestAnimationFrame)
    return [...document.querySelectorAll(".md-search-result__item")].flatMap(card => {
        const [title, ...sections] = card.querySelectorAll(":scope > a")
        return sections.length ? sections.map((one, at) => at ? [one.href] : [one.href, title.href]) : [[title.href]]
    })
}"""


@dataclass(frozen=True)
class Question:
    """What somebody types, and what answers it.

    Attributes:
        text: The words.
        answers: Addresses of sections and pages below the site; each of them is right.
    """

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the search showed.

    Attributes:
        question: What was asked.
        shown: The addresses of each result, from the top.
    """

    question: Question
    shown: tuple[tuple[str, ...], ...]

    @property
    def rank(self) -> int:
        """The place of the first right result, from 1; 0 where none is shown."""
        places = (place for place, one in enumerate(self.shown, 1) if set(one) & set(self.question.answers))
        return next(places, 0)


def read_questions(file: Path = QUESTIONS) -> list[Question]:
    """Read all questions of a file, in their order."""
    parts = tomllib.loads(file.read_text()).values()
    return [Question(text, tuple(answers)) for part in parts for text, answers in part.items()]


def ask(page: Page, address: str, questions: list[Question]) -> list[Answer]:
    """Put questions into the search box of the site at an address."""
    page.goto(address)
    page.click(_BOX)
    page.wait_for_function(
        "document.querySelector('.md-search-result__meta').textContent.startsWith('Type')", timeout=120_000
    )
    page.evaluate(_WATCH)
    found: list[Answer] = []
    for count, question in enumerate(questions, 1):
        page.fill(_BOX, question.text)
        page.keyboard.press("End")
        shown: list[list[str]] = page.evaluate(_READ, count)
        places = (tuple(url.removeprefix(address).replace(_query(url), "") for url in one) for one in shown)
        found.append(Answer(question, tuple(places)))
    return found


def _query(url: str) -> str:
    """Return the query of an address, with its question mark: the words that the page is to highlight."""
    query = url.partition("?")[2].partition("#")[0]
    return f"?{query}"


def share_of(answers: list[Answer], first: int) -> float:
    """Return the share of questions that have a right result among the first few."""
    return sum(0 < one.rank <= first for one in answers) / len(answers)


def read_locations(site: Path) -> set[str]:
    """Read the addresses of everything that can be found."""
    index = json.loads((site / _INDEX).read_text())
    return {one["location"] for one in index["docs"]}


def measure(site: Path) -> list[Row]:
    """Ask all questions."""
    with serve(site) as address, open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        answers = ask(page, address, read_questions())
        unprepared = ask(page, address, read_questions(UNPREPARED))
    missed = ", ".join(f"“{one.question.text}”" for one in answers if not 0 < one.rank <= SHOWN)
    index = len(gzip.compress((site / _INDEX).read_bytes(), 9))
    return [
        Row("Questions in users' words", str(len(answers))),
        _share("A right section is first", answers, 1, FIRST),
        _share(
            "A right section is among the first three", answers, SHOWN, FIRST_THREE, f"Not: {missed}." if missed else ""
        ),
        Row(
            f"The same of {len(unprepared)} questions for which no page was changed",
            f"{share_of(unprepared, 1):.0%}, {share_of(unprepared, SHOWN):.0%}",
            note="First, and among the first three. What an answer needs to be found is in the words of its page, so a "
            "question that nobody thought of is found less often.",
        ),
        Row("What the search loads when it is opened, compressed", f"{index / 1000:.0f} KB"),
    ]


def _share(what: str, answers: list[Answer], first: int, goal: float, note: str = "") -> Row:
    """Make a row of a share."""
    share = share_of(answers, first)
    return Row(what, f"{share:.1%}", f"{goal:.0%}", share >= goal, note)
