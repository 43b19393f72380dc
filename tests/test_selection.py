"""The best places against sorting, and the sample against what it stands for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm.selection import best, resample

NONE = np.empty(0)
weights = st.lists(st.sampled_from([-np.inf, -9.0, -2.5, -2.0, -1.0, -0.5, 0.0]), max_size=12).map(np.array)


def make_table(values, rows):
    values = np.asarray(values, "float32")
    return values[: len(values) // rows * rows].reshape(rows, -1)


def total(table, singles):
    return np.exp(table, dtype=float).sum() + np.exp(singles).sum()


@settings(deadline=None)
@given(values=weights, singles=weights, rows=st.integers(1, 3), count=st.integers(1, 9))
def test_the_best_are_those_that_sorting_finds(values, singles, rows, count):
    table = make_table(values, rows)
    every = np.concatenate([table.ravel(), singles])
    order = [place for place in np.argsort(-every, kind="stable") if every[place] > -np.inf]
    assert best(table, singles, count).tolist() == order[:count]


def test_the_best_of_large_tables():
    rng = np.random.default_rng(0)
    for rows, size, count in ((1, 5000, 7), (9, 333, 40), (3, 70, 210)):
        table = rng.normal(size=(rows, size)).astype("float32").round(2)
        expected = np.argsort(-table.ravel(), kind="stable")[:count]
        assert best(table, NONE, count).tolist() == expected.tolist()


def test_few_places_all_stay_with_their_weights():
    table = make_table([-1, -np.inf, -300, -2], 2)
    for count in (4, 5, 9):
        places, floor = resample(table, np.array([-900.0]), count, np.random.default_rng(0))
        assert sorted(places) == [0, 2, 3, 4]
        assert floor == -np.inf


def test_a_floor_by_hand():
    # Three of 0.5, 0.2, 0.2, 0.1: the first is above a third of the sum, and stays. A half is left for two places, so
    # that c is 0.25, and the others stay with 0.8, 0.8 and 0.4.
    table, seen = np.log(np.array([[0.5, 0.1], [0.2, 0.2]])), np.zeros(4)
    for seed in range(400):
        places, floor = resample(table, NONE, 3, np.random.default_rng(seed))
        assert np.exp(floor) == pytest.approx(0.25)
        seen[places] += 1
    assert seen[0] == 400
    # Each is off by 0.14 or more with a probability below 4e-7 (Hoeffding).
    np.testing.assert_allclose(seen / 400, [1, 0.4, 0.8, 0.8], atol=0.14)


@settings(deadline=None)
@given(values=weights, singles=weights, rows=st.integers(1, 3), count=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_sample_keeps_the_sum_of_the_weights(values, singles, rows, count, seed):
    table = make_table(values, rows)
    places, floor = resample(table, singles, count, np.random.default_rng(seed))
    own = np.concatenate([table.ravel(), singles])
    assert len(places) == len(set(places.tolist())) == min(count, np.count_nonzero(own > -np.inf))
    assert (own[places] > -np.inf).all()
    assert np.exp(np.maximum(own[places], floor)).sum() == pytest.approx(total(table, singles), rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_each_place_weighs_on_average_what_it_weighed(count):
    rng = np.random.default_rng(count)
    table = np.log(rng.dirichlet(np.full(5, 0.7), 2)).astype("float32")
    singles = np.array([np.log(0.3), -np.inf, np.log(0.05)])
    own = np.concatenate([table.ravel(), singles])
    draws, sums = 4000, np.zeros(len(own))
    for _ in range(draws):
        places, floor = resample(table, singles, count, rng)
        sums[places] += np.exp(np.maximum(own[places], floor))
    # A weight is 0 or at most c = 2.35 / count, so that Hoeffding bounds an error of 0.09 / count ** 0.5 by 2e-5 at
    # count 1, and by less with more; the numbers are seeded.
    np.testing.assert_allclose(sums / draws, np.exp(own), atol=0.09 / count**0.5)


def test_words_without_weight_are_never_drawn():
    table = np.full((3, 1000), -np.inf, "float32")
    table[1, ::10] = -3.0
    for seed in range(50):
        places, _ = resample(table, NONE, 20, np.random.default_rng(seed))
        assert len(places) == 20
        assert (table.ravel()[places] == -3).all()


def test_weights_far_apart():
    table = make_table([0, -80, -100, -200], 1)
    places, floor = resample(table, np.array([-500.0, -1.0]), 2, np.random.default_rng(0))
    assert sorted(places) == [0, 5]
    assert floor < -70
    # All far down is as well as all far up.
    places, floor = resample(table - 1000, np.array([-1500.0]), 1, np.random.default_rng(0))
    assert places.tolist() == [0]
    assert floor == pytest.approx(-1000, abs=1e-3) or floor == -np.inf
