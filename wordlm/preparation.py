"""Texts to ids and to the vectors of their words, with word of the progress; and vectors by themselves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wordlm.config import Options, configure
from wordlm.corpus import Corpus, prepare_corpus
from wordlm.embedding import Vectors, vectors_from_words
from wordlm.errors import OptionError, VectorError
from wordlm.progress import listening
from wordlm.text import Texts
from wordlm.tokenizer import Tokenizer
from wordlm.vector_folders import PACKAGED
from wordlm.vectors import load_vectors, save_vectors, train_vectors
from wordlm.vocab import UNK

if TYPE_CHECKING:
    from wordlm.reports import Listener

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def find_texts(paths: Paths, options: Options) -> Texts:
    """The texts at some paths.

    Raises:
        OptionError: no path at all.
        TextError: nothing to read there.
    """
    found = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not found:
        raise OptionError("give at least one text: a file, a folder, or - for the standard input")
    return Texts(found, options.text)


def read_corpus(
    folder: Path,
    sources: Mapping[str, Texts],
    options: Options,
    listener: Listener,
    valid_fraction: float | None = None,
) -> Corpus:
    """The texts as ids in `folder`.

    Args:
        folder: where the ids go.
        sources: "train", and "valid" and "test" if they are apart; without "valid", the end of "train" is held out.
        options: how they are read.
        listener: hears of the progress.
        valid_fraction: the share held out; None takes that of the options.

    Raises:
        TextError: texts that cannot be read, or are too small.
    """

    def progress(part: str, tokens: int) -> None:
        listener.reading(part, tokens, sources[part].position / max(1, sources[part].size))

    corpus = prepare_corpus(
        folder,
        sources["train"],
        Tokenizer(options.text),
        valid=sources.get("valid"),
        test=sources.get("test"),
        valid_fraction=options.data.valid_fraction if valid_fraction is None else valid_fraction,
        vocab_size=options.data.vocab_size,
        min_count=options.data.min_count,
        progress=progress,
    )
    unknown = corpus.counts[UNK] / corpus.counts.sum()
    apart = f", {len(corpus.valid):,} for validation" if len(corpus.valid) else ""
    listener.message(
        f"{len(corpus.train):,} tokens to train on{apart}; "
        f"{len(corpus.vocabulary):,} words, {unknown:.1%} of the text is <unk>"
    )
    return corpus


def check_vectors(spec: str) -> None:
    """Looks for a file of vectors before the text is read, which may take long.

    Raises:
        VectorError: there is none.
    """
    if spec not in ("none", "corpus", PACKAGED) and not Path(spec).expanduser().exists():
        raise VectorError(
            f"there are no vectors at {spec}: give a file, {PACKAGED} (comes with wordlm), corpus (trained on the "
            "text) or none"
        )


def find_vectors(corpus: Corpus, options: Options, listener: Listener) -> Vectors | None:
    """The vectors of a corpus' words, from where the options say; None where the network shall learn them.

    Raises:
        VectorError: they cannot be read.
    """
    data, seed = options.data, options.train.seed
    if data.vectors == "none":
        return None
    if data.vectors == "corpus":
        words, matrix = _train(corpus, data.embedding_dim, seed, listener)
        found = vectors_from_words(words, matrix, corpus.vocabulary, corpus.counts, missing=data.missing, seed=seed)
    else:
        listener.message(f"looking up the words in {data.vectors}")
        found = load_vectors(
            data.vectors,
            corpus.vocabulary,
            corpus.counts,
            missing=data.missing,
            seed=seed,
            trust_pickle=data.trust_pickle,
        )
    coverage = found.coverage
    listener.message(
        f"vectors {found.name}: {coverage.types:.1%} of the words, {coverage.tokens:.1%} of the text"
        + (f"; without one: {' '.join(word for word, _ in coverage.missing)}" if coverage.missing else "")
    )
    for warning in found.warnings:
        listener.message(f"Warning: {warning}")
    return found


def cover(texts: Paths, *, listener: Listener | None = None, **options: Any) -> Vectors:
    """The vectors of a text's own vocabulary, to see how much of it they cover.

    Args:
        texts: files, folders, glob patterns, or "-" for the standard input.
        listener: hears of the progress; None shows it on the standard error.
        options: fields of `TextConfig` and `DataConfig`.

    Raises:
        WordlmError: what was wrong with the options, the texts or the vectors.
    """
    chosen = configure(**options)
    data = chosen.data
    if data.vectors in ("none", "corpus"):
        raise OptionError(f"`vectors` must be {PACKAGED}, a file or a folder to be looked at, but is {data.vectors!r}")
    check_vectors(data.vectors)
    sources = {"train": find_texts(texts, chosen)}
    with listening(listener) as listener, tempfile.TemporaryDirectory() as folder:
        corpus = read_corpus(Path(folder), sources, chosen, listener, valid_fraction=0)
        return load_vectors(data.vectors, corpus.vocabulary, corpus.counts, trust_pickle=data.trust_pickle)


def make_vectors(
    texts: Paths,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> int:
    """Trains word vectors on texts and saves them to a folder that `vectors` takes; returns their number.

    Args:
        texts: files, folders, glob patterns, or "-" for the standard input.
        out: the folder to write.
        overwrite: replace a folder of vectors that is at `out`.
        listener: hears of the progress; None shows it on the standard error.
        options: fields of `TextConfig`, `DataConfig` (`embedding_dim`; `min_count`, 2 if left out) and
            `TrainConfig` (`epochs`, 5 if left out; `seed`).

    Raises:
        WordlmError: what was wrong with the options, the texts or the place.
    """
    chosen = configure(**{"vocab_size": 0, "min_count": 2} | options)
    if os.path.lexists(out) and not overwrite:
        raise VectorError(f"{out} is there already: give --overwrite to replace it, or another path")
    data, epochs = chosen.data, chosen.train.epochs or 5
    sources = {"train": find_texts(texts, chosen)}
    with listening(listener) as listener, tempfile.TemporaryDirectory() as folder:
        corpus = read_corpus(Path(folder), sources, chosen, listener, valid_fraction=0)
        words, matrix = _train(corpus, data.embedding_dim, chosen.train.seed, listener, epochs, data.min_count)
    save_vectors(out, words, matrix, metadata={"tokens": int(corpus.counts.sum())}, overwrite=overwrite)
    return len(words)


def _train(
    corpus: Corpus, dim: int, seed: int, listener: Listener, epochs: int = 5, min_count: int = 2
) -> tuple[list[str], np.ndarray]:
    listener.message(f"training word vectors on {len(corpus.train):,} tokens")
    return train_vectors(
        corpus.sentences(),
        dim,
        epochs=epochs,
        seed=seed,
        min_count=min_count,
        progress=lambda done, of: listener.message(f"word vectors: epoch {done} of {of}"),
    )
