"""The process that speaks S3: moto's server, with a bucket in memory."""

from __future__ import annotations

import sys

from benchmarks.children import say
from tests.support.storages import S3Server


def work() -> None:
    """In a child: serve until told to stop."""
    with S3Server() as server:
        say(server.url(server.bucket()))
        sys.stdin.readline()
