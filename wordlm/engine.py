"""The network in NumPy: token ids in, log-probabilities and the next state out; no text, no files, no Keras.

`step` reads one word of each text, `run` reads many at once; both give what the Keras model of the same weights
gives. A state is never changed in place, so that any number of continuations can start from one. `run` is
`hidden` followed by `logprobs`, which are there by themselves for whoever cannot hold (batch, time, V) at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy

import numpy as np

from wordlm.cells import ACTIVATIONS, PARTS, Recurrent
from wordlm.config import ModelConfig
from wordlm.errors import OptionError
from wordlm.layout import checked, prefixes
from wordlm.measures import Look, Measures
from wordlm.output import OutputLayer
from wordlm.state import State, begin, check_batch_size, check_ids, empty_window, slide, slide_through
from wordlm.trace import LayerTrace, Trace
from wordlm.vocab import PAD, UNK

# Float32 numbers that a temporary may take: 4M keep the input products of a long text at 16 MB.
_PRODUCT_FLOATS = 1 << 22
_WINDOWS_AT_ONCE = 256
# Predictions whose hidden vectors are made at once, to be measured in other threads while the next words are read.
_MEASURED_ROWS = 512


class Engine:
    """A trained model, ready to read words.

    A stream model carries its state from word to word. A window model predicts from the last `context` words alone
    (padded on the right while there are fewer), so it keeps these and reads them again at every step.
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
        self.output = OutputLayer(arrays["output/kernel"], arrays["output/bias"])

    @property
    def input_size(self) -> int:
        """Ids that it reads, from 0 on: V, and more with `with_words`."""
        return len(self._embedding)

    def with_words(self, vectors: np.ndarray) -> Engine:
        """An engine that reads some words more than it predicts; all other weights are shared.

        Args:
            vectors: (n, d), those of the words with the ids V to V + n - 1; what is trained of a word is as of <unk>.

        Raises:
            OptionError: vectors of another size than the model's.

        Example:
            >>> from wordlm.layout import weight_shapes
            >>> config = ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)
            >>> engine = Engine(config, {name: np.ones(shape) for name, shape in weight_shapes(config).items()})
            >>> logprobs, state = engine.with_words(np.ones((2, 4))).run([[2, 5, 11]])
            >>> logprobs.shape
            (1, 3, 10)
        """
        size = self.config.embedding_dim - self.config.trained_dim
        if np.ndim(vectors) != 2 or np.shape(vectors)[1] != size:
            raise OptionError(f"`vectors` must have the shape (n, {size}), but have {np.shape(vectors)}")
        other = copy(self)
        trained = np.tile(self._embedding[UNK, size:], (len(vectors), 1))
        rows = np.concatenate([vectors, trained], axis=1, dtype=np.float32)
        other._embedding = np.concatenate([self._embedding[: self.config.vocab_size], rows])
        is_read = rows.any(axis=1) if self.config.masking else np.ones(len(rows), bool)
        other._is_read = np.concatenate([self._is_read[: self.config.vocab_size], is_read])
        return other

    def initial_state(self, batch_size: int) -> State:
        """The state of `batch_size` texts of which nothing has been read yet."""
        if self.config.context:
            return empty_window(batch_size, self.config.context)
        check_batch_size(batch_size)
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
        token_ids = check_ids(token_ids, 1, state.batch_size, self.input_size)
        with np.errstate(invalid="ignore", over="ignore"):
            if state.window is None:
                top, layers = self._read(token_ids[np.newaxis], state.layers)
                top, state = top[0], State(layers)
            else:
                state = State((), slide(state.window, token_ids))
                top = self._read_windows(state.window)
            return self.output.logprobs(self._apply_dense(top)), state

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
        token_ids, state = begin(self, token_ids, state)
        if state.window is not None:
            return slide_through(state.window, token_ids)
        with np.errstate(invalid="ignore", over="ignore"):
            for _, after in self._stretches(token_ids, state):
                end = after
        return end

    def hidden(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> tuple[np.ndarray, State]:
        """As `run`, but stops before the output layer: (batch, time, d) float32, and the new state."""
        token_ids, state = begin(self, token_ids, state)
        stretches = self._stretches if state.window is None else self._stretches_of_windows
        pieces = []
        with np.errstate(invalid="ignore", over="ignore"):
            for top, after in stretches(token_ids, state):
                pieces.append(self._apply_dense(top))
                end = after
        return np.concatenate(pieces, axis=1) if len(pieces) > 1 else pieces[0], end

    def logprobs(self, hidden: np.ndarray) -> np.ndarray:
        """The output layer: from what `hidden` gives, (..., d), to log-probabilities, (..., V) float32."""
        flat = self.output.logprobs(hidden.reshape(-1, hidden.shape[-1]))
        return flat.reshape(*hidden.shape[:-1], self.config.vocab_size)

    def logprobs_of(self, hidden: np.ndarray, rows: np.ndarray, words: np.ndarray) -> np.ndarray:
        """`logprobs(hidden)[rows, words]` of (rows, d) hidden vectors, (pairs,) float64, without the other words."""
        return self.output.logprobs_of(hidden, rows, words)

    def measure(
        self, token_ids: np.ndarray, targets: np.ndarray, state: State | None = None, look: Look | None = None
    ) -> tuple[Measures, State]:
        """As `run`, then `measure_logprobs`, but faster, and no (batch, time, V) is held: a text may be long.

        Args:
            token_ids: (batch, time) ids, padded with 0 where texts end.
            targets: (batch, time) ids, the word after each of these. Nothing is measured at padding.
            state: what was read before; None: nothing.
            look: as in `OutputLayer.measure`.

        Returns:
            Measures of (batch, time), zeros at padding, and the new state.

        Example:
            >>> from wordlm.layout import weight_shapes
            >>> config = ModelConfig(vocab_size=8, embedding_dim=4, units=3, dense=0)
            >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
            >>> engine.measure([[2, 5, 7]], [[5, 7, 2]])[0].surprisal.round(4)
            array([[3., 3., 3.]])
        """
        token_ids, end = begin(self, token_ids, state)
        if np.shape(targets) != token_ids.shape:
            raise OptionError(f"`targets` must have the ids' shape, {token_ids.shape}, but have {np.shape(targets)}")
        targets, is_word = np.transpose(targets), token_ids.T != PAD
        times = max(1, _MEASURED_ROWS // len(token_ids))

        def pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            nonlocal end
            for at in (slice(start, start + times) for start in range(0, max(1, len(is_word)), times)):
                hidden, end = self.hidden(token_ids[:, at], end)
                yield hidden.swapaxes(0, 1)[is_word[at]], targets[at][is_word[at]]

        return self.output.measure_all(pieces(), look).spread(is_word), end

    def trace(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> tuple[Trace, State]:
        """Reads many words of each text, and keeps what happens inside at each of them.

        A window model reads the same words again at every step. What is kept is the reading of the last window:
        its words, at most the last `context` ones, padded on the right where a text has fewer.

        Args:
            token_ids: (batch, time) ids, padded with 0 where texts end.
            state: what was read before; None: nothing.

        Returns:
            The gates and states of every layer, and what the predictions are made of: `logprobs(trace.top)`
            are those of `run`; and the new state.

        Raises:
            OptionError: ids out of range, or not as many rows as the state has texts.

        Example:
            >>> from wordlm.layout import weight_shapes
            >>> config = ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)
            >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
            >>> trace, state = engine.trace([[5, 8]])
            >>> trace.layers[0].name, trace.layers[0].gates["forget"].tolist()
            ('recurrent_1', [[[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]])
        """
        token_ids, state = begin(self, token_ids, state)
        if state.window is None:
            starts = [[layer] for layer in state.layers]
        else:
            state = slide_through(state.window, token_ids)
            used = np.flatnonzero(((state.window != 0) | self._is_read[state.window]).any(axis=0))
            token_ids = state.window[:, : used[-1] + 1 if used.size else 0]
            starts = [[layer.zeros(len(token_ids)) for layer in directions] for directions in self._layers]
        x, mask = self._embedding[token_ids.T], self._is_read[token_ids.T]
        traces, ends = [], []
        with np.errstate(invalid="ignore", over="ignore"):
            for number, (directions, before) in enumerate(zip(self._layers, starts, strict=True), 1):
                ways = zip(prefixes(self.config, number), directions, before, (1, -1), strict=False)
                pairs = [_trace(name, layer, x, start, mask, way) for name, layer, start, way in ways]
                x = np.concatenate([trace.hidden for trace, _ in pairs], axis=-1).swapaxes(0, 1)
                traces += [trace for trace, _ in pairs]
                ends.append([end for _, end in pairs])
            if state.window is None:
                top, state = x.swapaxes(0, 1), State(tuple(end for (end,) in ends))
            else:
                top = np.concatenate([end[0] for end in ends[-1]], axis=-1)[:, np.newaxis]
            return Trace(token_ids, mask.T, tuple(traces), self._apply_dense(top)), state

    def _stretches(self, token_ids: np.ndarray, state: State) -> Iterator[tuple[np.ndarray, State]]:
        """Stream layers over (batch, time) ids in stretches that memory holds: outputs (batch, t, units), states."""
        layers = state.layers
        widest = max(layer.width for (layer,) in self._layers)
        times = max(1, _PRODUCT_FLOATS // (len(token_ids) * widest))
        for start in range(0, max(1, token_ids.shape[1]), times):
            top, layers = self._read(token_ids[:, start : start + times].T, layers)
            yield top.swapaxes(0, 1), State(layers)

    def _stretches_of_windows(self, token_ids: np.ndarray, state: State) -> Iterator[tuple[np.ndarray, State]]:
        """As `_stretches`, of a window model: outputs of the windows after each word."""
        window, batch_size = state.window, len(token_ids)
        times = max(1, _WINDOWS_AT_ONCE // batch_size)
        for start in range(0, max(1, token_ids.shape[1]), times):
            windows = [window := slide(window, column) for column in token_ids[:, start : start + times].T]
            flat = np.reshape(windows, (len(windows) * batch_size, self.config.context)).astype(np.intp, copy=False)
            top = self._read_windows(flat)
            yield top.reshape(len(windows), batch_size, top.shape[1]).swapaxes(0, 1), State((), window)

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

    def _apply_dense(self, x: np.ndarray) -> np.ndarray:
        if self._dense is None:
            return x
        x = x @ self._dense[0]
        x += self._dense[1]
        return x if self.config.activation == "linear" else ACTIVATIONS[self.config.activation](x, out=x)


def _trace(
    name: str, layer: Recurrent, x: np.ndarray, state: tuple[np.ndarray, ...], mask: np.ndarray, way: int
) -> tuple[LayerTrace, tuple[np.ndarray, ...]]:
    """One layer over (time, batch, d), from the last word if `way` is -1: its trace, and its state at the end."""
    gates, states, end = layer.trace(x[::way], state, mask[::way])
    hidden, *cell = states[:, ::way].swapaxes(1, 2)
    gates = {gate: array[::way].swapaxes(0, 1) for gate, array in gates.items()}
    return LayerTrace(name, gates, cell[0] if cell else None, hidden), end
