"""Minimal pairs: does the model find the grammatical sentence of two likelier than the ungrammatical one?

As Marvin and Linzen, "Targeted syntactic evaluation of language models" (2018), and BLiMP have it: a pair is a success
where the whole grammatical sentence has the greater probability. Guessing succeeds half of the time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from wordlm.errors import OptionError
from wordlm.pairs import Pair
from wordlm.sentence_scores import score_sentences
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import UNK, Vocabulary

# Words of the pairs that are in memory together: the more, the more beginnings they share.
_WORDS = 1 << 22
_UNKNOWN = 10


@dataclass(frozen=True)
class GroupResult:
    """How often the model found the good sentence of a group's pairs likelier."""

    group: str
    accuracy: float | None
    """The share of successes among the pairs that count; None where none does."""
    low: float | None
    """The lower end of the accuracy's 95 % interval."""
    high: float | None
    """Its upper end."""
    pairs: int
    """Pairs that count."""
    left_out: int
    """Pairs that do not, because the model does not know a word."""


@dataclass(frozen=True)
class Comparison:
    """The results of some minimal pairs, by group and together."""

    groups: list[GroupResult]
    """In the order of their first pairs."""
    accuracy: float | None
    """The share of successes among all pairs that count; None where none does."""
    low: float | None
    """The lower end of its 95 % interval."""
    high: float | None
    """Its upper end."""
    mean_accuracy: float | None
    """The mean of the groups' accuracies, however many pairs each has."""
    pairs: int
    """Pairs that count."""
    left_out: int
    """Pairs that do not, because the model does not know a word."""
    ties: int
    """Pairs that count, and whose sentences are equally likely, which is no success."""
    unknown: list[tuple[str, int]]
    """The words that the model does not know, at most ten, and the number of pairs with each; most frequent first."""


def compare(
    engine: Any,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    pairs: Iterable[Pair],
    *,
    include_unknown: bool = False,
    extra: Mapping[str, int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """How often the good sentence of a pair is likelier than the bad one.

    Sentences are compared by the sums of their words' log-probabilities, `<eos>` included, each from the start. A tie
    is no success.

    A pair with a word that the model does not know is left out, as `<unk>` would be compared in its place. Where the
    model knows its vector, and both sentences have the word, the pair counts: the word is read, and the others decide.

    Args:
        engine: the network, or anything with its methods.
        tokenizer: how its text was split; the sentences are split in the same way.
        vocabulary: its words.
        pairs: any number; they are read some at a time.
        include_unknown: whether pairs with unknown words count, these as `<unk>`.
        extra: ids from V on of words that are not in the vocabulary, but that the engine reads.
        progress: called with the number of pairs done so far.

    Returns:
        The results, with Wilson's intervals.

    Example:
        >>> import numpy as np
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.engine import Engine
        >>> from wordlm.layout import weight_shapes
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "dogs", "bark", "barks"])
        >>> config = ModelConfig(vocab_size=6, embedding_dim=4, units=3, dense=0)
        >>> weights = {name: np.zeros(shape) for name, shape in weight_shapes(config).items()}
        >>> weights["output/bias"][4] = 1  # `bark` is the likeliest word
        >>> pairs = [Pair("number", "dogs bark", "dogs barks"), Pair("number", "cats bark", "cats barks")]
        >>> result = compare(Engine(config, weights), Tokenizer(), vocabulary, pairs)
        >>> result.accuracy, result.pairs, result.left_out, result.unknown
        (1.0, 1, 1, [('cats', 1)])
    """
    extra = extra or {}
    tallies: dict[str, _Tally] = {}
    unknown: Counter[str] = Counter()

    def batches() -> Iterator[tuple[list[_Tally], list[list[int]], int]]:
        """Of pairs that count, the groups, and two sentences each; and how many pairs have been read."""
        counted: list[_Tally] = []
        sentences: list[list[int]] = []
        words = read = 0
        for read, pair in enumerate(pairs, 1):
            tally = tallies.setdefault(pair.group, _Tally())
            good, good_unknown = _read(pair.good, tokenizer, vocabulary, extra)
            bad, bad_unknown = _read(pair.bad, tokenizer, vocabulary, extra)
            unknown.update((good_unknown | bad_unknown).keys())
            if include_unknown or (good_unknown == bad_unknown and good_unknown.keys() <= extra.keys()):
                counted.append(tally)
                sentences += [good, bad]
                words += len(good) + len(bad) + 2
            else:
                tally.left_out += 1
            if words >= _WORDS:
                yield counted, sentences, read
                counted, sentences, words = [], [], 0
        yield counted, sentences, read

    done = 0
    for counted, sentences, read in batches():
        scores = score_sentences(engine, sentences, progress=_in_pairs(progress, done, read, len(sentences)))
        for tally, good_score, bad_score in zip(counted, scores[::2].tolist(), scores[1::2].tolist(), strict=True):
            tally.pairs += 1
            tally.successes += good_score > bad_score
            tally.ties += good_score == bad_score
        done = read
    return _result(tallies, unknown)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share.

    It holds for few trials and for shares near 0 and 1 too, where the usual one does not (Wilson, "Probable
    inference, the law of succession, and statistical inference", 1927).

    Args:
        successes: from 0 to `trials`.
        trials: at least 1.

    Raises:
        OptionError: no trials, or more successes than trials.

    Example:
        >>> low, high = wilson_interval(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
    """
    if not 0 <= successes <= trials or not trials:
        raise OptionError(f"`successes` must be between 0 and `trials`, at least 1, but are {successes} of {trials}")
    share, z = successes / trials, NormalDist().inv_cdf(0.975)
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z * z / trials
    # Rounding must not leave the share itself out, where it is 0 or 1.
    return min(share, max(0.0, (middle - half) / scale)), max(share, min(1.0, (middle + half) / scale))


@dataclass
class _Tally:
    """What a group has come to so far."""

    pairs: int = 0
    successes: int = 0
    ties: int = 0
    left_out: int = 0


def _read(
    text: str, tokenizer: Tokenizer, vocabulary: Vocabulary, extra: Mapping[str, int]
) -> tuple[list[int], Counter[str]]:
    """The ids of a sentence, and how often each word that is not in the vocabulary comes in it."""
    tokens = tokenizer.tokenize(text)
    ids = vocabulary.encode(tokens)
    if UNK not in ids:
        return ids, Counter()
    unknown = Counter(token for token, id in zip(tokens, ids, strict=True) if id == UNK)
    return vocabulary.encode_inputs(tokens, extra), unknown


def _in_pairs(
    progress: Callable[[int], None] | None, done: int, read: int, sentences: int
) -> Callable[[int], None] | None:
    """Progress in pairs, from `done` to `read`, to be told of sentences."""
    return progress and (lambda scored: progress(done + (read - done) * scored // sentences))


def _result(tallies: Mapping[str, _Tally], unknown: Counter[str]) -> Comparison:
    groups = [
        GroupResult(group, *_accuracy(tally.successes, tally.pairs), tally.pairs, tally.left_out)
        for group, tally in tallies.items()
    ]
    accuracies = [group.accuracy for group in groups if group.accuracy is not None]
    pairs = sum(tally.pairs for tally in tallies.values())
    return Comparison(
        groups,
        *_accuracy(sum(tally.successes for tally in tallies.values()), pairs),
        mean_accuracy=math.fsum(accuracies) / len(accuracies) if accuracies else None,
        pairs=pairs,
        left_out=sum(tally.left_out for tally in tallies.values()),
        ties=sum(tally.ties for tally in tallies.values()),
        unknown=unknown.most_common(_UNKNOWN),
    )


def _accuracy(successes: int, pairs: int) -> tuple[float | None, float | None, float | None]:
    return (successes / pairs, *wilson_interval(successes, pairs)) if pairs else (None, None, None)
