"""States, windows, and the check of ids."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import state as state_module
from wordlm.errors import OptionError
from wordlm.state import State, check_ids, empty_window, slide

ROWS = st.lists(st.lists(st.integers(0, 9), min_size=12, max_size=12), min_size=1, max_size=4)


def test_examples():
    result = doctest.testmod(state_module)
    assert result.failed == 0
    assert result.attempted > 0


def stream_state():
    arrays = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    return State(((arrays[0], arrays[1]), (arrays[0] + 100,)))


def test_a_stream_state_selects_and_joins_rows():
    state = stream_state()
    assert state.batch_size == 3
    both = state.select([2, 0, 2]).join(state.select(np.array([1])))
    assert both.batch_size == 4
    assert both.window is None
    assert [len(layer) for layer in both.layers] == [2, 1]
    np.testing.assert_array_equal(both.layers[0][0], [[4, 5], [0, 1], [4, 5], [2, 3]])
    np.testing.assert_array_equal(both.layers[0][1], [[10, 11], [6, 7], [10, 11], [8, 9]])
    np.testing.assert_array_equal(both.layers[1][0], [[104, 105], [100, 101], [104, 105], [102, 103]])


def test_a_selection_shares_nothing_with_the_state():
    state = stream_state()
    selected = state.select([0, 1, 2])
    selected.layers[0][0][:] = -1
    assert state.layers[0][0].min() == 0


def test_a_window_state_selects_and_joins_rows():
    state = State((), np.array([[5, 0], [6, 7]]))
    assert state.batch_size == 2
    assert state.join(state.select([1])).window.tolist() == [[5, 0], [6, 7], [6, 7]]


@given(ROWS, st.integers(1, 6))
def test_windows_hold_the_last_words(rows, context):
    window = empty_window(len(rows), context).window
    for time, column in enumerate(np.array(rows).T, 1):
        before = window.copy()
        new = slide(window, column)
        np.testing.assert_array_equal(window, before)
        window = new
        for row, held in zip(rows, window.tolist(), strict=True):
            words = [word for word in row[:time] if word][-context:]
            assert held == words + [0] * (context - len(words))


def test_ids_become_whole_numbers():
    assert check_ids(np.array([1, 2], np.uint16), 1, 2, 10).dtype == np.intp
    assert check_ids(np.zeros((2, 0)), 2, 2, 10).shape == (2, 0)


@pytest.mark.parametrize("wrong", [-1, 10, 2**40, -(2**40)])
def test_ids_out_of_range_are_refused(wrong):
    with pytest.raises(OptionError, match=rf"between 0 and 9.* there is {wrong};"):
        check_ids([[1, wrong]], 2, 1, 10)


@pytest.mark.parametrize(
    ("token_ids", "axes", "message"),
    [
        ([[1]], 1, r"the shape \(batch,\), but have \(1, 1\)"),
        ([1], 2, r"the shape \(batch, time\), but have \(1,\)"),
        ([1, 2], 1, "1 texts, but have 2"),
        ([1.5], 1, "whole numbers, but are of type float64"),
        (["a"], 1, "whole numbers"),
    ],
)
def test_other_ids_are_refused(token_ids, axes, message):
    with pytest.raises(OptionError, match=message):
        check_ids(token_ids, axes, 1, 10)


def test_a_batch_has_a_text():
    with pytest.raises(OptionError, match="`batch_size` must be at least 1, but is 0"):
        empty_window(0, 3)
