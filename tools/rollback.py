"""Take the site back to what it was before it was last published: one more commit on the branch `gh-pages`.

python3 -m tools.rollback [--to commit] [--local]      # make rollback

Nothing is built and no history is rewritten: the commit holds the files of the earlier one. Called twice, it goes back
twice. It needs git and the right to push, and neither the environment nor a working build.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BRANCH", "REMOTE", "fetch", "git", "push", "rollback"]

BRANCH = "gh-pages"
"""Where each version of the site lies, and each commit is a time when it was published."""

REMOTE = "origin"


def git(*arguments: str) -> str:
    """Run git in the working copy that is the current folder, and give what it prints.

    Raises:
        subprocess.CalledProcessError: It failed; it has said why.
    """
    return subprocess.run(("git", *arguments), check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def fetch() -> None:
    """Get the branch as the remote has it."""
    if git("ls-remote", REMOTE, f"refs/heads/{BRANCH}"):
        git("fetch", "--quiet", REMOTE, f"+refs/heads/{BRANCH}:refs/heads/{BRANCH}")


def push() -> None:
    """Give the remote the branch."""
    git("push", "--quiet", REMOTE, f"refs/heads/{BRANCH}:refs/heads/{BRANCH}")


def rollback(to: str = "") -> str:
    """Give the branch the files of an earlier commit.

    Args:
        to: The commit; the one before what is shown now if there is none.

    Returns:
        What was done, in a line.
    """
    head = git("rev-parse", f"refs/heads/{BRANCH}")
    shown = head
    while restored := re.search(r"^Restores: (\w+)$", git("log", "-1", "--format=%B", shown), re.MULTILINE):
        shown = restored[1]
    target = git("rev-parse", "--verify", f"{to or f'{shown}^'}^{{commit}}")
    told = f"Roll back to {git('log', '-1', '--format=%h: %s', target)}"
    commit = git("commit-tree", f"{target}^{{tree}}", "-p", head, "-m", told, "-m", f"Restores: {target}")
    git("update-ref", f"refs/heads/{BRANCH}", commit, head)
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    """Roll back, and push."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.rollback", description="Take the site back by a step.")
    parser.add_argument("--to", default="", help=f"a commit of {BRANCH}; what was shown before the present one if none")
    parser.add_argument("--local", action="store_true", help="neither fetch nor push")
    options = parser.parse_args(arguments)
    if not options.local:
        fetch()
    print(rollback(options.to))
    if not options.local:
        push()


if __name__ == "__main__":
    main()
