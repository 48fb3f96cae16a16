"""A server that takes large uploads, and tells how much memory it has needed."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from rustforge.attachments import AttachmentRules
from rustforge.storage import Storage
from tests.support.uploading import application

if TYPE_CHECKING:
    from fastapi import FastAPI

SIZE = 300 * 1024 * 1024


def measured(app: FastAPI) -> FastAPI:
    """Let an application tell the most kibibytes that it has had in memory."""

    @app.get("/peak")
    async def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    return app


async def main(folder: str) -> None:
    """Serve until the process is killed."""
    rules = AttachmentRules(allowed=["video/mp4"], max_size=SIZE)
    async with Storage.connect(f"file:{folder}") as storage:
        app = measured(application(storage, rules, max_size=SIZE))
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
            print(listener.getsockname()[1], flush=True)  # noqa: T201 - whoever started it waits for it
            await server.serve([listener])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
