"""Token ids on disk: a text becomes memory-mapped files, in one pass and in constant memory."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from wordlm.errors import TextError, TrainingError, WordlmError
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, SPECIALS, Vocabulary

# Below this there is nothing to learn, and the held-out block would hold a sentence or none.
MIN_TOKENS = 100
# Documents shorter than this on the average are held out whole, from the end, rather than each by its end.
LONG_DOCUMENT = 2000
# So are more documents than this: where each one starts is kept in memory.
MAX_DOCUMENTS = 100_000
CHUNK = 1 << 20


@dataclass(frozen=True)
class Corpus:
    """The parts of a text as token ids. The vocabulary and the counts are those of the training part alone."""

    folder: Path
    vocabulary: Vocabulary
    train: np.ndarray
    """(N,) ids, memory-mapped, uint16 or uint32; `<eos>` ends each paragraph."""
    valid: np.ndarray
    test: np.ndarray | None
    counts: np.ndarray
    """(V,) how often each id occurs in the training part."""

    def sentences(self) -> Sentences:
        """The paragraphs of the training part as lists of tokens; can be read again and again."""
        return Sentences(self.train, self.vocabulary)


@dataclass(frozen=True)
class Sentences:
    """A restartable iterable of token lists, as gensim's models want it."""

    ids: np.ndarray
    vocabulary: Vocabulary

    def __iter__(self) -> Iterator[list[str]]:
        start = 0
        for end in _paragraph_ends(self.ids):
            if end - 1 > start:
                yield self.vocabulary.decode(self.ids[start : end - 1].tolist())
            start = end
        if start < len(self.ids):
            yield self.vocabulary.decode(self.ids[start:].tolist())


def prepare_corpus(
    folder: str | Path,
    train: Iterable[Paragraph],
    tokenizer: Tokenizer,
    *,
    valid: Iterable[Paragraph] | None = None,
    test: Iterable[Paragraph] | None = None,
    valid_fraction: float = 0.05,
    vocab_size: int = 30_000,
    min_count: int = 1,
    progress: Callable[[str, int], None] | None = None,
) -> Corpus:
    """Writes the ids of a text to `folder` while the text streams by.

    The text is read and tokenized once: ids in order of first appearance go to disk, and when the end is known
    and the held-out block with it, they are exchanged for those of the vocabulary. Memory holds the types, not
    the tokens.

    Args:
        folder: where the files go; made if it is missing.
        train: paragraphs to learn from.
        tokenizer: what splits them.
        valid: paragraphs to validate on; None holds out the last contiguous block of each long document, or
            of the whole where documents are short (2,000 tokens on the average), cut at the end of a paragraph.
        test: paragraphs for the final figure.
        valid_fraction: the share of the tokens held out, where `valid` is None; 0 holds out none.
        vocab_size: words kept, the special tokens counted; 0 keeps all.
        min_count: rarer words become `<unk>`.
        progress: called with the part's name and the tokens written so far.

    Returns:
        The corpus, its ids memory-mapped.

    Raises:
        TextError: a part without a word, or too small to train on.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    provisional = {token: number for number, token in enumerate(SPECIALS)}
    raw = {
        part: _write_raw(folder / f"{part}.raw", part, paragraphs, tokenizer, provisional, progress)
        for part, paragraphs in (("train", train), ("valid", valid), ("test", test))
        if paragraphs is not None
    }
    whole = raw["train"]
    if whole.size < MIN_TOKENS and (valid is not None or valid_fraction):
        raise TextError(
            f"the text is too small to train on: it has {whole.size} tokens, and at least {MIN_TOKENS} are needed "
            "(some thousands for sentences worth reading): add text"
        )
    blocks = {part: [(source, 0, source.size)] for part, source in raw.items()}
    if valid is None:
        cuts = _cuts(whole, valid_fraction) if valid_fraction else [(0, whole.size, whole.size)]
        blocks["train"] = [(whole, start, middle) for start, middle, _ in cuts]
        blocks["valid"] = [(whole, middle, end) for _, middle, end in cuts]

    counts = np.zeros(len(provisional), np.int64)
    for ids in _pieces(blocks["train"]):
        counts += np.bincount(ids, minlength=len(counts))
    tokens = list(provisional)
    words = ((token, count) for token, count in zip(tokens, counts.tolist(), strict=True) if count)
    vocabulary = Vocabulary.from_counts(words, vocab_size, min_count)
    if len(vocabulary) == len(SPECIALS):
        raise TextError(
            f"no word of the training text is left for the vocabulary (--vocab-size {vocab_size}, --min-count "
            f"{min_count}): it needs one word at least besides {' '.join(SPECIALS)}"
        )
    dtype = np.dtype("uint16" if len(vocabulary) <= 1 << 16 else "uint32")
    final = np.array(vocabulary.encode(tokens), dtype)
    sizes = {}
    for part, where in blocks.items():
        with open(folder / f"{part}.ids", "wb") as file:
            for ids in _pieces(where):
                final[ids].tofile(file)
        sizes[part] = sum(end - start for _, start, end in where)
    for source in raw.values():
        source.path.unlink()
    (folder / "vocab.txt").write_text(vocabulary.to_text(), encoding="utf-8", newline="")
    np.save(folder / "counts.npy", np.bincount(final, counts, len(vocabulary)).astype(np.int64))
    (folder / "corpus.json").write_text(json.dumps({"dtype": dtype.name, "sizes": sizes}), encoding="utf-8")
    return load_corpus(folder)


def load_corpus(folder: str | Path) -> Corpus:
    """The corpus that `prepare_corpus` wrote.

    Raises:
        TrainingError: files are missing or do not fit together.
    """
    folder = Path(folder)
    try:
        info = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        vocabulary = Vocabulary.from_text((folder / "vocab.txt").read_bytes().decode("utf-8"))
        parts = {
            part: _map(folder / f"{part}.ids", np.dtype(info["dtype"]), size, len(vocabulary))
            for part, size in info["sizes"].items()
        }
        counts = np.load(folder / "counts.npy")
        if counts.shape != (len(vocabulary),) or counts.sum() != len(parts["train"]):
            raise ValueError("counts.npy is of another text")
        return Corpus(folder, vocabulary, parts["train"], parts["valid"], parts.get("test"), counts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, WordlmError) as error:
        raise TrainingError(f"the prepared text in {folder} is damaged ({error}): train again from the text") from error


@dataclass(frozen=True)
class _Raw:
    """A part on disk while it is read: uint32 ids in the order in which words first appear."""

    path: Path
    size: int
    documents: list[int]
    """Where each document starts; cut off after `MAX_DOCUMENTS` + 1."""

    def read(self, start: int, end: int) -> np.ndarray:
        # Not a memory map, whose pages would count as this process' memory.
        return np.fromfile(self.path, np.uint32, end - start, offset=4 * start)


_Block = tuple[_Raw, int, int]

_PART = {"train": "training", "valid": "validation", "test": "test"}


def _write_raw(
    path: Path,
    part: str,
    paragraphs: Iterable[Paragraph],
    tokenizer: Tokenizer,
    provisional: dict[str, int],
    progress: Callable[[str, int], None] | None,
) -> _Raw:
    """Writes provisional ids, and gives new words theirs."""
    documents: list[int] = []
    document, written, words = None, 0, 0
    buffer = array("I")
    with open(path, "wb") as file:
        for paragraph in paragraphs:
            if paragraph.document != document:
                document = paragraph.document
                if len(documents) <= MAX_DOCUMENTS:
                    documents.append(written + len(buffer))
            tokens = tokenizer.tokenize(paragraph.text)
            words += len(tokens)
            for token in tokens:
                buffer.append(provisional.setdefault(token, len(provisional)))
            buffer.append(EOS)
            if len(buffer) >= CHUNK // 16:
                buffer.tofile(file)
                written += len(buffer)
                del buffer[:]
                if progress:
                    progress(part, written)
        buffer.tofile(file)
    if not words:
        raise TextError(f"the {_PART[part]} text holds no word: give a file with text in it")
    return _Raw(path, written + len(buffer), documents)


def _cuts(raw: _Raw, fraction: float) -> list[tuple[int, int, int]]:
    """For each document, or for all together: (start, start of the held-out block, end)."""
    documents = [*raw.documents, raw.size]
    if len(raw.documents) > MAX_DOCUMENTS or raw.size / len(raw.documents) < LONG_DOCUMENT:
        documents = [0, raw.size]
    cuts = []
    for start, end in pairwise(documents):
        size = end - start
        if size < min(LONG_DOCUMENT, raw.size):
            cuts.append((start, end, end))  # a short one among long ones: too little to take from
            continue
        wanted = end - max(1, round(size * fraction))
        # The nearest end of a paragraph, if there is one within a tenth of the document.
        reach = min(max(1, size // 10), CHUNK)
        low, high = max(start + 1, wanted - reach), min(end - 1, wanted + reach)
        ends = np.flatnonzero(raw.read(low - 1, high) == EOS) + low
        middle = int(ends[np.argmin(np.abs(ends - wanted))]) if len(ends) else wanted
        cuts.append((start, middle, end))
    return cuts


def _paragraph_ends(ids: np.ndarray) -> Iterator[int]:
    for start in range(0, len(ids), CHUNK):
        yield from (np.flatnonzero(ids[start : start + CHUNK] == EOS) + start + 1).tolist()


def _pieces(blocks: list[_Block]) -> Iterator[np.ndarray]:
    for raw, start, end in blocks:
        for at in range(start, end, CHUNK):
            yield raw.read(at, min(at + CHUNK, end))


def _map(path: Path, dtype: np.dtype, size: int, vocab_size: int) -> np.ndarray:
    """The file's ids as an array that stays on disk, once each of them has been seen to be in the vocabulary."""
    if path.stat().st_size != size * dtype.itemsize:
        raise ValueError(f"{path.name} must hold {size} ids, but has {path.stat().st_size} bytes")
    if size == 0:
        return np.zeros(0, dtype)  # an empty file cannot be mapped
    for at in range(0, size, CHUNK):
        if np.fromfile(path, dtype, min(CHUNK, size - at), offset=at * dtype.itemsize).max() >= vocab_size:
            raise ValueError(f"{path.name} holds an id that is not in the vocabulary")
    return np.memmap(path, dtype, mode="r")
