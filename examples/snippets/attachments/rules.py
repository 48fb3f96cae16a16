"""What rules refuse, and how an image that they allow is stored."""

import asyncio
from io import BytesIO

from PIL import Image

from rustforge.attachments import AttachmentRules, Resize, receive
from rustforge.errors import AttachmentRejectedError
from rustforge.storage import Storage

# --8<-- [start:rules]
avatar = AttachmentRules(
    allowed=["image/jpeg", "image/png"],
    max_size=2 * 1024 * 1024,
    max_pixels=10_000_000,
    resize=Resize(width=256, height=256, format="webp", quality=80),
)
contract = AttachmentRules(allowed=["application/pdf"], max_size=20_000_000)
# --8<-- [end:rules]


def picture(width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


async def attempt(storage: Storage, data: bytes, rules: AttachmentRules) -> None:
    # --8<-- [start:refused]
    try:
        file = await receive(storage, data, rules, owner="people", field="file")
    except AttachmentRejectedError as error:
        print(f"{error.reason}: {error}")
    else:
        print("stored:", file.content_type, file.width, file.height)
    # --8<-- [end:refused]


async def main() -> None:
    async with Storage.connect("memory://") as storage:
        # --8<-- [start:use]
        await attempt(storage, picture(600, 300), avatar)
        await attempt(storage, b"<svg xmlns='http://www.w3.org/2000/svg'/>", avatar)
        await attempt(storage, picture(600, 300), contract)
        await attempt(storage, bytes(3 * 1024 * 1024), avatar)
        await attempt(storage, picture(4000, 4000), avatar)
        await attempt(storage, picture(600, 300)[:200], avatar)
        await attempt(storage, b"", avatar)
        # --8<-- [end:use]


asyncio.run(main())
