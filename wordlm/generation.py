"""From an engine to text: the loop that draws words, and what comes out of it.

Three layers and one loop: `sample` draws words for many drafts at once, `generate` makes finished texts of them,
and `stream` gives one text away piece by piece. What must be searched for rather than drawn goes to `search`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from wordlm.config import SamplingConfig
from wordlm.draft import Draft
from wordlm.drawing import choose
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.prompts import read_prompt
from wordlm.restrictions import restrict
from wordlm.rules import Rules, read_rules
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, Vocabulary
from wordlm.writer import pieces, write

if TYPE_CHECKING:
    from wordlm.novelty import CopyIndex

# Texts that run through the engine side by side. Finished ones make room for further ones, an eighth at a time:
# each change of the batch copies its state.
BATCH_SIZE = 256
_REFILL = BATCH_SIZE // 8


@dataclass(frozen=True)
class Word:
    """A generated token, and its probability under the model before any filter."""

    word: str
    probability: float


@dataclass
class GeneratedText:
    """A finished text."""

    text: str
    """The prompt as it was typed, and the continuation."""
    words: list[Word] = field(default_factory=list)
    """The continuation alone, as tokens; a token `<eos>` is the end of a paragraph within the text."""
    finish_reason: str = "max_words"
    """Why it ended: "eos" (end of a paragraph), "sentences", "stop", "end_with" or "max_words"."""
    longest_copy: int | None = None
    """Words in a row, at most, that it has in common with the texts it was to differ from; None: with none."""


def generate(
    engine: Engine,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    prompt: str = "",
    config: SamplingConfig = SamplingConfig(),  # noqa: B008 (frozen)
    against: CopyIndex | None = None,
    n: int = 1,
) -> Iterator[GeneratedText]:
    """Makes `n` texts, each as soon as it and those before it are finished.

    With a seed, text number i is the same whatever n is. A text ends at the end of a paragraph, or after
    `config.sentences` sentences, where paragraphs may end within, or after `config.max_words` words.

    Args:
        engine: the network, or anything with its methods.
        tokenizer: how its text was split.
        vocabulary: its words.
        prompt: what the texts go on from, mid-sentence; empty for a new paragraph.
        config: how they are made.
        against: texts of which no more than a few words in a row may be copied.
        n: how many texts.

    Raises:
        OptionError: options that contradict each other or the vocabulary.
        WordlmError: words to include could not be placed.
    """
    if n < 1:
        raise OptionError(f"`n` must be at least 1, but is {n}")
    if config.beams and n > config.beams:
        raise OptionError(f"`beams` must be at least the number of texts, which is {n}, but is {config.beams}")
    start = read_prompt(prompt, tokenizer, vocabulary)
    rules = read_rules(config, tokenizer, vocabulary)

    def draft() -> Draft:
        return Draft(rules, start, against.start() if against else None)

    def texts() -> Iterator[GeneratedText]:
        for one, ids, probabilities in _finished(engine, start.ids, draft, rules, n):
            words = [Word(vocabulary[id], probability) for id, probability in zip(ids, probabilities, strict=True)]
            text = write(start, [word.word for word in words], tokenizer)
            yield GeneratedText(text, words, one.finish_reason, one.copies and one.copies.longest)

    # Not a generator itself, so that errors come at the call.
    return texts()


def stream(
    engine: Engine,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    prompt: str = "",
    config: SamplingConfig = SamplingConfig(),  # noqa: B008 (frozen)
    against: CopyIndex | None = None,
) -> Iterator[str]:
    """One text of `generate` in pieces, as its words are drawn: joined together they are its text.

    The prompt comes first. Marks wait for the next word, which decides where spaces stand. No word is kept longer
    than needed, so that a text may have millions. A text that is searched for comes in one piece.
    """
    rules = read_rules(config, tokenizer, vocabulary)
    if rules.is_searched:
        return (text.text for text in generate(engine, tokenizer, vocabulary, prompt, config, against))
    start = read_prompt(prompt, tokenizer, vocabulary)
    draft = Draft(rules, start, against.start() if against else None)
    drawn = sample(engine, start.ids, zip([draft], _generators(config.seed, 1), strict=True), config)
    return pieces(start, (vocabulary[id] for ((_, id, _),) in drawn if id is not None), tokenizer)


def sample(
    engine: Engine,
    prompt: Sequence[int],
    texts: Iterable[tuple[Draft, np.random.Generator]],
    config: SamplingConfig,
) -> Iterator[list[tuple[Draft, int | None, float]]]:
    """The loop: draws a word for each text in the batch, until all texts are finished.

    Args:
        engine: the network.
        prompt: ids read before the first draw, behind the `<eos>` that opens every text.
        texts: empty drafts, and a random generator for each, so that a text does not depend on those beside it.
            Taken up when there is room in the batch.
        config: how words are drawn.

    Yields:
        For each text of the batch: its draft, which has taken the word already; the word's id, or None if it is no
        part of the text; its probability under the model, before any filter.
    """
    *before, last = EOS, *prompt
    opening = engine.read(np.array([before])) if before else engine.initial_state(1)
    waiting = iter(texts)
    drafts: list[Draft] = []
    rngs: list[np.random.Generator] = []
    ids, state = np.empty(0, np.intp), None
    while True:
        if len(drafts) <= BATCH_SIZE - _REFILL:
            new = list(islice(waiting, BATCH_SIZE - len(drafts)))
            if new:
                fresh = opening.select(np.zeros(len(new), np.intp))
                state = state.join(fresh) if state else fresh
                ids = np.append(ids, [last] * len(new))
                drafts += [draft for draft, _ in new]
                rngs += [rng for _, rng in new]
        if not drafts:
            return
        logprobs, state = engine.step(ids, state)
        # The penalty changes the numbers of words that may be drawn; all else only takes words away.
        own = logprobs.copy() if config.repetition_penalty > 1 else logprobs
        restrict(logprobs, drafts)
        ids = choose(logprobs, config, rngs)
        probabilities = np.exp(own[np.arange(len(ids)), ids])
        yield [
            (draft, id if draft.add(id) else None, probability)
            for draft, id, probability in zip(drafts, ids.tolist(), probabilities.tolist(), strict=True)
        ]
        keep = [row for row, draft in enumerate(drafts) if not draft.finished]
        if len(keep) < len(drafts):
            drafts, rngs = [drafts[row] for row in keep], [rngs[row] for row in keep]
            ids, state = ids[keep], state.select(keep) if keep else None


def _finished(
    engine: Engine, prompt: Sequence[int], draft: Callable[[], Draft], rules: Rules, n: int
) -> Iterator[tuple[Draft, list[int], list[float]]]:
    """The finished drafts in their order, with their ids and probabilities."""
    config, rngs = rules.config, _generators(rules.config.seed, n)
    if rules.is_searched:
        from wordlm.search import search  # most texts are drawn, and start without it

        if config.beams:
            texts = iter(search(engine, prompt, draft(), None, n))
        else:
            texts = (search(engine, prompt, draft(), rng)[0] for rng in rngs)
        for found in texts:
            yield found.draft, found.ids, found.probabilities
    else:
        unfinished: dict[Draft, tuple[list[int], list[float]]] = {}

        def started() -> Iterator[tuple[Draft, np.random.Generator]]:
            for rng in rngs:
                unfinished[new := draft()] = [], []
                yield new, rng

        for drawn in sample(engine, prompt, started(), config):
            for one, id, probability in drawn:
                if id is not None:
                    unfinished[one][0].append(id)
                    unfinished[one][1].append(probability)
            while unfinished and (first := next(iter(unfinished))).finished:
                yield first, *unfinished.pop(first)


def _generators(seed: int | None, n: int) -> Iterator[np.random.Generator]:
    """A generator a text; number i does not depend on n, and is made when its text begins."""
    entropy = np.random.SeedSequence(seed).entropy
    for number in range(n):
        yield np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(number,)))
