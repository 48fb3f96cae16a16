"""The built site behind a file server that answers as its host does, and a headless Chromium to look at it."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
import time
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

MOUNT = "/rustforge-python/"
"""Where the published site lies on its host, so that a link that forgets the folder fails here too."""

# A browser that asks nobody but the page's own host.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class _Handler(SimpleHTTPRequestHandler):
    """Serve a folder below `MOUNT` as GitHub Pages does: compressed, with its own 404 page; and write no log."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, pace: float, directory: str) -> None:
        self.pace = pace
        super().__init__(*args, directory=directory)

    @override
    def do_GET(self) -> None:
        file = Path(self.translate_path(self.path))
        if file.is_dir() and urlsplit(self.path).path.endswith("/"):
            file /= "index.html"
        if file.is_file():
            self._answer(HTTPStatus.OK, file)
        else:
            super().do_GET()

    def _answer(self, status: HTTPStatus, file: Path) -> None:
        """Answer with a file, compressed where that helps and the browser takes it."""
        kind = self.guess_type(file)
        body = file.read_bytes()
        self.send_response(status)
        if kind.startswith("text/") or kind.endswith(("json", "xml", "javascript")):
            kind += "; charset=utf-8"
            if "gzip" in self.headers.get("Accept-Encoding", ""):
                body = gzip.compress(body, 6)
                self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("Vary", "Accept-Encoding")
        self.end_headers()
        size = 200 if self.pace and kind.startswith("text/html") else max(len(body), 1)
        for begin in range(0, len(body), size):
            self.wfile.write(body[begin : begin + size])
            time.sleep(self.pace)

    @override
    def translate_path(self, path: str) -> str:
        inside = urlsplit(path).path
        return super().translate_path("/" + inside.removeprefix(MOUNT) if inside.startswith(MOUNT) else "/outside")

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = Path(self.directory, "404.html")
        if code != HTTPStatus.NOT_FOUND or not page.exists():
            super().send_error(code, message, explain)
        else:
            self._answer(HTTPStatus.NOT_FOUND, page)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(site: Path, pace: float = 0) -> Iterator[str]:
    """Serve a built site on a free port of this machine, and give its address.

    Args:
        site: The site's folder.
        pace: The seconds after every 200 bytes of a page, as over a bad line.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, pace=pace, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{MOUNT}"
        finally:
            server.shutdown()
            thread.join()


def find_chromium() -> str | None:
    """Find the browser: the program that `CHROMIUM` names, else one on the path."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a headless Chromium, and end it.

    Raises:
        RuntimeError: There is no Chromium.
    """
    program = find_chromium()
    if program is None:
        msg = "No Chromium was found: install it, or set CHROMIUM to the program."
        raise RuntimeError(msg)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()
