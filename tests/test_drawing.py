"""Frequencies of draws, and that neither rounding nor the rest of the batch changes them."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import drawing
from wordlm.config import SamplingConfig
from wordlm.drawing import choose, draw
from wordlm.errors import OptionError, WordlmError
from wordlm.sampling import filter_logprobs

PLAIN = SamplingConfig(temperature=1.0)
# Each filter, and mixtures of them.
CONFIGS = {
    "plain": PLAIN,
    "sharp": SamplingConfig(temperature=0.3),
    "flat": SamplingConfig(temperature=2.0),
    "top_k": SamplingConfig(temperature=0.8, top_k=40),
    "top_p": SamplingConfig(temperature=0.8, top_p=0.9),
    "narrow top_p": SamplingConfig(temperature=1.5, top_p=0.2),
    "min_p": SamplingConfig(temperature=1.2, min_p=0.1),
    "typical": SamplingConfig(temperature=1.0, typical=0.6),
    "top_p, min_p": SamplingConfig(temperature=1.2, top_p=0.8, min_p=0.05),
    "top_k, top_p, min_p": SamplingConfig(temperature=1.2, top_k=60, top_p=0.8, min_p=0.08),
    "top_k, top_p, min_p, typical": SamplingConfig(temperature=1.2, top_k=60, top_p=0.9, min_p=0.02, typical=0.5),
    "top_p, typical": SamplingConfig(temperature=1.0, top_p=0.9, typical=0.5),
    "min_p, typical": SamplingConfig(temperature=1.0, min_p=0.05, typical=0.5),
}
# Mixtures that choose() leaves to filter_logprobs().
FILTERED = ["top_p, typical", "min_p, typical"]
# Those that all words race for: the same random numbers give the very word of a draw after the filters.
SAME_NUMBERS = ["plain", "sharp", "flat", "top_k", "top_k, top_p, min_p", "top_k, top_p, min_p, typical"]


def logs(*probabilities):
    with np.errstate(divide="ignore"):
        return np.log(np.array(probabilities, np.float32))


def language_like(size, rows=1, seed=0):
    """Log-probabilities as a model gives them: Zipf's law, made uneven."""
    rng = np.random.default_rng(seed)
    logits = -np.log(np.arange(size) + 2) + 2 * rng.standard_normal((rows, size))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def generators(count, seed=0):
    return [np.random.default_rng((seed, number)) for number in range(count)]


def states(rngs):
    return [rng.bit_generator.state for rng in rngs]


def counts_of(function, row, draws, seed=0, at_once=1000):
    """How often each word comes, of one generator that serves many rows in turn."""
    rngs, rows = [np.random.default_rng(seed)] * at_once, np.tile(row, (at_once, 1))
    ids = np.concatenate([function(rows, rngs) for _ in range(draws // at_once)])
    return np.bincount(ids, minlength=len(row))


def check_frequencies(counts, probabilities):
    """Chi-square against the distribution, the rarest words taken together.

    Fails of itself with a probability of about 1e-6: chi-square of n degrees of freedom exceeds the bound below
    with at most exp(-t) (Laurent and Massart 2000, lemma 1). The seeds are fixed, so that it fails always or never.
    """
    probabilities = np.asarray(probabilities, np.float64) / np.sum(probabilities, dtype=np.float64)
    assert counts[probabilities == 0].sum() == 0
    expected = probabilities * counts.sum()
    rare = expected < 20
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    counts, expected = counts[expected > 0], expected[expected > 0]
    freedom, t = len(expected) - 1, math.log(1e6)
    bound = freedom + 2 * math.sqrt(freedom * t) + 2 * t
    assert ((counts - expected) ** 2 / expected).sum() < bound


# Frequencies


def test_frequencies_of_100_000_draws():
    # Some whole blocks and a piece, impossible words, and blocks of them.
    weights = np.concatenate([np.full(200, 2.0), np.zeros(300), np.full(200, 1.0), [0, 500.0, 0]])
    check_frequencies(counts_of(draw, logs(*weights / weights.sum()), 100_000), weights)


def test_frequencies_by_hand():
    # Two degrees of freedom: chi-square exceeds 28 with a probability of exp(-14), under 1e-6.
    counts = counts_of(draw, logs(0, 0.5, 0.3, 0.2), 20_000)
    expected = 20_000 * np.array([0.5, 0.3, 0.2])
    assert counts[0] == 0
    assert ((counts[1:] - expected) ** 2 / expected).sum() < 28


@pytest.mark.parametrize("name", CONFIGS)
def test_choices_have_the_frequencies_that_the_filters_leave(name):
    config, row = CONFIGS[name], language_like(300, seed=4)[0]
    # Mixtures take longer.
    draws = 100_000 if "," not in name else 10_000 if name in FILTERED else 30_000
    counts = counts_of(lambda rows, rngs: choose(rows, config, rngs), row, draws)
    check_frequencies(counts, np.exp(filter_logprobs(row, config), dtype=np.float64))


@pytest.mark.parametrize("name", ["narrow top_p", "min_p", "typical", "top_p, min_p"])
@pytest.mark.parametrize("tries", [1, 2])
def test_choices_after_many_rejections_have_the_same_frequencies(name, tries, monkeypatch):
    monkeypatch.setattr(drawing, "_TRIES", tries)
    config, row = CONFIGS[name], language_like(300, seed=5)[0]
    counts = counts_of(lambda rows, rngs: choose(rows, config, rngs), row, 10_000)
    check_frequencies(counts, np.exp(filter_logprobs(row, config), dtype=np.float64))


def test_frequencies_of_a_large_vocabulary():
    row = language_like(33_278, seed=6)[0]
    check_frequencies(counts_of(draw, row, 20_000, at_once=100), np.exp(row, dtype=np.float64))


def test_successive_draws_are_independent():
    row = logs(0.5, 0.3, 0.2)
    rng = [np.random.default_rng(8)]
    ids = np.array([draw(row[np.newaxis], rng)[0] for _ in range(20_001)])
    pairs = np.bincount(3 * ids[:-1] + ids[1:], minlength=9)
    check_frequencies(pairs, np.outer(np.exp(row), np.exp(row)).ravel())


# One race, whatever the filters are


@pytest.mark.parametrize("name", SAME_NUMBERS)
def test_the_same_numbers_give_the_same_word_as_a_draw_after_the_filters(name):
    # Two ways of rounding: 2,000 words, of which each differs with a probability of some 1e-6.
    rows = language_like(1000, rows=2000, seed=1)
    chosen = choose(rows, CONFIGS[name], generators(2000))
    drawn = draw(filter_logprobs(rows, CONFIGS[name]), generators(2000))
    np.testing.assert_array_equal(chosen, drawn)


# Few distinct values, so that ties are frequent; zeros among them.
distributions = st.lists(st.sampled_from([0, 1, 1, 2, 3, 10, 1000]), min_size=1, max_size=40).filter(any)


@settings(max_examples=150, deadline=None)
@given(
    weights=distributions,
    temperature=st.floats(0.2, 3),
    top_k=st.integers(0, 45),
    top_p=st.sampled_from([0.0, 0.3, 0.9, 1.0, 1.0]),
    min_p=st.sampled_from([0.0, 0.0, 0.15, 1.0]),
    typical=st.sampled_from([0.0, 0.35, 0.9, 1.0, 1.0]),
    seed=st.integers(0, 1000),
)
def test_only_words_that_the_filters_keep_are_chosen(weights, temperature, top_k, top_p, min_p, typical, seed):
    row = logs(*np.array(weights) / sum(weights))
    config = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, typical=typical)
    # Shares that just are, or are not, reached: rounding may decide.
    looser = config.replace(top_p=min(1.0, top_p + 1e-4), min_p=min_p * (1 - 1e-4), typical=min(1.0, typical + 1e-4))
    kept = np.isfinite(filter_logprobs(row, config)) | np.isfinite(filter_logprobs(row, looser))
    for word in choose(np.tile(row, (30, 1)), config, generators(30, seed)):
        assert weights[word] > 0
        assert kept[word]


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if config.typical == 1])
def test_equal_words_with_lower_ids_come_first(name):
    # A thousand equal words: a share is one of their ids, and with top-k exactly k are drawn.
    config, row = CONFIGS[name], logs(*np.full(1000, 1e-3))
    kept = np.flatnonzero(np.isfinite(filter_logprobs(row, config)))
    assert kept.tolist() == list(range(len(kept)))
    ids = np.unique(choose(np.tile(row, (3000, 1)), config, generators(3000)))
    # A share such as 0.9 is reached with word 900 or 901, as the sums are rounded.
    assert ids.max() <= kept.max() + 1
    # Each word misses 3,000 draws with a probability of at most (1 - 1e-3) ** 3000, about 5 %.
    assert len(ids) > 0.9 * len(kept)


# Rounding and the batch


@pytest.mark.parametrize("name", CONFIGS)
def test_rounding_hardly_ever_changes_a_word(name):
    # Noise 500 times that of a matrix product, so that there is something to count. A word flips where two times
    # of one of the races differ by less: a difference of two such noises, of 7e-4 on average, divided by the
    # temperature, in two races, flips at most 0.2 % of the words. An inverse CDF flips 2.7 % of them. So 3,000 words
    # flip 6 times or fewer on average, and more than 20 times with a probability of 1e-6.
    count = 500 if name in FILTERED else 3000
    rows = language_like(2000, rows=count, seed=2)
    noise = np.random.default_rng(3).uniform(-1e-3, 1e-3, rows.shape).astype(np.float32)
    first, second = generators(count), generators(count)
    flips = np.count_nonzero(choose(rows, CONFIGS[name], first) != choose(rows + noise, CONFIGS[name], second))
    assert flips <= 20
    # Nor does it change how many numbers are taken, and with these the next words.
    assert sum(a != b for a, b in zip(states(first), states(second), strict=True)) <= 20


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("size", [1, 100, 384, 1000])
def test_a_row_draws_the_same_whatever_else_is_in_the_batch(name, size, monkeypatch):
    rows = language_like(size, rows=20, seed=7)
    rows[:, : size // 10] = -np.inf
    together = choose(rows, CONFIGS[name], generators(20))
    alone = [choose(rows[i : i + 1], CONFIGS[name], generators(20)[i : i + 1])[0] for i in range(20)]
    assert together.tolist() == alone
    monkeypatch.setattr(drawing, "_FLOATS", 3 * size)
    np.testing.assert_array_equal(choose(rows, CONFIGS[name], generators(20)), together)
    np.testing.assert_array_equal(draw(rows, generators(20)), choose(rows, PLAIN, generators(20)))


@pytest.mark.parametrize("name", CONFIGS)
def test_log_probabilities_need_not_sum_to_one(name):
    rows = language_like(500, rows=200, seed=9)
    chosen = choose(rows, CONFIGS[name], generators(200))
    for shift in (-3.0, -500.0):
        shifted = choose(rows + np.float32(shift), CONFIGS[name], generators(200))
        # Sums of numbers around -500 are rounded to 3e-5 each: now and then a time, or a share, is as close.
        assert np.count_nonzero(shifted != chosen) <= 2


def test_the_input_stays_as_it_is():
    rows = language_like(500, rows=3)
    copy = rows.copy()
    for config in (*CONFIGS.values(), SamplingConfig(temperature=0.0)):
        choose(rows, config, generators(3))
        np.testing.assert_array_equal(rows, copy)


# Temperatures


def test_greedy_takes_the_first_of_the_likeliest_and_no_number():
    rngs = generators(2)
    before = states(rngs)
    rows = np.stack([logs(0.1, 0.4, 0.1, 0.4), logs(0, 0, 1, 0)])
    assert choose(rows, SamplingConfig(temperature=0.0, top_k=3, min_p=0.1), rngs).tolist() == [1, 2]
    assert states(rngs) == before


@pytest.mark.parametrize("top_k", [0, 3])
def test_extreme_temperatures(top_k):
    row = logs(0, 0.1, 0.2, 0.6, 0.1)
    for temperature in (5e-324, 1e-30, 1e-3):
        config = SamplingConfig(temperature=temperature, top_k=top_k)
        assert set(choose(np.tile(row, (50, 1)), config, generators(50))) == {3}
    for temperature in (1e5, 1e30, 1e300):
        config = SamplingConfig(temperature=temperature, top_k=top_k)
        counts = counts_of(lambda rows, rngs: choose(rows, config, rngs), row, 5000)  # noqa: B023
        check_frequencies(counts, [0, 1, 1, 1, 0 if top_k else 1])


# Bad input


@pytest.mark.parametrize("name", [*CONFIGS, "greedy"])
def test_nan_and_nothing_left_are_noticed_in_any_row(name):
    config = CONFIGS.get(name, SamplingConfig(temperature=0.0))
    row = language_like(300)[0]
    spoilt = row.copy()
    spoilt[299] = np.nan
    with pytest.raises(WordlmError, match="NaN"):
        choose(np.stack([row, spoilt]), config, generators(2))
    with pytest.raises(OptionError, match="no word is left"):
        choose(np.stack([row, np.full(300, -np.inf, np.float32)]), config, generators(2))


def test_a_generator_for_each_row():
    with pytest.raises(OptionError, match="`rngs` must be 2 generators, one for each row, but are 1"):
        draw(language_like(10, rows=2), generators(1))
    assert choose(np.empty((0, 10)), PLAIN, []).tolist() == []


def test_examples():
    result = doctest.testmod(drawing)
    assert result.attempted > 0
    assert result.failed == 0
