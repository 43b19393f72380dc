"""Texts that cannot be drawn word by word: the likeliest ones, and those that must hold or end with some words.

One search for both. Hypotheses grow side by side, a word at a step, in banks: a bank holds those that lack equally
many words of what is asked for. So one that has just placed a word, which is seldom likely, does not stand against
those that have not (Hokamp and Liu 2017, "Lexically constrained decoding for sequence generation using grid beam
search"; Post and Vilar 2018, "Fast lexically constrained decoding with dynamic beam allocation").

Without a random generator, each bank keeps the likeliest hypotheses: beam search. With one, it keeps a sample whose
weights stand for all: a particle filter that looks at every continuation (Fearnhead and Clifford 2003; for language
models Lew et al. 2023, "Sequential Monte Carlo steering of large language models using probabilistic programs").
One of the finished texts is drawn by the weights. The wider the banks, the nearer this comes to drawing texts as
usual until one holds all words; with banks wide enough for every hypothesis, it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from wordlm.constraints import Constraints, Progress
from wordlm.draft import Draft
from wordlm.engine import Engine
from wordlm.errors import WordlmError
from wordlm.restrictions import restrict
from wordlm.sampling import apply_temperature, filter_logprobs, normalize
from wordlm.selection import best, resample
from wordlm.vocab import EOS, PAD

# Hypotheses in a bank where no width is given. They share the rows, down to the least.
_WIDTH, _ROWS, _LEAST = 16, 96, 4
# Drawn texts that lack nothing any more only go on: this part of a bank is enough.
_LAST = 8


@dataclass
class Found:
    """A finished text.

    Attributes:
        ids: its words.
        probabilities: the model's own of each word, before the rules and any filter.
        finish_reason: "end_with" if the rules say how it ends; or that of the draft.
        score: the mean log-probability, after the rules, of its words and of the one that ended it, if one did.
        draft: the text as the rules see it.
    """

    ids: list[int]
    probabilities: list[float]
    finish_reason: str
    score: float
    draft: Draft


def search(
    engine: Engine,
    prompt_ids: Sequence[int],
    draft: Draft,
    rng: np.random.Generator | None = None,
    n: int = 1,
    width: int | None = None,
) -> list[Found]:
    """Finds texts that keep the draft's rules, hold all phrases to include and end with the words to end with.

    A phrase counts wherever its words follow on each other, even where the model writes them by itself. A text that
    must end with some words is finished where `<eos>` would come next, whose probability belongs to its own.

    Drawn texts are those of the filters, from whose cuts (top-k and so on) words that are needed next are exempt.
    The likeliest texts are those with the highest `score`: a sum alone would prefer short ones (Wu et al. 2016,
    "Google's neural machine translation system", section 7, with the exponent 1). The search for them is over when
    no hypothesis can come to a better one.

    Args:
        engine: the network.
        prompt_ids: ids read before the first word, behind the `<eos>` that opens every text.
        draft: an empty text.
        rng: draws the texts; None, or the temperature 0: the likeliest ones.
        n: texts, at most.
        width: hypotheses in a bank; None: `beams`, or a number that does for a text.

    Returns:
        Different texts, the best first; of drawn ones, the first drawn.

    Raises:
        WordlmError: no such text was found.

    Example:
        >>> from wordlm.config import ModelConfig, SamplingConfig
        >>> from wordlm.layout import weight_shapes
        >>> from wordlm.prompts import read_prompt
        >>> from wordlm.rules import read_rules
        >>> from wordlm.tokenizer import Tokenizer
        >>> from wordlm.vocab import Vocabulary
        >>> config = ModelConfig(vocab_size=6, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> vocabulary, options = Vocabulary(["<pad>", "<unk>", "<eos>", "very", "dark", "night"]), SamplingConfig
        >>> config = SamplingConfig(include=("dark night",), end_with="very", beams=4, max_words=3)
        >>> draft = Draft(read_rules(config, Tokenizer(), vocabulary), read_prompt("", Tokenizer(), vocabulary))
        >>> vocabulary.decode(search(engine, [], draft)[0].ids)
        ['dark', 'night', 'very']
    """
    return _Search(engine, draft, rng, n, width).run(prompt_ids)


@dataclass(frozen=True)
class _Hypothesis:
    """A text that is not finished.

    `logprob` is that of its words after the rules. `weight`, a logarithm too, is the same for the likeliest texts;
    for drawn ones it says how much of the distribution the text stands for.
    """

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    logprob: float
    weight: float
    draft: Draft
    progress: Progress


@dataclass(frozen=True)
class _Offer:
    """A continuation of one hypothesis, the row of the batch, by one word."""

    row: int
    id: int
    logprob: float


class _Search:
    def __init__(
        self, engine: Engine, draft: Draft, rng: np.random.Generator | None, n: int, width: int | None
    ) -> None:
        self.engine, self.draft, self.n = engine, draft, n
        self.rules, self.config = draft.rules, draft.rules.config
        self.rng = rng if self.config.temperature else None
        self.width = width or self.config.beams or None
        self.cuts = self.config.replace(temperature=1.0) if self.rng else None
        self.is_ended_by_words = bool(self.config.sentences or self.rules.stop)
        self.constraints = Constraints(self.rules.include, self.rules.end)
        self.closest = self.constraints.start
        self.finished: dict[tuple[int, ...], tuple[float, Found]] = {}

    def run(self, prompt_ids: Sequence[int]) -> list[Found]:
        *before, last = EOS, *prompt_ids
        state = self.engine.read(np.array([before])) if before else self.engine.initial_state(1)
        hypotheses = [_Hypothesis((), (), 0.0, 0.0, self.draft, self.constraints.start)]
        ids = [last]
        while hypotheses:
            own, state = self.engine.step(np.array(ids), state)
            grown = self._grow(hypotheses, own)
            hypotheses = [hypothesis for _, hypothesis in grown]
            if not hypotheses or self._is_decided(hypotheses):
                break
            state = state.select([row for row, _ in grown])
            ids = [hypothesis.ids[-1] for hypothesis in hypotheses]
        if not self.finished:
            raise WordlmError(self._failure())
        return [found for _, found in sorted(self.finished.values(), key=itemgetter(0))]

    def _grow(self, hypotheses: list[_Hypothesis], own: np.ndarray) -> list[tuple[int, _Hypothesis]]:
        """The hypotheses of one more word that are kept, each with the row that it comes from."""
        ruled, logprobs, uncut = self._distributions(hypotheses, own)
        room = self.config.max_words - len(hypotheses[0].ids) - 1  # all are of the same length
        banks: dict[int, tuple[list[int], list[_Offer]]] = {}

        def bank(hypothesis: _Hypothesis, id: int) -> tuple[list[int], list[_Offer]]:
            missing = self.constraints.missing(self.constraints.advance(hypothesis.progress, id))
            # The next word may be one that shows that the text is finished without it.
            may_end = self.is_ended_by_words and not self.constraints.missing(hypothesis.progress)
            # Where there is no room for what is missing, offers are thrown away.
            return banks.setdefault(missing, ([], [])) if missing <= room or may_end else ([], [])

        def logprob_of(row: int, id: int, needed: bool) -> float:
            cut = logprobs[row, id] == -np.inf
            return float(uncut[row, id] if cut and needed else logprobs[row, id])

        for row, hypothesis in enumerate(hypotheses):
            if self.rules.end or not self.config.sentences:
                offer = _Offer(row, EOS, logprob_of(row, EOS, bool(self.rules.end)))
                if self._end(hypothesis, offer, ruled) or not self.config.sentences:
                    logprobs[row, EOS] = -np.inf
            if hypothesis.draft.finished:
                continue
            for id in self.constraints.needed(hypothesis.progress):
                offer = _Offer(row, id, logprob_of(row, id, True))
                bank(hypothesis, id)[1].append(offer)
                logprobs[row, id] = -np.inf
            bank(hypothesis, PAD)[0].append(row)

        grown: list[tuple[int, _Hypothesis]] = []
        for missing in sorted(banks):
            rows, offers = banks[missing]
            capacity = self.width or max(_LEAST, min(_WIDTH, _ROWS // len(banks)))
            if self.rng and not missing:
                capacity = max(self.n, capacity // _LAST)
            full = len(grown) + capacity
            for offer, weight in self._choose(hypotheses, logprobs, rows, offers, capacity):
                longer = self._extend(hypotheses[offer.row], offer, weight, own, ruled)
                if longer:
                    grown.append((offer.row, longer))
                if len(grown) == full:
                    break
        return grown

    def _distributions(
        self, hypotheses: list[_Hypothesis], own: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """After the rules; what words are chosen by; and the same before top-k and the other cuts."""
        ruled = np.array(own, np.float32)
        restrict(ruled, [hypothesis.draft for hypothesis in hypotheses])
        # Where no word may come, padding, which is none, keeps the row a distribution.
        ruled[ruled.max(axis=1) == -np.inf, PAD] = 0
        if self.cuts is None:
            uncut = logprobs = ruled.copy()
        else:
            # Not at 1: that leaves the rows as they are.
            temperature = self.config.temperature
            uncut = normalize(ruled) if temperature == 1 else apply_temperature(ruled, temperature)
            logprobs = filter_logprobs(uncut, self.cuts)
        logprobs[:, PAD] = -np.inf
        return ruled, logprobs, uncut

    def _choose(
        self, hypotheses: list[_Hypothesis], logprobs: np.ndarray, rows: list[int], offers: list[_Offer], capacity: int
    ) -> list[tuple[_Offer, float]]:
        """Offers for a bank, with their weights: of the likeliest ones, the first, more than can be kept."""
        weights = np.array([hypothesis.weight for hypothesis in hypotheses])
        top = weights[[*rows, *(offer.row for offer in offers)]].max()
        weights -= top
        table = logprobs[rows] + weights[rows, np.newaxis].astype(np.float32)
        singles = np.array([weights[offer.row] + offer.logprob for offer in offers])
        if self.rng:
            places, floor = resample(table, singles, capacity, self.rng)
        else:
            # Some will turn out to be finished.
            places, floor = best(table, singles, 2 * capacity), -np.inf
        chosen = []
        for place in places.tolist():
            if place < table.size:
                row, id = divmod(place, table.shape[1])
                offer = _Offer(rows[row], id, float(logprobs[rows[row], id]))
            else:
                offer = offers[place - table.size]
            chosen.append((offer, top + max(weights[offer.row] + offer.logprob, floor)))
        return chosen

    def _extend(
        self, hypothesis: _Hypothesis, offer: _Offer, weight: float, own: np.ndarray, ruled: np.ndarray
    ) -> _Hypothesis | None:
        """The hypothesis with one more word; None if it is finished, or cannot fulfil all any more."""
        draft = hypothesis.draft.copy()
        logprob = hypothesis.logprob + float(ruled[offer.row, offer.id])
        if not draft.add(offer.id):
            self._finish(hypothesis, draft, logprob, weight, len(hypothesis.ids) + 1)
            return None
        progress = self.constraints.advance(hypothesis.progress, offer.id)
        self.closest = min(self.closest, progress, key=self.constraints.missing)
        longer = _Hypothesis(
            ids=(*hypothesis.ids, offer.id),
            probabilities=(*hypothesis.probabilities, float(np.exp(own[offer.row, offer.id]))),
            logprob=logprob,
            weight=weight,
            draft=draft,
            progress=progress,
        )
        # What must end with something must still be ended by <eos>.
        if draft.finished and not self.rules.end:
            self._finish(longer, draft, logprob, weight, len(longer.ids))
            return None
        has_room = self.constraints.missing(progress) <= self.config.max_words - len(longer.ids)
        return longer if has_room else None

    def _end(self, hypothesis: _Hypothesis, offer: _Offer, ruled: np.ndarray) -> bool:
        """Whether <eos> ends the text here; if so, it is finished."""
        if self.constraints.missing(hypothesis.progress) or offer.logprob == -np.inf:
            return False
        draft = hypothesis.draft.copy()
        if not draft.finished and draft.add(EOS):
            return False
        logprob = hypothesis.logprob + float(ruled[offer.row, EOS])
        self._finish(hypothesis, draft, logprob, hypothesis.weight + offer.logprob, len(hypothesis.ids) + 1)
        return True

    def _finish(self, hypothesis: _Hypothesis, draft: Draft, logprob: float, weight: float, count: int) -> None:
        """Keeps the text of a hypothesis, if it lacks nothing and is one of the n best so far."""
        if self.constraints.missing(hypothesis.progress):
            return
        if self.rules.end:
            draft.finish_reason = "end_with"
        score = logprob / count
        found = Found(list(hypothesis.ids), list(hypothesis.probabilities), draft.finish_reason, score, draft)
        # The race of exponentials, one for each way in which a text ends, draws by the weights: the first ones win.
        key = np.log(self.rng.standard_exponential()) - weight if self.rng else -score
        known = self.finished.get(hypothesis.ids)
        if known is None or key < known[0]:
            self.finished[hypothesis.ids] = key, found
        if len(self.finished) > self.n:
            del self.finished[max(self.finished, key=lambda ids: self.finished[ids][0])]

    def _is_decided(self, hypotheses: list[_Hypothesis]) -> bool:
        """Whether no hypothesis can come to one of the n best scores, not even if it went on with certainty."""
        if self.rng or len(self.finished) < self.n:
            return False
        worst = max(key for key, _ in self.finished.values())
        return -max(hypothesis.logprob for hypothesis in hypotheses) / (self.config.max_words + 1) >= worst

    def _failure(self) -> str:
        unmet = self.constraints.unmet(self.closest)
        words = ", ".join(repr(" ".join(self.rules.vocabulary.decode(phrase))) for phrase in unmet)
        what = f"in which {words} could be placed" if unmet else "that keeps all rules"
        return (
            f"no text of at most {self.config.max_words} words was found {what}; give more `max_words`, or fewer words "
            "to include, to end with or to ban"
        )
