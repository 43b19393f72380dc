"""The output layer in NumPy: hidden vectors to log-probabilities of every word. Most of the work of a step is here."""

from __future__ import annotations

import numpy as np

from wordlm.errors import WordlmError

# Float32 numbers of a block of rows that all passes of the softmax go over while it is in the processor's cache.
_BLOCK_FLOATS = 1 << 18
# Up to so many rows, a matrix-vector product each is faster than one matrix product, whose kernels are made for more.
_FEW_ROWS = 4
# A kernel of more floats than this is read from memory rather than from the cache, and then each of its rows counts.
_LARGE = 1 << 20
_SPARSE = 0.4


class OutputLayer:
    """log softmax(hidden @ kernel + bias), without a copy of the kernel.

    A step of one text is limited by reading the kernel once. Where most hidden units are zero, as after a ReLU,
    only the kernel's rows of the others are read: that changes nothing but the time.

    Args:
        kernel: (d, V) float32, Keras' layout.
        bias: (V,) float32.

    Example:
        >>> layer = OutputLayer(np.zeros((3, 4), np.float32), np.log(np.float32([4, 2, 1, 1])))
        >>> print(np.exp(layer.logprobs(np.ones((1, 3), np.float32))))
        [[0.5   0.25  0.125 0.125]]
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        self._kernel, self._bias = kernel, bias

    @property
    def size(self) -> int:
        """d, the size of the hidden vectors."""
        return len(self._kernel)

    def logprobs(self, hidden: np.ndarray) -> np.ndarray:
        """(rows, d) float32 -> (rows, V) float32.

        Raises:
            WordlmError: the result is NaN somewhere.
        """
        logprobs = self._products(hidden)
        rows = max(1, _BLOCK_FLOATS // logprobs.shape[1])
        for start in range(0, len(logprobs), rows):
            block = logprobs[start : start + rows]
            block += self._bias
            block -= block.max(axis=1, keepdims=True)
            block -= (normalizer := np.log(np.exp(block).sum(axis=1, keepdims=True)))
            # One NaN anywhere in a row makes the whole row NaN, so one number a row tells.
            if not np.isfinite(normalizer).all():
                raise WordlmError(
                    "the model predicts NaN: its weights must be finite numbers, but some are NaN or infinite; "
                    "train it again, with a lower learning rate for example"
                )
        return logprobs

    def _products(self, hidden: np.ndarray) -> np.ndarray:
        if self._kernel.size < _LARGE or len(hidden) > _FEW_ROWS:
            return hidden @ self._kernel
        products = np.empty((len(hidden), self._kernel.shape[1]), np.float32)
        for row, product in zip(hidden, products, strict=True):
            active = np.flatnonzero(row)
            if len(active) < _SPARSE * len(row):
                np.matmul(row[active], self._kernel[active], out=product)
            else:
                np.matmul(row, self._kernel, out=product)
        return products
