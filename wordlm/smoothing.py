"""From counts of n-grams to their probabilities, one order at a time: absolute discounting with three discounts.

Chen & Goodman (1999), "An empirical study of smoothing techniques for language modeling", section 3: a discount is
taken of each count, and what the discounts of a context set free is the share of the model of one word less.
"""

from __future__ import annotations

import numpy as np

from wordlm.trie import Level
from wordlm.vocab import PAD

Discounts = tuple[float, float, float]
# For an order whose counts of counts give none: of a text too small, or a strange one.
FALLBACK = (0.5, 1.0, 1.5)


class SmoothedOrder:
    """The n-grams of one order from 2 on, with their parts of the predictions.

    Args:
        grams: the n-grams.
        counts: (n-grams,) whole numbers from 1.

    Attributes:
        discounts: what is taken of a count of 1, of 2, and of 3 or more.
        masses: (n-grams,) float64, the count less its discount, divided by all counts of the context.
        shares: (contexts,) float64, what is left for the model of one word less; 1 where nothing follows.

    Example:
        >>> order = SmoothedOrder(Level(np.array([2, 0]), np.array([3, 5]), vocab_size=6), np.array([1, 3]))
        >>> order.masses.tolist(), order.shares.tolist()
        ([0.125, 0.375], [0.5, 1.0])
    """

    def __init__(self, grams: Level, counts: np.ndarray) -> None:
        self.grams, self.counts, self.discounts = grams, counts, find_discounts(counts)
        self.masses, self.shares = _lessened(counts, self.discounts), np.ones(len(grams.sizes))
        if len(counts):
            is_context = grams.sizes > 0
            firsts = grams.starts[:-1][is_context]
            totals = np.add.reduceat(counts, firsts, dtype=np.int64)
            self.shares[is_context] = 1 - np.add.reduceat(self.masses, firsts) / totals
            self.masses /= np.repeat(totals, grams.sizes[is_context])


def find_discounts(counts: np.ndarray) -> Discounts:
    """The discounts of one order, from how many of its n-grams have each of the counts 1 to 4 (equation 26).

    Where there is none of one of these counts, or a discount would not be positive, they are 0.5, 1 and 1.5.

    Args:
        counts: (n-grams,) whole numbers; zeros are not looked at.

    Returns:
        What is taken of a count of 1, of 2, and of 3 or more.

    Example:
        >>> find_discounts(np.array([1] * 8 + [2] * 4 + [3] * 2 + [4]))
        (0.5, 1.25, 2.0)
        >>> find_discounts(np.array([1, 2, 5]))
        (0.5, 1.0, 1.5)
    """
    n1, n2, n3, n4 = np.bincount(counts[counts <= 4], minlength=5)[1:].tolist()
    if not (n1 and n2 and n3 and n4):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    discounts = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    return discounts if min(discounts) > 0 else FALLBACK


def smooth_words(counts: np.ndarray) -> tuple[Discounts, np.ndarray]:
    """The probabilities of single words: their share goes to all words alike.

    Args:
        counts: (V,) whole numbers, not all zero; that of padding is.

    Returns:
        The discounts, and (V,) float64 probabilities that sum to one; 0 for padding.

    Example:
        >>> smooth_words(np.array([0, 2, 0]))
        ((0.5, 1.0, 1.5), array([0.  , 0.75, 0.25]))
    """
    discounts, total = find_discounts(counts), int(counts.sum(dtype=np.int64))
    kept = _lessened(counts, discounts)
    probs = (kept + (total - kept.sum()) / (len(counts) - 1)) / total
    probs[PAD] = 0
    return discounts, probs


def _lessened(counts: np.ndarray, discounts: Discounts) -> np.ndarray:
    return counts - np.array([0, *discounts])[np.minimum(counts, 3)]
