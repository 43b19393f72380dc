"""Filters on distributions that can be checked by hand, their properties, and an independent reference."""

import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wordlm import sampling
from wordlm.config import SamplingConfig
from wordlm.errors import OptionError, WordlmError
from wordlm.sampling import (
    apply_min_p,
    apply_repetition_penalty,
    apply_temperature,
    apply_top_k,
    apply_top_p,
    apply_typical,
    exclude,
    filter_logprobs,
    likeliest,
    normalize,
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


def test_typical_by_hand():
    # Surprisals in bits 1, 2, 3, 3, the entropy 1.75: the distances are 0.75, 0.25, 1.25, 1.25.
    row = logs(0.5, 0.25, 0.125, 0.125)
    check(apply_typical(row, 0), [0, 1, 0, 0])
    check(apply_typical(row, 0.24), [0, 1, 0, 0])
    check(apply_typical(row, 0.26), [2 / 3, 1 / 3, 0, 0])
    check(apply_typical(row, 0.74), [2 / 3, 1 / 3, 0, 0])
    check(apply_typical(row, 0.8), np.array([4, 2, 1, 0]) / 7)
    check(apply_typical(row, 0.9), [0.5, 0.25, 0.125, 0.125])
    assert apply_typical(row, 1) is row
    # All alike: each is as surprising as the mean, and lower ids come first.
    check(apply_typical(logs(0.25, 0, 0.25, 0.25, 0.25), 0.4), [0.5, 0, 0.5, 0, 0])
    # A certain word has the surprisal 0, which is the entropy.
    check(apply_typical(logs(0, 1, 0), 0.1), [0, 1, 0])


def test_the_repetition_penalty_by_hand():
    row = logs(*FOUR)
    # A penalty of 2 squares the probabilities.
    check(apply_repetition_penalty(row, [0], 2.0), np.array([0.25, 0.3, 0.15, 0.05]) / 0.75)
    check(apply_repetition_penalty(row, [3, 0, 3, 3], 2.0), np.array([0.25, 0.3, 0.15, 0.0025]) / 0.7025)
    check(apply_repetition_penalty(row, [], 2.0), FOUR)
    check(apply_repetition_penalty(logs(0, 0.5, 0.5), [0, 1], 1.5), np.array([0, 0.5**1.5, 0.5]) / (0.5**1.5 + 0.5))
    # A certain word stays certain.
    check(apply_repetition_penalty(logs(0, 1), [0, 1], 5.0), [0, 1])
    check(apply_repetition_penalty(row, range(4), 1e300), [1, 0, 0, 0])
    assert apply_repetition_penalty(row, [0], 1.0) is row


def test_each_row_of_a_batch_has_its_own_words_to_penalize():
    rows, lists = language_like(50, rows=4), [[3, 4], [], [49, 0, 0, 7], [3]]
    together = apply_repetition_penalty(rows, lists, 1.3)
    for row, ids, expected in zip(rows, lists, together, strict=True):
        np.testing.assert_array_equal(apply_repetition_penalty(row, ids, 1.3), expected)
        np.testing.assert_array_equal(apply_repetition_penalty(row[np.newaxis], [ids], 1.3), expected[np.newaxis])


def test_exclude_by_hand():
    check(exclude(logs(*FOUR), [0]), [0, 0.6, 0.3, 0.1])
    check(exclude(logs(*FOUR), [0, 3, 3]), [0, 2 / 3, 1 / 3, 0])
    check(exclude(np.stack([logs(*FOUR), logs(*FOUR[::-1])]), [0]), [[0, 0.6, 0.3, 0.1], [0, 3 / 19, 6 / 19, 10 / 19]])


def test_the_order_is_temperature_top_k_top_p_min_p_typical():
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
    # Typical before min-p would count the many rare words, and keep the third word as the most typical one.
    row = logs(0.4, 0.3, 0.1, *[0.01] * 20)
    config = SamplingConfig(temperature=1.0, min_p=0.2, typical=0.1)
    check(filter_logprobs(row, config), [0, 1, 0, *[0] * 20])
    check(filter_logprobs(row, config.replace(min_p=0.0)), [0, 0, 1, *[0] * 20])
    # Typical before the temperature would keep the second word; the first is the most typical of 0.61, 0.19, 0.19.
    row = logs(0.4, 0.3, 0.3)
    check(filter_logprobs(row, SamplingConfig(temperature=1.0, typical=0.2)), [0, 1, 0])
    check(filter_logprobs(row, SamplingConfig(temperature=0.25, typical=0.2)), [1, 0, 0])
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
    "typical": apply_typical,
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
    assert out[row.argmax()] > -np.inf or name == "typical"
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


@settings(max_examples=100, deadline=None)
@given(weights=distributions, penalty=st.floats(1.01, 10), data=st.data())
def test_the_repetition_penalty_makes_its_words_and_no_others_less_likely(weights, penalty, data):
    row = normalized(weights)
    ids = data.draw(st.lists(st.integers(0, len(row) - 1), max_size=5))
    before, after = probabilities_of(row), probabilities_of(apply_repetition_penalty(row, ids, penalty))
    assert after.sum() == pytest.approx(1, abs=1e-5)
    others = np.setdiff1d(np.arange(len(row)), ids)
    assert (after[others] >= before[others] - 1e-6).all()
    assert ((after > 0) == (before > 0)).all()
    # Of any two words, one of which is penalized, that one loses against the other.
    for i, j in itertools.product(ids, others):
        assert after[i] * before[j] <= after[j] * before[i] * (1 + 1e-5)


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
        supports(apply_typical, np.linspace(1, 0, 15)),
    ):
        assert all(larger >= smaller for larger, smaller in itertools.pairwise(chain))
        assert all(chain)


# The filters once more, slowly, one word after another


def reference(weights, config):
    """The probabilities that the filters leave, in Python's floats; no example where rounding would decide."""
    left = {id: (weight / sum(weights)) ** (1 / config.temperature) for id, weight in enumerate(weights) if weight}

    def until(key, share):
        if share == 1:
            return left
        needed, mass, kept = share * sum(left.values()), 0.0, {}
        for id in sorted(left, key=lambda id: (key(id), id)):
            kept[id] = left[id]
            mass += left[id]
            assume(abs(mass - needed) > 1e-5 * sum(left.values()))
            if mass > needed:
                break
        return kept

    if config.top_k:
        left = {id: left[id] for id in sorted(left, key=lambda id: (-left[id], id))[: config.top_k]}
    left = until(lambda id: -left[id], config.top_p)
    left = {id: mass for id, mass in left.items() if mass >= config.min_p * max(left.values())}
    total = sum(left.values())
    entropy = -sum(mass / total * math.log(mass / total) for mass in left.values())
    distances = {mass: abs(-math.log(mass / total) - entropy) for mass in set(left.values())}
    assume(all(b - a > 1e-5 for a, b in itertools.pairwise(sorted(distances.values()))))
    left = until(lambda id: distances[left[id]], config.typical)
    return [left.get(id, 0) / sum(left.values()) for id in range(len(weights))]


@settings(max_examples=300, deadline=None)
@given(
    weights=distributions,
    temperature=st.sampled_from([0.7, 1.0, 1.6]),
    top_k=st.integers(0, 45),
    top_p=st.sampled_from([0.0, 0.31, 0.91, 1.0]),
    min_p=st.sampled_from([0.0, 0.17]),
    typical=st.sampled_from([0.0, 0.32, 0.92, 1.0]),
    shift=st.sampled_from([0, -2, -200]),
)
def test_filters_agree_with_the_reference(weights, temperature, top_k, top_p, min_p, typical, shift):
    config = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, typical=typical)
    expected = reference(weights, config)
    # Log-probabilities need not sum to one, and are not made to where all filters are off.
    filtered = normalize(filter_logprobs(normalized(weights) + np.float32(shift), config))
    np.testing.assert_allclose(probabilities_of(filtered), expected, rtol=2e-4, atol=1e-7)


def test_banned_words_need_not_be_made_up_for():
    # As if they had never been there: shares are of the rest.
    row = logs(*FOUR)
    row[0] = -np.inf
    check(apply_top_p(row, 0.55), [0, 1, 0, 0])
    check(apply_top_p(row, 0.65), [0, 2 / 3, 1 / 3, 0])
    check(apply_min_p(row, 0.4), [0, 2 / 3, 1 / 3, 0])
    check(apply_top_k(row, 2), [0, 2 / 3, 1 / 3, 0])
    check(apply_temperature(row, 0.5), np.array([0, 36, 9, 1]) / 46)
    # Bits 0.74, 1.74, 3.32 of 6, 3, 1 tenths, and 1.30 on average: the second one, then the first.
    check(apply_typical(row, 0.2), [0, 0, 1, 0])
    check(apply_typical(row, 0.5), [0, 2 / 3, 1 / 3, 0])
    check(apply_repetition_penalty(row, [1], 2.0), np.array([0, 0.09, 0.15, 0.05]) / 0.29)
    check(normalize(row), [0, 0.6, 0.3, 0.1])


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


def test_lower_ids_come_first_among_many_words_that_hardly_differ():
    # All in one of the bins that top-p looks through, as the last word is so unlikely.
    row = normalized([1.01, 1.0] * 500 + [1e-30])
    kept = np.flatnonzero(apply_top_p(row, 0.6005) > -np.inf)
    lower = kept[kept % 2 == 1]
    assert np.setdiff1d(kept, lower).tolist() == list(range(0, 1000, 2))
    assert lower.tolist() == list(range(1, 2 * len(lower), 2))
    assert len(lower) == 99  # 0.6005 * 1005 - 505, rounded up


@pytest.mark.parametrize("size", [1, 3, 500, 5000])
def test_the_likeliest_words_are_those_of_a_full_sort(size):
    rows = np.round(language_like(size, rows=7), 1)
    rows[:, : size // 3] = -np.inf
    order = np.argsort(-rows, axis=1, kind="stable")
    for count in {1, 2, 40, size // 2, size} & set(range(1, size + 1)):
        np.testing.assert_array_equal(likeliest(rows, count), order[:, :count])


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
        (lambda row: apply_typical(row, 1.1), "`typical` must be between 0 and 1, but is 1.1"),
        (lambda row: apply_typical(row, math.nan), "`typical` must be between 0 and 1, but is nan"),
        (lambda row: apply_repetition_penalty(row, [1], 0.9), "`repetition_penalty` must be at least 1, but is 0.9"),
        (lambda row: apply_repetition_penalty(row, [1, 4], 1.1), "between 0 and 3, but there is 4"),
        (
            lambda row: apply_repetition_penalty(row[np.newaxis], [[1], [2]], 1.1),
            "must be 1 lists, one a row, but are 2",
        ),
        (lambda row: exclude(row, [4]), "between 0 and 3, but there is 4"),
        (lambda row: exclude(row, [1, -2]), "between 0 and 3, but there is -2"),
        (lambda row: exclude(row, range(4)), "no word is left to draw"),
    ],
)
def test_wrong_options_are_refused(call, message):
    with pytest.raises(OptionError, match=message):
        call(logs(*FOUR))


ALL = {
    **FILTERS,
    "repetition_penalty": lambda rows, x: apply_repetition_penalty(rows, [[0], [1]], 1 + x),
    "likeliest": lambda rows, _: likeliest(rows, 2),
    "normalize": lambda rows, _: normalize(rows),
    "exclude": lambda rows, _: exclude(rows, [0]),
}


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
