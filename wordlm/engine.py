"""The network in NumPy: token ids in, log-probabilities and the next state out; no text, no files, no Keras.

`step` reads one word of each text, `run` reads many at once; both give what the Keras model of the same weights
gives. A state is never changed in place, so that any number of continuations can start from one. `run` is
`hidden` followed by `logprobs`, which are there by themselves for whoever cannot hold (batch, time, V) at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wordlm.cells import PARTS, Recurrent
from wordlm.config import ModelConfig
from wordlm.errors import OptionError
from wordlm.layout import checked, prefixes
from wordlm.output import OutputLayer

# Float32 numbers that a temporary may take: 4M keep the input products of a long text at 16 MB.
_PRODUCT_FLOATS = 1 << 22
_WINDOWS_AT_ONCE = 256


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


class Engine:
    """A trained model, ready to read words.

    A stream model carries its state from word to word. A window model predicts from the last `context` words
    alone (padded on the right while there are fewer), so it keeps these and reads them again at every step.
    Padding (id 0) is no word: it leaves the state as it is, and the prediction after it is the one before it.
    With `config.masking`, a word whose vector is all zero is skipped in the same way.

    Args:
        config: the shape of the network.
        weights: the arrays that `layout.weight_shapes` names. Float32 arrays are used where they are, not copied.

    Raises:
        BundleError: a weight is missing, unknown, of another shape than `config` says, or holds NaN.

    Example:
        >>> from wordlm.layout import weight_shapes
        >>> config = ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> logprobs, state = engine.step([5], engine.initial_state(1))
        >>> print(np.exp(logprobs).round(2))
        [[0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1]]
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, np.ndarray]) -> None:
        arrays = checked(config, weights)
        self.config = config
        self._embedding = arrays["embedding"]
        # As Keras' Masking layer, which looks at the vectors alone and forgets about the ids.
        self._is_read = self._embedding.any(axis=1) if config.masking else np.arange(config.vocab_size) != 0
        self._layers = [
            [Recurrent(config.cell, *(arrays[f"{prefix}/{part}"] for part in PARTS)) for prefix in names]
            for names in (prefixes(config, number) for number in range(1, config.layers + 1))
        ]
        self._dense = (arrays["dense/kernel"], arrays["dense/bias"]) if config.dense else None
        self._output = OutputLayer(arrays["output/kernel"], arrays["output/bias"])

    def initial_state(self, batch_size: int) -> State:
        """The state of `batch_size` texts of which nothing has been read yet."""
        if batch_size < 1:
            raise OptionError(f"`batch_size` must be at least 1, but is {batch_size!r}")
        if self.config.context:
            return State((), np.zeros((batch_size, self.config.context), np.intp))
        return State(tuple(layer.zeros(batch_size) for (layer,) in self._layers))

    def step(self, token_ids: np.ndarray | Sequence[int], state: State) -> tuple[np.ndarray, State]:
        """Reads one word of each text.

        Args:
            token_ids: (batch,) ids; 0 (padding) skips a text.
            state: what was read before; it stays valid.

        Returns:
            Log-probabilities of the next word, (batch, V) float32, and the new state.

        Raises:
            OptionError: ids out of range, or not as many as the state has texts.
            WordlmError: the prediction is NaN.
        """
        token_ids = self._check(token_ids, state, 1)
        with np.errstate(invalid="ignore", over="ignore"):
            if state.window is None:
                top, layers = self._read(token_ids[np.newaxis], state.layers)
                top, state = top[0], State(layers)
            else:
                state = State((), _slide(state.window, token_ids))
                top = self._read_windows(state.window)
            return self._output.logprobs(self._apply_dense(top)), state

    def run(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> tuple[np.ndarray, State]:
        """Reads many words of each text at once: equal to as many steps, and much faster.

        Args:
            token_ids: (batch, time) ids, padded with 0 where texts end.
            state: what was read before; None: nothing.

        Returns:
            Log-probabilities of the word after each one, (batch, time, V) float32, and the new state.

        Raises:
            OptionError: ids out of range, or not as many rows as the state has texts.
            WordlmError: the prediction is NaN.
        """
        hidden, state = self.hidden(token_ids, state)
        return self.logprobs(hidden), state

    def read(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> State:
        """As `run`, for the new state alone: nothing is predicted."""
        return self.hidden(token_ids, state)[1]

    def hidden(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> tuple[np.ndarray, State]:
        """As `run`, but stops before the output layer: (batch, time, d) float32, and the new state."""
        token_ids = np.asarray(token_ids)
        if state is None:
            state = self.initial_state(max(1, len(token_ids)))
        token_ids = self._check(token_ids, state, 2)
        with np.errstate(invalid="ignore", over="ignore"):
            if state.window is not None:
                return self._hidden_of_windows(token_ids, state.window)
            layers, pieces = state.layers, []
            widest = max(layer.width for (layer,) in self._layers)
            times = max(1, _PRODUCT_FLOATS // (len(token_ids) * widest))
            for start in range(0, max(1, token_ids.shape[1]), times):
                top, layers = self._read(token_ids[:, start : start + times].T, layers)
                pieces.append(self._apply_dense(top.swapaxes(0, 1)))
            return np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0], State(layers)

    def logprobs(self, hidden: np.ndarray) -> np.ndarray:
        """The output layer: from what `hidden` gives, (..., d), to log-probabilities, (..., V) float32."""
        with np.errstate(invalid="ignore", over="ignore"):
            flat = self._output.logprobs(hidden.reshape(-1, hidden.shape[-1]))
        return flat.reshape(*hidden.shape[:-1], self.config.vocab_size)

    def _check(self, token_ids: np.ndarray | Sequence, state: State, axes: int) -> np.ndarray:
        """The ids as an array of (batch,) or (batch, time), every one in range."""
        ids = np.asarray(token_ids)
        if ids.dtype.kind not in "iu" and ids.size:
            raise OptionError(f"`token_ids` must be whole numbers, but are of type {ids.dtype}")
        ids = ids.astype(np.intp, copy=False)
        if ids.ndim != axes:
            wanted = "(batch,)" if axes == 1 else "(batch, time)"
            raise OptionError(f"`token_ids` must have the shape {wanted}, but have {ids.shape}")
        if len(ids) != state.batch_size:
            raise OptionError(
                f"`token_ids` must have a row for each of the state's {state.batch_size} texts, but have {len(ids)}"
            )
        # Seen as unsigned numbers, negative ids are too large ones: one pass instead of two.
        if ids.size and ids.view(np.uintp).max() >= self.config.vocab_size:
            wrong = ids[(ids < 0) | (ids >= self.config.vocab_size)]
            raise OptionError(
                f"token ids must be between 0 and {self.config.vocab_size - 1}, the model's last word, "
                f"but there is {wrong[0]}; use the model's own vocabulary"
            )
        return ids

    def _read(
        self, token_ids: np.ndarray, states: tuple[tuple[np.ndarray, ...], ...]
    ) -> tuple[np.ndarray, tuple[tuple[np.ndarray, ...], ...]]:
        """Stream layers over (time, batch) ids: outputs of the last one (time, batch, units), and new states."""
        x = self._embedding.take(token_ids, axis=0)
        is_read = self._is_read.take(token_ids)
        mask = None if is_read.all() else is_read
        new_states = []
        for (layer,), state in zip(self._layers, states, strict=True):
            x, state = layer.scan(layer.project(x), state, mask)
            new_states.append(state)
        return x, tuple(new_states)

    def _read_windows(self, windows: np.ndarray) -> np.ndarray:
        """All layers over (windows, context) ids, from zero states: the last one's last output (windows, d)."""
        is_read = self._is_read.take(windows.T)
        # Steps at the end that no window reads change nothing: short windows are as cheap as they look.
        steps = np.flatnonzero(is_read.any(axis=1))
        is_read = is_read[: steps[-1] + 1 if steps.size else 0]
        mask = None if is_read.all() else is_read
        x = self._embedding.take(windows.T[: len(is_read)], axis=0)
        for directions in self._layers:
            outputs, last = [], []
            for layer, way in zip(directions, (1, -1), strict=False):
                # A backward layer reads words and mask from the end; its outputs are put in the words' order.
                y, state = layer.scan(
                    layer.project(x)[::way], layer.zeros(len(windows)), None if mask is None else mask[::way]
                )
                outputs.append(y[::way])
                last.append(state[0])
            x = np.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return np.concatenate(last, axis=-1) if len(last) > 1 else last[0]

    def _hidden_of_windows(self, token_ids: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, State]:
        windows = np.empty((*token_ids.shape, self.config.context), np.intp)
        for time in range(token_ids.shape[1]):
            windows[:, time] = window = _slide(window, token_ids[:, time])
        flat = windows.reshape(-1, self.config.context)
        hidden = np.empty((len(flat), self._output.size), np.float32)
        for start in range(0, len(flat), _WINDOWS_AT_ONCE):
            piece = slice(start, start + _WINDOWS_AT_ONCE)
            hidden[piece] = self._apply_dense(self._read_windows(flat[piece]))
        return hidden.reshape(*token_ids.shape, hidden.shape[1]), State((), window)

    def _apply_dense(self, x: np.ndarray) -> np.ndarray:
        if self._dense is None:
            return x
        kernel, bias = self._dense
        x = x @ kernel
        x += bias
        return np.maximum(x, 0, out=x)


def _slide(window: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    """The (batch, context) windows after one more word each; padding is no word and changes nothing."""
    is_full = window[:, -1] != 0
    moved = np.where(is_full[:, np.newaxis], np.roll(window, -1, axis=1), window)
    places = np.where(is_full, window.shape[1] - 1, np.count_nonzero(window, axis=1))
    moved[np.arange(len(window)), places] = token_ids
    return np.where((token_ids != 0)[:, np.newaxis], moved, window)
