"""Hear of SIGTERM and SIGINT, for several parts of one process, such as a worker and a scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["on_stop_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Callable[[], None]]] = WeakKeyDictionary()


@contextlib.contextmanager
def on_stop_signals(stop: Callable[[], None]) -> Generator[None]:
    """Call `stop` with each SIGTERM and SIGINT, within the block; outside of the main thread, do nothing.

    Args:
        stop: Called on the event loop. All who listen are called.
    """
    loop = asyncio.get_running_loop()
    listeners = _listeners.setdefault(loop, [])
    listeners.append(stop)
    if len(listeners) == 1 and threading.current_thread() is threading.main_thread():
        for one in _SIGNALS:
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(one, _notify, loop)
    try:
        yield
    finally:
        listeners.remove(stop)
        if not listeners and threading.current_thread() is threading.main_thread():
            for one in _SIGNALS:
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(one)


def _notify(loop: asyncio.AbstractEventLoop) -> None:
    for stop in tuple(_listeners.get(loop, ())):
        stop()
