"""The embedded backend's engine: a keyspace in this process with the commands and scripts of a Redis server.

`database` holds the data, `registry` the table of commands, `lua` runs scripts; every other module adds the commands
of one kind to the table. `rustforge.redis.memory` puts a client in front of them.
"""

from __future__ import annotations
