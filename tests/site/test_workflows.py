"""The workflows of GitHub, as far as they can be looked at here: what they may do, and that what they name exists."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # its stubs are a package of their own

from tests.site.conftest import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FLOWS: dict[str, Any] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
JOBS = [(flow, name) for flow, content in FLOWS.items() for name in content["jobs"]]


@pytest.mark.parametrize(("flow", "name"), JOBS)
def test_a_job_may_do_what_it_must(flow: str, name: str) -> None:
    """Nothing is allowed but what a job names; its actions are pinned by hash and get no credentials to keep."""
    job = FLOWS[flow]["jobs"][name]
    assert FLOWS[flow]["permissions"] == {}
    assert job["permissions"]
    assert job["timeout-minutes"] <= 30
    for step in job["steps"]:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", f"a/b@{'0' * 40}"))
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
        assert "${{" not in step.get("run", ""), "what others write must not become part of a script"


def test_no_code_of_a_pull_request_may_write() -> None:
    """What a pull request runs may only read; what comments on it runs nothing that is checked out."""
    for name, job in FLOWS["ci"]["jobs"].items():
        if job.get("if") != "github.event_name == 'push'":
            assert set(job["permissions"].values()) == {"read"}, name
    (comment,) = FLOWS["comment"]["jobs"].values()
    assert all("uses" not in step for step in comment["steps"])


@pytest.mark.parametrize(("flow", "name"), JOBS)
def test_what_a_job_names_exists(flow: str, name: str) -> None:
    """Its commands are those of the Makefile and of tools/, its artifacts are uploaded, and what it needs are jobs."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    jobs = FLOWS["ci"]["jobs"].values()
    uploaded = [step["with"]["name"] for job in jobs for step in job["steps"] if "/upload-" in step.get("uses", "")]
    job = FLOWS[flow]["jobs"][name]
    script = "\n".join(step.get("run", "") for step in job["steps"])
    needs = job.get("needs", [])
    assert set([needs] if isinstance(needs, str) else needs) <= set(FLOWS[flow]["jobs"])
    assert set(re.findall(r"(?:^|&& )make ([a-z-]+)", script, re.MULTILINE)) <= set(targets)
    assert all(find_spec(module) for module in re.findall(r"python3 -m (\S+)", script))
    assert set(re.findall(r"gh run download .*--name (\S+)", script)) <= set(uploaded)
