"""The embedding of a vocabulary: its rows out of word vectors, those that are missing made, and the coverage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from wordlm.errors import OptionError
from wordlm.vector_files import VectorFile, open_table, show
from wordlm.vocab import PAD, SPECIALS, Vocabulary

MISSING_POLICIES = ("random", "mean", "zero", "subword")

_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "—": "--", "―": "--", "–": "-", "‑": "-", "…": "..."}
)


@dataclass(frozen=True)
class Coverage:
    """How much of a text its vectors cover; `<pad>`, `<unk>` and `<eos>` are not counted.

    Attributes:
        types: share of the vocabulary's words that have a vector, 0 to 1.
        tokens: the same, each word counted as often as it stands in the text.
        missing: the ten most frequent words without a vector, with their counts.
    """

    types: float
    tokens: float
    missing: list[tuple[str, int]]


@dataclass(frozen=True)
class Vectors:
    """The vectors of a vocabulary.

    Attributes:
        matrix: (V, D) float32, row = token id; row 0, the padding, is zero.
        found: (V,) bool, which rows come from the file; the others were made by the policy for missing words.
        coverage: how much of the text that is.
        name: what the vectors were asked for by.
        sha256: of the file that holds the numbers; None where there is no file.
        warnings: what the user should read, one line each; low coverage is among them.
    """

    matrix: np.ndarray
    found: np.ndarray
    coverage: Coverage
    name: str
    sha256: str | None
    warnings: list[str]


def choose_rows(
    source: VectorFile, vocabulary: Vocabulary, counts: np.ndarray | None, missing: str, seed: int
) -> Vectors:
    """The rows of a vocabulary out of opened vectors, read in one pass, and the others by policy.

    Args:
        source: the vectors.
        vocabulary, counts, missing, seed: as in `load_vectors`.

    Returns:
        Vectors, with a (V, D) matrix.

    Raises:
        VectorError: the vectors are damaged.
        OptionError: an unknown policy, or "subword" where the vectors have no sub-words.

    Example:
        >>> source = open_table("mine", None, lambda: [b"the", b"."], np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> choose_rows(source, Vocabulary([*SPECIALS, "The"]), None, "zero", seed=0).matrix.tolist()
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 2.0]]
    """
    tokens = vocabulary.tokens
    counts = np.ones(len(tokens), dtype=np.int64) if counts is None else np.asarray(counts)
    if counts.shape != (len(tokens),):
        raise ValueError(f"`counts` must have shape ({len(tokens)},), but has {counts.shape}")
    if missing not in MISSING_POLICIES:
        raise OptionError(f"`missing` must be one of {', '.join(MISSING_POLICIES)}, but is {missing!r}")
    if missing == "subword" and source.subword is None:
        raise OptionError(
            f"`missing` subword needs a fastText .bin that has sub-words, but the vectors are {source.name}; "
            "choose random, mean or zero"
        )
    wanted: dict[bytes, list[tuple[int, int]]] = {}  # spelling -> (token id, rank of the spelling)
    for token_id, token in enumerate(tokens):
        if token_id != PAD and not (missing == "zero" and token in SPECIALS):
            forms = [token.encode()] if token in SPECIALS else spellings(token)
            for rank, form in enumerate(forms):
                wanted.setdefault(form, []).append((token_id, rank))

    matrix = np.zeros((len(tokens), source.dim), dtype=np.float32)
    ranks = np.full(len(tokens), 255, dtype=np.uint8)
    seen: set[bytes] = set()
    duplicates: list[bytes] = []
    for words, block in source.batches(wanted):
        for word, vector in zip(words, block, strict=True):
            if word in seen:
                duplicates.append(word)
                continue
            seen.add(word)
            for token_id, rank in wanted[word]:
                if rank < ranks[token_id]:
                    matrix[token_id], ranks[token_id] = vector, rank
    found = ranks < 255
    warnings = list(source.warnings)
    if duplicates:
        warnings.append(
            f"{source.name}: {len(duplicates)} words of the vocabulary stand there again, {show(duplicates[0])} for "
            "example; the first row of each was taken"
        )
    _fill_missing(matrix, found, tokens, source, missing, seed)
    coverage = _coverage(tokens, found, counts)
    if coverage.tokens < 0.5:
        warnings.append(
            f"only {coverage.tokens:.0%} of the text's words have a vector in {source.name}: train vectors on the text "
            "itself (--vectors corpus), or give a file of vectors for its language (--vectors FILE)"
        )
    return Vectors(matrix, found, coverage, source.name, source.sha256(), warnings)


def vectors_from_words(
    words: Iterable[str],
    matrix: np.ndarray,
    vocabulary: Vocabulary,
    counts: np.ndarray | None = None,
    *,
    missing: str = "random",
    seed: int = 0,
    name: str = "corpus",
) -> Vectors:
    """The vectors of a vocabulary out of words and their (n, D) matrix: what `train_vectors` gives.

    Args:
        words: n words; word i has row i of the matrix.
        matrix: (n, D).
        vocabulary, counts, missing, seed: as in `load_vectors`.
        name: what `Vectors.name` will say.

    Returns:
        Vectors, with a (V, D) matrix and no sha256.

    Raises:
        VectorError: a number that is not finite.
        OptionError: an unknown policy, or "subword".

    Example:
        >>> vectors = vectors_from_words(["the"], np.ones((1, 2)), Vocabulary([*SPECIALS, "The"]))
        >>> vectors.matrix[3].tolist(), vectors.name
        ([1.0, 1.0], 'corpus')
    """
    matrix = np.asarray(matrix)
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    if matrix.ndim != 2 or len(matrix) != len(encoded):
        raise ValueError(f"`matrix` must have a row for each of the {len(encoded)} words, but has shape {matrix.shape}")
    source = open_table(name, None, lambda: encoded, matrix)
    return choose_rows(source, vocabulary, counts, missing, seed)


def spellings(word: str) -> list[bytes]:
    """The spellings under which a word is looked up, in UTF-8, best first.

    Example:
        >>> [form.decode() for form in spellings("Don’t")]
        ['Don’t', 'don’t', "Don't", "don't"]
    """
    forms = [word, word.lower()]
    if not word.isascii():
        forms += [form.translate(_TYPOGRAPHY) for form in forms]
    return [form.encode("utf-8", "surrogatepass") for form in dict.fromkeys(forms)]


def _fill_missing(
    matrix: np.ndarray, found: np.ndarray, tokens: list[str], source: VectorFile, missing: str, seed: int
) -> None:
    """Makes the rows that were not found, in place."""
    rows = [row for row in np.flatnonzero(~found).tolist() if row != PAD]
    if missing == "zero" or not rows:
        return
    known = matrix[len(SPECIALS) :]  # the rows to be made are still zero: they add nothing to the sums
    count = max(1, int(found[len(SPECIALS) :].sum()))
    mean = known.sum(axis=0, dtype=np.float64) / count
    variance = np.einsum("ij,ij->j", known, known, dtype=np.float64) / count - mean**2
    if count < 2:  # nothing to take a scale from
        variance[:] = 1 / source.dim
    std = np.sqrt(np.maximum(variance, 0))
    for row in rows:
        vector = source.subword(tokens[row]) if missing == "subword" and row >= len(SPECIALS) else None
        if missing == "mean":
            vector = mean
        elif vector is None:
            # Seeded by the word: its vector does not depend on which other words are in the vocabulary.
            digest = hashlib.blake2b(f"{seed} {tokens[row]}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
            normal = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
            vector = mean + std * normal.standard_normal(source.dim)
        matrix[row] = vector


def _coverage(tokens: list[str], found: np.ndarray, counts: np.ndarray) -> Coverage:
    first = len(SPECIALS)
    has, count = found[first:], counts[first:]
    order = np.argsort(-count, kind="stable")
    missing = [(tokens[first + i], int(count[i])) for i in order[~has[order]][:10].tolist()]
    total = int(count.sum())
    return Coverage(
        types=float(has.mean()) if len(has) else 1.0,
        tokens=float(count[has].sum() / total) if total else 1.0,
        missing=missing,
    )
