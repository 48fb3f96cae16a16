"""The table with every command in it: the modules that fill it are loaded here."""

from __future__ import annotations

from rustforge.redis.embedded import hashes, keyspace, lists, scripting, sets, sorted_sets, streams, strings
from rustforge.redis.embedded.registry import COMMANDS

__all__ = ["COMMANDS", "hashes", "keyspace", "lists", "scripting", "sets", "sorted_sets", "streams", "strings"]
