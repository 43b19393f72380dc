"""What happens inside a network while it reads, as arrays; `Engine.trace` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LayerTrace:
    """A recurrent layer, one way, at every word. Arrays are (batch, time, units) float32.

    A word that is skipped leaves the states as they were and uses no gate: these are NaN there.

    Attributes:
        name: as its weights are called: "recurrent_1", or "recurrent_1/backward".
        gates: LSTM: "input", "forget", "output" and "candidate"; GRU: "update", "reset" and "candidate"; the
            simple RNN has none. The candidate is between -1 and 1, the others between 0 and 1.
        cell: the cell state of an LSTM after each word, else None.
        hidden: the hidden state after each word, which is the layer's output.
    """

    name: str
    gates: Mapping[str, np.ndarray]
    cell: np.ndarray | None
    hidden: np.ndarray


@dataclass(frozen=True)
class Trace:
    """All layers at every word.

    Attributes:
        token_ids: (batch, time), the words read.
        is_read: (batch, time) bool, False where a word is skipped: padding, and with `masking` a word whose
            vector is zero.
        layers: the recurrent layers from below; of a bidirectional one, the forward and then the backward layer,
            which comes from the last word: its states at a word follow from this word and those behind it.
        top: (batch, time, d), what the output layer makes its predictions of: the dense layer's output, or the
            last recurrent layer's where there is no dense one. A window model predicts once: (batch, 1, d).
    """

    token_ids: np.ndarray
    is_read: np.ndarray
    layers: tuple[LayerTrace, ...]
    top: np.ndarray
