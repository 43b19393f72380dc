"""How well a model foretells a text, in figures, beside yardsticks on the same words.

Figures of different models compare only on the same tokens and vocabulary: a model of few words finds every text
easy, since most of it is `<unk>`. So each comes with plain models of the same words, and with the unknown ones apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wordlm.errors import OptionError, TextError
from wordlm.keystrokes import Keyboard
from wordlm.measures import Measures
from wordlm.mixed_engine import MixedEngine
from wordlm.mixture import PARTS
from wordlm.passages import Passage
from wordlm.scoring import score_passages
from wordlm.vocab import UNK, Vocabulary

if TYPE_CHECKING:
    from wordlm.ngram import KneserNey

# Tokens that the sums take in at once.
_BLOCK = 4096
_BINS = 15
_TOPS = (1, 3, 5)


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model on a text. A token is a word, a mark, or the `<eos>` that ends each paragraph.

    A perplexity is infinite where a word was given no chance at all.
    """

    perplexity: float
    """exp of the mean loss over all tokens: as unsure as among so many equally likely words."""
    perplexity_without_oov: float
    """The same without the tokens that are `<unk>` to the model. They are still read."""
    bits_per_word: float
    """Mean surprisal of a token: the logarithm of the perplexity, to the base 2."""
    bits_per_character: float
    """All bits over all characters of the text as it is read: those of each paragraph, and a line end for each."""
    tokens: int
    oov_rate: float
    """Share of the tokens that are `<unk>` to the model (out of vocabulary)."""
    top1: float
    """Share of the tokens that were the likeliest one; of equally likely ones, each counts as the first."""
    top3: float
    top5: float
    keystroke_savings: float | None
    """1 - keys pressed / keys without suggestions, when three are shown while the text is typed letter by letter.

    A word costs its letters and a space; to pick a suggestion costs one key, and brings the space. Unknown words are
    typed in full, and the ends of paragraphs count on neither side. None where there is no word.
    """
    calibration_error: float
    """Mean distance between the probability of the likeliest word and the share of the times that it is right.

    The expected calibration error of Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks" (2017),
    section 2: over 15 bins of equal width, each weighed by its tokens.
    """
    baselines: dict[str, float | None]
    """Perplexities of "unigram", the words' frequencies, and "kneser_ney", an n-gram model that reads each paragraph by
    itself; None where there is no n-gram model."""
    parts: dict[str, float | None] | None
    """With a mixture, the perplexity of each of its parts, and None for one that is not there; else None."""
    mixture: dict[str, Any] | None
    """The weights of the mixture, as `Mixture.to_dict` gives them; else None."""


def evaluate(
    engine: Any,
    vocabulary: Vocabulary,
    passages: Iterable[Passage],
    *,
    reset: str = "document",
    ngram: KneserNey | None = None,
    progress: Callable[[int], object] | None = None,
) -> Evaluation:
    """Reads a text once and sums up how well a model foretold it; memory does not grow with the text.

    Args:
        engine: the model, alone or in a mixture.
        vocabulary: its words.
        passages: the text, by `passages.read_passages`.
        reset: where the model forgets what it has read: "sentence" (at each paragraph), "document" or "never".
        ngram: the n-gram model of the yardsticks, of the same vocabulary.
        progress: called with the number of tokens read so far.

    Raises:
        TextError: there is no passage.
        OptionError: a `reset` of another name, or an n-gram model of another vocabulary.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.engine import Engine
        >>> from wordlm.layout import weight_shapes
        >>> config = ModelConfig(vocab_size=5, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> ids = np.array([3, 4, 1, 2])
        >>> passage = Passage(0, "a b c", ["a", "b", "c"], ids, ids)
        >>> figures = evaluate(engine, Vocabulary(["<pad>", "<unk>", "<eos>", "a", "b"]), [passage])
        >>> round(figures.perplexity, 3), figures.tokens, figures.oov_rate
        (5.0, 4, 0.25)
    """
    if ngram is not None and ngram.vocab_size != len(vocabulary):
        raise OptionError(
            f"`ngram` must be of the model's {len(vocabulary):,} words, but is of {ngram.vocab_size:,}; fit it anew, "
            "with the model's vocabulary"
        )
    sums = _Sums(Keyboard(vocabulary), ngram)
    for block in _blocks(score_passages(engine, passages, reset, look=sums.keyboard.keys)):
        sums.add(*block)
        if progress:
            progress(sums.tokens)
    if not sums.tokens:
        raise TextError("there is no text to evaluate; give one with a paragraph at least")
    return sums.figures(engine.weights.to_dict() if isinstance(engine, MixedEngine) else None)


def _blocks(
    scored: Iterable[tuple[Passage, Measures, object]],
) -> Iterator[tuple[list[Passage], np.ndarray, Measures]]:
    """Some passages at once, so that NumPy's calls do not count: they, their targets (N,) and the measures of these."""
    passages: list[Passage] = []
    measures: list[Measures] = []
    size = 0
    for passage, found, _ in scored:
        passages.append(passage)
        measures.append(found)
        size += len(passage.targets)
        if size >= _BLOCK:
            yield passages, np.concatenate([each.targets for each in passages]), Measures.join(measures)
            passages, measures, size = [], [], 0
    if passages:
        yield passages, np.concatenate([each.targets for each in passages]), Measures.join(measures)


class _Sums:
    """What the figures are made of, added up in float64 block by block."""

    def __init__(self, keyboard: Keyboard, ngram: KneserNey | None) -> None:
        self.keyboard, self._ngram = keyboard, ngram
        self._unigram = None if ngram is None else ngram.unigram_baseline()
        self.tokens = self._unknown = self._characters = self._keys = self._keys_without = 0
        self._bits = self._bits_of_known = 0.0
        self._hits, self._overconfidence = np.zeros(len(_TOPS), np.int64), np.zeros(_BINS)
        self._nats, self._nats_of_parts = {"unigram": 0.0, "kneser_ney": 0.0}, np.zeros(len(PARTS))

    def add(self, passages: list[Passage], targets: np.ndarray, measures: Measures) -> None:
        is_unknown = targets == UNK
        self.tokens += len(targets)
        self._unknown += int(is_unknown.sum())
        self._characters += sum(len(passage.text) + 1 for passage in passages)
        self._bits += float(measures.surprisal.sum())
        self._bits_of_known += float(measures.surprisal[~is_unknown].sum())
        self._hits += [np.count_nonzero(measures.rank <= k) for k in _TOPS]
        # Tokens x (mean probability - share of hits) of each bin.
        bins = np.ceil(measures.confidence * _BINS).astype(np.intp) - 1
        self._overconfidence += np.bincount(bins.clip(0, _BINS - 1), measures.confidence - (measures.rank == 1), _BINS)
        # `<eos>` has no letters.
        lengths = [length for passage in passages for length in (*map(self.keyboard.length, passage.tokens), 0)]
        self._keys_without += sum(lengths)
        self._keys += int(np.where(measures.looked < 0, lengths, measures.looked).sum())
        if self._ngram is not None:
            self._nats["kneser_ney"] -= float(self._ngram.target_logprobs(targets).sum())
            self._nats["unigram"] -= float(self._unigram[targets].sum())
        if measures.parts is not None:
            self._nats_of_parts -= measures.parts.sum(axis=0)

    def figures(self, mixture: dict[str, Any] | None) -> Evaluation:
        tokens, has_ngram = self.tokens, self._ngram is not None
        top1, top3, top5 = (self._hits / tokens).tolist()
        of_parts = zip(PARTS, self._nats_of_parts.tolist(), strict=True)
        parts = {name: None if math.isnan(nats) else _perplexity(nats, tokens) for name, nats in of_parts}
        return Evaluation(
            perplexity=_perplexity(self._bits * math.log(2), tokens),
            perplexity_without_oov=_perplexity(self._bits_of_known * math.log(2), tokens - self._unknown),
            bits_per_word=self._bits / tokens,
            bits_per_character=self._bits / self._characters,
            tokens=tokens,
            oov_rate=self._unknown / tokens,
            top1=top1,
            top3=top3,
            top5=top5,
            keystroke_savings=1 - self._keys / self._keys_without if self._keys_without else None,
            calibration_error=float(np.abs(self._overconfidence).sum()) / tokens,
            baselines={name: _perplexity(nats, tokens) if has_ngram else None for name, nats in self._nats.items()},
            parts=parts if mixture else None,
            mixture=mixture,
        )


def _perplexity(nats: float, tokens: int) -> float:
    try:
        return math.exp(nats / tokens)
    except OverflowError:
        return math.inf
