"""What a model remembers of the words that it has read, and the check of the ids that it reads next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wordlm.errors import OptionError


@dataclass(frozen=True)
class State:
    """What a model remembers of the words read so far, of a whole batch.

    Args:
        layers: for each recurrent layer (h,), or (h, c) with LSTM cells, each (batch, units) float32; empty for
            a window model.
        window: (batch, context) token ids, padded with 0 on the right, of a window model; else None.
    """

    layers: tuple[tuple[np.ndarray, ...], ...]
    window: np.ndarray | None = None

    @property
    def batch_size(self) -> int:
        """Texts in the batch."""
        return len(self.layers[0][0] if self.window is None else self.window)

    def select(self, indices: Sequence[int] | np.ndarray) -> State:
        """The state of some rows of the batch, in the order of `indices`; a row may come more than once.

        Example:
            >>> state = State((), window=np.array([[5, 0], [6, 7]]))
            >>> state.select([1, 1, 0]).window.tolist()
            [[6, 7], [6, 7], [5, 0]]
        """
        indices = np.asarray(indices, dtype=np.intp)
        layers = tuple(tuple(array[indices] for array in layer) for layer in self.layers)
        return State(layers, None if self.window is None else self.window[indices])

    def join(self, other: State) -> State:
        """The rows of this state, then those of another one of the same model.

        Example:
            >>> state = State((), window=np.array([[5, 0]]))
            >>> state.join(State((), window=np.array([[6, 7]]))).window.tolist()
            [[5, 0], [6, 7]]
        """
        layers = tuple(
            tuple(np.concatenate(arrays) for arrays in zip(mine, theirs, strict=True))
            for mine, theirs in zip(self.layers, other.layers, strict=True)
        )
        return State(layers, None if self.window is None else np.concatenate([self.window, other.window]))


def empty_window(batch_size: int, context: int) -> State:
    """The state of a window model before the first word.

    Raises:
        OptionError: a batch of no texts.

    Example:
        >>> empty_window(1, 3).window.tolist()
        [[0, 0, 0]]
    """
    check_batch_size(batch_size)
    return State((), np.zeros((batch_size, context), np.intp))


def check_batch_size(batch_size: int) -> None:
    """Raises an OptionError if a batch has no text.

    Example:
        >>> check_batch_size(0)
        Traceback (most recent call last):
        ...
        wordlm.errors.OptionError: `batch_size` must be at least 1, but is 0
    """
    if batch_size < 1:
        raise OptionError(f"`batch_size` must be at least 1, but is {batch_size!r}")


def slide(window: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    """The windows after one more word each: a full one loses its first word. Padding is no word.

    Args:
        window: (batch, context) ids, padded with 0 on the right; it stays as it is.
        token_ids: (batch,) ids.

    Example:
        >>> slide(np.array([[5, 0, 0], [5, 6, 7], [5, 0, 0]]), np.array([8, 8, 0])).tolist()
        [[5, 8, 0], [6, 7, 8], [5, 0, 0]]
    """
    is_full = window[:, -1] != 0
    moved = np.where(is_full[:, np.newaxis], np.roll(window, -1, axis=1), window)
    places = np.where(is_full, window.shape[1] - 1, np.count_nonzero(window, axis=1))
    moved[np.arange(len(window)), places] = token_ids
    return np.where((token_ids != 0)[:, np.newaxis], moved, window)


def slide_through(window: np.ndarray, token_ids: np.ndarray) -> State:
    """The state of a window model that has read (batch, time) ids after this window.

    Example:
        >>> slide_through(np.array([[5, 0, 0]]), np.array([[6, 7, 8]])).window.tolist()
        [[6, 7, 8]]
    """
    for column in token_ids.T:
        window = slide(window, column)
    return State((), window)


def begin(engine: Any, token_ids: np.ndarray | Sequence, state: Any) -> tuple[np.ndarray, Any]:
    """What an engine is to read: the (batch, time) ids as an array, and the state before them.

    Args:
        engine: any with `input_size`, the number of ids that it reads, and `initial_state`.
        token_ids: as they were given.
        state: one of the engine's; None: nothing was read yet.

    Raises:
        OptionError: as `check_ids`.
    """
    token_ids = np.asarray(token_ids)
    if state is None:
        state = engine.initial_state(max(1, len(token_ids)))
    return check_ids(token_ids, 2, state.batch_size, engine.input_size), state


def check_ids(token_ids: np.ndarray | Sequence, axes: int, batch_size: int, input_size: int) -> np.ndarray:
    """The ids as an array of the shape (batch,), with one axis, or (batch, time), with two.

    Raises:
        OptionError: another shape, not a row a text, no whole numbers, or ids out of range.

    Example:
        >>> check_ids([5, 9], axes=2, batch_size=2, input_size=10)
        Traceback (most recent call last):
        ...
        wordlm.errors.OptionError: `token_ids` must have the shape (batch, time), but have (2,)
    """
    ids = np.asarray(token_ids)
    if ids.dtype.kind not in "iu" and ids.size:
        raise OptionError(f"`token_ids` must be whole numbers, but are of type {ids.dtype}")
    ids = ids.astype(np.intp, copy=False)
    if ids.ndim != axes:
        wanted = "(batch,)" if axes == 1 else "(batch, time)"
        raise OptionError(f"`token_ids` must have the shape {wanted}, but have {ids.shape}")
    if len(ids) != batch_size:
        raise OptionError(
            f"`token_ids` must have a row for each of the state's {batch_size} texts, but have {len(ids)}"
        )
    # Seen as unsigned numbers, negative ids are too large ones: one pass instead of two.
    if ids.size and ids.view(np.uintp).max() >= input_size:
        wrong = ids[(ids < 0) | (ids >= input_size)]
        raise OptionError(
            f"token ids must be between 0 and {input_size - 1}, the model's last word, "
            f"but there is {wrong[0]}; use the model's own vocabulary"
        )
    return ids
