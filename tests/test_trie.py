"""A level of the trie against a dictionary, and what is no level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm.trie import Level

V = 9


def make(followers):
    """The level of contexts 0, 1, ... that have these followers."""
    sizes = np.array([len(words) for words in followers], np.uint8)
    return Level(sizes, np.array([word for words in followers for word in sorted(words)], np.uint16), V)


@given(st.lists(st.sets(st.integers(1, V - 1)), max_size=6))
def test_finds_what_is_there_and_nothing_else(followers):
    level = make(followers)
    assert level.fault(len(followers)) is None
    numbers = {}
    for context, words in enumerate(followers):
        assert level.span(context) == (len(numbers), len(numbers) + len(words))
        for word in sorted(words):
            numbers[context, word] = len(numbers)
    pairs = [(context, word) for context in range(len(followers)) for word in range(V)]
    expected = [numbers.get(pair, -1) for pair in pairs]
    assert [level.child(*pair) for pair in pairs] == expected
    contexts, words = np.array(pairs, np.int32).reshape(-1, 2).T
    assert level.find(contexts, words).tolist() == expected


def test_keys_do_not_overflow():
    size = 1 << 17
    sizes = np.zeros(size, np.uint8)
    sizes[-1] = 1
    level = Level(sizes, np.array([size - 1], np.uint32), vocab_size=size)
    assert level.find(np.array([size - 1, 0], np.int32), np.array([size - 1, size - 1], np.int32)).tolist() == [0, -1]


@pytest.mark.parametrize(
    ("sizes", "words", "fault"),
    [
        ([2, 1], [3, 4, 3], "its arrays do not fit together"),
        ([2, 1, 1], [3, 4, 3], "its arrays do not fit together"),
        ([2, 0, 0], [3, 4, 3], "its arrays do not fit together"),
        ([(1 << 32) - 1, 3, 1], [3, 4, 3], "its arrays do not fit together"),  # 3 again in 32 bits
        ([2, 0, 1], [3, 9, 3], "an id is not below 9"),
        ([2, 0, 1], [4, 3, 3], "its words are not sorted"),
        ([2, 0, 1], [3, 3, 3], "its words are not sorted"),
        ([2, 0, 1], [3, 4, 3], None),
        ([0, 0, 0], [], None),
    ],
)
def test_faults(sizes, words, fault):
    level = Level(np.array(sizes, np.uint32), np.array(words, np.uint8), V)
    assert level.fault(contexts=3) == fault
