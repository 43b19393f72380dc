"""The n-grams of one order as a level of a trie in flat arrays: found by the numbers of their contexts.

N-grams that share their first n-1 words, their context, are a contiguous slice, by rising last word; the slices stand
in the order of the contexts. An n-gram's number is its place, by which the next level knows it as a context. So a level
is how many n-grams each context has, and their last words.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

import numpy as np


class Level:
    """The n-grams of one order.

    Args:
        sizes: (contexts,) how many n-grams each context has: unsigned, of 4 bytes at most.
        words: (n-grams,) their last words.
        vocab_size: words are below it.

    Attributes:
        starts: (contexts + 1,) int64, the first n-gram of each context; the last one is the number of n-grams.

    Example:
        >>> level = Level(np.array([2, 0, 1]), np.array([3, 5, 4]), vocab_size=6)  # of the contexts 0, 0 and 2
        >>> level.span(0), level.child(0, 5), level.child(1, 5), level.child(2, 4)
        ((0, 2), 1, -1, 2)
    """

    def __init__(self, sizes: np.ndarray, words: np.ndarray, vocab_size: int) -> None:
        self.sizes, self.words, self._vocab_size = sizes, words, vocab_size
        self.starts = np.zeros(len(sizes) + 1, np.int64)
        np.cumsum(sizes, out=self.starts[1:])
        # One number of a memoryview is read in a fraction of the time that one of an array takes.
        self._starts, self._words = memoryview(self.starts), memoryview(words)

    def span(self, context: int) -> tuple[int, int]:
        """The n-grams of a context: the first one's number, and the last one's and one."""
        return self._starts[context], self._starts[context + 1]

    def child(self, context: int, word: int) -> int:
        """The n-gram of a context and a word, or -1."""
        end = self._starts[context + 1]
        place = bisect_left(self._words, word, self._starts[context], end)
        return place if place < end and self._words[place] == word else -1

    def find(self, contexts: np.ndarray, words: np.ndarray) -> np.ndarray:
        """As `child`, for many.

        Args:
            contexts: (N,) numbers of contexts.
            words: (N,) ids.

        Returns:
            (N,) int64 numbers of n-grams, -1 where there is none.
        """
        if not len(self.words):
            return np.full(len(contexts), -1)
        keys = contexts.astype(np.int64) * self._vocab_size + words
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, places, -1)

    def fault(self, contexts: int) -> str | None:
        """What keeps the arrays from being a level on top of one with so many n-grams, in words; None if nothing."""
        if len(self.sizes) != contexts or self.starts[-1] != len(self.words):
            return "its arrays do not fit together"
        if self.words.max(initial=0) >= self._vocab_size:
            return f"an id is not below {self._vocab_size}"
        rises = np.ones(len(self.words) + 1, bool)
        np.greater(self.words[1:], self.words[:-1], out=rises[1:-1])
        rises[self.starts] = True
        return None if rises.all() else "its words are not sorted"

    @cached_property
    def _keys(self) -> np.ndarray:
        """(n-grams,) int64, rising: each made of a context and a word."""
        keys = np.repeat(np.arange(len(self.sizes)) * self._vocab_size, self.sizes)
        keys += self.words
        return keys
