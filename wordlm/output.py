"""The output layer in NumPy: hidden vectors to log-probabilities of every word. Most of the work of a step is here.

Who needs a few numbers of each prediction gets them from `measure` and `logprobs_of`: these go over a block of logits
while it is in the cache, and keep nothing of the size of the vocabulary.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np

from wordlm.errors import WordlmError
from wordlm.measures import Look, Measures, check_targets, finish, ranks, row_products

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
# Logits of which nothing is kept take this much of each thread, 32 MB. The matrix product wants many rows at once, as
# it lays out the kernel anew each time: of 64 rows each one takes a quarter longer than of 256.
_PRODUCT_FLOATS = 1 << 23
_PRODUCT_ROWS = 512
# Rows that are gathered before threads get them, and lots of them that wait while the next rows are made.
_GATHERED_ROWS = 512
_AHEAD = 3


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
        self._spare: list[np.ndarray] = []

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

    def measure(self, hidden: np.ndarray, targets: np.ndarray, look: Look | None = None) -> Measures:
        """What `measure_logprobs` says of `logprobs(hidden)`, which are never there as a whole.

        Args:
            hidden: (rows, d) float32.
            targets: (rows,) ids of the words that came.
            look: called with some rows of logits, less the largest one of each, and their targets at a time; perhaps
                in several threads at once.

        Returns:
            Arrays of (rows,). The surprisal is within 1e-5 bits of what float64 would make of the same weights.

        Raises:
            OptionError: not a target a row, or an id out of range.
            WordlmError: the prediction is NaN somewhere.

        Example:
            >>> layer = OutputLayer(np.zeros((3, 4), np.float32), np.log(np.float32([4, 2, 1, 1])))
            >>> measures = layer.measure(np.ones((1, 3), np.float32), [2])
            >>> measures.surprisal.round(4), measures.entropy.round(4), measures.rank
            (array([3.]), array([1.75]), array([3]))
        """
        return self.measure_all([(hidden, targets)], look)

    def measure_all(self, pieces: Iterable[tuple[np.ndarray, np.ndarray]], look: Look | None = None) -> Measures:
        """`measure` of all (hidden, targets), one after the other. While threads do it, the next ones are made.

        So what makes the hidden vectors, word by word, has a processor of its own where there is one.
        """
        from concurrent.futures import ThreadPoolExecutor  # few texts start without it

        vocab_size, measured, gathered, count = len(self._bias), [], [], 0
        with ThreadPoolExecutor(_THREADS) as pool:

            def share() -> None:
                hidden, targets = map(np.concatenate, zip(*gathered, strict=True))
                parts = self._parts(count)
                for part in zip(np.array_split(hidden, parts), np.array_split(targets, parts), strict=True):
                    measured.append(pool.submit(self._measure, *part, look))

            for hidden, targets in pieces:
                gathered.append((hidden, check_targets(targets, (len(hidden), vocab_size))))
                count += len(hidden)
                if count >= _GATHERED_ROWS:
                    share()
                    gathered, count = [], 0
                    if len(measured) > _AHEAD * _THREADS:
                        measured[-_AHEAD * _THREADS].result()
            if gathered:
                share()
            return Measures.join([part.result() for part in measured])

    def logprobs_of(self, hidden: np.ndarray, rows: np.ndarray, words: np.ndarray) -> np.ndarray:
        """`logprobs(hidden)[rows, words]`, without the others.

        Args:
            hidden: (rows, d) float32.
            rows: (pairs,) which of the rows; in any order, and as often as you like.
            words: (pairs,) ids.

        Returns:
            (pairs,) float64.

        Raises:
            WordlmError: the prediction is NaN somewhere.

        Example:
            >>> layer = OutputLayer(np.zeros((3, 4), np.float32), np.log(np.float32([4, 2, 1, 1])))
            >>> np.exp(layer.logprobs_of(np.ones((2, 3), np.float32), [1, 1, 0], [0, 1, 3])).round(4)
            array([0.5  , 0.25 , 0.125])
        """
        from concurrent.futures import ThreadPoolExecutor

        rows, words = np.asarray(rows, np.intp), np.asarray(words, np.intp)
        logprobs, order = np.empty(len(rows)), np.argsort(rows, kind="stable")
        blocks = np.array_split(np.arange(len(hidden)), self._parts(len(hidden)))

        def fill(block: np.ndarray) -> None:
            for start, logits, _, sums in self.softmaxes(hidden[block[0] : block[-1] + 1]):
                start += block[0]
                asked = order[slice(*np.searchsorted(rows, [start, start + len(logits)], sorter=order))]
                at = rows[asked] - start
                logprobs[asked] = logits[at, words[asked]] - np.log(sums)[at]

        if len(rows):
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(fill, blocks))
        return logprobs

    def _fill(self, hidden: np.ndarray, logprobs: np.ndarray) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            self._multiply(hidden, logprobs)
            rows = max(1, _BLOCK_FLOATS // logprobs.shape[1])
            for start in range(0, len(logprobs), rows):
                block = logprobs[start : start + rows]
                block += self._bias
                block -= block.max(axis=1, keepdims=True)
                block -= np.log(_checked(np.exp(block).sum(axis=1, keepdims=True)))

    def _parts(self, rows: int) -> int:
        """Blocks of rows whose logits a thread holds at once; as many for each thread."""
        parts = -(-rows // min(_PRODUCT_ROWS, max(1, _PRODUCT_FLOATS // len(self._bias))))
        if rows * len(self._bias) >= _PARALLEL_FLOATS:
            parts = -(-parts // _THREADS) * _THREADS
        return max(1, min(parts, rows))

    def _measure(self, hidden: np.ndarray, targets: np.ndarray, look: Look | None) -> Measures:
        """A block of rows, in one thread."""
        logprobs, moments, best = np.empty((3, len(hidden)))
        rank, looked = np.empty(len(hidden), np.int64), []
        with np.errstate(invalid="ignore", over="ignore"):
            for start, logits, exps, sums in self.softmaxes(hidden):
                at = slice(start, start + len(logits))
                own = logits[np.arange(len(logits)), targets[at]]
                normalizer = np.log(sums)
                products = row_products(exps, logits)
                if not np.isfinite(products).all():
                    # 0 times -inf, the logit of a word that cannot be.
                    products = row_products(exps, np.maximum(logits, np.finfo(np.float32).min))
                rank[at] = ranks(logits, own)
                logprobs[at], moments[at], best[at] = own - normalizer, products / sums - normalizer, -normalizer
                if look:
                    looked.append(np.array(look(logits, targets[at])))
        return finish(logprobs, moments, rank, best, looked)

    def softmaxes(self, hidden: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Softmaxes, some rows at a time while they are in the cache, before they are divided by their sums.

        Args:
            hidden: (rows, d) float32. The logits of all of them are held, but of no more than these.

        Yields:
            The first row's number; logits, less the largest one of each row; their exponentials; the sums of these,
            float64. The arrays may be written to, until the next ones are asked for.

        Raises:
            WordlmError: the prediction is NaN somewhere.
        """
        vocab_size = len(self._bias)
        rows = max(1, _BLOCK_FLOATS // vocab_size)
        room = self._room(rows + len(hidden))
        logits, ones = room[rows : rows + len(hidden)], np.ones(vocab_size, np.float32)
        try:
            with np.errstate(invalid="ignore", over="ignore"):
                self._multiply(hidden, logits)
            for start in range(0, len(hidden), rows):
                block = logits[start : start + rows]
                # Not around the yield: what the caller has NumPy ignore is the caller's.
                with np.errstate(invalid="ignore", over="ignore"):
                    block += self._bias
                    block -= block.max(axis=1, keepdims=True)
                    exps = np.exp(block, out=room[: len(block)])
                    # As a product, for BLAS adds four times as fast.
                    sums = _checked(exps @ ones).astype(np.float64)
                yield start, block, exps, sums
        finally:
            if len(self._spare) < _THREADS:
                self._spare.append(room)

    def _room(self, rows: int) -> np.ndarray:
        """An array of at least so many rows of logits; one that was used before, as new pages cost a tenth more."""
        with suppress(IndexError):
            room = self._spare.pop()
            if len(room) >= rows:
                return room
        # What is not written to takes no memory.
        return np.empty((max(rows, _PRODUCT_FLOATS // len(self._bias)), len(self._bias)), np.float32)

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


def _checked(sums: np.ndarray) -> np.ndarray:
    """The sums of softmaxes. One NaN anywhere in a row makes its sum NaN, so one number a row tells."""
    if not np.isfinite(sums).all():
        raise WordlmError(
            "the model predicts NaN: its weights must be finite numbers, but some are NaN or infinite; "
            "train it again, with a lower learning rate for example"
        )
    return sums
