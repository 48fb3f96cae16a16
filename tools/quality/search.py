"""Whether the search of the site finds what people ask for: the questions of `search.toml`, put to it in Chromium.

Each question goes into the search box of the home page, and what it then shows is read from the top. What counts is
what is seen without another click. The search shows a card for each page: the page's title, and below it the section
that fits best, with its text. That is one result, at the card's place. Where the page itself fits best, its text is
below its title, and the card is that page. Other sections of the page are behind "more on this page": they count as
not found. The title above a section is a link to the page, so it answers a question whose answer is the page.
"""

from __future__ import annotations

import gzip
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
FIRST = 0.90
FIRST_THREE = 0.98

_BOX = ".md-search__input"
_WATCH = """() => {
    const meta = document.querySelector(".md-search-result__meta")
    window.answers = 0
    new MutationObserver(() => window.answers++).observe(meta, { childList: true })
}"""
_READ = """() => [...document.querySelectorAll(".md-search-result__item")].flatMap(card => {
    const score = link => parseFloat(link.firstElementChild.dataset.mdScore)
    const [title, ...sections] = card.querySelectorAll(":scope > a")
    return sections.length ? sections.map((one, at) => at ? [one.href] : [one.href, title.href]) : [[title.href]]
})"""


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


def read_questions() -> list[Question]:
    """Read all questions, in the order of their file."""
    parts = tomllib.loads(QUESTIONS.read_text()).values()
    return [Question(text, tuple(answers)) for part in parts for text, answers in part.items()]


def ask(page: Page, address: str, questions: list[Question]) -> list[Answer]:
    """Put questions into the search box of the site at an address."""
    page.goto(address)
    page.click(_BOX)
    page.wait_for_function("document.querySelector('.md-search-result__meta').textContent.startsWith('Type')")
    page.evaluate(_WATCH)
    found: list[Answer] = []
    for count, question in enumerate(questions, 1):
        page.locator(_BOX).select_text()
        page.keyboard.insert_text(question.text)
        page.keyboard.press("End")
        page.wait_for_function("count => window.answers >= count", arg=count)
        shown: list[list[str]] = page.evaluate(_READ)
        places = (tuple(url.removeprefix(address).replace(_query(url), "") for url in one) for one in shown)
        found.append(Answer(question, tuple(places)))
    return found


def _query(url: str) -> str:
    """Return the query of an address, with its question mark: the words that the page is to highlight."""
    query = url.partition("?")[2].partition("#")[0]
    return f"?{query}"


def measure(site: Path) -> list[Row]:
    """Ask all questions."""
    with serve(site) as address, open_browser() as browser:
        answers = ask(browser.new_page(viewport={"width": 1280, "height": 800}), address, read_questions())
    first = sum(one.rank == 1 for one in answers)
    three = sum(0 < one.rank <= 3 for one in answers)
    later = [f"“{one.question.text}” ({one.rank or 'not shown'})" for one in answers if one.rank != 1]
    note = f"Not first: {', '.join(later)}." if later else ""
    index = len(gzip.compress((site / "search" / "search_index.json").read_bytes(), 9))
    return [
        Row("Questions in users' words", str(len(answers))),
        _share(
            "The right section is first", first, len(answers), FIRST, f"Not first: {', '.join(later)}." if later else ""
        ),
        _share("The right section is among the first three", three, len(answers), FIRST_THREE, ""),
        Row("What the search loads when it is opened, compressed", f"{index / 1000:.0f} KB"),
    ]


def _share(what: str, count: int, whole: int, goal: float, note: str) -> Row:
    """Make a row of a share."""
    return Row(what, f"{count / whole:.1%} ({count} of {whole})", f"{goal:.0%}", count >= goal * whole, note)
