"""What a training tells: its steps and epochs to whoever listens, and its figures at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; the history of a model is a list of these."""

    epoch: int
    loss: float
    """Mean training loss in nats; with the sampled softmax, an estimate of it."""
    valid_perplexity: float
    """On up to 32,768 words from all over the validation text; the final figure is on all of it."""
    valid_accuracy: float
    learning_rate: float
    seconds: float
    tokens_per_second: float
    sample: str


@dataclass(frozen=True)
class Step:
    """Where training is, for a live display."""

    epoch: int
    step: int
    steps: int
    loss: float
    tokens_per_second: float
    done: float
    """Share of the whole plan, 0 to 1."""
    seconds_left: float
    expected_perplexity: float | None = None
    """On the validation text when the plan is done; None while nothing can be said."""


class Listener(Protocol):
    """Hears of the progress."""

    def message(self, text: str) -> None: ...
    def reading(self, part: str, tokens: int, share: float) -> None: ...
    def step(self, step: Step) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """The figures of a training."""

    valid_perplexity: float
    valid_accuracy: float
    test_perplexity: float | None
    epochs: int
    seconds: float
    tokens_per_second: float
    history: list[dict[str, Any]]
    interrupted: bool
