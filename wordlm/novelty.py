"""Runs of words that a generated text has in common with a corpus: how long they are, and how to keep them short.

The corpus is indexed once, by a suffix array (Manber & Myers 1993) that is sorted no deeper than needed; a tracker
then follows a text word by word in it. Nothing here knows a model: ids in, ids out.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from wordlm.errors import OptionError, TextError
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, UNK, Vocabulary

_PROGRESS = 1 << 16  # words between two calls


class CopyIndex:
    """The words of a corpus, in an order that finds every place where some words stand in a row.

    Only words count: `<eos>` and padding are left out, of the corpus as of the texts that are compared with it, so
    that a run goes on from one paragraph to the next, wherever these end. No run goes through `<unk>`, as nobody
    knows which word stood there. Words are the same if their ids are: `The` is not `the` to a cased model.

    It takes 8 bytes a word of the corpus and 8 an entry of the vocabulary; about 35 bytes a word while it is made.
    A word of a text takes microseconds; more where runs are long, by `max_copy` at most.

    Args:
        ids: (N,) token ids of the corpus, in the model's vocabulary.
        vocab_size: entries of this vocabulary.
        max_copy: words in a row, at most, that a text shall have in common with the corpus.

    Attributes:
        max_copy: as given.
        vocab_size: as given.

    Raises:
        OptionError: `max_copy` below 1, or ids out of the vocabulary.
        TextError: no word that the model knows.

    Example:
        >>> index = CopyIndex([3, 4, 5, 6, 2, 3, 4, 5, 7, 2], vocab_size=10, max_copy=3)
        >>> tracker = index.start()
        >>> for id in (9, 3, 4, 5):
        ...     tracker.add(id)
        >>> tracker.longest, tracker.forbidden()
        (3, [6, 7])
    """

    def __init__(self, ids: np.ndarray | Sequence[int], vocab_size: int, max_copy: int = 12) -> None:
        _check_max_copy(max_copy)
        self.max_copy, self.vocab_size = max_copy, vocab_size
        words = _words(ids, vocab_size)
        order = _suffix_order(words, vocab_size, depth=max_copy + 1)
        counts = np.bincount(words, minlength=vocab_size)
        counts[UNK] = 0
        # Plain reads of single numbers are many times faster from a memoryview than from an array.
        self._order = memoryview(order)
        # Places in the order from where on suffixes begin with this word, or a later one.
        self._starts = memoryview(np.concatenate([[0], np.cumsum(counts)]))
        # Item n - 1 tells the word that stands n words after a place of the corpus; behind the last one stands a 0.
        padded = memoryview(np.append(words, np.int32(PAD)))
        self._words_after = [padded[distance:].__getitem__ for distance in range(1, max_copy + 1)]

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[Paragraph],
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        max_copy: int = 12,
        progress: Callable[[int], None] | None = None,
    ) -> CopyIndex:
        """The index of a text, which is read once, in a stream.

        Args:
            texts: its paragraphs: `Texts(paths, config)`.
            tokenizer: what splits them.
            vocabulary: the model's words; any other is `<unk>`.
            max_copy: words in a row, at most, that a text shall have in common with the corpus.
            progress: called with the number of words read so far.

        Raises:
            OptionError: `max_copy` below 1.
            TextError: texts that cannot be read, or hold no word that the model knows.

        Example:
            >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "the", "old", "cat", "dog"])
            >>> texts = [Paragraph(0, "the old cat"), Paragraph(0, "the old dog")]
            >>> tracker = CopyIndex.from_texts(texts, Tokenizer(), vocabulary, max_copy=2).start()
            >>> for id in vocabulary.encode(["the", "old"]):
            ...     tracker.add(id)
            >>> vocabulary.decode(tracker.forbidden())
            ['cat', 'dog']
        """
        _check_max_copy(max_copy)
        ids, told = array("i"), 0
        for paragraph in texts:
            ids.extend(vocabulary.encode(tokenizer.tokenize(paragraph.text)))
            if progress and len(ids) >= told + _PROGRESS:
                progress(told := len(ids))
        return cls(np.frombuffer(ids, np.int32), len(vocabulary), max_copy)

    def start(self) -> CopyTracker:
        """A tracker for one text of which nothing has been generated yet."""
        return CopyTracker(self)


class CopyTracker:
    """The run of words at the end of one text that stands in the corpus too, and the longest such run so far.

    It is exact at every word, whether the caller obeys `forbidden` or not. A copy goes its own way.

    Attributes:
        longest: words of the text's longest run that stands in the corpus.
    """

    __slots__ = ("_beyond", "_index", "_places", "longest")

    def __init__(self, index: CopyIndex) -> None:
        self._index = index
        self.longest = 0
        # Item n - 1: from where to where in the order suffixes begin with the last n words of the text. It ends
        # where there is none any more, at max_copy + 1 words at the latest.
        self._places: list[tuple[int, int]] = []
        # For runs beyond that: the length of the run by where in the corpus it ends.
        self._beyond: dict[int, int] = {}

    def add(self, id: int) -> None:
        """Takes the next word of the text.

        Raises:
            OptionError: an id out of the vocabulary.
        """
        index = self._index
        if not 0 <= id < index.vocab_size:
            raise OptionError(f"a token id must be between 0 and {index.vocab_size - 1}, but is {id}")
        if id in (PAD, EOS):
            return
        order = index._order
        places: list[tuple[int, int]] = []
        low, high = index._starts[id], index._starts[id + 1]
        if low < high:
            places.append((low, high))
            # The last n words and this one stand where the last n do and this one follows. The greater n is, the
            # fewer places these are: where there is none any more, the run has its length.
            for (low, high), word_at in zip(self._places, index._words_after, strict=False):
                low = bisect_left(order, id, low, high, key=word_at)
                if low == high or word_at(order[low]) != id:
                    break
                places.append((low, bisect_right(order, id, low + 1, high, key=word_at)))
        self._places, run = places, len(places)
        if run > index.max_copy:
            ends = (start + run for start in order[slice(*places[-1])])
            self._beyond = {end: self._beyond.get(end - 1, run - 1) + 1 for end in ends}
            run = max(self._beyond.values())
        elif self._beyond:
            self._beyond = {}
        self.longest = max(self.longest, run)

    def forbidden(self) -> Sequence[int]:
        """The ids, rising, with which more than `max_copy` words in a row would be the corpus's; most often none."""
        index = self._index
        if len(self._places) < index.max_copy:
            return ()
        order, word_at = index._order, index._words_after[index.max_copy - 1]
        low, high = self._places[index.max_copy - 1]
        ids = []
        while low < high:
            ids.append(word_at(order[low]))
            low = bisect_right(order, ids[-1], low + 1, high, key=word_at)
        # Behind the last word of the corpus, and at an unknown one, nothing is copied.
        return [id for id in ids if id not in (PAD, UNK)]

    def copy(self) -> CopyTracker:
        """A tracker of the same text so far; what one adds, the other does not see."""
        other = CopyTracker(self._index)
        other._places, other._beyond, other.longest = self._places, self._beyond, self.longest
        return other


def _check_max_copy(max_copy: int) -> None:
    if isinstance(max_copy, bool) or not isinstance(max_copy, int) or max_copy < 1:
        raise OptionError(
            f"`max_copy` must be a whole number, at least 1 (0 would take every word of the corpus away), "
            f"but is {max_copy!r}; give 12 for example"
        )


def _words(ids: np.ndarray | Sequence[int], vocab_size: int) -> np.ndarray:
    """The ids without `<eos>` and padding, (n,) int32."""
    ids = np.asarray(ids)
    if ids.size and (ids.ndim != 1 or ids.dtype.kind not in "iu"):
        raise OptionError(
            f"`ids` must be whole numbers in a row, but have the shape {ids.shape} and the type {ids.dtype}"
        )
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise OptionError(
            f"the corpus's ids must be between 0 and {vocab_size - 1}, the vocabulary's last word, but there is "
            f"{wrong}; use the model's own vocabulary"
        )
    words = ids[(ids != PAD) & (ids != EOS)].astype(np.int32)
    if not (words != UNK).any():
        raise TextError(
            "there is no word to compare with: the text must hold words that the model knows, but has none; give the "
            "text that the model was trained on, or one like it"
        )
    return words


def _suffix_order(words: np.ndarray, vocab_size: int, depth: int) -> np.ndarray:
    """Where suffixes start that do not begin with `<unk>`, sorted by their first `depth` words (or more of them).

    First by as many words as 64 bits hold. Then those that are alike so far are sorted by the rank of what follows,
    which doubles the words compared each time (Larsson & Sadakane 2007). Suffixes are no longer told apart by what
    comes behind an `<unk>` in them: all that begin with one have rank 0, as has the end of the corpus.

    Args:
        words: (n,) int32 ids, no padding.

    Returns:
        (n less the `<unk>`,) int32.
    """
    size, bits = len(words), (vocab_size - 1).bit_length()
    extent = min(64 // bits, size)
    keys = np.zeros(size, np.uint64)
    for distance in range(extent):
        keys <<= np.uint64(bits)
        keys[: size - distance] |= words[distance:].astype(np.uint64)
    # Padding is not there: `<unk>`, which has the lowest id, begins those that come first.
    order = np.argsort(keys)[np.count_nonzero(words == UNK) :].astype(np.int32)
    keys = keys[order]
    is_first = np.ones(len(order), bool)  # of those that are alike
    is_first[1:] = keys[1:] != keys[:-1]
    del keys
    rank = np.zeros(size + 1, np.int32)
    while extent < depth:
        alike = ~is_first
        alike[:-1] |= alike[1:]
        places = np.flatnonzero(alike)
        if not len(places):
            break
        rank[order] = np.cumsum(is_first, dtype=np.int32)
        starts = order[places]
        keys = rank[starts].astype(np.int64)
        keys *= size + 1
        keys += rank[np.minimum(starts + extent, size)]
        by = np.argsort(keys)
        order[places], keys = starts[by], keys[by]
        is_first[places[1:]] = keys[1:] != keys[:-1]
        extent *= 2
    return order
