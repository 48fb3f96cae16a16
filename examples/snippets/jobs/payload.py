"""A job is a pydantic model: what it carries is validated when it is made."""

import asyncio

# --8<-- [start:payload]
from datetime import date
from decimal import Decimal

from pydantic import BaseModel, Field, ValidationError

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class Line(BaseModel):
    product: str
    amount: Decimal


class SendInvoice(Job):
    NAME = "invoice.send"

    due: date
    lines: list[Line] = Field(min_length=1)

    async def handle(self, ctx: JobContext) -> None:
        print(sum(line.amount for line in self.lines), "due on", self.due)


# --8<-- [end:payload]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:use]
        book = Line(product="book", amount=Decimal("12.50"))
        await SendInvoice(due=date(2027, 1, 31), lines=[book]).dispatch(ctx.queue)

        try:
            SendInvoice(due=date(2027, 1, 31), lines=[])
        except ValidationError as error:
            print(error.errors()[0]["msg"])  # where it is made, not in the worker
        # --8<-- [end:use]
        await Worker(ctx).register(SendInvoice).run_until_empty()


asyncio.run(main())
