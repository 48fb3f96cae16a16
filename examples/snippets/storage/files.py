"""Serve files by signed URLs, and take uploads."""

# --8<-- [start:app]
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from rustforge.boot import boot
from rustforge.http import ApiResponse, BadRequest, NotFound, files_app, install
from rustforge.storage import Storage, new_key


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with boot() as ctx:
        await ctx.storage.put(
            "reports/7.txt", b"The report.", filename="Report.txt"
        )
        app.state.storage = ctx.storage
        yield


app = FastAPI(lifespan=lifespan)
install(app)
app.mount("/files", files_app(lambda request: request.app.state.storage))
# --8<-- [end:app]


# --8<-- [start:link]
@app.get("/reports/{number}")
async def report(number: int) -> ApiResponse[dict[str, str]]:
    storage: Storage = app.state.storage
    key = f"reports/{number}.txt"
    if not await storage.exists(key):
        raise NotFound
    url = storage.presign(key, expires=timedelta(hours=2))
    return ApiResponse.success({"url": url})


# --8<-- [end:link]
# --8<-- [start:permit]
@app.post("/uploads")
async def permit_upload() -> ApiResponse[dict[str, str]]:
    storage: Storage = app.state.storage
    upload = storage.presign_upload(
        "notes", max_size=1000, content_type="text/plain", expires=60
    )
    return ApiResponse.success(
        {"url": upload.url, "method": upload.method, "token": upload.token}
    )


# --8<-- [end:permit]
# --8<-- [start:take]
@app.post("/notes")
async def take_note(token: str) -> ApiResponse[dict[str, str]]:
    storage: Storage = app.state.storage
    grant = storage.read_upload_token(token)
    text = await storage.get(grant.key)  # at most grant.max_size bytes
    if not text.isascii():
        await storage.delete(grant.key)
        raise BadRequest("Only plain text, please.")
    key = new_key("notes", "text", "txt")
    await storage.move(grant.key, key)
    return ApiResponse.success({"key": key})


# --8<-- [end:take]
