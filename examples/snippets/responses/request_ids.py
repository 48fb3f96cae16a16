"""Put the id of the request into every line of the log."""

import asyncio
import logging
import sys

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from typing_extensions import override

# --8<-- [start:log]
from rustforge.http import ApiResponse, get_request_id, install

logger = logging.getLogger("shop")


class RequestIds(logging.Filter):
    @override
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = get_request_id() or "-"
        return True


handler = logging.StreamHandler(sys.stdout)
handler.addFilter(RequestIds())
handler.setFormatter(logging.Formatter("[%(request_id)s] %(message)s"))
logger.addHandler(handler)
logger.setLevel(logging.INFO)

app = FastAPI()
install(app)


@app.get("/orders")
async def list_orders() -> ApiResponse[list[int]]:
    logger.info("looking for orders")
    return ApiResponse.success([])


# --8<-- [end:log]


async def main() -> None:
    logger.info("starting")
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.get("/orders", headers={"X-Request-ID": "order-42"})


asyncio.run(main())
