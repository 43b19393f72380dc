"""The weights of a mixture: what is accepted, and what expectation maximization finds, by closed forms and a grid."""

import doctest
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import mixture as mixture_module
from wordlm.errors import BundleError, OptionError
from wordlm.mixture import PARTS, Mixture, fit_weights


def log(*rows):
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows, float))


def log_likelihood(logprobs, weights):
    """Nats a word."""
    with np.errstate(divide="ignore"):
        return np.log(np.exp(logprobs) @ weights).mean()


def some_logprobs(words=500, parts=3, seed=0):
    """Log-probabilities of parts that are good at different words."""
    return -np.abs(np.random.default_rng(seed).normal(4, 3, (words, parts)) * np.linspace(1, 1.4, parts))


def test_examples():
    result = doctest.testmod(mixture_module)
    assert result.failed == 0
    assert result.attempted > 0


def test_a_mixture_survives_json():
    mixture = Mixture(0.6, 0.15, 0.25, cache_words=300, cache_theta=9.5)
    assert Mixture.from_dict(json.loads(json.dumps(mixture.to_dict()))) == mixture
    np.testing.assert_array_equal(mixture.weights, [mixture.to_dict()[part] for part in PARTS])


def test_weights_are_plain_numbers_and_may_be_rounded():
    mixture = Mixture(*np.float32([1 / 3, 1 / 3, 1 / 3]))
    assert {type(mixture.to_dict()[part]) for part in PARTS} == {float}
    assert Mixture(1, 0, 0).lstm == 1.0
    assert Mixture(0.5, 0.2, 0.3 + 5e-7)


def test_equal_weights():
    np.testing.assert_allclose(Mixture.equal().weights, 1 / 3)
    assert Mixture.equal(cache_words=7, cache_theta=3.0) == Mixture(1 / 3, 1 / 3, 1 / 3, 7, 3.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lstm": -0.1, "cache": 0.9}, "`lstm` must be a finite number, at least 0, but is -0.1"),
        ({"kneser_ney": math.nan}, "`kneser_ney` must be a finite number, at least 0, but is nan"),
        ({"cache": math.inf}, "`cache` must be a finite number, at least 0, but is inf"),
        ({"cache": "0.3"}, "`cache` must be a finite number, at least 0, but is '0.3'"),
        ({"lstm": True, "kneser_ney": 0, "cache": 0}, "`lstm` must be a finite number, at least 0, but is True"),
        ({"lstm": None}, "`lstm` must be a finite number, at least 0, but is None"),
        ({"lstm": 0.6}, "the weights `lstm`, `kneser_ney` and `cache` must sum to 1, but sum to 1.1"),
        ({"lstm": 0.5 + 1e-5}, "must sum to 1, but sum to 1.00001"),
        ({"cache_words": 0}, "`cache_words` must be a whole number, at least 1, but is 0"),
        ({"cache_words": 2.5}, "`cache_words` must be a whole number, at least 1, but is 2.5"),
        ({"cache_words": True}, "`cache_words` must be a whole number, at least 1, but is True"),
        ({"cache_theta": -1.0}, "`cache_theta` must be a finite number, at least 0, but is -1.0"),
        ({"cache_theta": math.inf}, "`cache_theta` must be a finite number, at least 0, but is inf"),
    ],
)
def test_numbers_out_of_range_are_refused(values, message):
    values = Mixture(0.5, 0.2, 0.3).to_dict() | values
    with pytest.raises(OptionError, match=re.escape(message)):
        Mixture(**values)
    with pytest.raises(BundleError, match=r"the mixture is damaged: .*" + re.escape(message) + ".*tune it again"):
        Mixture.from_dict(values)


@pytest.mark.parametrize(
    "values",
    [None, 3, "x", [0.5, 0.2, 0.3], {}, {"lstm": 1.0}, {1: 2}, Mixture(1, 0, 0).to_dict() | {"unigram": 0}],
)
def test_what_is_no_mixture_is_refused(values):
    with pytest.raises(BundleError, match="has the entries lstm, kneser_ney, cache, cache_words, cache_theta, but"):
        Mixture.from_dict(values)


def test_the_message_of_a_long_one_is_short():
    with pytest.raises(BundleError) as caught:
        Mixture.from_dict({"x": "y" * 10_000})
    assert len(str(caught.value)) < 250


def test_a_part_that_is_always_better_takes_all():
    better = log(*[[0.5, 0.1, 0.4]] * 10)
    np.testing.assert_allclose(fit_weights(better), [1, 0, 0], atol=1e-6)
    # Better at each word, by little.
    logprobs = some_logprobs()
    logprobs[:, 1] = logprobs.max(axis=1) + 0.01
    np.testing.assert_allclose(fit_weights(logprobs), [0, 1, 0], atol=1e-3)


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9, 0.01])
def test_parts_that_know_different_words_take_the_shares_of_these(share):
    """The likelihood is n log a + m log(1 - a) and a constant, which is greatest at a = n / (n + m)."""
    count = round(share * 200)
    logprobs = log(*[[0.3, 0]] * count, *[[0, 0.02]] * (200 - count))
    np.testing.assert_allclose(fit_weights(logprobs), [share, 1 - share], rtol=1e-6)


def test_two_words_by_hand():
    """Of (0.9 a + 0.1 b)(0.9 a + 0.1 b)(0.9 a + 0.1 b)(0.1 a + 0.9 b), with b = 1 - a: 0.1 + 0.8 a is 3/4."""
    weights = fit_weights(log([0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]))
    np.testing.assert_allclose(weights, [0.65 / 0.8, 0.15 / 0.8], atol=1e-4)


def test_parts_that_are_the_same_stay_equal():
    logprobs = np.repeat(some_logprobs(parts=1), 3, axis=1)
    np.testing.assert_allclose(fit_weights(logprobs), 1 / 3)
    np.testing.assert_allclose(fit_weights(logprobs[:, :1]), [1])


def test_the_likelihood_never_falls(monkeypatch):
    logprobs, before = some_logprobs(), -math.inf
    for rounds in (0, 1, 2, 3, 5, 10, 30, 100, 300):
        monkeypatch.setattr(mixture_module, "_ROUNDS", rounds)
        weights = fit_weights(logprobs)
        after = log_likelihood(logprobs, weights)
        assert after >= before
        before = after
        assert weights.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_no_weights_of_a_fine_grid_are_better(seed):
    logprobs = some_logprobs(seed=seed)
    found = log_likelihood(logprobs, fit_weights(logprobs))
    steps = np.linspace(0, 1, 51)
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1]
    best = max(log_likelihood(logprobs, np.maximum(point, 0)) for point in grid)
    assert best - 1e-3 < found
    assert best <= found + 1e-7


@given(
    st.lists(st.tuples(*[st.floats(-700, 0)] * 3), min_size=1, max_size=20),
    st.tuples(*[st.floats(0, 1)] * 3).filter(lambda point: sum(point) > 0.01),
)
def test_no_other_weights_are_better(rows, point):
    logprobs = np.array(rows)
    weights = fit_weights(logprobs)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-9)
    with np.errstate(divide="ignore"):
        found, other = (
            np.logaddexp.reduce(logprobs + np.log(each), axis=1).mean()
            for each in (weights, np.array(point) / sum(point))
        )
    # A few words with parts of next to no difference are found slowly.
    assert other <= found + 1e-3


def test_small_probabilities_do_not_vanish():
    logprobs = some_logprobs()
    np.testing.assert_allclose(fit_weights(logprobs - 5000), fit_weights(logprobs), rtol=1e-6)


def test_words_that_no_part_can_predict_say_nothing():
    logprobs = some_logprobs()
    more = np.insert(logprobs, [0, 100], -np.inf, axis=0)
    np.testing.assert_allclose(fit_weights(more), fit_weights(logprobs), rtol=1e-12)


@pytest.mark.parametrize(
    ("logprobs", "message"),
    [
        (np.empty((0, 3)), "give at least one word that a part can predict"),
        (np.full((4, 3), -np.inf), "give at least one word that a part can predict"),
        (np.zeros(3), r"`logprobs` must have the shape \(N, parts\), but have \(3,\)"),
        (np.zeros((3, 0)), r"`logprobs` must have the shape \(N, parts\), but have \(3, 0\)"),
        ([[0.0, np.nan]], "must be log-probabilities, but some are NaN or infinite"),
        ([[0.0, np.inf]], "must be log-probabilities, but some are NaN or infinite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logprobs, message):
    with pytest.raises(OptionError, match=message):
        fit_weights(logprobs)
