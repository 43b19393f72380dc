"""Progress for people: live in a terminal, plain lines elsewhere, always on the standard error."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wordlm.reports import Epoch, Listener, Step

# Where there is no terminal, a line now and then shows that it is alive.
PLAIN_SECONDS = 20
_PARTS = {"train": "training", "valid": "validation"}


@contextmanager
def listening(listener: Listener | None = None) -> Iterator[Listener]:
    """The listener that was given, or a display that is taken off the screen at the end."""
    if listener is not None:
        yield listener
        return
    display = Display()
    try:
        yield display
    finally:
        display.close()


class Display:
    """Shows what a training tells its listener.

    Args:
        quiet: show nothing but warnings.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)
        self.console.soft_wrap = not self.console.is_terminal  # a file wants whole lines
        self.quiet = quiet
        self.live: Any = None
        self.task: Any = None
        self.last_line = -math.inf

    def message(self, text: str) -> None:
        """A line that stays; what was live until then is over."""
        self.close()
        self._print(text)

    def reading(self, part: str, tokens: int, share: float) -> None:
        """How much of a text is read."""
        self._show(f"reading the {_PARTS.get(part, part)} text: {tokens:,} tokens", share)

    def step(self, step: Step) -> None:
        """A training step."""
        text = f"epoch {step.epoch}, step {step.step:,}/{step.steps:,}: loss {step.loss:.3f}"
        if step.tokens_per_second:  # not known in the first step, which compiles
            text += f", {step.tokens_per_second:,.0f} tokens/s"
            if math.isfinite(step.seconds_left):
                text += f", {clock(step.seconds_left)} left"
        if step.expected_perplexity:
            text += f", perplexity {step.expected_perplexity:.0f} expected"
        self._show(text, step.done)

    def epoch(self, epoch: Epoch) -> None:
        """The end of an epoch: its figures and its sample stay on the screen."""
        self._print(
            f"epoch {epoch.epoch}: loss {epoch.loss:.3f}, validation perplexity {epoch.valid_perplexity:.1f}, "
            f"{epoch.tokens_per_second:,.0f} tokens/s, {clock(epoch.seconds)}"
        )
        self._print(f"  {' '.join(epoch.sample.split())}")

    def close(self) -> None:
        """Takes the live line off the screen."""
        if self.live:
            self.live.stop()
            self.live = None

    def _print(self, text: str) -> None:
        if not self.quiet or text.startswith("Warning"):
            self.console.print(text, markup=False, style="yellow" if text.startswith("Warning") else None)

    def _show(self, text: str, share: float) -> None:
        if self.quiet:
            return
        if self.console.is_terminal:
            if not self.live:
                self._start(text, share)
            self.live.update(self.task, description=text, completed=share)
        elif time.monotonic() - self.last_line > PLAIN_SECONDS:
            self.last_line = time.monotonic()
            self._print(f"{share:4.0%} {text}")

    def _start(self, text: str, share: float) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
        from rich.table import Column

        columns = (
            SpinnerColumn("line"),  # turns while a step is long
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
        )
        self.live = Progress(*columns, console=self.console, transient=True)
        self.task = self.live.add_task(text, total=1.0, completed=share)
        self.live.start()


def clock(seconds: float) -> str:
    """Minutes and seconds, hours where there are any.

    Example:
        >>> clock(61), clock(3661.4)
        ('1:01', '1:01:01')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
