"""What the page of attachments states as a fact, compared with the code."""

from __future__ import annotations

import inspect
import re

from rustforge.attachments import AttachmentRules, Attachments, SweepOrphans, hooks, orphans
from rustforge.attachments.images import IMAGES
from rustforge.db.tables import attachments
from tests.site.test_claims import read_page, read_table

PAGE = "features/attachments.md"


def test_the_table_is_described() -> None:
    """The table of columns names every column but the one that only an index needs."""
    named = [name for row in read_table(PAGE, "| Column |") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(set(attachments.c.keys()) - {"single"})


def test_rules_are_described() -> None:
    """The table of rules names every rule and its default."""
    rows = {row[0].strip("`"): row[1].strip("`") for row in read_table(PAGE, "| Rule |")}
    default = AttachmentRules()
    assert rows == {
        "allowed": str(list(default.allowed)).replace("'", '"'),
        "max_size": f"{default.max_size // 1024**2} MiB",
        "max_pixels": f"{default.max_pixels:,}",
        "resize": str(default.resize),
    }
    names = sorted(name.removeprefix("image/") for name in IMAGES)
    *most, last = [{"webp": "WebP"}.get(name, name.upper()) for name in names]
    assert f"stands for {', '.join(most)} and {last}" in read_page(PAGE)


def test_reasons_are_described() -> None:
    """The page lists the reasons and the texts of a refusal that the code gives, and no others."""
    rows = read_table(PAGE, "| Reason | Text |")
    source = "".join(
        inspect.getsource(__import__(f"rustforge.attachments.{name}", fromlist=["_"]))
        for name in ("receive", "images", "service")
    )
    assert {row[0].split("`")[1] for row in rows} == set(re.findall(r'reason="(\w+)"', source))
    assert sorted(row[1].strip("`") for row in rows) == sorted(re.findall(r'text ?= ?"([^"]+)"', source))


def test_times_are_described() -> None:
    """The page says how long URLs are valid, how long objects are kept, and how old orphans must be."""
    page = read_page(PAGE)
    assert inspect.signature(Attachments).parameters["expires"].default == 5 * 60
    assert "valid for 5 minutes unless `expires`" in page
    assert hooks.GRACE == 10
    assert "ten seconds later" in page
    assert SweepOrphans().older_than == inspect.signature(orphans.sweep).parameters["older_than"].default == 24 * 3600
    assert "older than a day (`older_than`)" in page
