"""Give a site that MkDocs has built a search that finds.

MkDocs' index has HTML, and the back-links of the reference; here its texts become plain ones without these.
The worker that Material's search box asks becomes `tools/search_worker.js`, as Material's own ranks words as they are.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

__all__ = ["write"]

WORKER = Path(__file__).with_name("search_worker.js")
_LINKS = re.compile(r"<p>Source</p>|Used in \d+ sections?\b.*", re.DOTALL)
_CODE = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)
_NOTES = ("", "Output", "Request", "Response")
"""What stands above blocks of code, and says nothing of them."""
_LINE = re.compile(r"^ *(?=\S)", re.MULTILINE)
_BREAK = re.compile(r"\s*</?(?:p|li|ul|ol)>\s*")
_TAG = re.compile(r"</?(?:code|sub|sup)>")
_BLANKS = re.compile(r"(?<!^)\s+")


def write(site: Path) -> None:
    """Change the index and the worker of a site that was just built."""
    file = site / "search" / "search_index.json"
    index = json.loads(file.read_text())
    for section in index["docs"]:
        is_reference = section["location"].startswith("reference/")
        section["text"] = _plain(_LINKS.sub("", section["text"]) if is_reference else section["text"])
    file.write_text(json.dumps(index, separators=(",", ":"), ensure_ascii=False))
    (worker,) = (site / "assets" / "javascripts" / "workers").glob("search.*.min.js")
    worker.write_text(WORKER.read_text())


def _plain(text: str) -> str:
    """Remove the tags, with a line for each block; lines of code begin with a tab, by which they are known."""
    text = _CODE.sub(lambda code: "\n" + _LINE.sub("\t", code[1]) + "\n", _BREAK.sub("\n", text))
    lines = (_BLANKS.sub(" ", line).strip(" ") for line in _TAG.sub("", text).split("\n"))
    return html.unescape("\n".join(line for line in lines if line.strip() not in _NOTES))
