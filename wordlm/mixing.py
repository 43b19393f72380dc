"""The n-grams and the mixture of a model: counted, found and tuned."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from wordlm.config import FILE_FIELDS, TextConfig
from wordlm.errors import BundleError, OptionError
from wordlm.reading import Paths, passages_of

if TYPE_CHECKING:
    from wordlm.language_model import LanguageModel
    from wordlm.mixture import Mixture
    from wordlm.ngram import KneserNey
    from wordlm.text import Texts

    Progress = Callable[[int], None]


def stored_mixture(lm: LanguageModel) -> Mixture:
    """As `LanguageModel.mixture`."""
    from wordlm.mixture import Mixture

    if "mixture" not in lm.metadata:
        raise OptionError(
            "`mix` needs the shares of the mixture, which were not tuned yet: find them once on a validation text, by "
            "wordlm evaluate DIR TEXT --tune VALID, or tune_mixture in Python"
        )
    try:
        return Mixture.from_dict(lm.metadata["mixture"])
    except BundleError as error:
        raise BundleError(f"{lm.path}: {error}, by wordlm evaluate {lm.path} TEXT --tune VALID") from error


def find_ngram(
    lm: LanguageModel, train: Paths | KneserNey | None, config: TextConfig, progress: Progress | None = None
) -> KneserNey:
    """The n-grams of a training text, or those that were saved with the model.

    Args:
        lm: the model.
        train: as in `LanguageModel.score_files`.
        config: how the text is read that they are for. The training text is of the kind that it was, whatever that is.
        progress: called with the number of tokens so far.

    Raises:
        OptionError, BundleError: there are none.
    """
    from wordlm.ngram import KneserNey

    if train is None:
        if lm.ngram is None:
            raise OptionError(
                "the model has no n-grams: give its training text, with `train`, or train it anew --with-ngram"
            )
        return lm.ngram
    if not isinstance(train, KneserNey):
        same = {name: getattr(config, name) for name in FILE_FIELDS}
        return lm.fit_ngram(train, progress=progress, **same)
    if train.vocab_size != len(lm.vocabulary):
        raise OptionError(
            f"`train` must be n-grams of this model's {len(lm.vocabulary):,} words, but has {train.vocab_size:,}; make "
            "them with this model's `fit_ngram`"
        )
    return train


def fit_ngram(lm: LanguageModel, texts: Texts, progress: Progress | None) -> KneserNey:
    """A Kneser-Ney model of some texts, with the model's words."""
    from wordlm.ngram import KneserNey

    ids = array("i")
    for passage in passages_of(lm, texts)[1]:
        ids.extend(passage.targets.tolist())
        if progress:
            progress(len(ids))
    return KneserNey.fit(np.frombuffer(ids, np.int32), len(lm.vocabulary))


def tune_mixture(
    lm: LanguageModel, texts: Texts, train: Paths | KneserNey | None, progress: Progress | None
) -> Mixture:
    """As `LanguageModel.tune_mixture`."""
    from wordlm.bundle import update_metadata
    from wordlm.mixed_engine import MixedEngine
    from wordlm.mixture import Mixture, fit_weights
    from wordlm.scoring import score_passages

    if lm.path and not os.access(lm.path, os.W_OK):
        raise BundleError(f"cannot write to {lm.path}, where the shares of the mixture are kept: copy the model first")
    ngram, equal = find_ngram(lm, train, texts.config, progress), Mixture.equal()
    engine, passages = passages_of(lm, texts)
    parts, done = [], 0
    for _, measures, _ in score_passages(MixedEngine(engine, ngram, equal), passages):
        parts.append(measures.parts)
        done += len(measures.parts)
        if progress:
            progress(done)
    lstm, kneser_ney, cache = fit_weights(np.concatenate(parts)).tolist()
    mixture = replace(equal, lstm=lstm, kneser_ney=kneser_ney, cache=cache)
    lm.metadata["mixture"] = mixture.to_dict()
    if lm.path:
        update_metadata(lm.path, {"mixture": lm.metadata["mixture"]})
    return mixture
