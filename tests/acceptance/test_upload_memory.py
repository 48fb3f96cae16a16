"""A large upload passes through little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from httpx2 import AsyncClient

from tests.support import hostile
from tests.support.forms import BOUNDARY, CONTENT_TYPE, part
from tests.support.uploading import ROUTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MEBIBYTE = 1024 * 1024
SIZE = 200 * MEBIBYTE
MOST_KIBIBYTES = 32 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Run the server in a process of its own, with its temporary files on the same disk as the objects."""
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "tests.acceptance.workers.uploads", str(tmp_path / "objects")]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


async def upload(client: AsyncClient, route: str, size: int) -> None:
    """Upload a film of this size."""
    head = hostile.MP4.ljust(MEBIBYTE, b"\0")

    async def body() -> AsyncIterator[bytes]:
        yield b"--" + BOUNDARY + b"\r\n" + part("file", b"", filename="film.mp4")
        yield head
        for _ in range(size // MEBIBYTE - 1):
            yield bytes(MEBIBYTE)
        yield b"\r\n--" + BOUNDARY + b"--\r\n"

    response = await client.post(route, content=body(), headers={"Content-Type": CONTENT_TYPE})
    assert response.status_code == 200, response.text
    assert f'"size":{size}' in response.text


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is told in other units elsewhere")
@pytest.mark.parametrize("route", ROUTES)
async def test_200_mib_pass_through_32(server: str, route: str, tmp_path: Path) -> None:
    """In both ways of taking uploads, from the client to the storage, and nothing is left but the object."""
    async with AsyncClient(base_url=server, trust_env=False, timeout=50) as client:
        await upload(client, route, 2 * MEBIBYTE)
        before = int((await client.get("/peak")).text)
        await upload(client, route, SIZE)
        assert int((await client.get("/peak")).text) - before <= MOST_KIBIBYTES
    stored = [path.stat().st_size for path in (tmp_path / "objects" / "articles").rglob("*.mp4")]
    assert sorted(stored) == [2 * MEBIBYTE, SIZE]
    assert list((tmp_path / "tmp").iterdir()) == []
