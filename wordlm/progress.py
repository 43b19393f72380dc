"""Progress for people: live in a terminal, plain lines elsewhere, always on the standard error."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wordlm.training import Epoch, Step

# Where there is no terminal, a line now and then shows that it is alive.
PLAIN_SECONDS = 30


class Display:
    """Shows what a training tells its listener.

    Args:
        quiet: show nothing but warnings.
    """

    def __init__(self, quiet: bool = False) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self.live: Any = None
        self.task: Any = None
        self.last_line = time.monotonic()

    def message(self, text: str) -> None:
        """A line that stays."""
        if not self.quiet or text.startswith("Warning"):
            self.console.print(text, markup=False, style="yellow" if text.startswith("Warning") else None)

    def reading(self, part: str, tokens: int, share: float) -> None:
        """How much of a text is read."""
        self._show(f"reading the {part} text: {tokens:,} tokens", share)

    def step(self, step: Step) -> None:
        """A training step."""
        left = "" if math.isinf(step.seconds_left) else f" · {_clock(step.seconds_left)} left"
        self._show(
            f"epoch {step.epoch} · step {step.step:,}/{step.steps:,} · loss {step.loss:.3f} · "
            f"{step.tokens_per_second:,.0f} tokens/s{left}",
            step.done,
        )

    def epoch(self, epoch: Epoch) -> None:
        """The end of an epoch: its figures and its sample stay on the screen."""
        self.message(
            f"epoch {epoch.epoch}: loss {epoch.loss:.3f}, validation perplexity {epoch.valid_perplexity:.1f}, "
            f"{epoch.tokens_per_second:,.0f} tokens/s, {_clock(epoch.seconds)}"
        )
        self.message(f"  {' '.join(epoch.sample.split())}")

    def close(self) -> None:
        """Takes the live line off the screen."""
        if self.live:
            self.live.stop()
            self.live = None

    def _show(self, text: str, share: float) -> None:
        if self.quiet:
            return
        if self.console.is_terminal:
            if not self.live:
                self._start()
            self.live.update(self.task, description=text, completed=share)
        elif time.monotonic() - self.last_line > PLAIN_SECONDS:
            self.last_line = time.monotonic()
            print(f"{share:4.0%} {text}", file=sys.stderr, flush=True)

    def _start(self) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn()
        self.live = Progress(*columns, console=self.console, transient=True)
        self.task = self.live.add_task("", total=1.0)
        self.live.start()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
