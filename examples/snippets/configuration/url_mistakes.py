"""What a wrong URL is answered with."""

from rustforge.errors import ConfigurationError
from rustforge.redis import RedisUrl

# --8<-- [start:mistakes]
for text in (
    "redis://127.0.0.1/zero",
    "unix://",
    "rediss://127.0.0.1/0?timeout=soon",
    "redis+cluster://10.0.0.1:7000/3",
):
    try:
        RedisUrl.parse(text)
    except ConfigurationError as error:
        print(error)
# --8<-- [end:mistakes]
