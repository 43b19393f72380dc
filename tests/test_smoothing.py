"""Discounts by hand, and that nothing is lost between masses and shares."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm.smoothing import FALLBACK, SmoothedOrder, find_discounts, smooth_words
from wordlm.trie import Level


def counts_of(n1, n2, n3, n4, more=()):
    return np.array([1] * n1 + [2] * n2 + [3] * n3 + [4] * n4 + list(more), np.uint8)


def test_closed_formula():
    # Y = 12 / (12 + 2 * 6) = 1/2
    assert find_discounts(counts_of(12, 6, 4, 2, more=[0, 9])) == (0.5, 2 - 3 * 0.5 * 4 / 6, 3 - 4 * 0.5 * 2 / 4)


@pytest.mark.parametrize(
    "counts",
    [
        [], [0, 0], [1, 1, 1], counts_of(0, 6, 4, 2), counts_of(12, 0, 4, 2), counts_of(12, 6, 0, 2),
        counts_of(12, 6, 4, 0),
        counts_of(8, 2, 9, 1),  # D2 = 2 - 3 * 2/3 * 9/2, below zero
        counts_of(8, 4, 2, 3),  # D3+ = 3 - 4 * 1/2 * 3/2: nothing would be left for others
    ],
)  # fmt: skip
def test_fallback(counts):
    assert find_discounts(np.array(counts, np.uint16)) == FALLBACK


@given(st.lists(st.lists(st.integers(1, 300), max_size=8), max_size=8))
def test_masses_and_shares_of_a_context_sum_to_one(contexts):
    sizes = np.array([len(counts) for counts in contexts], np.uint8)
    words = np.array([word for counts in contexts for word in range(len(counts))], np.uint8)
    order = SmoothedOrder(Level(sizes, words, 300), np.array([*chain(*contexts)], np.uint16))
    for context, (counts, share) in enumerate(zip(contexts, order.shares, strict=True)):
        masses = order.masses[slice(*order.grams.span(context))]
        assert masses.sum() + share == pytest.approx(1, abs=1e-12)
        assert share == 1 if not counts else 0 < share < 1
        assert not counts or masses.min() > 0


@given(st.lists(st.integers(0, 1000), min_size=2).filter(any))
def test_words_sum_to_one_and_all_but_padding_have_some(counts):
    _, probs = smooth_words(np.array([0, *counts], np.uint16))
    assert probs.sum() == pytest.approx(1, abs=1e-12)
    assert probs[0] == 0
    assert probs[1:].min() > 0
