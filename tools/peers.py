"""Run the programs of other libraries that the pages show beside ours, each in its library's environment.

python -m tools.peers        # `make peers`, which makes the environments first

What each prints is kept beside it, as <name>.out, and `examples/peers/ran.json` says which version ran which text. The
tests, which have none of these libraries, hold that no program has changed since.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.servers import RedisServer

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "peers"
RAN = FOLDER / "ran.json"
ENVIRONMENTS = {"arq": "-bench-jobs-arq", "cashews": "-bench", "celery": "-bench-jobs-celery"}
"""For each library, what its environment's name adds to that of ours."""
SECONDS = 60


def programs(peer: str) -> list[Path]:
    """List the programs of a library."""
    return sorted(file for file in (FOLDER / peer).glob("*.py") if not file.name.startswith("_"))


def digest(program: Path) -> str:
    """Name what a program is and prints, so that a change shows."""
    return hashlib.sha256(program.read_bytes() + program.with_suffix(".out").read_bytes()).hexdigest()[:16]


def run(python: str, program: Path) -> str:
    """Run a program as a reader would, in an empty folder and with an empty Redis, and return what it prints."""
    with RedisServer() as server, tempfile.TemporaryDirectory() as folder:
        env = {"PATH": os.environ["PATH"], "HOME": folder, "REDIS_URL": server.url}
        done = subprocess.run(
            [python, program], cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    if done.returncode:
        sys.exit(f"{program.relative_to(ROOT)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Run all programs of all libraries, and keep what they print."""
    ran = {}
    for peer, suffix in ENVIRONMENTS.items():
        python = f"{sys.prefix}{suffix}/bin/python"
        version = subprocess.run(
            [python, "-c", f"import importlib.metadata as m; print(m.version({peer!r}))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for program in programs(peer):
            program.with_suffix(".out").write_text(run(python, program))
        ran[peer] = {"version": version, "programs": {one.name: digest(one) for one in programs(peer)}}
        print(f"{peer} {version}: {len(programs(peer))} programs")
    RAN.write_text(json.dumps(ran, indent=2) + "\n")


if __name__ == "__main__":
    main()
