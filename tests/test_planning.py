"""What is chosen for the minutes that there are: counted by hand, and what holds of any text and machine."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import planning as module
from wordlm.config import ModelConfig, configure
from wordlm.planning import (
    DROPOUT,
    LEAST_EPOCHS,
    LEAST_READ,
    LEAST_WORDS,
    LONG,
    MOST_EPOCHS,
    SHORT,
    Plan,
    choose,
    flops_per_token,
    matrix_rate,
    without_minutes,
)

MINUTES = st.floats(0.01, 1e5)
TOKENS = st.integers(1, 10**10)
WORDS = st.integers(3, 10**6)
RATES = st.floats(1e8, 1e15)
SIZES = list(LEAST_EPOCHS)


def test_docstrings():
    result = doctest.testmod(module)
    assert result.failed == 0 < result.attempted


def test_every_preset_of_the_tables_is_one_and_the_first_needs_nothing():
    assert list(MOST_EPOCHS) == list(LEAST_READ) == list(LEAST_WORDS) == SIZES
    assert LEAST_EPOCHS[SIZES[0]] == 0
    units = [configure(preset).model.units for preset in SIZES]
    assert units == sorted(units)
    assert [below for below, _ in DROPOUT] == sorted(below for below, _ in DROPOUT)


def products(*sizes, passes=3):
    """Operations of a product of a vector with a matrix of these sizes, forward and backward."""
    rows, columns = sizes
    return 2 * passes * rows * columns


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_the_cells(cell, gates):
    config = ModelConfig(embedding_dim=50, cell=cell, units=30, dense=20)
    expected = products(50, gates * 30, passes=2) + products(30, gates * 30) + products(30, 20) + products(20, 999)
    assert flops_per_token(config, 999) == expected


def test_trained_numbers_have_a_gradient():
    config = ModelConfig(embedding_dim=50, units=30, dense=0)
    frozen = flops_per_token(config, 100)
    assert flops_per_token(config.replace(trained_dim=20), 100) - frozen == products(20, 120, passes=1)
    assert flops_per_token(config.replace(trainable_embedding=True), 100) - frozen == products(50, 120, passes=1)


def test_layers_windows_and_both_ways():
    config = ModelConfig(embedding_dim=50, units=30, dense=0, layers=2)
    second = 2 * products(30, 120)
    assert flops_per_token(config, 100) - flops_per_token(config.replace(layers=1), 100) == second
    top = products(30, 100)
    recurrent = flops_per_token(config, 100) - top
    assert flops_per_token(config.replace(context=7), 100) == 7 * recurrent + top
    both = 7 * 2 * (products(50, 120, passes=2) + products(30, 120) + products(60, 120) + products(30, 120))
    assert flops_per_token(config.replace(context=7, bidirectional=True), 100) == both + products(60, 100)


def test_the_size_of_the_vocabulary_counts_by_the_sample_alone():
    assert choose(1, 1000, 50_000, 1e11) == choose(1, 1000, 60_000, 1e11)
    full = [choose(1, 1000, words, 1e11, samples=0).tokens_per_second for words in (50_000, 60_000)]
    assert choose(1, 1000, 50_000, 1e11).tokens_per_second > full[0] > full[1]
    # A sample of half the vocabulary is none.
    assert choose(1, 1000, 4096, 1e11) == choose(1, 1000, 4096, 1e11, samples=0)


def test_the_rate_is_that_of_a_machine():
    assert 1e7 < matrix_rate() < 1e16


@given(MINUTES, TOKENS, WORDS, RATES, st.floats(1, 100))
def test_more_time_and_a_faster_machine_never_give_a_smaller_model(minutes, tokens, words, rate, more):
    before = choose(minutes, tokens, words, rate)
    for after in (choose(minutes * more, tokens, words, rate), choose(minutes, tokens, words, rate * more)):
        assert SIZES.index(after.preset) >= SIZES.index(before.preset)
        if after.preset == before.preset:
            assert after.epochs >= before.epochs * (1 - 1e-9)


def test_a_small_text_gets_a_small_model_however_long_it_may_take():
    assert choose(600, 1_000, 500, 1e12).preset == "small"
    assert choose(600, LEAST_WORDS["medium"], 5000, 1e12).preset == "medium"
    assert choose(600, LEAST_WORDS["large"], 5000, 1e12).preset == "large"


@given(MINUTES, TOKENS, WORDS, RATES)
def test_any_plan_can_be_trained_and_told(minutes, tokens, words, rate):
    plan = choose(minutes, tokens, words, rate)
    options = configure(plan.preset, minutes=minutes, **plan.options)
    assert options.train.epochs == MOST_EPOCHS[plan.preset]
    assert plan.epochs <= options.train.epochs
    assert plan.epochs >= LEAST_EPOCHS[plan.preset] or plan.epochs * tokens >= LEAST_READ[plan.preset] * (1 - 1e-9)
    assert plan.preset in plan.describe()
    assert "\n" not in plan.describe()


@given(MINUTES, TOKENS, RATES)
def test_no_more_is_planned_than_the_time_allows(minutes, tokens, rate):
    plan = choose(minutes, tokens, 10_000, rate)
    assert plan.epochs * tokens / plan.tokens_per_second < 60 * minutes


def test_a_text_that_is_read_more_often_has_more_dropped():
    limits = [below for below, _ in DROPOUT]
    plans = [choose(minutes, 10**6, 10**4, 1e11) for minutes in range(1, 60)]
    numbers = [next(i for i, below in enumerate(limits) if plan.epochs < below) for plan in plans]
    assert set(numbers) == set(range(len(limits)))
    for plan, number in zip(plans, numbers, strict=True):
        options = dict(plan.options)
        assert options.pop("patience") >= max(3, plan.epochs / 3)
        assert options == {"epochs": MOST_EPOCHS[plan.preset]} | DROPOUT[number][1]
    for name in DROPOUT[0][1]:
        shares = [shares[name] for _, shares in DROPOUT]
        assert shares == sorted(shares)


def test_of_a_long_text_a_smaller_network_has_less_dropped_for_longer():
    least = DROPOUT[0][1]["dropout"]
    plans = [choose(minutes, 2_000_000, 30_000, 3e11) for minutes in range(1, 120)]
    little = {
        size: max(plan.epochs for plan in plans if plan.preset == size and plan.options["dropout"] == least)
        for size in SIZES
    }
    # Of large, 5.6 epochs with little dropout were worse than three, which were better than of any other network.
    assert 3 < little["large"] < 4.5
    assert little["large"] < little["medium"]


def test_a_long_text_is_worth_a_larger_model_sooner_and_has_less_dropped():
    long, short = (choose(15, tokens, 10**4, 2e11) for tokens in (LONG, LONG - 1))
    assert long.preset == "medium"
    assert long.epochs < LEAST_EPOCHS["medium"]
    assert long.epochs * LONG >= LEAST_READ["medium"]
    assert choose(3, LONG, 10**4, 2e11).preset == "small"
    assert choose(60, LONG, 10**4, 2e11).preset == "large"
    assert choose(600, LONG - 1, 10**4, 2e11).preset == "medium"
    both = [options["dropout"] for options in (long.options, short.options)]
    assert both[0] < both[1]


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        (Plan("large", {"epochs": 40}, 987, 40, 1, 1869),
         "1 minute for 1,869 words: preset large, about 990 words/s, 40 epochs, done before the time is up"),
        (Plan("small", {"epochs": 40}, 120_345, 1.04, 0.5, 10**9),
         "0.5 minutes for 1,000,000,000 words: preset small, about 120,000 words/s, 1 epoch"),
        (Plan("small", {}, 3.14159, 0.42, 10, 1), "10 minutes for 1 word: preset small, about 3 words/s, 0.4 epochs"),
    ],
)  # fmt: skip
def test_in_one_line(plan, line):
    assert plan.describe() == line


@pytest.mark.parametrize("words", [1, SHORT - 1])
def test_without_minutes_a_short_text_is_read_more_often_and_more_is_dropped(words):
    options = without_minutes(words)
    assert configure("small", **options).train.epochs == MOST_EPOCHS["small"]
    assert {name: options[name] for name in DROPOUT[-1][1]} == DROPOUT[-1][1]


@pytest.mark.parametrize("words", [SHORT, LONG - 1])
def test_without_minutes_other_texts_get_the_preset_as_it_stands(words):
    assert configure("small", **without_minutes(words)) == configure("small")


@pytest.mark.parametrize("words", [LONG, 10**9])
def test_without_minutes_less_is_dropped_of_a_long_text(words):
    options = without_minutes(words)
    assert {name: options[name] for name in DROPOUT[0][1]} == DROPOUT[0][1]
    assert configure("small", **options).train.epochs is None
