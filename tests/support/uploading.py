"""An application that takes uploads in both ways, and serves what it stored."""

from typing import Any

from fastapi import FastAPI, UploadFile
from starlette.requests import Request

from rustforge.attachments import AttachmentInput, AttachmentRules
from rustforge.http import files_app, install, multipart, store_upload
from rustforge.storage import Storage

ROUTES = ("/whole", "/parts")


def application(
    storage: Storage, rules: AttachmentRules, *, max_body_bytes: int | None = None, **limits: Any
) -> FastAPI:
    """Make the application: `/whole` takes FastAPI's `UploadFile`, `/parts` reads the form while it comes."""
    app = FastAPI()
    install(app, max_body_bytes=max_body_bytes)

    def told(file: AttachmentInput) -> dict[str, Any]:
        url = storage.presign(file.path)
        return {"path": file.path, "type": file.content_type, "name": file.name, "size": file.size, "url": url}

    @app.post("/whole")
    async def whole(file: UploadFile) -> dict[str, Any]:
        return told(await store_upload(file, storage, rules, owner="articles", field="cover"))

    @app.post("/parts")
    async def parts(request: Request) -> list[dict[str, Any]]:
        return [
            told(await store_upload(part, storage, rules, owner="articles", field="cover"))
            async for part in multipart(request, **limits)
            if part.filename is not None
        ]

    app.mount("/files", files_app(storage))
    return app
