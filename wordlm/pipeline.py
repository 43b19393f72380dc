"""The whole way: texts -> corpus -> vectors -> network -> training -> bundle."""

from __future__ import annotations

import dataclasses
import gc
import os
import random
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wordlm import generation
from wordlm.batches import fitting_batch_size
from wordlm.bundle import save_bundle
from wordlm.checkpoint import has_checkpoint, read_info
from wordlm.config import ModelConfig, SamplingConfig, TextConfig, TrainConfig, configure
from wordlm.corpus import Corpus, load_corpus
from wordlm.embedding import Vectors
from wordlm.engine import Engine
from wordlm.errors import BundleError, TrainingError, WordlmError
from wordlm.language_model import LanguageModel
from wordlm.loading import load
from wordlm.model import build_model, get_weights, load_keras
from wordlm.model_folder import NGRAM, check_target, checkpoint_folder
from wordlm.planning import choose, matrix_rate, without_minutes
from wordlm.preparation import Paths, check_vectors, find_texts, find_vectors, read_corpus
from wordlm.progress import listening
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, SPECIALS

if TYPE_CHECKING:
    import keras

    from wordlm.reports import Listener, Outcome


def train(
    texts: Paths,
    out: str | os.PathLike[str],
    *,
    preset: str | None = None,
    valid: Paths | None = None,
    test: Paths | None = None,
    overwrite: bool = False,
    with_ngram: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> LanguageModel:
    """Trains a model on texts and saves it.

    Args:
        texts: files, folders, glob patterns, or "-" for the standard input.
        out: the folder to make.
        preset: "seed", "small", "medium" or "large"; None: with `minutes` alone, what is best for the time on this
            machine, else "small".
        valid: texts to validate on; None holds out the end of `texts`.
        test: texts for a final figure.
        overwrite: replace a model that is at `out`.
        with_ngram: count the training text's n-grams too, for a Kneser-Ney model that is saved beside the network.
        listener: hears of the progress; None shows it on the standard error.
        options: fields of `TextConfig`, `DataConfig`, `ModelConfig` and `TrainConfig`, `epochs=5` for example.

    Returns:
        The model, loaded from `out`.

    Raises:
        WordlmError: what was wrong with the options, the texts, the vectors or the place.
    """
    started = time.monotonic()
    chosen = configure(preset or "small", **options)
    check_target(out, overwrite)
    if has_checkpoint(checkpoint_folder(out)) and not overwrite:
        raise TrainingError(
            f"{out} holds an unfinished training: go on with --resume {out}, or give --overwrite to start anew"
        )
    check_vectors(chosen.data.vectors)
    given = {"train": texts, "valid": valid, "test": test}
    sources = {name: find_texts(paths, chosen) for name, paths in given.items() if paths is not None}
    shutil.rmtree(checkpoint_folder(out), ignore_errors=True)
    with listening(listener) as listener, _place(Path(out), listener) as checkpoint:
        corpus = read_corpus(checkpoint / "corpus", sources, chosen, listener)
        vectors = find_vectors(corpus, chosen, listener)
        vector_dim = chosen.data.embedding_dim if vectors is None else vectors.matrix.shape[1]
        if preset is None and not chosen.train.epochs:
            best = without_minutes(len(corpus.train))
            if chosen.train.minutes:
                samples, size = chosen.train.samples, len(corpus.vocabulary)
                plan = choose(chosen.train.minutes, len(corpus.train), size, matrix_rate(), vector_dim, samples)
                listener.message(plan.describe())
                preset, best = plan.preset, plan.options
            given = {name: value for name, value in options.items() if value is not None}
            chosen = configure(preset or "small", **(best | given))
        model_config = chosen.model.replace(
            vocab_size=len(corpus.vocabulary),
            embedding_dim=vector_dim + chosen.model.trained_dim,
            trainable_embedding=vectors is None,
        )
        notes = {
            "preset": preset or "small",
            "text": chosen.text.to_dict(),
            "data": chosen.data.to_dict(),
            "model": model_config.to_dict(),
            "train": chosen.train.to_dict(),
            "corpus": {name: {"files": source.files, "sha256": source.sha256()} for name, source in sources.items()},
            "vectors": None if vectors is None else _provenance(vectors),
            "with_ngram": with_ngram,
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
    # Checkpoints of earlier versions are of trainings that hid no words.
    config = TrainConfig.from_dict({"unknown": 0.0} | notes["train"] | changes)
    notes["train"] = config.to_dict()
    corpus = load_corpus(checkpoint_folder(path) / "corpus")
    text, model_config = TextConfig.from_dict(notes["text"]), ModelConfig.from_dict(notes["model"])
    with listening(listener) as listener, _place(Path(path), listener):
        return _run(Path(path), notes, model_config, config, text, corpus, None, listener, started, resumed=True)


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
    ngram = None
    if notes.get("with_ngram"):  # checkpoints of earlier versions do not say
        from wordlm.ngram import KneserNey

        # First, as counting takes far more memory than the counts: not what training leaves besides. These wait on
        # the disk: 160 MB of two million words.
        listener.message(f"counting the n-grams of {len(corpus.train):,} words")
        ngram = checkpoint_folder(out) / NGRAM
        KneserNey.fit(corpus.train, len(corpus.vocabulary)).save(ngram)
    listener.message("starting Keras and building the network")
    load_keras()
    import keras

    from wordlm.learner import spread_over_cores
    from wordlm.training import Training

    spread_over_cores(fitting_batch_size(len(corpus.train), model_config, config))
    tokenizer = Tokenizer(text)
    opening = tokenizer.detokenize(_opening(corpus))

    def sample(network: keras.Sequential) -> str:
        engine = Engine(model_config, get_weights(network))
        sampling = SamplingConfig(max_words=20, seed=config.seed)
        return next(generation.generate(engine, tokenizer, corpus.vocabulary, opening, sampling)).text

    with _random_state_kept():
        keras.utils.set_random_seed(config.seed)
        network = build_model(model_config, matrix)
        listener.message(f"{network.count_params():,} parameters; the first step takes longest, it is compiled")
        training = Training(
            network, model_config, config, corpus, checkpoint_folder(out), notes, listener, sample, started
        )
        if resumed:
            training.resume()
        outcome = training.run()
        # Saving needs memory too, and what only learning needs holds on to itself.
        del training
        gc.collect()
        if outcome.history and not outcome.interrupted:
            best = min(outcome.history, key=lambda epoch: epoch["valid_perplexity"])
            if best is not outcome.history[-1]:
                listener.message(f"the weights of epoch {best['epoch']} are kept, the best on the validation text")
        save_bundle(
            out,
            network,
            model_config,
            text,
            corpus.vocabulary,
            notes | _figures(network, corpus, outcome),
            overwrite=True,
            unfinished=outcome.interrupted,
            ngram=ngram,
        )
    if outcome.interrupted:
        listener.message(f"stopped; the model so far is saved. {_how_to_go_on(out)}")
    return load(out)


@contextmanager
def _place(out: Path, listener: Listener) -> Iterator[Path]:
    """The checkpoint's folder, empty for a new training. After a failure, nothing stays that is of no use.

    Raises:
        BundleError: the folder cannot be made.
    """
    checkpoint = checkpoint_folder(out)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        checkpoint.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"cannot write to {out}: {error.strerror}; give another --out") from error
    try:
        yield checkpoint
    except BaseException as error:
        if not has_checkpoint(checkpoint):
            shutil.rmtree(checkpoint, ignore_errors=True)
            with suppress(OSError):
                for folder in made:
                    folder.rmdir()
        elif not isinstance(error, WordlmError):
            listener.message(f"what was learned up to the last checkpoint is kept. {_how_to_go_on(out)}")
        raise


def _how_to_go_on(out: Path) -> str:
    return f"Go on with: wordlm train --resume {shlex.quote(str(out))}"


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Keras' seeding reaches the caller's `random` and `numpy.random` too: they are put back."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _figures(network: keras.Sequential, corpus: Corpus, outcome: Outcome) -> dict[str, Any]:
    """What training found, in the words of `wordlm train --json`."""
    return dataclasses.asdict(outcome) | {
        "vocab_size": len(corpus.vocabulary),
        "parameters": network.count_params(),
        "train_tokens": len(corpus.train),
        "valid_tokens": len(corpus.valid),
        "test_tokens": None if corpus.test is None else len(corpus.test),
    }


def _provenance(vectors: Vectors) -> dict[str, Any]:
    return {"name": vectors.name, "sha256": vectors.sha256, "coverage": dataclasses.asdict(vectors.coverage)}


def _opening(corpus: Corpus) -> list[str]:
    """The first three words of the validation text, and the marks before them: the fixed prompt of the samples."""
    opening: list[str] = []
    for token in corpus.vocabulary.decode(corpus.valid[:200].tolist()):
        if token != SPECIALS[EOS]:
            opening.append(token)
        elif opening:
            break
        if sum(word[0].isalnum() for word in opening) == 3:
            break
    return opening
