"""The questions to a model, put to its parts: what the methods of `LanguageModel` do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from wordlm.errors import TextError
from wordlm.mixing import find_ngram
from wordlm.reading import Paths, Text, chosen_vectors, config_of, passages_of, with_words

if TYPE_CHECKING:
    from wordlm.evaluation import Evaluation
    from wordlm.language_model import LanguageModel
    from wordlm.measures import Measures
    from wordlm.minimal_pairs import Comparison
    from wordlm.mixed_engine import MixedEngine
    from wordlm.nbest import Hypothesis
    from wordlm.ngram import KneserNey
    from wordlm.pairs import Pair
    from wordlm.passages import Passage
    from wordlm.rescoring import RescoredHypothesis
    from wordlm.suggestions import Suggestion
    from wordlm.text import Texts
    from wordlm.typed_words import TypedWord, WordScore

    Progress = Callable[[int], None]

# What `score` can be told, besides how the text is read.
_HOW = ("reset", "entropy_reduction", "ngram", "mix", "vectors", "train", "progress")


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
        engine = _mixed(lm, engine, ngram)
    return evaluation.evaluate(engine, lm.vocabulary, passages, reset=reset, ngram=ngram, progress=progress)


def score_text(
    lm: LanguageModel, text: str, *, words: bool, **options: Any
) -> Iterator[WordScore] | Iterator[TypedWord]:
    """As `LanguageModel.score`."""
    how = {name: options.pop(name) for name in _HOW if name in options}
    return score(lm, Text(text, config_of(lm, options), words), words=words, **how)


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

    engine, extra = lm.engine, {}
    if vectors := chosen_vectors(lm, vectors):
        read: list[Hypothesis] = []  # to be gone through twice
        fault = None
        try:
            read.extend(hypotheses)
        except TextError as error:
            fault = error
        tokens = (token for one in read for token in lm.tokenizer.tokenize(one.text))
        engine, extra = with_words(lm, tokens, vectors)
        hypotheses = _with_fault(read, fault)
    return rescoring.rescore(engine, lm.tokenizer, lm.vocabulary, hypotheses, **weights, extra=extra)


def _with_fault(hypotheses: Iterable[Hypothesis], fault: TextError | None) -> Iterator[Hypothesis]:
    """The lists before a fault are not lost, as where the hypotheses come one by one."""
    yield from hypotheses
    if fault:
        raise fault


def compare(
    lm: LanguageModel, pairs: Iterable[Pair], include_unknown: bool, vectors: str | None, progress: Progress | None
) -> Comparison:
    """As `LanguageModel.compare`."""
    from wordlm import minimal_pairs

    engine, extra = lm.engine, {}
    if vectors := chosen_vectors(lm, vectors):
        pairs = list(pairs)  # to be gone through twice
        texts = (text for pair in pairs for text in (pair.good, pair.bad))
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
        engine = _mixed(lm, engine, ngrams)
    scored = score_passages(engine, passages, reset, entropy_reduction=entropy_reduction)
    if progress:
        scored = _told(scored, progress)
    return (typed_words if words else word_scores)(scored, ngrams if ngram else None)


def _mixed(lm: LanguageModel, engine: Any, ngram: KneserNey | None) -> MixedEngine:
    from wordlm.mixed_engine import MixedEngine  # on use: few questions are put to the mixture

    return MixedEngine(engine, ngram, lm.mixture)


def _told(
    scored: Iterable[tuple[Passage, Measures, Any]], progress: Progress
) -> Iterator[tuple[Passage, Measures, Any]]:
    done = 0
    for item in scored:
        yield item
        done += len(item[0].targets)
        progress(done)
