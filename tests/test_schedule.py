import doctest
import math

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


def test_what_is_left_of_epochs():
    """The last part of 4 % takes five times as long: the plan as long as 116 % of it would."""
    schedule = Schedule(TrainConfig(epochs=2), steps=500)
    assert schedule.seconds_left(0, 3) == math.inf
    assert schedule.seconds_left(580, 58) == pytest.approx(42)
    assert schedule.seconds_left(580, 58, finish_cost=5) == pytest.approx(58)
    assert schedule.seconds_left(980, 106, finish_cost=5) == pytest.approx(10)
    assert schedule.seconds_left(1000, 116, finish_cost=5) == 0


def test_what_is_left_of_minutes_is_known():
    schedule = Schedule(TrainConfig(minutes=2), steps=10, reserve=20)
    assert [schedule.seconds_left(step, 30, finish_cost=5) for step in (0, 1, 10**9)] == [70, 70, 70]
    assert schedule.seconds_left(10**9, 110) == 0


def test_what_is_left_of_both_is_the_shorter():
    schedule = Schedule(TrainConfig(epochs=1, minutes=1), steps=10)
    assert schedule.seconds_left(5, 6) == pytest.approx(6)
    assert schedule.seconds_left(5, 36) == pytest.approx(24)


def test_the_learning_rate_rises_fast_and_falls_to_zero():
    schedule = Schedule(TrainConfig(learning_rate=0.5), steps=10)
    rates = [schedule.learning_rate(i / 1000) for i in range(1001)]
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) == round(WARM_UP * 1000)
    assert rates[0] == pytest.approx(0.005)
    assert rates[-1] == 0
    assert all(rate > 0 for rate in rates[:-1])
