"""Into how many pieces a tick is cut, so that the server answers the first while the tasks still make the rest."""

from __future__ import annotations

__all__ = ["Slices"]

_SIZE = 50  # half of what a hundred tasks send is the best of 20, 32, 50 and all
_SUSTAINED = 8  # ticks


class Slices:
    """Tells large ticks in a row from a single burst, which goes as a whole.

    Attributes:
        sliced: Whether this tick was cut already.
    """

    __slots__ = ("_large_ticks", "_whole", "sliced")

    def __init__(self, whole: int) -> None:
        """Say how many go together at most while nothing is cut."""
        self.sliced: bool = False
        self._whole = whole
        self._large_ticks = 0

    def end_tick(self, left: int) -> int:
        """Note that a tick ends in which so many are left; return how many go together in the next one."""
        self._large_ticks = self._large_ticks + 1 if self.sliced or left > _SIZE else 0
        self.sliced = False
        return _SIZE if self._large_ticks >= _SUSTAINED else self._whole
