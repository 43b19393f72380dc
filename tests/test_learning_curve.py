"""Forecasts of validation losses: curves that the form contains, curves that were measured, and what holds of any."""

import doctest
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import learning_curve as module
from wordlm.learning_curve import (
    DRIFT,
    EARLIEST,
    ERROR,
    GAIN,
    LEAST_GAIN,
    MEANS,
    REPEATS,
    SPREADS,
    advice,
    forecast,
    twice_the_time,
)

# Validation perplexities at shares of the plan, the last one at its end: of trainings on three texts.
MEASURED = {
    "sherlock, 8 epochs": ([0.25, 0.5, 0.75, 1], [85.5, 72.3, 67.2, 65.2]),
    "sherlock, 6 epochs": ([0.165, 0.332, 0.498, 0.665, 0.832, 1], [201.5, 150.5, 136.8, 130.4, 127.5, 125.5]),
    "sherlock, 16 epochs": ([0.25, 0.5, 0.75, 1], [77.5, 68.3, 64.9, 64.1]),
    "wikitext-2, 1 epoch": ([0.25, 0.5, 0.75, 1], [234.4, 163.7, 139.3, 121.0]),
    "wikitext-2, 4 epochs": ([0.222, 0.449, 0.675, 0.902, 1], [196.4, 160.0, 147.0, 139.2, 136.8]),
    "shakespeare": ([0.166, 0.333, 0.499, 0.666, 0.833, 1], [178.9, 156.6, 149.0, 147.3, 147.9, 146.4]),
}
# Epochs, the perplexity after them, and that after twice as many in a training of its own: WikiText-2 twice, the King
# James Bible, Sherlock Holmes three times.
DOUBLED = [(1, 131.4, 111.9), (2, 156.2, 136.8), (1, 67.3, 57.7), (3, 66.7, 57.8), (6, 57.8, 57.9), (8, 65.2, 64.1)]
LEARNED_BY_HEART = [
    ([0.25, 0.5, 0.75, 1], [78.2, 71.4, 72.1, 74.1]),
    ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [183.3, 140.5, 132.8, 131.4, 135.0, 143.7, 153.3]),
]

SHARES = st.lists(st.integers(1, 100), min_size=2, max_size=12, unique=True).map(
    lambda percents: [percent / 100 for percent in sorted(percents)]
)
CURVES = SHARES.flatmap(
    lambda shares: st.tuples(st.just(shares), st.lists(st.floats(1, 9), min_size=len(shares), max_size=len(shares)))
)


def curve(shares, c, a, d):
    p = np.array(shares)
    return list(c + a * (1 / p - 1) + d * (1 - p) ** 1.5)


def logs(measured):
    shares, perplexities = measured
    return shares, [math.log(perplexity) for perplexity in perplexities]


def test_docstrings():
    result = doctest.testmod(module)
    assert result.failed == 0 < result.attempted


@pytest.mark.parametrize("shares", [[0.2, 0.4], [0.1, 0.15, 0.5, 0.9], [0.3, 1]])
def test_the_typical_curve_is_foreseen_exactly(shares):
    found = forecast(shares, curve(shares, 4.2, *MEANS))
    assert found.loss == pytest.approx(4.2, abs=1e-9)
    assert found.low < 4.2 < found.high


@pytest.mark.parametrize("a", [0.05, 0.11])
@pytest.mark.parametrize("d", [-0.3, 0.0, 0.5])
def test_any_curve_of_the_form_is_foreseen_nearly(a, d):
    shares = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    found = forecast(shares, curve(shares, 4.2, a, d))
    assert found.loss == pytest.approx(4.2, abs=0.02)
    assert found.low < 4.2 < found.high


def test_it_is_the_posterior_of_a_gaussian_process():
    shares, losses = logs(MEASURED["wikitext-2, 4 epochs"])
    p, y = np.array(shares[:3]), np.array(losses[:3])
    # c as a weight like a and d, of a prior so wide that it says nothing; the loss at the end is c itself.
    x = np.stack([np.ones(3), 1 / p - 1, (1 - p) ** 1.5], axis=1)
    prior = np.diag([1e2, *SPREADS**2])
    noise = ERROR**2 * np.eye(3) - DRIFT**2 * np.log(np.maximum.outer(p, p))
    gain = prior @ x.T @ np.linalg.inv(x @ prior @ x.T + noise)
    weights = np.array([0, *MEANS]) + gain @ (y - x[:, 1:] @ MEANS)
    variance = (prior - gain @ x @ prior)[0, 0]
    found = forecast(p, y)
    assert found.loss == pytest.approx(weights[0], abs=1e-4)
    assert found.high - found.loss == pytest.approx(1.28 * math.sqrt(variance + ERROR**2), rel=1e-3)


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize(("known", "off"), [(0.5, 0.05), (0.75, 0.05)])
def test_curves_that_were_measured(name, known, off):
    shares, losses = logs(MEASURED[name])
    some = [i for i, share in enumerate(shares) if share <= known]
    found = forecast([shares[i] for i in some], [losses[i] for i in some])
    assert found.loss == pytest.approx(losses[-1], abs=off)


@pytest.mark.parametrize("name", MEASURED)
def test_the_end_itself_is_no_riddle(name):
    found = forecast(*logs(MEASURED[name]))
    assert found.loss == pytest.approx(math.log(MEASURED[name][1][-1]), abs=ERROR)
    assert found.high - found.low < 0.03


def test_too_little_is_known():
    assert forecast([], []) is None
    assert forecast([0.3], [5.0]) is None
    assert forecast([EARLIEST / 2, 0.3], [7.0, 5.0]) is None
    assert twice_the_time([1.0], [5.0], 1) is None
    assert advice([1.0], [5.0], 1) == ""
    assert forecast([EARLIEST / 2, 0.3, 0.6], [7.0, 5.0, 4.8]) == forecast([0.3, 0.6], [5.0, 4.8])


@pytest.mark.parametrize("measured", LEARNED_BY_HEART)
def test_a_loss_that_rises_goes_on_rising_and_more_time_does_not_help(measured):
    shares, losses = logs(measured)
    assert forecast(shares, losses).loss > min(losses) + 0.02
    assert twice_the_time(shares, losses, 1) is None
    assert advice(shares, losses, 1) == (
        "more time would not help: the validation loss has begun to rise; more text or more dropout may"
    )


@pytest.mark.parametrize(("epochs", "before", "after"), DOUBLED)
def test_twice_the_time(epochs, before, after):
    shares, losses = logs(([0.5, 1], [1.5 * before, before]))  # a second half that brought much
    loss = twice_the_time(shares, losses, epochs) or losses[-1]
    assert loss == pytest.approx(math.log(after), abs=0.07)


def test_twice_the_time_brings_no_more_than_the_second_half_did():
    for epochs in (0.5, 1, 3):
        shares, losses = [0.5, 1], [4.23, 4.2]
        assert twice_the_time(shares, losses, epochs) > 4.15
        assert twice_the_time(shares, [4.2 + 1.0, 4.2], epochs) < twice_the_time(shares, losses, epochs)


@pytest.mark.parametrize("epochs", [0.1, 0.25, 0.5])
def test_less_than_an_epoch_is_all_new_text(epochs):
    loss = twice_the_time([0.5, 1], [5.0, 4.2], epochs)
    assert loss == pytest.approx(4.2 - GAIN * math.log(2))


def test_of_a_text_that_was_read_often_nothing_is_left():
    assert twice_the_time([0.5, 1], [5.0, 4.2], 1 + 4 * REPEATS) is None


@pytest.mark.parametrize(
    ("shares", "losses", "line"),
    [
        ([0.5, 1], [5.2, 4.9], "twice the time would bring the perplexity from 134 to about 111"),
        ([0.5, 1], [4.2, 3.9], "twice the time would bring the perplexity from 49.4 to about 40.8"),
        ([0.5, 1], [4.26, 4.25], "more time would hardly help: the validation loss has all but stopped falling; more "
                                "text or a larger model may"),
    ],
)  # fmt: skip
def test_advice(shares, losses, line):
    assert advice(shares, losses, 1) == line


@given(CURVES)
def test_no_more_is_expected_than_the_last_one_while_the_loss_falls(given):
    shares, losses = given[0], sorted(given[1], reverse=True)
    found = forecast(shares, losses)
    if found is not None:
        assert found.loss <= losses[-1]
        assert found.low < found.loss < found.high


@given(CURVES, st.floats(-1, 1))
def test_losses_that_are_shifted_have_forecasts_that_are(given, shift):
    shares, losses = given
    moved = [loss + shift for loss in losses]
    for function in (lambda *curve: getattr(forecast(*curve), "loss", None), lambda *curve: twice_the_time(*curve, 2)):
        before, after = function(shares, losses), function(shares, moved)
        if before is not None and after is not None:  # which is a matter of rounding where it is close
            assert after == pytest.approx(before + shift, abs=1e-6)


@given(CURVES)
def test_each_measurement_makes_the_range_no_wider(given):
    shares, losses = given
    margins = [
        found.high - found.loss
        for count in range(2, len(shares) + 1)
        if (found := forecast(shares[:count], losses[:count]))
    ]
    assert all(after <= before + 1e-9 for before, after in pairwise(margins))


@given(CURVES, st.floats(0.01, 50))
def test_more_time_is_advised_only_where_it_helps(given, epochs):
    loss, line = twice_the_time(*given, epochs), advice(*given, epochs)
    assert "\n" not in line
    assert (loss is not None) == line.startswith("twice the time")
    if loss is not None:
        assert loss <= given[1][-1] - LEAST_GAIN + 1e-9
