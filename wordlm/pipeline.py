"""The whole way: texts -> corpus -> vectors -> network -> training -> bundle."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wordlm import generation
from wordlm.bundle import check_target, checkpoint_folder, save_bundle
from wordlm.checkpoint import has_checkpoint, read_info
from wordlm.config import DataConfig, ModelConfig, Options, SamplingConfig, TextConfig, TrainConfig, configure
from wordlm.corpus import Corpus, load_corpus, prepare_corpus
from wordlm.embedding import Vectors, vectors_from_words
from wordlm.engine import Engine
from wordlm.errors import OptionError, TrainingError
from wordlm.language_model import LanguageModel, load
from wordlm.model import build_model, get_weights, load_keras
from wordlm.text import Texts
from wordlm.tokenizer import Tokenizer
from wordlm.vectors import load_vectors, save_vectors, train_vectors
from wordlm.vocab import EOS

if TYPE_CHECKING:
    import keras

    from wordlm.training import Listener, Outcome

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def train(
    texts: Paths,
    out: str | os.PathLike[str],
    *,
    preset: str = "small",
    valid: Paths | None = None,
    test: Paths | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> LanguageModel:
    """Trains a model on texts and saves it.

    Args:
        texts: files, folders, glob patterns, or "-" for the standard input.
        out: the folder to make.
        preset: "seed", "small" (default), "medium" or "large".
        valid: texts to validate on; None holds out the end of `texts`.
        test: texts for a final figure.
        overwrite: replace a model that is at `out`.
        listener: hears of the progress; None shows it on the standard error.
        options: fields of `TextConfig`, `DataConfig`, `ModelConfig` and `TrainConfig`, `epochs=5` for example.

    Returns:
        The model, loaded from `out`.

    Raises:
        WordlmError: what was wrong with the options, the texts, the vectors or the place.
    """
    started = time.monotonic()
    chosen = configure(preset, **options)
    check_target(out, overwrite)
    checkpoint = checkpoint_folder(out)
    if has_checkpoint(checkpoint) and not overwrite:
        raise TrainingError(f"{out} holds an unfinished training: give --resume {out}, or --overwrite to start anew")
    listener = _listener(listener)
    sources = {"train": Texts(_paths(texts), chosen.text)}
    sources |= {name: Texts(_paths(p), chosen.text) for name, p in (("valid", valid), ("test", test)) if p is not None}

    shutil.rmtree(checkpoint, ignore_errors=True)
    began_empty = not checkpoint.parent.exists()
    try:
        corpus = prepare_corpus(
            checkpoint / "corpus",
            sources["train"],
            Tokenizer(chosen.text),
            valid=sources.get("valid"),
            test=sources.get("test"),
            valid_fraction=chosen.data.valid_fraction,
            vocab_size=chosen.data.vocab_size,
            min_count=chosen.data.min_count,
            progress=lambda part, count: listener.reading(
                part, count, sources[part].position / max(1, sources[part].size)
            ),
        )
        _describe(corpus, listener)
        load_keras()
        vectors = _vectors(chosen, corpus, listener)
    except BaseException:
        # Nothing is trained yet, so nothing is lost.
        shutil.rmtree(checkpoint.parent if began_empty else checkpoint, ignore_errors=True)
        raise
    model_config = chosen.model.replace(
        vocab_size=len(corpus.vocabulary),
        embedding_dim=chosen.data.embedding_dim if vectors is None else vectors.matrix.shape[1],
        trainable_embedding=vectors is None,
    )
    notes = {
        "preset": preset,
        "text": chosen.text.to_dict(),
        "data": chosen.data.to_dict(),
        "model": model_config.to_dict(),
        "train": chosen.train.to_dict(),
        "corpus": {name: {"files": source.files, "sha256": source.sha256()} for name, source in sources.items()},
        "vectors": None if vectors is None else _provenance(vectors),
    }
    matrix = None if vectors is None else vectors.matrix
    return _run(Path(out), notes, model_config, chosen.train, chosen.text, corpus, matrix, listener, started)


def resume(
    path: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    minutes: float | None = None,
    listener: Listener | None = None,
) -> LanguageModel:
    """Goes on with a training that was interrupted, from the exact step.

    Args:
        path: the folder that the training writes to.
        epochs: another number of epochs, all counted.
        minutes: another budget, the minutes before the interruption counted.
        listener: hears of the progress; None shows it on the standard error.

    Raises:
        TrainingError: there is nothing to resume.
    """
    started = time.monotonic()
    notes = read_info(checkpoint_folder(path))
    notes.pop("position")
    changes = {name: value for name, value in (("epochs", epochs), ("minutes", minutes)) if value is not None}
    config = TrainConfig.from_dict(notes["train"] | changes)
    notes["train"] = config.to_dict()
    corpus = load_corpus(checkpoint_folder(path) / "corpus")
    text, model_config = TextConfig.from_dict(notes["text"]), ModelConfig.from_dict(notes["model"])
    load_keras()
    return _run(Path(path), notes, model_config, config, text, corpus, None, _listener(listener), started, resumed=True)


def cover(texts: Paths, **options: Any) -> Vectors:
    """The vectors of a text's own vocabulary, to see how much of it they cover.

    Args:
        texts: as in `train`.
        options: fields of `TextConfig` and `DataConfig`.
    """
    chosen = configure(**options)
    with tempfile.TemporaryDirectory() as folder:
        corpus = _read_all(texts, chosen, Path(folder))
        data = chosen.data
        return load_vectors(data.vectors, corpus.vocabulary, corpus.counts, trust_pickle=data.trust_pickle)


def make_vectors(texts: Paths, out: str | os.PathLike[str], *, overwrite: bool = False, **options: Any) -> int:
    """Trains word vectors on texts and saves them to a folder that `vectors` takes; returns their number.

    Args:
        texts: as in `train`.
        out: the folder to write.
        overwrite: replace a folder of vectors that is at `out`.
        options: fields of `TextConfig`, `DataConfig` (`embedding_dim`, `min_count`) and `TrainConfig`
            (`epochs`, `seed`).
    """
    chosen = configure(**options)
    with tempfile.TemporaryDirectory() as folder:
        corpus = _read_all(texts, chosen, Path(folder))
        words, matrix = train_vectors(
            corpus.sentences(), chosen.data.embedding_dim, epochs=chosen.train.epochs or 5, seed=chosen.train.seed
        )
    save_vectors(out, words, matrix, metadata={"tokens": int(corpus.counts.sum())}, overwrite=overwrite)
    return len(words)


def _read_all(texts: Paths, options: Options, folder: Path) -> Corpus:
    """A corpus of nothing but a training part."""
    return prepare_corpus(
        folder,
        Texts(_paths(texts), options.text),
        Tokenizer(options.text),
        valid_fraction=0,
        vocab_size=options.data.vocab_size,
        min_count=options.data.min_count,
    )


def _run(
    out: Path,
    notes: dict[str, Any],
    model_config: ModelConfig,
    config: TrainConfig,
    text: TextConfig,
    corpus: Corpus,
    matrix: np.ndarray | None,
    listener: Listener,
    started: float,
    resumed: bool = False,
) -> LanguageModel:
    import keras

    from wordlm.training import Training

    keras.utils.set_random_seed(config.seed)
    network = build_model(model_config, matrix)
    listener.message(f"{network.count_params():,} parameters, {config.seed=}".replace("config.", ""))
    tokenizer = Tokenizer(text)
    opening = _opening(corpus)

    def sample(network: keras.Sequential) -> str:
        engine = Engine(model_config, get_weights(network))
        sampling = SamplingConfig(max_words=20, seed=config.seed)
        prompt = tokenizer.detokenize(opening)
        return next(generation.generate(engine, corpus.vocabulary, tokenizer, prompt, config=sampling)).text

    training = Training(network, model_config, config, corpus, checkpoint_folder(out), notes, listener, sample, started)
    if resumed:
        training.resume()
    outcome = training.run()
    metadata = notes | _figures(network, corpus, outcome)
    save_bundle(
        out, network, model_config, text, corpus.vocabulary, metadata, overwrite=True, unfinished=outcome.interrupted
    )
    if outcome.interrupted:
        listener.message(f"interrupted; the model so far is saved. Go on with: wordlm train --resume {out}")
    return load(out)


def _figures(network: keras.Sequential, corpus: Corpus, outcome: Outcome) -> dict[str, Any]:
    """What training found, in the words of `wordlm train --json`."""
    return dataclasses.asdict(outcome) | {
        "vocab_size": len(corpus.vocabulary),
        "parameters": network.count_params(),
        "train_tokens": len(corpus.train),
        "valid_tokens": len(corpus.valid),
        "test_tokens": None if corpus.test is None else len(corpus.test),
    }


def _vectors(options: Options, corpus: Corpus, listener: Listener) -> Vectors | None:
    data: DataConfig = options.data
    if data.vectors == "none":
        return None
    if data.vectors == "corpus":
        listener.message("training word vectors on the text")
        words, matrix = train_vectors(corpus.sentences(), data.embedding_dim, seed=options.train.seed)
        vectors = vectors_from_words(
            words, matrix, corpus.vocabulary, corpus.counts, missing=data.missing, seed=options.train.seed
        )
    else:
        vectors = load_vectors(
            data.vectors,
            corpus.vocabulary,
            corpus.counts,
            missing=data.missing,
            seed=options.train.seed,
            trust_pickle=data.trust_pickle,
        )
    coverage = vectors.coverage
    listener.message(
        f"vectors {vectors.name}: {coverage.types:.1%} of the words, {coverage.tokens:.1%} of the text"
        + (f"; without one: {' '.join(word for word, _ in coverage.missing)}" if coverage.missing else "")
    )
    for warning in vectors.warnings:
        listener.message(f"Warning: {warning}")
    return vectors


def _provenance(vectors: Vectors) -> dict[str, Any]:
    return {"name": vectors.name, "sha256": vectors.sha256, "coverage": dataclasses.asdict(vectors.coverage)}


def _describe(corpus: Corpus, listener: Listener) -> None:
    unknown = corpus.counts[1] / corpus.counts.sum()
    listener.message(
        f"{len(corpus.train):,} training tokens, {len(corpus.valid):,} for validation; "
        f"{len(corpus.vocabulary):,} words, {unknown:.1%} of the text unknown"
    )


def _opening(corpus: Corpus) -> list[str]:
    """The first three words of the validation text: the fixed prompt of the samples."""
    ids = [int(id) for id in corpus.valid[:200]]
    while ids and ids[0] == EOS:
        ids.pop(0)
    until = ids.index(EOS) if EOS in ids else len(ids)
    return corpus.vocabulary.decode(ids[: min(3, until)])


def _paths(paths: Paths) -> list[str | os.PathLike[str]]:
    found = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not found:
        raise OptionError("give at least one text: a file, a folder, or - for the standard input")
    return found


def _listener(listener: Listener | None) -> Listener:
    from wordlm.progress import Display

    return listener or Display()
