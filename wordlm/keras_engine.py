"""Any Keras model of token ids as an engine: NumPy where its layers are known, else a call of Keras a word."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from wordlm.engine import Engine
from wordlm.errors import OptionError, WordlmError
from wordlm.keras_stack import CONTEXT, UnknownLayerError, input_length, read_stack
from wordlm.state import State, begin, check_ids, empty_window, slide, slide_through

if TYPE_CHECKING:
    import keras

# Float32 numbers that the model may return at once: 64 MB.
_FLOATS_AT_ONCE = 1 << 24


def engine_of(model: keras.Model, context: int | None = None) -> Engine | KerasEngine:
    """An engine of a Keras model: (batch, time) ids -> probabilities, (batch, V) or (batch, time, V).

    NumPy runs a `keras.Sequential` of Embedding, perhaps Masking, some LSTM, GRU or SimpleRNN layers of one kind
    and size (or Bidirectional ones), perhaps Dense with a ReLU, and Dense with a softmax; with Dropout anywhere, and
    Keras' default settings. Anything else is run by Keras, at a call a word, and a warning says why.

    Args:
        model: a built model; its weights are copied. Its ids are those of a `Vocabulary`: 0 is padding.
        context: how many of the last words it reads. Left out: all, if NumPy runs it, and it reads forward and
            predicts after every word or has an input of any length; else as many as its input has, or 50.

    Raises:
        OptionError: the model takes or returns something else, or has no weights yet.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.model import build_model
        >>> engine = engine_of(build_model(ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)))
        >>> type(engine).__name__, engine.config.vocab_size
        ('Engine', 10)
    """
    if not getattr(model, "built", False):
        raise OptionError("the Keras model has no weights yet: let it begin with `keras.Input`, or call it once")
    _check_context(context, input_length(model))
    try:
        return Engine(*read_stack(model, context))
    except UnknownLayerError as unknown:
        warnings.warn(f"{unknown}, which only Keras can run: each word costs a call of Keras", stacklevel=2)
        return KerasEngine(model, context)


@dataclass(frozen=True)
class KerasConfig:
    """What there is to know of a model that only Keras understands."""

    vocab_size: int
    context: int


class KerasEngine:
    """A Keras model with the methods of an `Engine`: a step is one call of it, with the last words of each text.

    To an input of a fixed length, zeros on the right are given for words that are not there. Other models get
    padding only where it changes nothing, because their predictions do not depend on later words.

    Args:
        model: (batch, time) ids -> probabilities of the next word, (batch, V), or of the word after each one,
            (batch, time, V). It is used as it is, and must keep no state of its own.
        context: how many of the last words it reads; left out: as many as its input has, or 50.

    Raises:
        OptionError: the model takes or returns something else, or keeps a state.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.model import build_model
        >>> engine = KerasEngine(build_model(ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)))
        >>> logprobs, state = engine.step([5], engine.initial_state(1))
        >>> logprobs.shape, state.window.shape
        ((1, 10), (1, 50))
    """

    def __init__(self, model: keras.Model, context: int | None = None) -> None:
        self._model, self._length = model, input_length(model)
        _check_context(context, self._length)
        context = context or self._length or CONTEXT
        if any(getattr(layer, "stateful", False) for layer in model.layers):
            raise OptionError("the Keras model keeps a state: build it with `stateful=False`, and set its weights")
        outputs = _try(model, self._length or context)
        self.config = KerasConfig(outputs.shape[-1], context)
        self._predicts_each = outputs.ndim == 3
        # Two texts that differ in the last word alone: are the predictions before it the same?
        self._is_causal = self._predicts_each and np.allclose(*outputs[:, :-1], rtol=1e-5, atol=1e-9)

    @property
    def input_size(self) -> int:
        """Ids that it reads, which are those that it predicts."""
        return self.config.vocab_size

    def initial_state(self, batch_size: int) -> State:
        """The state of `batch_size` texts of which nothing has been read yet."""
        return empty_window(batch_size, self.config.context)

    def step(self, token_ids: np.ndarray | Sequence[int], state: State) -> tuple[np.ndarray, State]:
        """Reads one word of each text; as `Engine.step`."""
        token_ids = check_ids(token_ids, 1, state.batch_size, self.config.vocab_size)
        window = slide(state.window, token_ids)
        return self._predict(window, np.arange(len(window)), np.count_nonzero(window, axis=1)), State((), window)

    def run(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> tuple[np.ndarray, State]:
        """Reads many words of each text at once, equal to as many steps; as `Engine.run`."""
        token_ids, state = begin(self, token_ids, state)
        window = state.window
        batch_size, times = token_ids.shape
        read = np.count_nonzero(window, axis=1)[:, np.newaxis] + np.cumsum(token_ids != 0, axis=1)
        windows = np.empty((batch_size, times, self.config.context), np.intp)
        for time, column in enumerate(token_ids.T):
            windows[:, time] = window = slide(window, column)
        numbers = np.arange(batch_size * times).reshape(batch_size, times)
        if self._is_causal:
            # Until a window is full it is the beginning of the next one, which tells what follows each of its words.
            begins = (read > 0) & (read <= self.config.context)
            last = np.where(begins, numbers, 0).max(axis=1, keepdims=True, initial=0)
            numbers = np.where(begins, last, numbers)
        used, owners = np.unique(numbers, return_inverse=True)
        counts = np.minimum(read, self.config.context).ravel()
        logprobs = self._predict(windows.reshape(-1, self.config.context)[used], owners.ravel(), counts)
        return logprobs.reshape(batch_size, times, self.config.vocab_size), State((), window)

    def read(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> State:
        """As `run`, for the new state alone: nothing is predicted."""
        token_ids, state = begin(self, token_ids, state)
        return slide_through(state.window, token_ids)

    def trace(self, token_ids: np.ndarray | Sequence, state: State | None = None) -> NoReturn:
        """Raises a WordlmError: Keras tells what layers put out, and not what their gates do."""
        raise WordlmError(
            "this model cannot be looked into: Keras runs it, and does not tell what gates do; "
            "trace a model of the layers that `wordlm train` knows"
        )

    def _predict(self, windows: np.ndarray, owners: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Log-probabilities (n, V) of what follows the first counts[i] words of the window owners[i]."""
        logprobs = np.empty((len(owners), self.config.vocab_size), np.float32)
        for rows, outputs in self._calls(windows):
            asked = np.flatnonzero(np.isin(owners, rows))
            places = np.searchsorted(rows, owners[asked])
            outputs = outputs[places, np.maximum(counts[asked] - 1, 0)] if self._predicts_each else outputs[places]
            # What is nearly impossible a softmax rounds to 0.
            logprobs[asked] = np.log(np.maximum(outputs, np.finfo(np.float32).tiny, dtype=np.float32))
        return _without_nan(logprobs)

    def _calls(self, windows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Calls the model on all (rows, context) windows: which rows, in rising order, and its outputs of them."""
        counts = np.maximum(np.count_nonzero(windows, axis=1), 1)
        if self._length:
            lengths = np.full_like(counts, self._length)
            windows = np.pad(windows, ((0, 0), (0, self._length - windows.shape[1])))
        elif self._is_causal:
            # Few different lengths, as each is compiled anew.
            lengths = np.full_like(counts, min(1 << int(counts.max(initial=1) - 1).bit_length(), windows.shape[1]))
        else:
            lengths = counts
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            at_once = max(1, _FLOATS_AT_ONCE // (self.config.vocab_size * (length if self._predicts_each else 1)))
            for start in range(0, len(rows), at_once):
                piece = rows[start : start + at_once]
                yield piece, self._model.predict_on_batch(windows[piece, :length].astype(np.int32))


def _check_context(context: int | None, length: int | None) -> None:
    if context is not None and not 1 <= context <= (length or context):
        rule = f"between 1 and {length}, the length of the model's input" if length else "at least 1"
        raise OptionError(f"`context` must be {rule}, but is {context!r}")


def _try(model: keras.Model, length: int) -> np.ndarray:
    """What the model predicts of two texts of `length` words that differ in the last one."""
    token_ids = np.tile(np.arange(length, dtype=np.int32) % 2 + 1, (2, 1))
    token_ids[1, -1] = 3 - token_ids[0, -1]
    try:
        outputs = model.predict_on_batch(token_ids)
    except Exception as error:
        raise OptionError(
            f"the Keras model must take ids of the shape (batch, time), but fails at {token_ids.shape}: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    shape = getattr(outputs, "shape", ())
    if len(shape) not in (2, 3) or shape[:-1] != token_ids.shape[: len(shape) - 1]:
        raise OptionError(
            "the Keras model must return probabilities of the shape (batch, V) or (batch, time, V), "
            f"but of {token_ids.shape} ids makes {shape or type(outputs).__name__}"
        )
    outputs = _without_nan(np.asarray(outputs, np.float32))
    if outputs.min() < 0 or not np.allclose(outputs.sum(axis=-1), 1, atol=0.01):
        raise OptionError(
            "the Keras model must return probabilities, but what it returns for a word does not sum to one: "
            "let it end in a softmax, keras.layers.Softmax() for example"
        )
    return outputs


def _without_nan(outputs: np.ndarray) -> np.ndarray:
    if np.isnan(outputs).any():
        raise WordlmError("the Keras model predicts NaN; train it again, with a lower learning rate for example")
    return outputs
