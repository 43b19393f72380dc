"""The n-gram model: interpolated modified Kneser-Ney over token ids; no text, no network.

Chen & Goodman (1999), "An empirical study of smoothing techniques for language modeling", section 3: of an n-gram's
count a discount is taken, and what the discounts set free goes to the model of one word less,

    p(w | context) = (c(context w) - D(c)) / c(context) + share(context) p(w | context without its first word),

down to the single words, which are interpolated with the uniform distribution. Below the highest order, an n-gram's
count is that of the different words before it; but n-grams that begin a sentence, which have none, keep how often they
are there (Heafield et al. 2013, "Scalable modified Kneser-Ney language model estimation", section 3).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from wordlm.errors import BundleError, OptionError
from wordlm.npz import damaged_arrays, read_arrays, write_arrays
from wordlm.smoothing import SmoothedOrder, smooth_words
from wordlm.trie import Level
from wordlm.vocab import EOS, PAD, SPECIALS


class KneserNey:
    """An n-gram model, ready to predict. `fit` or `load` makes it.

    A sentence ends with `<eos>`, and the history begins anew after it: as a context, `<eos>` is a sentence's start.
    Padding is never predicted.

    Args:
        counts: (V,) how often each id is in the training text.
        unigrams: (V,) the adjusted counts of the single words.
        levels: for each order from 2, its n-grams and (n-grams,) their adjusted counts.

    Attributes:
        order: how many words the longest n-grams have.
        vocab_size: V.
        counts: as given.
        discounts: for each order, what is taken of a count of 1, of 2, and of 3 or more.
        unigram: (V,) float64, the probabilities of the single words, interpolated with the uniform distribution.

    Example:
        >>> model = KneserNey.fit([3, 4, 2, 3, 5, 2], vocab_size=6, order=2)
        >>> print(model.distribution([2]).round(2))
        [0.   0.05 0.15 0.6  0.1  0.1 ]
        >>> print(np.exp(model.target_logprobs([3, 4, 2])).round(2))
        [0.6  0.35 0.65]
    """

    def __init__(
        self, counts: np.ndarray, unigrams: np.ndarray, levels: Sequence[tuple[Level, np.ndarray]] = ()
    ) -> None:
        self.order, self.vocab_size = len(levels) + 1, len(counts)
        self.counts, self._unigrams = counts, unigrams
        discounts, self.unigram = smooth_words(unigrams)
        self._orders = [SmoothedOrder(*level) for level in levels]
        self.discounts = [discounts, *(order.discounts for order in self._orders)]

    @classmethod
    def fit(cls, ids: np.ndarray | Sequence[int], vocab_size: int, order: int = 5) -> KneserNey:
        """Counts the n-grams of a text. This takes some 150 bytes of memory a word, and a second for a million words.

        The discounts of each order come from its counts of counts. Where one of these is zero, or a discount would
        not be positive (a tiny text), they are 0.5, 1 and 1.5.

        Args:
            ids: (N,) of any integer type, memory-mapped or not; `<eos>` ends each sentence.
            vocab_size: ids are below it.
            order: how many words the longest n-grams have, at least 1.

        Raises:
            OptionError: an order below 1, no ids, ids out of range, or padding among them.

        Example:
            >>> KneserNey.fit([3, 4, 2, 3, 5, 2], vocab_size=6).order
            5
        """
        if isinstance(order, bool) or not isinstance(order, int) or order < 1:
            raise OptionError(f"`order` must be a whole number from 1, but is {order!r}; 5 is usual")
        text = _after_start(ids, vocab_size)
        if len(text) == 1 or not text.all():
            have = "padding (id 0) is among them" if len(text) > 1 else "there is none"
            raise OptionError(f"an n-gram model is made of the token ids of a text, but {have}")
        places, nodes = _places(text), text
        raw = counts = np.bincount(text[1:], minlength=vocab_size)
        begins, adjusted, grams = np.zeros(vocab_size, bool), [], []
        for n in range(2, order + 1):
            at = np.flatnonzero(places >= n - 1)
            keys = nodes[at - 1].astype(np.int64) * vocab_size + text[at]
            by_key = np.argsort(keys)
            keys, at = keys[by_key], at[by_key]
            del by_key
            is_first = np.diff(keys, prepend=-1) != 0
            longer = np.full(len(text), -1, np.int32)
            longer[at] = np.cumsum(is_first, dtype=np.int32) - np.int32(1)
            firsts = np.flatnonzero(is_first)
            keys, at = keys[firsts], at[firsts]
            # An n-gram without its first word is the (n-1)-gram that ends at the same place.
            adjusted.append(_narrow(np.where(begins, counts, np.bincount(nodes[at], minlength=len(counts)))))
            contexts, words = np.divmod(keys, vocab_size)
            sizes = _narrow(np.bincount(contexts, minlength=len(counts)))
            grams.append(Level(sizes, _narrow(words), vocab_size))
            counts, begins, nodes = np.diff(firsts, append=len(is_first)), places[at] == n - 1, longer
        adjusted.append(_narrow(counts))
        del text, places, nodes
        return cls(_narrow(raw), adjusted[0], list(zip(grams, adjusted[1:], strict=True)))

    def target_logprobs(self, ids: np.ndarray | Sequence[int]) -> np.ndarray:
        """How likely each word of a text is after those before it in its sentence.

        Args:
            ids: (N,) of any integer type, from the start of a sentence; `<eos>` ends each one.

        Returns:
            (N,) float64 natural log-probabilities; -inf for padding.

        Raises:
            OptionError: ids out of range.
        """
        text = _after_start(ids, self.vocab_size)
        places, nodes = _places(text), text
        probs, at = self.unigram[text], np.arange(len(text))
        for n, order in enumerate(self._orders, 2):
            at = at[places[at] >= n - 1]
            contexts = nodes[at - 1]
            at, contexts = at[contexts >= 0], contexts[contexts >= 0]
            grams = order.grams.find(contexts, text[at])
            is_found = grams >= 0
            probs[at] *= order.shares[contexts]
            probs[at[is_found]] += order.masses[grams[is_found]]
            nodes = np.full(len(text), -1)
            nodes[at] = grams
        with np.errstate(divide="ignore"):
            return np.log(probs[1:])

    def sparse(self, context: Sequence[int]) -> tuple[float, np.ndarray, np.ndarray]:
        """The prediction after a context, where it is not just a share of the single words' probabilities.

        Args:
            context: the words since the last `<eos>`, or the last `order - 1` of them at least. Where they reach back
                to the sentence's start, `<eos>` stands in front: `[2]` at the start itself, `[2, 7]` after one word.
                What stands before an `<eos>` is not looked at. No words: nothing is known of what is before.

        Returns:
            share, words (n,) and masses (n,): p is `share * unigram`, and then `p[words] += masses`. Each word is there
            once.

        Raises:
            OptionError: ids out of range.

        Example:
            >>> model = KneserNey.fit([3, 4, 2, 3, 5, 2], vocab_size=6, order=2)
            >>> share, words, masses = model.sparse([2])
            >>> share, words.tolist(), masses.tolist()
            (0.5, [3], [0.5])
        """
        share, parts = 1.0, []
        for order, node in reversed(self._contexts(context)):
            start, end = order.grams.span(node)
            parts.append((order.grams.words[start:end], order.masses[start:end] * share))
            share *= order.shares.item(node)
        if not parts:
            return share, np.zeros(0, np.intp), np.zeros(0)
        # What follows more words follows fewer too, so that the followers of one word are all that there are.
        words, masses = parts.pop()
        for others, more in parts:
            where = words.searchsorted(others)
            if not (words.take(where, mode="clip") == others).all():
                raise BundleError("the n-gram model is damaged: it has an n-gram without its end; make it again")
            masses[where] += more
        return share, words, masses

    def distribution(self, context: Sequence[int]) -> np.ndarray:
        """The probability of each word after a context: (V,) float64 that sum to one; 0 for padding.

        Args:
            context: as for `sparse`.

        Raises:
            OptionError: ids out of range.
        """
        share, words, masses = self.sparse(context)
        probs = share * self.unigram
        probs[words] += masses
        return probs

    def unigram_baseline(self) -> np.ndarray:
        """The model that knows no context, which any other should be better than.

        `unigram` is made of how many words each word follows; this, of how often each one is there. It is discounted
        and interpolated with the uniform distribution in the same way.

        Returns:
            (V,) float64 natural log-probabilities; -inf for padding.

        Example:
            >>> np.exp(KneserNey.fit([3, 3, 3, 2], vocab_size=4).unigram_baseline()).round(3).tolist()
            [0.0, 0.167, 0.292, 0.542]
        """
        with np.errstate(divide="ignore"):
            return np.log(smooth_words(self.counts)[1])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model to a file: plain arrays of whole numbers, from which `load` computes the rest.

        Raises:
            BundleError: it cannot be written.
        """
        arrays = {"counts": self.counts, "adjusted_1": self._unigrams}
        for n, order in enumerate(self._orders, 2):
            arrays |= {f"sizes_{n}": order.grams.sizes, f"words_{n}": order.grams.words, f"adjusted_{n}": order.counts}
        write_arrays(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> KneserNey:
        """Reads what `save` has written. Nothing in the file is believed: the predictions of what loads sum to one.

        Raises:
            BundleError: the file cannot be read, is damaged, or holds something else.

        Example:
            >>> import tempfile
            >>> path = tempfile.mkdtemp() + "/ngram.npz"
            >>> KneserNey.fit([3, 4, 2, 3, 5, 2], vocab_size=6).save(path)
            >>> KneserNey.load(path).distribution([2, 3]).round(2).tolist()
            [0.0, 0.02, 0.08, 0.05, 0.42, 0.42]
        """
        arrays = read_arrays(path)
        names = ["counts", "adjusted_1"]
        for n in range(2, 2 + (len(arrays) - 2) // 3):
            names += [f"sizes_{n}", f"words_{n}", f"adjusted_{n}"]
        if sorted(arrays) != sorted(names):
            raise damaged_arrays(path, f"an n-gram model is {', '.join(names)}, but it holds {', '.join(arrays):.80}")
        counts, unigrams, *others = (arrays[name] for name in names)
        grams = [Level(sizes, words, len(counts)) for sizes, words in zip(others[::3], others[1::3], strict=True)]
        levels = list(zip(grams, others[2::3], strict=True))
        if fault := _fault(counts, unigrams, levels):
            raise damaged_arrays(path, fault)
        return cls(counts, unigrams, levels)

    def _contexts(self, context: Sequence[int]) -> list[tuple[SmoothedOrder, int]]:
        """The ends of a context that something follows, that of one word first, and the orders that they predict."""
        known = list(context[max(0, len(context) - self.order + 1) :])
        for id in known:
            if not 0 <= id < self.vocab_size:
                raise OptionError(f"token ids must be from 0 to {self.vocab_size - 1}, but one is {id!r}")
        found: list[tuple[SmoothedOrder, int]] = []
        for first in range(len(known) - 1, -1, -1):
            node = known[first]
            for order, word in zip(self._orders, known[first + 1 :], strict=False):
                node = order.grams.child(node, word)
                if node < 0:
                    return found
            order = self._orders[len(found)]
            start, end = order.grams.span(node)
            if start == end:
                return found
            found.append((order, node))
            if known[first] == EOS:
                return found
        return found


def _after_start(ids: np.ndarray | Sequence[int], vocab_size: int) -> np.ndarray:
    """The ids as (1 + N,) int32, after the `<eos>` that begins a text."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise OptionError(f"token ids must be whole numbers in one row, but are {ids.dtype} of shape {ids.shape}")
    if len(ids) >= 1 << 31:
        raise OptionError(f"an n-gram model reads up to 2^31 token ids, but there are {len(ids):,}: give fewer")
    text = np.full(1 + len(ids), EOS, np.int32)
    if ids.size:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= vocab_size:
            raise OptionError(f"token ids must be from 0 to {vocab_size - 1}, but are from {low} to {high}")
        text[1:] = ids
    return text


def _places(text: np.ndarray) -> np.ndarray:
    """How many words each one has before it in its sentence, the start counted as one; the text's start has none."""
    at = np.arange(len(text), dtype=np.int32)
    starts = np.zeros_like(at)
    np.maximum.accumulate(np.where(text[:-1] == EOS, at[:-1], 0), out=starts[1:])
    return at - starts


def _narrow(numbers: np.ndarray) -> np.ndarray:
    """The same numbers, none of them negative, in as few bytes as they fit into."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def _fault(counts: np.ndarray, unigrams: np.ndarray, levels: Sequence[tuple[Level, np.ndarray]]) -> str | None:
    """What keeps arrays from being a model, in words; None if nothing."""
    contexts = len(counts)
    if contexts < len(SPECIALS) or len(unigrams) != contexts:
        return f"it must have a count for each word, but has {contexts} and {len(unigrams)}"
    if counts[PAD] or unigrams[PAD] or not (counts.any() and unigrams.any()):
        return "its words must have counts, and padding none"
    for n, (grams, adjusted) in enumerate(levels, 2):
        if fault := grams.fault(contexts):
            return f"{fault} (order {n})"
        contexts = len(grams.words)
        if len(adjusted) != contexts or not adjusted.all():
            return f"each n-gram must have a count (order {n})"
    return None
