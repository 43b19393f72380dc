"""The output layer in NumPy: hidden vectors to log-probabilities of every word. Most of the work of a step is here."""

from __future__ import annotations

import os

import numpy as np

from wordlm.errors import WordlmError

# Float32 numbers of a block of rows that all passes of the softmax go over while it is in the processor's cache.
_BLOCK_FLOATS = 1 << 18
# Up to so many rows, a matrix-vector product each is faster than one matrix product, whose kernels are made for more.
_FEW_ROWS = 4
# A kernel of more floats than this is read from memory rather than from the cache, and then each of its rows counts.
_LARGE = 1 << 20
_SPARSE = 0.4
# From so many results on, threads share the rows. More than a few have nothing more to gain from the memory.
_PARALLEL_FLOATS = 1 << 20
_THREADS = min(8, os.cpu_count() or 1)


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
        logprobs = np.empty((len(hidden), self._kernel.shape[1]), np.float32)
        if logprobs.size < _PARALLEL_FLOATS or _THREADS == 1:
            self._fill(hidden, logprobs)
        else:
            from concurrent.futures import ThreadPoolExecutor  # few texts start without it

            # Threads of our own, since those of BLAS do nothing for the softmax, and wait for each other where the
            # processor has other work.
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(self._fill, np.array_split(hidden, _THREADS), np.array_split(logprobs, _THREADS)))
        return logprobs

    def _fill(self, hidden: np.ndarray, logprobs: np.ndarray) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            self._multiply(hidden, logprobs)
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

    def _multiply(self, hidden: np.ndarray, products: np.ndarray) -> None:
        if self._kernel.size < _LARGE or len(hidden) > _FEW_ROWS:
            np.matmul(hidden, self._kernel, out=products)
            return
        for row, product in zip(hidden, products, strict=True):
            active = np.flatnonzero(row)
            if len(active) < _SPARSE * len(row):
                np.matmul(row[active], self._kernel[active], out=product)
            else:
                np.matmul(row, self._kernel, out=product)
