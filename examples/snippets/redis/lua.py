"""Run a Lua script."""

import asyncio

from rustforge.redis import Script, connect

# --8<-- [start:script]
RAISE_TO = Script(
    "raise_to",
    """
    local now = tonumber(redis.call('GET', KEYS[1]) or '0')
    if tonumber(ARGV[1]) > now then
      redis.call('SET', KEYS[1], ARGV[1])
      return 1
    end
    return 0
    """,
)


async def main() -> None:
    async with connect("memory://") as redis:
        print(await redis.run(RAISE_TO, ["highscore"], [120], retry=True))
        print(await redis.run(RAISE_TO, ["highscore"], [80], retry=True))


# --8<-- [end:script]


asyncio.run(main())
