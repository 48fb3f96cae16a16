"""Lead from addresses that once were published to where their pages and sections went, in a site that was built.

`docs/includes/redirects.toml` says where that is. A page that is gone becomes a page that redirects; a section that has
another anchor keeps the former one, too; one that went to another page leaves a link that redirects at the end of its
own. All of it works without JavaScript, but for the sections of a page that is gone.
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections import defaultdict
from html import escape
from pathlib import Path

__all__ = ["REDIRECT", "page_of", "read", "write"]

ROOT = Path(__file__).resolve().parent.parent
REDIRECT = 'http-equiv="refresh"'
"""What only a page that redirects has."""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="description" content="This page has moved.">
<meta name="robots" content="noindex">
<title>This page has moved</title>
<link rel="canonical" href="{canonical}">
<noscript><meta http-equiv="refresh" content="0; url={href}"></noscript>
<script>
const sections = {sections}
const target = new URL(sections[location.hash] ?? "{href}", location)
target.search = location.search
target.hash ||= location.hash
location.replace(target)
</script>
</head>
<body>
<h1>This page has moved</h1>
<p>It is <a href="{href}">here</a> now.</p>
</body>
</html>
"""


def page_of(href: str, canonical: str, sections: dict[str, str] | None = None) -> str:
    """Write a page that redirects.

    Args:
        href: Where to; an anchor that was asked for is kept.
        canonical: The same as a whole address.
        sections: Where to for some anchors, each with its `#`.
    """
    moved = json.dumps(sections or {}).replace("<", "\\u003c")
    return _PAGE.format(href=escape(href), canonical=escape(canonical), sections=moved)


def read(root: Path = ROOT) -> dict[str, str]:
    """Read where the addresses lead."""
    return tomllib.loads((root / "docs" / "includes" / "redirects.toml").read_text())


def write(site: Path, url: str, redirects: dict[str, str]) -> None:
    """Write redirects into a built site.

    Args:
        site: The site.
        url: Its address.
        redirects: Where former addresses lead.

    Raises:
        ValueError: An address leads nowhere, or is there as before.
    """
    moves: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for former, target in redirects.items():
        folder, _, anchor = target.partition("#")
        if not (file := site / folder / "index.html").is_file() or (
            anchor and not _tag(anchor).search(file.read_text())
        ):
            msg = f"{former} is said to be at {target}, which is not there."
            raise ValueError(msg)
        folder, _, anchor = former.partition("#")
        moves[folder][anchor] = target
    for folder, sections in moves.items():
        file = site / folder / "index.html"
        text = file.read_text() if file.is_file() else REDIRECT
        if REDIRECT not in text:
            for anchor, target in sections.items():
                if f"<{_former(anchor)}" in text:
                    continue  # it was written before
                if not anchor or _tag(anchor).search(text):
                    msg = f"{folder}{anchor and '#'}{anchor} is said to be at {target}, but is still there."
                    raise ValueError(msg)
                text = _keep(text, folder, anchor, target)
            file.write_text(text)
        else:
            ways = {f"#{anchor}": _relative(folder, target) for anchor, target in sections.items() if anchor}
            target = sections.get("", next(iter(sections.values())).partition("#")[0])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(page_of(_relative(folder, target), url + target, ways))


def _tag(anchor: str) -> re.Pattern[str]:
    return re.compile(rf'<[a-z][^<>]*\sid="{re.escape(escape(anchor))}"[^<>]*>')


def _relative(folder: str, target: str) -> str:
    page, mark, anchor = target.partition("#")
    return posixpath.relpath(page or ".", folder or ".") + "/" + mark + anchor


def _former(anchor: str) -> str:
    return f'a data-moved id="{escape(anchor)}"'


def _keep(text: str, folder: str, anchor: str, target: str) -> str:
    """Keep a former anchor on its page: at the section, or, where that went to another page, as a link to it."""
    if target.startswith(f"{folder}#"):
        return _tag(target.partition("#")[2]).sub(lambda tag: f"{tag[0]}<{_former(anchor)}></a>", text, count=1)
    link = f'<{_former(anchor)} href="{escape(_relative(folder, target))}">{escape(anchor)}</a>'
    script = f"{{ const id = {json.dumps(anchor)}; location.hash === '#' + id && document.getElementById(id).click() }}"
    head, end, tail = text.rpartition("</article>")
    return f"{head}<p><small>On another page now: {link}.</small></p><script>{script}</script>{end}{tail}"
