"""Time-outs and TLS files stand in the query of the URL."""

from rustforge.redis import RedisUrl

# --8<-- [start:options]
url = RedisUrl.parse(
    "rediss://app:secret@cache.internal:6380/0"
    "?timeout=2&connect_timeout=1&ssl_ca_certs=/etc/ssl/redis-ca.pem"
)
print(url.addresses, url.username, len(url.password or ""))
print(url.seconds("timeout", 5), url.seconds("connect_timeout", 3))
print(url.options["ssl_ca_certs"])
# --8<-- [end:options]
