"""A receiver of webhooks that says, byte for byte, what a test lets it say."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answer: TypeAlias = "bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]"


@dataclass(frozen=True)
class Request:
    """What came in.

    Attributes:
        line: The request's first line.
        headers: The headers, by their names in small letters.
        body: The body.
        connection: The number of the connection, from 1.
    """

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Receiver:
    """A server for webhooks.

    Attributes:
        port: Its port on 127.0.0.1.
        requests: What came in.
        connections: How many connections were made.
        answers: What it answers, for one request after the other: bytes, or a function that gets the writer. The last
            one stays.
    """

    port: int = 0
    requests: list[Request] = field(default_factory=list[Request])
    connections: int = 0
    answers: list[Answer] = field(default_factory=lambda: [OK])

    @property
    def url(self) -> str:
        """Where webhooks go to."""
        return f"http://127.0.0.1:{self.port}/hook"

    @classmethod
    @asynccontextmanager
    async def open(cls, *answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
        """Listen."""
        receiver = cls()
        receiver.answers = list(answers) or [OK]
        tasks: set[asyncio.Task[Any]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(receiver._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
        receiver.port = server.sockets[0].getsockname()[1]
        try:
            yield receiver
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append(Request(head[0], headers, body, number))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def says(status: str, *headers: str, body: bytes = b"") -> bytes:
    """Write a response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def hang(writer: asyncio.StreamWriter) -> None:
    """Answer nothing."""
    del writer
    await asyncio.Event().wait()


def make_certificate(folder: Path, name: str, subject: str) -> None:
    """Make a certificate that signs itself: `<name>.crt` and `<name>.key`."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"]
    subprocess.run(command, check=True, capture_output=True)
