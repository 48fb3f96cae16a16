"""Every form of a Redis URL, taken apart."""

from rustforge.redis import RedisUrl

# --8<-- [start:forms]
for text in (
    "memory://",
    "memory://tests",
    "redis://127.0.0.1:6379/0",
    "redis://app:secret@cache.internal/2",
    "rediss://app:secret@cache.internal:6380/0",
    "unix:///run/redis/redis.sock?db=1",
    "redis+sentinel://10.0.0.1,10.0.0.2/mymaster/0",
    "redis+cluster://10.0.0.1:7000,10.0.0.2:7000",
):
    url = RedisUrl.parse(text)
    print(f"{url.topology:10} {'TLS' if url.tls else '-':3} {url.database} {url}")
# --8<-- [end:forms]
