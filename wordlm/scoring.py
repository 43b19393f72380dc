"""What a model thinks of a text, word by word: the measures of each passage, from the start or after all before it.

Passages are taken up a window at a time. What is read without a reset between is a *run*: all passages, those of a
document, or each one alone. Runs that are whole go through the engine side by side. The last one in a window may go on
in the next, so it goes alone, and its state is carried on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from wordlm.errors import OptionError, WordlmError
from wordlm.measures import Look, Measures, measure_logprobs
from wordlm.vocab import EOS, PAD

if TYPE_CHECKING:
    from wordlm.passages import Passage

RESETS = ("sentence", "document", "never")

# Words of a window of passages: the first one is small, so that first results come soon, and each doubles until the
# largest one, where enough passages are of like length to go side by side with little padding.
_FIRST_WINDOW, _WINDOW = 256, 1 << 14
# Texts side by side, and how much longer than the shortest the longest one may be. The output layer gains nothing by
# more of them, and a recurrent layer less than the padding costs.
_ROWS, _LONGER = 32, 1.25
# Words that an engine measures at a call, padding included; and numbers of its predictions, where it has no `measure`.
_AT_ONCE, _FLOATS = 1 << 14, 1 << 22


def score_passages(
    engine: Any,
    passages: Iterable[Passage],
    reset: str = "document",
    *,
    look: Look | None = None,
    entropy_reduction: bool = False,
) -> Iterator[tuple[Passage, Measures, np.ndarray | None]]:
    """The measures of every word of some passages, `<eos>` behind the last one included.

    The first word of a passage is predicted after `<eos>`: the one that ended the passage before, or, where nothing
    was read or the model has forgotten it, the one that opens every text.

    The entropy reduction of a word is how much less open the continuation is after it than before: max(0, H - H'), of
    the entropies H of the prediction of this word and H' of the next one (Hale, "Uncertainty about the rest of the
    sentence", 2006, section 2; with the next word's entropy instead of that of whole continuations).

    Args:
        engine: the network, or anything with its `run`, `initial_state` and `config.vocab_size`; `measure` is used
            where there is one.
        passages: in the text's order. They are read as the results are asked for, some thousands of words ahead.
        reset: where the model forgets what it has read: "sentence", before every passage; "document", before those
            of another document; or "never".
        look: called with some predictions (n, V) and the words that came (n,) at a time, perhaps in several threads,
            and with padding; what it returns, (n,), is `looked` of the measures.
        entropy_reduction: tell it too.

    Yields:
        Each passage in order; the measures of its (n + 1,) targets; and their entropy reductions in bits, (n + 1,)
        float64, if asked for.

    Raises:
        OptionError: a `reset` that there is not, or ids out of range.
        WordlmError: the prediction is NaN; or what `passages` raises, after the results of those before.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.engine import Engine
        >>> from wordlm.layout import weight_shapes
        >>> from wordlm.passages import Passage
        >>> config = ModelConfig(vocab_size=8, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> ids = np.array([5, 7, 2])
        >>> for passage, measures, _ in score_passages(engine, [Passage(0, "It is", ["It", "is"], ids, ids)]):
        ...     print(passage.tokens, measures.surprisal.round(4))
        ['It', 'is'] [3. 3. 3.]
    """
    if reset not in RESETS:
        raise OptionError(f"`reset` must be one of {', '.join(RESETS)}, but is {reset!r}")
    # Not a generator itself, so that the error comes at the call.
    return _score(engine, passages, reset, look, entropy_reduction)


def _score(
    engine: Any, passages: Iterable[Passage], reset: str, look: Look | None, entropy_reduction: bool
) -> Iterator[tuple[Passage, Measures, np.ndarray | None]]:
    document, state = None, None
    for window in _windows(passages):
        runs = _runs(window, reset)
        waiting = list(runs)
        if state is not None and runs[0].document == document:
            state = _measure_together(engine, [waiting.pop(0)], state, look, entropy_reduction)
        if waiting and reset != "sentence":
            # It may go on in the next window.
            state = _measure_together(engine, [waiting.pop()], None, look, entropy_reduction)
        for batch in _batches(waiting):
            _measure_together(engine, batch, None, look, entropy_reduction)
        document = runs[-1].document
        for run in runs:
            yield from run.results()


@dataclass
class _Run:
    """Passages of a window that are read one after the other without a reset.

    Attributes:
        document: what they have in common: the document's number; None if all passages are one run.
        passages: they.
        measures: those of all their targets, when they are measured.
        next_entropy: bits, of the prediction after all of them, if asked for.
    """

    document: int | None
    passages: list[Passage]
    measures: Measures | None = None
    next_entropy: float | None = None

    def __post_init__(self) -> None:
        self.length = sum(len(passage.targets) for passage in self.passages)

    def fill(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Writes what is read into a row, from the `<eos>` before the first word on, and what is to be predicted."""
        inputs[: self.length] = np.concatenate([[EOS], *(passage.inputs for passage in self.passages)])[:-1]
        targets[: self.length] = np.concatenate([passage.targets for passage in self.passages])

    def results(self) -> Iterator[tuple[Passage, Measures, np.ndarray | None]]:
        """For each passage it, its measures, and its entropy reductions if the next entropy is there."""
        reductions = None
        if self.next_entropy is not None:
            reductions = np.maximum(0, -np.diff(self.measures.entropy, append=self.next_entropy))
        start = 0
        for passage in self.passages:
            at = slice(start, start := start + len(passage.targets))
            yield passage, self.measures[at], None if reductions is None else reductions[at]


def _windows(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    """Some passages at a time. Where they end with an error, it comes after the last good ones."""
    window, size, largest, error = [], 0, _FIRST_WINDOW, None
    source = iter(passages)
    while error is None:
        try:
            passage = next(source, None)
        except WordlmError as found:
            passage, error = None, found
        if passage is None:
            break
        window.append(passage)
        size += len(passage.targets)
        if size >= largest:
            yield window
            window, size, largest = [], 0, min(2 * largest, _WINDOW)
    if window:
        yield window
    if error:
        raise error


def _runs(window: list[Passage], reset: str) -> list[_Run]:
    if reset == "sentence":
        return [_Run(passage.document, [passage]) for passage in window]
    return [
        _Run(document, list(passages))
        for document, passages in groupby(window, lambda passage: passage.document if reset == "document" else None)
    ]


def _batches(runs: list[_Run]) -> Iterator[list[_Run]]:
    """The runs in batches of like length."""
    batch: list[_Run] = []
    for run in sorted(runs, key=lambda run: run.length):
        if batch and (len(batch) == _ROWS or run.length > _LONGER * batch[0].length):
            yield batch
            batch = []
        batch.append(run)
    if batch:
        yield batch


def _measure_together(engine: Any, runs: list[_Run], state: Any, look: Look | None, with_next: bool) -> Any:
    """Measures some runs side by side, from the same state on, and returns the new one."""
    longest = max(run.length for run in runs)
    inputs, targets = np.full((2, len(runs), longest), PAD, np.intp)
    for run, *row in zip(runs, inputs, targets, strict=True):
        run.fill(*row)
    pieces = []
    times = _times(engine, len(runs))
    for at in (slice(start, start + times) for start in range(0, longest, times)):
        measures, state = _measure(engine, inputs[:, at], targets[:, at], state, look)
        pieces.append(measures)
    measures = Measures.join(pieces, axis=1)
    for row, run in enumerate(runs):
        run.measures = measures[row, : run.length]
    if with_next:
        # What follows the `<eos>` that ends a run. The state stays the one before it: the next run reads it again.
        ends = np.full((len(runs), 1), EOS)
        for run, entropy in zip(runs, _measure(engine, ends, ends, state, None)[0].entropy[:, 0], strict=True):
            run.next_entropy = entropy
    return state


def _times(engine: Any, rows: int) -> int:
    """Words of each of some texts that may be measured at a call."""
    words = _AT_ONCE if hasattr(engine, "measure") else _FLOATS // engine.config.vocab_size
    return max(1, words // rows)


def _measure(
    engine: Any, token_ids: np.ndarray, targets: np.ndarray, state: Any, look: Look | None
) -> tuple[Measures, Any]:
    """The engine's `measure`, or what amounts to it."""
    if hasattr(engine, "measure"):
        return engine.measure(token_ids, targets, state, look)
    logprobs, state = engine.run(token_ids, state)
    measures = measure_logprobs(logprobs.reshape(-1, logprobs.shape[-1]), targets.ravel(), look)
    return measures.reshape(*targets.shape), state
