"""Applications that run answer as their OpenAPI documents say, to whatever they are sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.exchanges import serve
from tools.snippets import ROOT

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
APPLICATIONS = {
    ROOT / "tests" / "support" / "conformance.py": (),
    # the report fails and the subscriber is refused for what the pages show of it
    ROOT / "examples" / "snippets" / "responses" / "articles.py": (
        "--exclude-path",
        "/report",
        "--exclude-path",
        "/subscribers",
    ),
}
# A form knows only texts and files, so a number in place of a file is a file.
CONFIG = """
[[operations]]
include-name = "POST /files"
checks.negative_data_rejection.enabled = false
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("script", APPLICATIONS, ids=lambda path: path.stem)
def test_answers_are_as_documented(script: Path, tmp_path: Path) -> None:
    """Every answer has a status, a type and a body that the document names, and no request makes an error of ours."""
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    with serve(script) as port:
        done = subprocess.run(
            [
                *(SCHEMATHESIS, "--no-color", "run", f"http://127.0.0.1:{port}/openapi.json"),
                *("--generation-deterministic", "--max-examples", "15"),
                *("--header", "Authorization: Bearer eva", "--header", "X-Key: k"),
                *APPLICATIONS[script],
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "API Operations:" in done.stdout
