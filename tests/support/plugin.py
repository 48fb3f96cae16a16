"""Runs pytest in a process of its own, on a suite of its own, with the plugin as users have it."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITES = Path(__file__).parent / "suites"

_CONFTEST = "from tests.support.suites.notes import rustforge_app, rustforge_metadata\n"


class Run:
    """A run of pytest that has ended.

    Attributes:
        text: What it has printed.
        counts: How many tests have passed, failed, and so on.
    """

    def __init__(self, text: str) -> None:
        """Read it."""
        self.text = text
        last = text.strip().splitlines()[-1] if text.strip() else ""
        self.counts = Counter({word.rstrip("s"): int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", last)})

    def __repr__(self) -> str:
        """Show everything, as a failed assertion does."""
        return self.text


@functools.cache
def _compiled() -> Path:
    """Make a folder in which the runs share what Python compiles."""
    folder = tempfile.mkdtemp(prefix="rustforge-pyc-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def run_pytest(
    folder: Path,
    suite: str,
    *arguments: str,
    mode: str = "auto",
    common: bool = True,
    lines: str = "",
    ending: str = "",
    **environment: str,
) -> Run:
    """Run a suite in a folder.

    Args:
        folder: The folder.
        suite: The file in `suites`.
        arguments: What is added to the command line.
        mode: The mode of pytest-asyncio; `"off"` for none of it.
        common: Whether the suite has the common `conftest.py`.
        lines: What is added to the configuration file.
        ending: What is added to the suite.
        environment: Variables.
    """
    if common:
        (folder / "conftest.py").write_text(_CONFTEST)
    text = (SUITES / f"{suite}.py").read_text()
    (folder / f"test_{suite}.py").write_text(f"{text}\n\n{ending}" if ending else text)
    asyncio = "" if mode == "off" else f'asyncio_mode = "{mode}"\nasyncio_default_fixture_loop_scope = "function"\n'
    (folder / "pytest.toml").write_text(f'[pytest]\nstrict = true\nfilterwarnings = ["error"]\n{asyncio}{lines}')
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for plugin in (
        "rustforge",
        "anyio.pytest_plugin",
        "xdist.plugin",
        *([] if mode == "off" else ["pytest_asyncio.plugin"]),
    ):
        command += ["-p", plugin]  # by their entry points; others would only take time
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TEST_"))}
    keep.pop("PYTHONDONTWRITEBYTECODE", None)
    keep |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPYCACHEPREFIX": str(_compiled()), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**keep, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Run(done.stdout + done.stderr)
