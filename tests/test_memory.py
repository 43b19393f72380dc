import os
import sys
from pathlib import Path

import pytest

from wordlm import memory
from wordlm.memory import give_memory_back


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the memory of the process")
def test_what_is_free_between_what_is_kept_goes_back():
    if not hasattr(memory.ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("the C library has no such call")
    # Blocks that are too small for maps of their own; every 100th of them stays, and so does the heap around it.
    blocks = [b"x" * 60_000 for _ in range(3_000)]
    blocks[:] = blocks[::100]
    before = resident()
    give_memory_back()
    assert before - resident() > 100_000_000
    assert len(blocks) == 30


def test_elsewhere_it_does_nothing(monkeypatch):
    class NoLibrary:
        def __getattr__(self, name):
            raise AttributeError(name)

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: NoLibrary())
    give_memory_back()
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: memory.ctypes.c_int(name))  # TypeError, as on Windows
    give_memory_back()
