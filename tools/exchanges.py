"""Send the requests that pages show to the applications that pages show, and keep what they answer.

python -m tools.exchanges run      # send every request, and keep the answers
python -m tools.exchanges check    # send them again, and compare

Beside `examples/snippets/<page>/<name>.py`, whose `app` is served, stands `<name>.http` with requests, each a section:

    ### --8<-- [start:missing]
    GET /articles/gone HTTP/1.1
    Accept: application/json

    ### --8<-- [end:missing]

They are sent in their order to one fresh server. The answers become the sections of the same names of
`<name>.answers.http`, without the headers that say nothing about the exchange, with JSON indented, and with what
differs from run to run replaced. A line `< ./photo.png` in a body stands for the bytes of that file, and
`{{cover.data.url}}` for a value of the JSON that was answered to `cover`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import uuid
from contextlib import contextmanager, suppress
from email.message import Message
from typing import TYPE_CHECKING, Any

from rustforge.http.app_error import title_of
from tools.snippets import ROOT, read_sections

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 20
"""How long an answer may take."""

_UNSAID = {"connection", "content-length", "date", "server"}
_ID = re.compile(
    r"\b[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}\b|(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])"
)
"""What is different in every run: a UUID, with or without its hyphens, and the id of a job."""

_MOMENTS = {
    r"(?<=/)\d{4}/\d\d/\d\d(?=/)": "2026/11/24",  # in the keys of objects
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)": "2026-11-24T12:00:00Z",
    r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT": "Tue, 24 Nov 2026 12:00:00 GMT",
    r"\.?\b[\w-]{16,}\.[\w-]{43}(?![\w-])": "WzE3OTU2MDgwMDAs.signature",  # a signed token; a dot says: compressed
    r'(?<=etag: ")[0-9a-f]+-[0-9a-f]+(?=")': "18a1b2c3d4e5f607-2a",  # of a file, with its time
    r"\bv1,[A-Za-z0-9+/]{43}=": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",  # of a webhook
}
"""What is different at every moment."""
_VALUE = re.compile(r"\{\{([\w-]+)((?:\.\w+)+)\}\}")


class ExchangeError(Exception):
    """A request could not be sent, or was not answered; the message says which."""


@contextmanager
def serve(script: Path) -> Iterator[int]:
    """Serve a script's `app` in a process of its own, in an empty folder, and give the port.

    Raises:
        ExchangeError: The server ended by itself; the message is what it wrote.
    """
    keep = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"} or name.startswith("COV")}
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener, tempfile.TemporaryFile("w+") as log:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from here on a request waits until the server is there
        port: int = listener.getsockname()[1]
        options = ("--app-dir", str(script.resolve().parent), "--fd", str(listener.fileno()), "--log-level", "warning")
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *options, f"{script.stem}:app"],
            cwd=folder,
            env={**keep, "HOME": folder, "PYTHONUTF8": "1"},
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
        listener.close()  # so that nobody waits for a server that has ended
        try:
            yield port
        except (OSError, http.client.HTTPException) as error:
            process.terminate()
            process.wait()
            log.seek(0)
            msg = f"{script.name}: {error!r}\n{log.read()}"
            raise ExchangeError(msg) from error
        finally:
            process.terminate()
            process.wait()


def read_request(text: str, folder: Path) -> tuple[str, str, Message, bytes]:
    """Read a request as it stands in a file: method, target, headers and body.

    Raises:
        ExchangeError: The first line is not that of a request.
    """
    head, _, body = text.partition("\n\n")
    line, _, fields = head.partition("\n")
    match = re.fullmatch(r"([A-Z]+) (/\S*) HTTP/1\.1", line)
    if match is None:
        msg = f"a request begins with a line such as 'GET /articles HTTP/1.1', and not with {line!r}"
        raise ExchangeError(msg)
    headers = Message()
    for field in fields.splitlines():
        name, _, value = field.partition(":")
        headers[name] = value.strip()
    end = b"\r\n" if headers.get_content_maintype() == "multipart" else b"\n"
    lines = [(folder / one[4:]).read_bytes() if one.startswith("< ./") else one.encode() for one in body.splitlines()]
    return match[1], match[2], headers, end.join(lines)


def send(port: int, text: str, folder: Path) -> str:
    """Send a request and write down the answer."""
    method, target, headers, body = read_request(text, folder)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body and "Transfer-Encoding" not in headers and "Content-Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        said = [f"HTTP/1.1 {answer.status} {title_of(answer.status)}"]  # the words differ between versions of Python
        said += [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in _UNSAID]
        return "\n".join(said) + "\n\n" + write_body(answer.headers.get_content_type(), answer.read())
    finally:
        connection.close()


def write_body(kind: str, body: bytes) -> str:
    """Write a body as a reader wants to see it."""
    if kind == "application/json" or kind.endswith("+json"):
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False) if body else ""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"({len(body):,} bytes)"
    return text.rstrip("\n") if text.isprintable() or kind.startswith("text/") else f"({len(body):,} bytes)"


def fill(text: str, answers: dict[str, Any]) -> str:
    """Put in the values of earlier answers."""

    def value(match: re.Match[str]) -> str:
        found = answers.get(match[1])
        for part in match[2].split(".")[1:]:
            found = found.get(part) if isinstance(found, dict) else None
        if found is None:
            msg = f"nothing before has answered {match[0]}"
            raise ExchangeError(msg)
        return str(found)

    return _VALUE.sub(value, text)


def steady(text: str) -> str:
    """Replace the times and ids that differ from run to run, the same ids by the same."""
    for pattern, moment in _MOMENTS.items():
        text = re.sub(pattern, moment, text)
    seen: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        made = uuid.uuid5(uuid.NAMESPACE_URL, str(len(seen)))
        return seen.setdefault(match[0], str(made) if match[1] else made.hex[: len(match[0])])

    return _ID.sub(replace, text)


def exchange(requests: Path) -> str:
    """Send the requests of a file, and return the file of their answers.

    Raises:
        ExchangeError: One was not answered.
    """
    script = requests.with_suffix(".py")
    if not script.is_file():
        msg = f"{requests.name}: there is no {script.name} whose app could answer"
        raise ExchangeError(msg)
    answers: list[str] = []
    values: dict[str, Any] = {}
    with serve(script) as port:
        for name, text in read_sections(requests.read_text()).items():
            answer = send(port, fill(text, values), requests.parent).rstrip("\n")
            with suppress(ValueError):
                values[name] = json.loads(answer.partition("\n\n")[2])
            answers.append(f"### --8<-- [start:{name}]\n{answer}\n### --8<-- [end:{name}]\n")
    return steady("\n".join(answers))


def find_requests(root: Path = ROOT) -> list[Path]:
    """List the files of requests."""
    files = (root / "examples" / "snippets").glob("*/*.http")
    return sorted(path for path in files if not path.name.endswith(".answers.http"))


def problems(root: Path = ROOT, *, keep: bool = False) -> list[str]:
    """Send every request and say which answers are not those that are kept; or keep them.

    A request that no page shows is a problem, too, as are answers to nothing.
    """
    found = []
    pages = "".join(page.read_text() for page in (root / "docs").rglob("*.md"))
    files = find_requests(root)
    for path in files:
        kept = path.with_suffix(".answers.http")
        try:
            answers = exchange(path)
        except ExchangeError as error:
            found.append(str(error))
            continue
        if keep:
            kept.write_text(answers)
        elif not kept.exists() or kept.read_text() != answers:
            found.append(f"{path.name}: is answered by something else than {kept.name} says:\n{answers}")
        shown = (f"{path.parent.name}/{path.name}:{name}" for name in read_sections(path.read_text()))
        found += [f"{one}: no page shows it" for one in shown if f'"{one}"' not in pages]
    wanted = {path.with_suffix(".answers.http") for path in files}
    stale = (root / "examples" / "snippets").glob("*/*.answers.http")
    return found + [f"{path.name}: there are no such requests" for path in sorted(stale) if path not in wanted]


def main() -> int:
    """Do what the command line says; return 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.exchanges", description="Keep or check HTTP exchanges.")
    parser.add_argument("command", choices=("run", "check"))
    wrong = problems(keep=parser.parse_args().command == "run")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
