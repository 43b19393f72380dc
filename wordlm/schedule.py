"""When training ends, and the learning rate on the way there."""

from __future__ import annotations

from dataclasses import dataclass

from wordlm.config import TrainConfig

DEFAULT_EPOCHS = 6
WARM_UP = 0.02


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

    def done(self, step: int, seconds: float) -> float:
        """The share of the plan that lies behind, 0 to 1: of the steps or of the time, whichever is further.

        Args:
            step: steps since training began.
            seconds: wall time spent on them.
        """
        shares = [0.0]
        if self.total_steps is not None:
            shares.append(step / self.total_steps)
        if self.config.minutes is not None:
            # Even where all the rest takes longer than the budget, a tenth of it is for learning.
            shares.append(seconds / max(self.config.minutes * 60 - self.reserve, self.config.minutes * 6))
        return min(1.0, max(shares))

    def learning_rate(self, done: float) -> float:
        """The learning rate where this share of the plan is done."""
        rising = 0.01 + 0.99 * done / WARM_UP
        falling = (1 - done) / (1 - WARM_UP)
        return self.config.learning_rate * max(0.0, min(rising, falling))
