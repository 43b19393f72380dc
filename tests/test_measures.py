"""Measures of predictions: by hand, against the definitions, and what holds of any."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import measures as measures_module
from wordlm.errors import OptionError
from wordlm.measures import Measures, measure_logprobs


def distributions(rows=5, words=7, seed=0, scale=2.0):
    logits = np.random.default_rng(seed).normal(0, scale, (rows, words))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_examples():
    result = doctest.testmod(measures_module)
    assert result.failed == 0
    assert result.attempted > 0


def test_by_hand():
    measures = measure_logprobs(
        np.log([[1 / 2, 1 / 4, 1 / 8, 1 / 8], [1 / 4] * 4, [1 / 8, 1 / 8, 1 / 2, 1 / 4]]), [3, 0, 2]
    )
    np.testing.assert_allclose(measures.surprisal, [3, 2, 1], rtol=1e-12)
    np.testing.assert_allclose(measures.entropy, [1.75, 2, 1.75], rtol=1e-12)
    # Of two words that are as likely, neither is likelier.
    np.testing.assert_array_equal(measures.rank, [3, 1, 1])
    np.testing.assert_allclose(measures.confidence, [0.5, 0.25, 0.5], rtol=1e-12)
    assert [array.dtype for array in (measures.surprisal, measures.entropy, measures.rank, measures.confidence)] == [
        np.float64, np.float64, np.int64, np.float64,
    ]  # fmt: skip
    assert measures.looked is None
    assert measures.parts is None


def test_what_cannot_be():
    with np.errstate(divide="ignore"):
        logprobs = np.log([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    measures = measure_logprobs(logprobs, [2, 1])
    np.testing.assert_array_equal(measures.surprisal, [math.inf, 0])
    np.testing.assert_array_equal(measures.entropy, [1, 0])
    np.testing.assert_array_equal(measures.rank, [3, 1])
    # Nobody prints "-0.0" for a word that was certain.
    assert not np.signbit(measures.surprisal).any()
    assert not np.signbit(measures.entropy).any()


def test_rounding_leaves_no_probability_above_one():
    measures = measure_logprobs(np.array([[1e-7, -40.0]], np.float32), [0])
    assert (measures.surprisal[0], measures.entropy[0], measures.confidence[0]) == (0, 0, 1)


@given(
    st.lists(st.lists(st.floats(-60, 60), min_size=4, max_size=4).map(np.array), min_size=1, max_size=5),
    st.integers(0, 3),
    st.sampled_from([np.float32, np.float64]),
)
def test_what_holds_of_any_prediction(rows, target, dtype):
    logits = np.array(rows)
    logits -= logits.max(axis=1, keepdims=True)
    logprobs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(dtype)
    measures = measure_logprobs(logprobs, [target] * len(rows))
    p = np.exp(logprobs.astype(np.float64))
    assert (measures.surprisal >= 0).all()
    assert (measures.entropy >= 0).all()
    assert (measures.entropy <= 2 + 1e-5).all()
    np.testing.assert_array_equal(measures.rank == 1, logprobs[:, target] == logprobs.max(axis=1))
    assert ((measures.rank >= 1) & (measures.rank <= 4)).all()
    np.testing.assert_allclose(2.0**-measures.surprisal, p[:, target], rtol=1e-5)
    assert (measures.confidence >= 2.0**-measures.surprisal - 1e-12).all()
    # The expected surprisal is the entropy.
    each = [measure_logprobs(logprobs, [word] * len(rows)).surprisal for word in range(4)]
    np.testing.assert_allclose((p * np.transpose(each)).sum(axis=1), measures.entropy, rtol=1e-4, atol=1e-6)


def test_blocks_are_all_rows(monkeypatch):
    logprobs, targets = distributions(11), np.arange(11) % 7
    whole = measure_logprobs(logprobs, targets)
    seen = []

    def look(scores, words):
        assert scores.shape == (len(words), 7)
        seen.append(len(words))
        return scores[np.arange(len(words)), words]

    monkeypatch.setattr(measures_module, "_BLOCK", 22)
    pieces = measure_logprobs(logprobs, targets, look)
    assert seen == [3, 3, 3, 2]
    for name in ("surprisal", "entropy", "rank", "confidence"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))
    np.testing.assert_allclose(pieces.looked, -whole.surprisal * math.log(2))


def test_predictions_stay_as_they_are():
    logprobs = distributions()
    before = logprobs.copy()
    measure_logprobs(logprobs, [0] * 5)
    np.testing.assert_array_equal(logprobs, before)


def test_no_predictions():
    measures = measure_logprobs(np.empty((0, 7)), [])
    assert measures.surprisal.shape == measures.rank.shape == (0,)


def test_shapes():
    measures = measure_logprobs(distributions(6), [0] * 6, look=lambda scores, words: words + 1)
    measures = Measures(**vars(measures) | {"parts": np.arange(12.0).reshape(6, 2)})
    table = measures.reshape(2, 3)
    assert table.surprisal.shape == table.looked.shape == (2, 3)
    assert table.parts.shape == (2, 3, 2)
    np.testing.assert_array_equal(table[1].parts, measures[3:].parts)
    np.testing.assert_array_equal(table[1, 0].surprisal, measures.surprisal[3])
    together = Measures.join([table[:, :1], table[:, 1:]], axis=1)
    for name, array in vars(together).items():
        np.testing.assert_array_equal(array, getattr(table, name))
    np.testing.assert_array_equal(table.reshape(6).parts, measures.parts)


@pytest.mark.parametrize(
    ("targets", "message"),
    [([0], r"shape \(5,\)"), ([[0]] * 5, r"shape \(5,\)"), ([0, 1, 2, 3, 7], "is 7"), ([0, 1, 2, 3, -1], "is -1")],
)
def test_targets_that_are_none(targets, message):
    with pytest.raises(OptionError, match=message):
        measure_logprobs(distributions(), targets)
