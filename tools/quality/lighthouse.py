"""What Lighthouse says of each page, on the phone that it imagines: a slow one, far from the server.

It needs Node, and is pinned in `package.json` beside this file; `npm ci` puts it there. The times that it estimates
depend on how busy this machine is: a page that is slow is measured again, and the best of the runs is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.browser import find_chromium, serve
from tools.published import paths_of
from tools.quality.results import Row

if TYPE_CHECKING:
    import argparse

TITLE = "Lighthouse"
FOLDER = Path(__file__).parent
CATEGORIES = {
    "performance": "Performance",
    "accessibility": "Accessibility",
    "best-practices": "Best practices",
    "seo": "Search engines",
}
_CHROME = "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-component-update"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which pages, and how often."""
    parser.add_argument("--page", action="append", help="the path of a page, such as async/caching/; all if none")
    parser.add_argument("--runs", type=int, default=3, help="how often a page is measured whose scores are not all 100")


def run(url: str) -> dict[str, Any]:
    """Let Lighthouse look at a page.

    Raises:
        RuntimeError: It could not.
    """
    node = shutil.which("node")
    if node is None:
        msg = "Lighthouse needs Node: there is no program `node` on the path."
        raise RuntimeError(msg)
    if not (FOLDER / "node_modules" / "lighthouse").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=FOLDER, check=True)
    command = [node, "node_modules/lighthouse/cli/index.js", url, "--quiet", "--output=json"]
    command += ["--no-enable-error-reporting", f"--chrome-flags={_CHROME}"]
    env = {**os.environ, "CHROME_PATH": find_chromium() or ""}
    done = subprocess.run(command, cwd=FOLDER, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"Lighthouse failed: {done.stderr[-2000:]}"
        raise RuntimeError(msg)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def scores_of(report: dict[str, Any]) -> dict[str, int]:
    """Read the scores, of 100."""
    return {name: round(report["categories"][name]["score"] * 100) for name in CATEGORIES}


def reason_of(report: dict[str, Any]) -> str:
    """Name what costs a page its points, most first."""
    lost: list[tuple[float, str]] = []
    for name in CATEGORIES:
        for part in report["categories"][name]["auditRefs"]:
            audit = report["audits"][part["id"]]
            if part["weight"] and audit["score"] is not None and audit["score"] < 1:
                value = f" {audit['displayValue']}" if audit.get("displayValue") else ""
                lost.append((part["weight"] * (1 - audit["score"]), f"{audit['title']}{value}"))
    return ", ".join(text for _, text in sorted(lost, reverse=True)[:3])


def measure(site: Path, options: argparse.Namespace) -> list[Row]:
    """Look at every page, one after the other."""
    paths = options.page or [path for path in paths_of(site) if not path.endswith(".html")]
    best: dict[str, dict[str, Any]] = {}
    with serve(site) as address:
        for path in paths:
            for _ in range(options.runs):
                report = run(address + path)
                if path not in best or sum(scores_of(report).values()) > sum(scores_of(best[path]).values()):
                    best[path] = report
                if min(scores_of(best[path]).values()) == 100:
                    break
            print(path or "home", scores_of(best[path]), flush=True)
    scores = {path: scores_of(report) for path, report in best.items()}
    below = {path: reason_of(best[path]) for path, found in scores.items() if min(found.values()) < 100}
    speed = sorted(report["environment"]["benchmarkIndex"] for report in best.values())[len(best) // 2]
    full = len(paths) - len(below)
    note = f"On a machine that Lighthouse rates at {speed:.0f}; a fast laptop has 2000 or more."
    rows = [Row("Pages with 100 in every category", f"{full} of {len(paths)}", f"{len(paths)}", not below, note)]
    for name, title in CATEGORIES.items():
        least = min(found[name] for found in scores.values())
        rows.append(Row(f"{title}, the lowest", str(least), "100", least == 100, "" if least == 100 else "See below."))
    rows += [
        Row(f"`{path or 'home'}`", " / ".join(map(str, scores[path].values())), note=reason)
        for path, reason in below.items()
    ]
    return rows
