"""Where a training is: all of it that is not a variable of the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Position:
    """How far a run has come, and what it has seen; saved in a checkpoint.

    Example:
        >>> Position(steps=4, steps_done=6).epochs
        1.5
    """

    steps: int
    """Batches in an epoch."""
    epoch: int = 0
    step: int = 0
    steps_done: int = 0
    seconds: float = 0.0
    """Wall time since the start, all runs together."""
    prepared: float = 0.0
    """How much of it was gone when the first step was done: reading, vectors, compiling."""
    fit_seconds: float = 0.0
    fit_tokens: int = 0
    loss_sum: float = 0.0
    examined: int = 0
    """The step of the last validation."""
    best_loss: float | None = None
    bad_epochs: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    """Of the plan that were done at each look at the validation text."""
    losses: list[float] = field(default_factory=list)
    """What was found there."""

    @property
    def epochs(self) -> float:
        """Passes over the text that lie behind, the one that has begun as far as it has come."""
        return self.steps_done / self.steps
