import doctest

import pytest

from wordlm import schedule as module
from wordlm.config import TrainConfig
from wordlm.schedule import DEFAULT_EPOCHS, WARM_UP, Schedule


def test_docstrings():
    result = doctest.testmod(module)
    assert result.failed == 0 < result.attempted


def test_epochs():
    schedule = Schedule(TrainConfig(epochs=4), steps=25)
    assert [schedule.done(step, 1e9) for step in (0, 50, 100, 200)] == [0, 0.5, 1, 1]


def test_neither_epochs_nor_minutes():
    assert Schedule(TrainConfig(), steps=7).total_steps == 7 * DEFAULT_EPOCHS


def test_minutes():
    schedule = Schedule(TrainConfig(minutes=2), steps=10, reserve=20)
    assert [schedule.done(10**9, seconds) for seconds in (0, 50, 100, 110)] == [0, 0.5, 1, 1]


def test_both_end_with_the_first():
    schedule = Schedule(TrainConfig(epochs=2, minutes=1), steps=10)
    assert schedule.done(15, 6) == 0.75
    assert schedule.done(2, 30) == 0.5


def test_a_reserve_over_the_budget_leaves_a_tenth_for_learning():
    schedule = Schedule(TrainConfig(minutes=1), steps=10, reserve=600)
    assert schedule.done(1, 3) == 0.5
    assert schedule.done(1, 6) == 1


def test_the_learning_rate_rises_fast_and_falls_to_zero():
    schedule = Schedule(TrainConfig(learning_rate=0.5), steps=10)
    rates = [schedule.learning_rate(i / 1000) for i in range(1001)]
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) == round(WARM_UP * 1000)
    assert rates[0] == pytest.approx(0.005)
    assert rates[-1] == 0
    assert all(rate > 0 for rate in rates[:-1])
