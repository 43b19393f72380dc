"""When training ends, and the learning rate on the way there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wordlm.config import TrainConfig

DEFAULT_EPOCHS = 6
WARM_UP = 0.02
# The last part of the plan, which learns from the full softmax.
FINISH = 0.04


@dataclass(frozen=True)
class Schedule:
    """A short linear warm-up and a linear fall to zero, over the steps or the minutes that were asked for.

    Args:
        config: holds `epochs`, `minutes` and the peak `learning_rate`.
        steps: batches in an epoch.
        reserve: seconds of the minutes that are not for learning: what comes before the first step and after
            the last one.

    Example:
        >>> schedule = Schedule(TrainConfig(epochs=2, learning_rate=0.1), steps=50)
        >>> [round(schedule.learning_rate(done), 3) for done in (0, 0.01, 0.02, 0.51, 1)]
        [0.001, 0.051, 0.1, 0.05, 0.0]
        >>> schedule.done(step=100, seconds=7)
        1.0
    """

    config: TrainConfig
    steps: int
    reserve: float = 0.0

    @property
    def total_steps(self) -> int | None:
        """Steps of the whole plan, or None if the minutes alone decide."""
        if self.config.epochs is None and self.config.minutes is not None:
            return None
        return (self.config.epochs or DEFAULT_EPOCHS) * self.steps

    @property
    def total_seconds(self) -> float | None:
        """Wall time for all steps, or None if the epochs alone decide."""
        if self.config.minutes is None:
            return None
        # Even where all the rest takes longer than the budget, a tenth of it is for learning.
        return max(self.config.minutes * 60 - self.reserve, self.config.minutes * 6)

    def done(self, step: int, seconds: float) -> float:
        """The share of the plan that lies behind, 0 to 1: of the steps or of the time, whichever is further.

        Args:
            step: steps since training began.
            seconds: wall time spent on them.
        """
        shares = [0.0]
        if self.total_steps is not None:
            shares.append(step / self.total_steps)
        if self.total_seconds is not None:
            shares.append(seconds / self.total_seconds)
        return min(1.0, max(shares))

    def seconds_left(self, step: int, seconds: float, finish_cost: float = 1.0) -> float:
        """Wall time that the rest of the plan will take at the pace so far.

        Args:
            step: steps since training began.
            seconds: wall time spent on them.
            finish_cost: how many times as long a step takes in the last part.

        Example:
            >>> schedule = Schedule(TrainConfig(epochs=1), steps=100)
            >>> [round(schedule.seconds_left(48, 48, finish_cost)) for finish_cost in (1, 5)]
            [52, 68]
        """
        left = [math.inf]
        if self.total_steps is not None and step:
            shares = step / self.total_steps, 1.0
            spent, whole = (share + (finish_cost - 1) * max(0.0, share - (1 - FINISH)) for share in shares)
            left.append(seconds * max(0.0, whole / spent - 1))
        if self.total_seconds is not None:
            left.append(max(0.0, self.total_seconds - seconds))
        return min(left)

    def learning_rate(self, done: float) -> float:
        """The learning rate where this share of the plan is done."""
        rising = 0.01 + 0.99 * done / WARM_UP
        falling = (1 - done) / (1 - WARM_UP)
        return self.config.learning_rate * max(0.0, min(rising, falling))
