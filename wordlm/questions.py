"""What the questions to a model have in common: which engine reads which texts, with which n-grams and vectors."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from wordlm.config import TextConfig
from wordlm.engine import Engine
from wordlm.errors import OptionError, TextError
from wordlm.tokenizer import Tokenizer

if TYPE_CHECKING:
    from wordlm.evaluation import Evaluation
    from wordlm.language_model import LanguageModel
    from wordlm.measures import Measures
    from wordlm.minimal_pairs import Comparison
    from wordlm.mixture import Mixture
    from wordlm.nbest import Hypothesis
    from wordlm.ngram import KneserNey
    from wordlm.pairs import Pair
    from wordlm.passages import Passage
    from wordlm.rescoring import RescoredHypothesis
    from wordlm.suggestions import Suggestion
    from wordlm.text import Paragraph, Texts
    from wordlm.typed_words import TypedWord, WordScore

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
Progress = Callable[[int], None]

# What `score` can be told, besides how the text is read.
_HOW = ("reset", "entropy_reduction", "ngram", "mix", "vectors", "train", "progress")


@dataclass(frozen=True)
class Text:
    """One text that is in memory, to be gone through as those of files."""

    text: str
    config: TextConfig
    places: bool

    def __iter__(self) -> Iterator[Paragraph]:
        from wordlm.text import read_paragraphs

        is_empty = True
        for paragraph in read_paragraphs(self.text, self.config, self.places):
            is_empty = is_empty and not paragraph.text
            yield paragraph
        if is_empty:
            raise TextError(f"the text must hold a word, but is {self.text[:40]!r}; give another one")


def reading(lm: LanguageModel, options: dict[str, Any]) -> TextConfig:
    """How a text is read: as the model's own was, but for some fields of `TextConfig`."""
    return TextConfig.from_dict(lm.tokenizer.config.to_dict() | options)


def texts_at(
    lm: LanguageModel, paths: Paths, options: dict[str, Any], *, places: bool = False, needs_field: bool = True
) -> Texts:
    """The texts at some paths, read as the model's own were, but for some options.

    Args:
        lm: the model.
        paths: a path or several.
        options: fields of `TextConfig` that differ from those of the model's own text.
        places: as in `Texts`.
        needs_field: whether a `field` among the options is to be found there.
    """
    from wordlm.text import Texts  # few texts are generated with it

    found = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    config = reading(lm, options)
    if config.field and not (needs_field and "field" in options):
        # It is that of other records; these may be no records, and what is typed is none.
        try:
            if "-" not in found:
                return Texts(found, config, places=places)
        except TextError:
            pass
        config = config.replace(field=None)
    return Texts(found, config, places=places)


def passages_of(lm: LanguageModel, texts: Texts | Text, vectors: str | None = None) -> tuple[Any, Iterator[Passage]]:
    """Texts as the model reads them, and the engine that does.

    Args:
        lm: the model.
        texts: they are gone through twice, where `vectors` are given.
        vectors: what unknown words are read by: a file or package; "auto": the packaged ones, where the model learned
            with them; None or "none": they are `<unk>`.
    """
    from wordlm.passages import read_passages

    # Words are looked up in the model's vocabulary, so they are folded as it is.
    tokenizer = Tokenizer(texts.config.replace(lowercase=lm.tokenizer.config.lowercase))
    engine: Any = lm.engine
    extra: dict[str, int] = {}
    if vectors := _chosen(lm, vectors):
        from wordlm.open_vocabulary import open_inputs, unknown_words

        engine, extra = open_inputs(unknown_words(texts, tokenizer, lm.vocabulary), engine, vectors, lm.metadata)
    return engine, read_passages(texts, tokenizer, lm.vocabulary, extra)


def with_words(lm: LanguageModel, words: Iterable[str], vectors: str | None) -> tuple[Engine, dict[str, int]]:
    """The engine that reads some words, and the input ids of those that are unknown and have a vector.

    Args:
        lm: the model.
        words: tokens, known or not.
        vectors: as in `passages_of`.
    """
    unknown = [word for word in dict.fromkeys(words) if word not in lm.vocabulary]
    if unknown and (vectors := _chosen(lm, vectors)):
        from wordlm.open_vocabulary import open_inputs

        return open_inputs(unknown, lm.engine, vectors, lm.metadata)
    return lm.engine, {}


def _chosen(lm: LanguageModel, vectors: str | None) -> str | None:
    """The vectors that are meant: "auto" are the packaged ones, where the model learned with them, and "none" none."""
    if vectors == "auto":
        from wordlm.open_vocabulary import usual_vectors

        return usual_vectors(lm.metadata) if isinstance(lm.engine, Engine) else None
    return None if vectors == "none" else vectors


def mixed(engine: Any, mixture: Mixture, ngram: KneserNey) -> Any:
    """The engine mixed with n-grams and a cache.

    Raises:
        OptionError: Keras runs the model, and its hidden vectors cannot be seen.
    """
    from wordlm.mixed_engine import MixedEngine

    if not isinstance(engine, Engine):
        raise OptionError("`mix` needs a model that NumPy runs, but Keras runs this one; leave it out")
    return MixedEngine(engine, ngram, mixture)


def stored_mixture(metadata: dict[str, Any]) -> Mixture:
    """As `LanguageModel.mixture`."""
    from wordlm.mixture import Mixture

    if "mixture" not in metadata:
        raise OptionError(
            "`mix` needs the shares of the mixture, which were not tuned yet: find them once on a validation text, with "
            "wordlm evaluate DIR TEXT --tune VALID, or tune_mixture in Python"
        )
    return Mixture.from_dict(metadata["mixture"])


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
        same = {name: getattr(config, name) for name in ("encoding", "field", "keep_boilerplate")}
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
    from wordlm.mixture import Mixture, fit_weights
    from wordlm.scoring import score_passages

    ngram, equal = find_ngram(lm, train, texts.config, progress), Mixture.equal()
    parts, done = [], 0
    for _, measures, _ in score_passages(mixed(lm.engine, equal, ngram), passages_of(lm, texts)[1]):
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


def evaluate(
    lm: LanguageModel,
    texts: Texts,
    *,
    reset: str,
    mix: bool,
    vectors: str | None,
    train: Paths | KneserNey | None,
    progress: Progress | None,
) -> Evaluation:
    """As `LanguageModel.evaluate`."""
    from wordlm import evaluation

    ngram = find_ngram(lm, train, texts.config, progress) if mix or train is not None or lm.ngram else None
    engine, passages = passages_of(lm, texts, vectors)
    if mix:
        engine = mixed(engine, lm.mixture, ngram)
    return evaluation.evaluate(engine, lm.vocabulary, passages, reset=reset, ngram=ngram, progress=progress)


def score_text(
    lm: LanguageModel, text: str, *, words: bool, **options: Any
) -> Iterator[WordScore] | Iterator[TypedWord]:
    """As `LanguageModel.score`."""
    how = {name: options.pop(name) for name in _HOW if name in options}
    return score(lm, Text(text, reading(lm, options), words), words=words, **how)


def suggest(lm: LanguageModel, context: str, k: int, prefix: str, vectors: str | None) -> list[Suggestion]:
    """As `LanguageModel.suggest`."""
    from wordlm import suggestions

    engine, extra = with_words(lm, lm.read_prompt(context).tokens, vectors)
    return suggestions.suggest(engine, lm.tokenizer, lm.vocabulary, context, k=k, prefix=prefix, extra=extra)


def rescore(
    lm: LanguageModel, hypotheses: Iterable[Hypothesis], vectors: str | None, **weights: float
) -> Iterator[RescoredHypothesis]:
    """As `LanguageModel.rescore`."""
    from wordlm import rescoring

    if _chosen(lm, vectors):
        hypotheses = list(hypotheses)  # to be gone through twice
    tokens = (token for one in hypotheses for token in lm.tokenizer.tokenize(one.text)) if vectors else ()
    engine, extra = with_words(lm, tokens, vectors)
    return rescoring.rescore(engine, lm.tokenizer, lm.vocabulary, hypotheses, **weights, extra=extra)


def compare(
    lm: LanguageModel, pairs: Iterable[Pair], include_unknown: bool, vectors: str | None, progress: Progress | None
) -> Comparison:
    """As `LanguageModel.compare`."""
    from wordlm import minimal_pairs

    if _chosen(lm, vectors):
        pairs = list(pairs)  # to be gone through twice
    texts = (text for pair in pairs for text in (pair.good, pair.bad)) if vectors else ()
    engine, extra = with_words(lm, chain.from_iterable(map(lm.tokenizer.tokenize, texts)), vectors)
    return minimal_pairs.compare(
        engine, lm.tokenizer, lm.vocabulary, pairs, include_unknown=include_unknown, extra=extra, progress=progress
    )


def score(
    lm: LanguageModel,
    texts: Texts | Text,
    *,
    words: bool = False,
    reset: str = "document",
    entropy_reduction: bool = False,
    ngram: bool = False,
    mix: bool = False,
    vectors: str | None = None,
    train: Paths | KneserNey | None = None,
    progress: Progress | None = None,
) -> Iterator[WordScore] | Iterator[TypedWord]:
    """As `LanguageModel.score_files`."""
    from wordlm.scoring import score_passages
    from wordlm.typed_words import typed_words, word_scores

    ngrams = find_ngram(lm, train, texts.config, progress) if ngram or mix else None
    engine, passages = passages_of(lm, texts, vectors)
    if mix:
        engine = mixed(engine, lm.mixture, ngrams)
    scored = score_passages(engine, passages, reset, entropy_reduction=entropy_reduction)
    if progress:
        scored = _told(scored, progress)
    return (typed_words if words else word_scores)(scored, ngrams if ngram else None)


def _told(
    scored: Iterable[tuple[Passage, Measures, Any]], progress: Progress
) -> Iterator[tuple[Passage, Measures, Any]]:
    done = 0
    for item in scored:
        yield item
        done += len(item[0].targets)
        progress(done)
