"""The lists of likely sentences that recognizers and translators make, put in a better order by the model.

    total = score + weight * logprob - word_penalty * words - unk_penalty * unknown words

The score is the recognizer's own, in whatever unit, greater is better; the log-probability is the model's, in nats,
the end of the sentence counted. A penalty above 0 makes longer sentences, or those with words unknown to the model,
less likely. The words are those of the model's tokenizer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

from wordlm.errors import OptionError, TextError
from wordlm.nbest import Hypothesis, ListFault
from wordlm.sentence_scores import score_sentences
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import UNK, Vocabulary

if TYPE_CHECKING:
    from wordlm.engine import Engine

# Hypotheses that are scored together, at least: fewer leave the processor idle, more only take memory.
_AT_ONCE = 1024


@dataclass(frozen=True)
class Weights:
    """What the model counts beside the scores; see the formula above.

    Raises:
        OptionError: a weight that is not a finite number, or a `weight` below 0.
    """

    weight: float = 1.0
    word_penalty: float = 0.0
    unk_penalty: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not math.isfinite(value):
                raise OptionError(f"`{name}` must be a finite number, but is {value!r}")
        if self.weight < 0:
            raise OptionError(f"`weight` must be 0 or more, but is {self.weight!r}; 0 leaves the model out")


@dataclass(frozen=True)
class RescoredHypothesis:
    """A sentence that may have been said, and what the model thinks of it."""

    id: str
    text: str
    score: float
    logprob: float
    """Under the model, in nats, the end of the sentence counted."""
    words: int
    unknown: int
    """Words among them that the model does not know."""
    total: float
    source: tuple[str, ...] | dict[str, Any] | None = field(default=None, repr=False, compare=False)


def rescore(
    engine: Engine,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    hypotheses: Iterable[Hypothesis],
    *,
    weight: float = 1.0,
    word_penalty: float = 0.0,
    unk_penalty: float = 0.0,
    extra: Mapping[str, int] | None = None,
) -> Iterator[RescoredHypothesis]:
    """Each list in its new order, the best hypothesis first; of equal ones, that which came first.

    The lists keep their order. They are read as needed: about a thousand hypotheses, or one list, are held at a time.

    Args:
        engine: the model.
        tokenizer: how the model's text was split; hypotheses are split in the same way.
        vocabulary: the model's words.
        hypotheses: lists, one after the other; neighbors of the same id are one list.
        weight: of the model's log-probability, 0 or more.
        word_penalty: taken from the total for each word.
        unk_penalty: taken from the total for each word that the model does not know.
        extra: ids of words that the engine reads beyond the vocabulary. They count as unknown.

    Raises:
        OptionError: a weight out of its range; iterating raises it for totals that are beyond the floats.
        TextError: what `hypotheses` raises, after the lists that are complete before it.

    Example:
        >>> import numpy as np
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.engine import Engine
        >>> from wordlm.layout import weight_shapes
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "cat", "cats", "a"])
        >>> config = ModelConfig(vocab_size=6, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> hypotheses = [Hypothesis("1", "a cat", -1.0), Hypothesis("1", "cats", -1.5)]
        >>> ranked = rescore(engine, Tokenizer(), vocabulary, hypotheses, weight=0.5)
        >>> [(hypothesis.text, round(hypothesis.total, 2)) for hypothesis in ranked]  # a word costs ln 6 here
        [('cats', -3.29), ('a cat', -3.69)]
    """
    weights = Weights(weight, word_penalty, unk_penalty)
    return _rescore(engine, tokenizer, vocabulary, hypotheses, weights, extra or {})


def rank(hypotheses: Iterable[RescoredHypothesis], weights: Weights) -> Iterator[list[RescoredHypothesis]]:
    """The lists of rescored hypotheses with other weights, each in its new order.

    Raises:
        OptionError: totals that are beyond the floats.

    Example:
        >>> first = RescoredHypothesis("1", "a", -1.0, logprob=-4.0, words=1, unknown=0, total=-1.0)
        >>> second = RescoredHypothesis("1", "a b", -2.0, logprob=-3.0, words=2, unknown=0, total=-2.0)
        >>> [[(hypothesis.text, hypothesis.total) for hypothesis in ranked]
        ...     for ranked in rank([first, second], Weights(2.0, word_penalty=0.5))]
        [[('a b', -9.0), ('a', -9.5)]]
    """
    for same in lists_of(hypotheses):
        totals = [
            hypothesis.score
            + weights.weight * hypothesis.logprob
            - weights.word_penalty * hypothesis.words
            - weights.unk_penalty * hypothesis.unknown
            for hypothesis in same
        ]
        if not all(map(math.isfinite, totals)):
            raise OptionError(
                f"the totals of the list {same[0].id!r} must be finite, but are too large; make the scores smaller, or "
                "`weight`, `word_penalty` and `unk_penalty`"
            )
        again = [dataclasses.replace(one, total=total) for one, total in zip(same, totals, strict=True)]
        yield sorted(again, key=lambda hypothesis: -hypothesis.total)  # stable


def lists_of(hypotheses: Iterable[RescoredHypothesis]) -> Iterator[list[RescoredHypothesis]]:
    """The lists: neighbors of the same id."""
    return (list(same) for _, same in groupby(hypotheses, lambda hypothesis: hypothesis.id))


def _rescore(
    engine: Engine,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    hypotheses: Iterable[Hypothesis],
    weights: Weights,
    extra: Mapping[str, int],
) -> Iterator[RescoredHypothesis]:
    for together in _gather(hypotheses):
        tokens = [tokenizer.tokenize(hypothesis.text) for hypothesis in together]
        known = [vocabulary.encode(sentence) for sentence in tokens]
        read = [vocabulary.encode_inputs(sentence, extra) for sentence in tokens] if extra else known
        logprobs = score_sentences(engine, read)
        scored = (
            RescoredHypothesis(one.id, one.text, one.score, logprob, len(ids), ids.count(UNK), 0.0, one.source)
            for one, ids, logprob in zip(together, known, logprobs.tolist(), strict=True)
        )
        yield from chain.from_iterable(rank(scored, weights))


def _gather(hypotheses: Iterable[Hypothesis]) -> Iterator[Sequence[Hypothesis]]:
    """Complete lists, many at a time; those before a fault come before it."""
    done: list[Hypothesis] = []
    current: list[Hypothesis] = []
    fault = None
    try:
        for hypothesis in hypotheses:
            if current and hypothesis.id != current[-1].id:
                done += current
                current = []
                if len(done) >= _AT_ONCE:
                    yield done
                    done = []
            current.append(hypothesis)
    except TextError as error:
        fault = error
    if fault is None or (isinstance(fault, ListFault) and current and fault.id not in (None, current[-1].id)):
        done += current
    if done:
        yield done
    if fault:
        raise fault
