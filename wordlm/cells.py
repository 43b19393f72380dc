"""Recurrent layers in NumPy: LSTM, GRU and the simple RNN, with Keras' weights and Keras' numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

PARTS = ("kernel", "recurrent_kernel", "bias")


@dataclass(frozen=True)
class Cell:
    """A kind of cell.

    Attributes:
        step: (products of the inputs, state, recurrent kernel, recurrent bias) -> new state; the products, (batch,
            gates * units), are overwritten.
        order: its gates, by their numbers in Keras' layout, those with a sigmoid first.
        sigmoids: how many these are.
        names: the gates' names, in that order; a simple RNN's single product is no gate.
        states: arrays in a state: (h,), or (h, c).
    """

    step: Callable[..., tuple[np.ndarray, ...]]
    order: tuple[int, ...]
    sigmoids: int
    names: tuple[str, ...]
    states: int

    @property
    def gates(self) -> int:
        return len(self.order)


class Recurrent:
    """One recurrent layer, one way, with its weights laid out for speed.

    The columns of gates with a sigmoid come first and are halved: sigmoid(x) = (tanh(x / 2) + 1) / 2, so that
    one tanh, which is stable everywhere, does all gates. Halving a float32 loses nothing.

    Args:
        cell: "lstm", "gru" or "rnn".
        kernel: (d, gates * units) float32, Keras' layout, as the others.
        recurrent_kernel: (units, gates * units).
        bias: (gates * units,), or (2, 3 * units) of a GRU.

    Example:
        >>> layer = Recurrent("lstm", *(np.ones(shape, np.float32) for shape in ((5, 12), (3, 12), (12,))))
        >>> outputs, (h, c) = layer.scan(layer.project(np.zeros((7, 2, 5), np.float32)), layer.zeros(2), mask=None)
        >>> outputs.shape, h.shape, c.shape
        ((7, 2, 3), (2, 3), (2, 3))
    """

    def __init__(self, cell: str, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray) -> None:
        self._cell = CELLS[cell]
        self.units, self.width = recurrent_kernel.shape
        order = [slice(gate * self.units, (gate + 1) * self.units) for gate in self._cell.order]

        def lay_out(array: np.ndarray) -> np.ndarray:
            columns = np.concatenate([array[..., gate] for gate in order], axis=-1)
            columns[..., : self._cell.sigmoids * self.units] *= np.float32(0.5)
            return columns

        self._kernel, self._recurrent_kernel, bias = lay_out(kernel), lay_out(recurrent_kernel), lay_out(bias)
        # A GRU has one bias of the inputs and one of the state, which its reset gate holds back too.
        self._bias, self._recurrent_bias = bias if bias.ndim == 2 else (bias, None)

    def zeros(self, batch_size: int) -> tuple[np.ndarray, ...]:
        """The state before the first step: arrays of (batch, units)."""
        return tuple(np.zeros((batch_size, self.units), np.float32) for _ in range(self._cell.states))

    def project(self, x: np.ndarray) -> np.ndarray:
        """The inputs' part of every step at once: (time, batch, d) -> (time, batch, gates * units)."""
        z = x.reshape(-1, x.shape[-1]) @ self._kernel
        z += self._bias
        return z.reshape(*x.shape[:-1], self.width)

    def scan(
        self, z: np.ndarray, state: tuple[np.ndarray, ...], mask: np.ndarray | None
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Steps through (time, batch, gates * units) products, which are overwritten with the gates.

        Where `mask` (time, batch) is False the state, and with it the output, stays as it was.

        Returns:
            Outputs (time, batch, units), and the state after the last step; `state` stays valid.
        """
        step, kernel, bias = self._cell.step, self._recurrent_kernel, self._recurrent_bias
        outputs = np.empty((*z.shape[:2], self.units), np.float32)
        for time in range(len(z)):
            new = step(z[time], state, kernel, bias)
            if mask is not None:
                is_read = mask[time][:, np.newaxis]
                new = tuple(np.where(is_read, after, before) for after, before in zip(new, state, strict=True))
            state = new
            outputs[time] = state[0]
        return outputs, state

    def trace(
        self, x: np.ndarray, state: tuple[np.ndarray, ...], mask: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[np.ndarray, ...]]:
        """Reads (time, batch, d) inputs and keeps all that happens.

        Returns:
            The gates by name, each (time, batch, units), NaN where `mask` (time, batch) is False; the states after
            every step, (states, time, batch, units), the output first; and the state after the last one.
        """
        z = self.project(x)
        states = np.empty((self._cell.states, *z.shape[:2], self.units), np.float32)
        for time in range(len(z)):
            _, state = self.scan(z[time : time + 1], state, mask[time : time + 1])
            states[:, time] = state
        z[~mask] = np.nan
        gates = np.split(z, self._cell.gates, axis=-1)
        return dict(zip(self._cell.names, gates, strict=False)), states, state


def _lstm(
    z: np.ndarray, state: tuple[np.ndarray, ...], kernel: np.ndarray, bias: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    h, c = state
    units = h.shape[1]
    z += h @ kernel
    np.tanh(z, out=z)
    gates = z[:, : 3 * units]
    gates *= 0.5
    gates += 0.5
    c = gates[:, units : 2 * units] * c
    c += gates[:, :units] * z[:, 3 * units :]
    h = np.tanh(c)
    h *= gates[:, 2 * units :]
    return h, c


def _gru(
    z: np.ndarray, state: tuple[np.ndarray, ...], kernel: np.ndarray, bias: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    (h,) = state
    units = h.shape[1]
    recurrent = h @ kernel
    recurrent += bias
    gates, candidate = z[:, : 2 * units], z[:, 2 * units :]
    gates += recurrent[:, : 2 * units]
    np.tanh(gates, out=gates)
    gates *= 0.5
    gates += 0.5
    candidate += gates[:, units:] * recurrent[:, 2 * units :]
    np.tanh(candidate, out=candidate)
    # update * h + (1 - update) * candidate
    h = h - candidate
    h *= gates[:, :units]
    h += candidate
    return (h,)


def _rnn(
    z: np.ndarray, state: tuple[np.ndarray, ...], kernel: np.ndarray, bias: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    z += state[0] @ kernel
    # A new array: the state must not keep the memory of the whole product alive.
    return (np.tanh(z),)


CELLS = {
    "lstm": Cell(_lstm, (0, 1, 3, 2), sigmoids=3, names=("input", "forget", "output", "candidate"), states=2),
    "gru": Cell(_gru, (0, 1, 2), sigmoids=2, names=("update", "reset", "candidate"), states=1),
    "rnn": Cell(_rnn, (0,), sigmoids=0, names=(), states=1),
}
# Those of the dense layer that are more than the number itself.
ACTIVATIONS = {"relu": partial(np.maximum, 0), "tanh": np.tanh}
