"""Passwords stay out of what is printed and logged."""

from rustforge.redis import RedisUrl
from rustforge.settings import Settings

# --8<-- [start:secrets]
url = "redis://app:secret@cache.internal:6379/0"
print(Settings(redis_url=url).redis_url == url)
print(repr(Settings(redis_url=url)).split()[0])
print(repr(RedisUrl.parse(url)))
# --8<-- [end:secrets]
