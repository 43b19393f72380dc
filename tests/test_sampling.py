"""Filters on distributions that can be checked by hand, their properties, and the frequencies of draws."""

import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import sampling
from wordlm.config import SamplingConfig
from wordlm.errors import OptionError, WordlmError
from wordlm.sampling import (
    apply_min_p,
    apply_temperature,
    apply_top_k,
    apply_top_p,
    exclude,
    filter_logprobs,
)

FOUR = [0.5, 0.3, 0.15, 0.05]


def logs(*probabilities):
    with np.errstate(divide="ignore"):
        return np.log(np.array(probabilities, np.float32))


def probabilities_of(logprobs):
    return np.exp(logprobs, dtype=np.float64)


def check(logprobs, expected):
    assert logprobs.dtype == np.float32
    np.testing.assert_allclose(probabilities_of(logprobs), expected, rtol=1e-5, atol=1e-7)


def language_like(size, rows=1, seed=0):
    """Log-probabilities as a model gives them: Zipf's law, made uneven."""
    rng = np.random.default_rng(seed)
    logits = -np.log(np.arange(size) + 2) + 2 * rng.standard_normal((rows, size))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


# Few distinct values, so that ties are frequent; zeros among them.
distributions = st.lists(st.sampled_from([0, 1, 1, 2, 3, 10, 1000]), min_size=1, max_size=40).filter(any)


def normalized(weights):
    return logs(*(np.array(weights) / sum(weights)))


# Distributions of four words, by hand


def test_temperature_by_hand():
    check(apply_temperature(logs(*FOUR), 0.5), np.array([0.25, 0.09, 0.0225, 0.0025]) / 0.365)
    roots = np.sqrt(FOUR)
    check(apply_temperature(logs(*FOUR), 2.0), roots / roots.sum())
    check(apply_temperature(logs(0.3, 0.3, 0.4, 0), 0), [0, 0, 1, 0])
    check(apply_temperature(logs(0.1, 0.45, 0.45, 0), 0), [0, 1, 0, 0])


def test_temperature_at_its_ends():
    check(apply_temperature(logs(0.5, 0.5, 0, 0), 1e-300), [0.5, 0.5, 0, 0])
    check(apply_temperature(logs(*FOUR), 1e-30), [1, 0, 0, 0])
    check(apply_temperature(logs(0.6, 0.3, 0.1, 0), 1e300), [1 / 3, 1 / 3, 1 / 3, 0])
    check(apply_temperature(logs(0.6, 0.3, 0.1, 0), math.inf), [1 / 3, 1 / 3, 1 / 3, 0])


def test_top_k_by_hand():
    check(apply_top_k(logs(*FOUR), 1), [1, 0, 0, 0])
    check(apply_top_k(logs(*FOUR), 2), [0.625, 0.375, 0, 0])
    check(apply_top_k(logs(*FOUR), 4), FOUR)
    check(apply_top_k(logs(0.2, 0.2, 0.4, 0.2), 2), [1 / 3, 0, 2 / 3, 0])
    check(apply_top_k(logs(0.5, 0, 0, 0.5), 3), [0.5, 0, 0, 0.5])


def test_top_p_by_hand():
    check(apply_top_p(logs(*FOUR), 0), [1, 0, 0, 0])
    check(apply_top_p(logs(*FOUR), 0.49), [1, 0, 0, 0])
    check(apply_top_p(logs(*FOUR), 0.51), [0.625, 0.375, 0, 0])
    check(apply_top_p(logs(*FOUR), 0.9), np.array([0.5, 0.3, 0.15, 0]) / 0.95)
    check(apply_top_p(logs(*FOUR), 0.96), FOUR)
    check(apply_top_p(logs(0.25, 0.25, 0.25, 0.25), 0.4), [0.5, 0.5, 0, 0])
    check(apply_top_p(logs(0.05, 0.3, 0.15, 0.5), 0.6), [0, 0.375, 0, 0.625])


def test_min_p_by_hand():
    check(apply_min_p(logs(*FOUR), 0.2), np.array([0.5, 0.3, 0.15, 0]) / 0.95)
    check(apply_min_p(logs(*FOUR), 0.5), [0.625, 0.375, 0, 0])
    check(apply_min_p(logs(*FOUR), 1), [1, 0, 0, 0])
    check(apply_min_p(logs(0.4, 0.2, 0.4, 0), 1), [0.5, 0, 0.5, 0])


def test_exclude_by_hand():
    check(exclude(logs(*FOUR), [0]), [0, 0.6, 0.3, 0.1])
    check(exclude(logs(*FOUR), [0, 3, 3]), [0, 2 / 3, 1 / 3, 0])
    check(exclude(np.stack([logs(*FOUR), logs(*FOUR[::-1])]), [0]), [[0, 0.6, 0.3, 0.1], [0, 3 / 19, 6 / 19, 10 / 19]])


def test_the_order_is_temperature_top_k_top_p_min_p():
    config = SamplingConfig(temperature=0.5, top_k=3, top_p=0.9, min_p=0.3)
    # 0.25 : 0.09 : 0.0225 : 0.0025; the top 3 of 0.3625; the first two hold 0.94 of them; 0.09 is 0.36 of 0.25.
    check(filter_logprobs(logs(*FOUR), config), [25 / 34, 9 / 34, 0, 0])
    # Top-p before top-k would keep two words of 0.5, 0.3, 0.15, 0.05; after it 0.5 is 0.625 of the top two.
    check(filter_logprobs(logs(*FOUR), SamplingConfig(temperature=1.0, top_k=2, top_p=0.6)), [1, 0, 0, 0])
    # Min-p before the temperature would keep the third word: 0.15 is 0.3 of 0.5, but 0.0225 is 0.09 of 0.25.
    check(filter_logprobs(logs(*FOUR), SamplingConfig(temperature=0.5, min_p=0.2)), [25 / 34, 9 / 34, 0, 0])
    # Min-p before top-p would leave out the fourth word, and 0.95 of the rest would then need just two.
    row = logs(0.6, 0.32, 0.04, 0.04)
    check(filter_logprobs(row, SamplingConfig(temperature=1.0, top_p=0.95, min_p=0.05)), np.array([60, 32, 4, 0]) / 96)
    # Greedy keeps the likeliest word, whatever else is asked for.
    check(filter_logprobs(logs(*FOUR), SamplingConfig(temperature=0.0, top_k=3, min_p=0.01)), [1, 0, 0, 0])


def test_filters_that_are_off_return_their_input():
    row = language_like(50)
    off = SamplingConfig(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
    assert filter_logprobs(row, off) is row
    assert apply_top_k(row, 50) is row
    assert exclude(row, []) is row


# Properties

FILTERS = {
    "temperature": lambda row, x: apply_temperature(row, 2 * x),
    "top_k": lambda row, x: apply_top_k(row, 1 + int(x * row.shape[-1])),
    "top_p": apply_top_p,
    "min_p": apply_min_p,
}


@pytest.mark.parametrize("name", FILTERS)
@settings(max_examples=60, deadline=None)
@given(weights=distributions, x=st.floats(0, 1))
def test_filters_keep_the_likeliest_and_sum_to_one(name, weights, x):
    row = normalized(weights)
    copy = row.copy()
    out = FILTERS[name](row, x)
    np.testing.assert_array_equal(row, copy)
    assert out.dtype == np.float32
    assert out.shape == row.shape
    assert out[row.argmax()] > -np.inf
    assert (out[row == -np.inf] == -np.inf).all()
    assert probabilities_of(out).sum() == pytest.approx(1, abs=1e-5)
    # What is kept keeps its order.
    kept = np.flatnonzero(out > -np.inf)
    for a, b in itertools.pairwise(kept):
        assert (row[a] >= row[b]) == (out[a] >= out[b]) or name == "temperature"


@settings(max_examples=60, deadline=None)
@given(weights=distributions, data=st.data())
def test_top_k_keeps_exactly_k_and_lower_ids_first(weights, data):
    row = normalized(weights)
    k = data.draw(st.integers(1, len(row)))
    kept = np.flatnonzero(apply_top_k(row, k) > -np.inf)
    possible = np.flatnonzero(row > -np.inf)
    expected = sorted(possible, key=lambda i: (-row[i], i))[:k]
    assert kept.tolist() == sorted(expected)


@settings(max_examples=100, deadline=None)
@given(weights=distributions, p=st.floats(0, 1, exclude_max=True))
def test_top_p_keeps_the_fewest_words_that_hold_p(weights, p):
    row = normalized(weights)
    mass = probabilities_of(row)
    kept = np.flatnonzero(apply_top_p(row, p) > -np.inf)
    order = sorted(range(len(row)), key=lambda i: (-row[i], i))
    assert kept.tolist() == sorted(order[: len(kept)])
    assert mass[kept].sum() >= p - 1e-6
    if len(kept) > 1:
        assert mass[order[: len(kept) - 1]].sum() < p + 1e-6


@settings(max_examples=40, deadline=None)
@given(weights=distributions)
def test_the_support_shrinks_as_the_options_grow_stricter(weights):
    row = normalized(weights)

    def supports(apply, values):
        return [set(np.flatnonzero(apply(row, value) > -np.inf)) for value in values]

    for chain in (
        supports(apply_top_k, range(len(row), 0, -1)),
        supports(apply_top_p, np.linspace(1, 0, 15)),
        supports(apply_min_p, np.linspace(0, 1, 15)),
    ):
        assert all(larger >= smaller for larger, smaller in itertools.pairwise(chain))
        assert all(chain)


# A large vocabulary takes the fast ways; a full sort is the reference.


@pytest.mark.parametrize("size", [33_278, 1000])
@pytest.mark.parametrize("rounded", [False, True])
def test_large_vocabularies_agree_with_a_full_sort(size, rounded):
    rows = language_like(size, rows=3)
    if rounded:  # many ties
        rows = np.round(rows, 1)
        rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    order = np.argsort(-rows, axis=1, kind="stable")
    for k in (1, 40, 500, size - 1):
        kept = apply_top_k(rows, k) > -np.inf
        for row, best in zip(kept, order, strict=True):
            np.testing.assert_array_equal(np.flatnonzero(row), np.sort(best[:k]))
    for p in (0.0, 0.1, 0.9, 0.95, 0.999):
        kept = apply_top_p(rows, p) > -np.inf
        for row, best, logprobs in zip(kept, order, rows, strict=True):
            mass = np.cumsum(probabilities_of(logprobs[best]))
            count = row.sum()
            np.testing.assert_array_equal(np.flatnonzero(row), np.sort(best[:count]))
            assert mass[count - 1] >= p - 1e-6
            assert count == 1 or mass[count - 2] < p + 1e-6


@pytest.mark.parametrize("name", FILTERS)
def test_rows_are_filtered_one_by_one_and_any_leading_shape_serves(name):
    rows = language_like(300, rows=6)
    together = FILTERS[name](rows, 0.4)
    np.testing.assert_array_equal(FILTERS[name](rows.reshape(2, 3, 300), 0.4), together.reshape(2, 3, 300))
    for row, expected in zip(rows, together, strict=True):
        np.testing.assert_array_equal(FILTERS[name](row, 0.4), expected)


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda row: apply_temperature(row, -1), "`temperature` must be at least 0, but is -1"),
        (lambda row: apply_temperature(row, math.nan), "`temperature` must be at least 0, but is nan"),
        (lambda row: apply_top_k(row, -1), "`top_k` must be a whole number, at least 0, but is -1"),
        (lambda row: apply_top_k(row, 1.5), "`top_k` must be a whole number, at least 0, but is 1.5"),
        (lambda row: apply_top_p(row, 1.5), "`top_p` must be between 0 and 1, but is 1.5"),
        (lambda row: apply_top_p(row, math.nan), "`top_p` must be between 0 and 1, but is nan"),
        (lambda row: apply_min_p(row, -1), "`min_p` must be between 0 and 1, but is -1"),
        (lambda row: exclude(row, [4]), "ids between 0 and 3, but one has 4"),
        (lambda row: exclude(row, [1, -2]), "ids between 0 and 3, but one has -2"),
        (lambda row: exclude(row, range(4)), "no word is left to draw"),
    ],
)
def test_wrong_options_are_refused(call, message):
    with pytest.raises(OptionError, match=message):
        call(logs(*FOUR))


ALL = {**FILTERS, "exclude": lambda rows, _: exclude(rows, [0])}


@pytest.mark.parametrize("name", ALL)
def test_nan_and_nothing_left_are_noticed_in_any_row(name):
    with pytest.raises(WordlmError, match="NaN"):
        ALL[name](np.stack([logs(*FOUR), np.full(4, np.nan, np.float32)]), 0.4)
    with pytest.raises(OptionError, match="no word is left"):
        ALL[name](np.stack([logs(*FOUR), np.full(4, -np.inf, np.float32)]), 0.4)


def test_examples():
    result = doctest.testmod(sampling)
    assert result.attempted > 0
    assert result.failed == 0
