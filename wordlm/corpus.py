"""Token ids on disk: a text becomes memory-mapped files, in one pass and in constant memory."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from wordlm.errors import TextError, TrainingError
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, SPECIALS, UNK, Vocabulary

# Below this there is nothing to learn, and the held-out block would hold a sentence or none.
MIN_TOKENS = 100
# Documents shorter than this on the average are held out whole, from the end, rather than each by its end.
LONG_DOCUMENT = 2000
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
    parts = {"train": train} | ({"valid": valid} if valid is not None else {}) | ({"test": test} if test else {})
    raw, documents = {}, {}
    for part, paragraphs in parts.items():
        path = folder / f"{part}.raw"
        documents[part] = _write_provisional(path, paragraphs, tokenizer, provisional, part, progress)
        raw[part] = _map(path, np.dtype("uint32"))
        if len(raw[part]) <= np.count_nonzero(raw[part][:CHUNK] == EOS):
            raise TextError(f"the {_PART[part]} text holds no word: give a file with text in it")
    total = len(raw["train"])
    if total < MIN_TOKENS:
        raise TextError(
            f"the text is too small to train on: it has {total} tokens, and at least {MIN_TOKENS} are needed "
            "(some thousands for sentences worth reading): add text"
        )
    segments = {part: [(part, 0, len(ids))] for part, ids in raw.items()}
    if valid is None and not valid_fraction:
        segments["valid"] = []
    elif valid is None:
        cuts = _held_out(raw["train"], documents["train"], valid_fraction)
        segments["valid"] = [("train", middle, end) for _, middle, end in cuts if end > middle]
        segments["train"] = [("train", start, middle) for start, middle, _ in cuts if middle > start]

    counts = np.zeros(len(provisional), np.int64)
    for piece in _pieces(raw, segments["train"]):
        counts += np.bincount(piece, minlength=len(counts))
    tokens = list(provisional)
    vocabulary = Vocabulary.from_counts(
        ((token, count) for token, count in zip(tokens, counts.tolist(), strict=True) if count), vocab_size, min_count
    )
    dtype = np.dtype("uint16" if len(vocabulary) <= 1 << 16 else "uint32")
    final = np.array(vocabulary.encode(tokens), dtype)
    final[: len(SPECIALS)] = range(len(SPECIALS))
    final[0] = UNK
    for part, where in segments.items():
        with open(folder / f"{part}.ids", "wb") as file:
            for piece in _pieces(raw, where):
                final[piece].tofile(file)
    raw.clear()
    for part in parts:
        (folder / f"{part}.raw").unlink()
    (folder / "vocab.txt").write_text(vocabulary.to_text(), encoding="utf-8", newline="")
    kept = np.bincount(final, weights=counts, minlength=len(vocabulary)).astype(np.int64)
    np.save(folder / "counts.npy", kept)
    (folder / "corpus.json").write_text(json.dumps({"dtype": dtype.name, "parts": sorted(segments)}), encoding="utf-8")
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
        parts = {part: _map(folder / f"{part}.ids", np.dtype(info["dtype"])) for part in info["parts"]}
        counts = np.load(folder / "counts.npy")
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"the prepared text in {folder} is damaged ({error}): train again from the text") from error
    return Corpus(folder, vocabulary, parts["train"], parts["valid"], parts.get("test"), counts)


_PART = {"train": "training", "valid": "validation", "test": "test"}


def _write_provisional(
    path: Path,
    paragraphs: Iterable[Paragraph],
    tokenizer: Tokenizer,
    provisional: dict[str, int],
    part: str,
    progress: Callable[[str, int], None] | None,
) -> list[int]:
    """Writes ids in order of first appearance; returns where each document starts, and the end."""
    starts: list[int] = []
    document, written = None, 0
    buffer = array("I")
    with open(path, "wb") as file:
        for paragraph in paragraphs:
            if paragraph.document != document:
                document = paragraph.document
                starts.append(written + len(buffer))
            for token in tokenizer.tokenize(paragraph.text):
                buffer.append(provisional.setdefault(token, len(provisional)))
            buffer.append(EOS)
            if len(buffer) >= CHUNK // 16:
                buffer.tofile(file)
                written += len(buffer)
                del buffer[:]
                if progress:
                    progress(part, written)
        buffer.tofile(file)
    return [*starts, written + len(buffer)]


def _held_out(ids: np.ndarray, documents: list[int], fraction: float) -> list[tuple[int, int, int]]:
    """For each document, or for all together: (start, start of the held-out block, end)."""
    total = len(ids)
    if total / max(1, len(documents) - 1) < LONG_DOCUMENT:
        documents = [0, total]
    cuts = []
    for start, end in pairwise(documents):
        wanted = end - max(1, round((end - start) * fraction))
        # The nearest end of a paragraph, if there is one within a tenth of the document.
        reach = max(1, (end - start) // 10)
        low, high = max(start + 1, wanted - reach), min(end - 1, wanted + reach)
        ends = np.flatnonzero(ids[low - 1 : high] == EOS) + low
        middle = int(ends[np.argmin(np.abs(ends - wanted))]) if len(ends) else wanted
        cuts.append((start, middle, end))
    return cuts


def _paragraph_ends(ids: np.ndarray) -> Iterator[int]:
    for start in range(0, len(ids), CHUNK):
        yield from (np.flatnonzero(ids[start : start + CHUNK] == EOS) + start + 1).tolist()


def _pieces(raw: dict[str, np.ndarray], segments: list[tuple[str, int, int]]) -> Iterator[np.ndarray]:
    for part, start, end in segments:
        for at in range(start, end, CHUNK):
            yield raw[part][at : min(at + CHUNK, end)]


def _map(path: Path, dtype: np.dtype) -> np.ndarray:
    """The file's ids as an array that stays on disk; an empty file cannot be mapped."""
    if path.stat().st_size % dtype.itemsize:
        raise ValueError(f"{path.name} ends in the middle of a number")
    return np.memmap(path, dtype, mode="r") if path.stat().st_size else np.zeros(0, dtype)
