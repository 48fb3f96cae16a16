"""Change the fields of a job while older ones are still under way."""

import asyncio

# --8<-- [start:upcast]
from typing import Any

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class Greet(Job):
    NAME = "user.greet"
    VERSION = 2

    first_name: str
    last_name: str

    @classmethod
    def upcast(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        if version == 1:  # it had one field `name`
            first, _, last = data["name"].partition(" ")
            return {"first_name": first, "last_name": last}
        return data

    async def handle(self, ctx: JobContext) -> None:
        print(f"hello {self.first_name}, of the family {self.last_name}")


# --8<-- [end:upcast]


class GreetOfLastWeek(Job):
    NAME = "user.greet"

    name: str


async def main() -> None:
    async with boot() as ctx:
        await GreetOfLastWeek(name="Ann Smith").dispatch(ctx.queue)
        await Worker(ctx).register(Greet).run_until_empty()


asyncio.run(main())
