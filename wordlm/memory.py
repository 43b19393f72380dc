"""Memory that is free for the C library is not yet free for the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_memory_back() -> None:
    """Gives memory that is free back to the system, which the GNU C library does only when it is asked to.

    Elsewhere it does nothing.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library; Windows, where None is no library
        ctypes.CDLL(None).malloc_trim(0)
