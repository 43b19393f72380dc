"""From an engine to text: the loop that draws words, the rules that end a text, and what comes out.

Three layers and one loop: `generate_ids` knows ids only, `generate` makes finished texts of them, and `stream`
gives one text away piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wordlm.config import SamplingConfig, TextConfig
from wordlm.engine import Engine
from wordlm.sampling import draw, exclude, filter_logprobs
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Vocabulary

# Texts that run through the engine side by side; more of them come in further batches.
BATCH_SIZE = 64
_SENTENCE_ENDS = frozenset([".", "!", "?", "…", "...", "。", "！", "？", "؟", "।", "।।", "?!", "!!", "??"])
_CLOSING = frozenset(["''", "”", "’", "»", ")", "]", "」", "』", "）"])


@dataclass(frozen=True)
class Prompt:
    """What a text goes on from: its tokens as typed, their ids, and the words that the model does not know."""

    tokens: list[str]
    ids: list[int]
    unknown: list[str]


@dataclass(frozen=True)
class Word:
    """A generated token, and its probability under the model before any filter."""

    word: str
    probability: float


@dataclass
class GeneratedText:
    """A finished text."""

    text: str
    """Prompt and continuation, as written."""
    words: list[Word] = field(default_factory=list)
    """The continuation alone, as tokens; a token `<eos>` is the end of a paragraph within the text."""
    finish_reason: str = "max_words"
    """Why it ended: "eos" (end of a paragraph), "sentences" or "max_words"."""


def read_prompt(text: str, tokenizer: Tokenizer, vocabulary: Vocabulary) -> Prompt:
    """The prompt as the model reads it; words that it does not know become `<unk>`.

    A model of pretokenized text reads white-space tokens. What it does not know that way, `dark,` say, is tried
    once more as words and punctuation marks.

    Example:
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "a", "dark"])
        >>> read_prompt("a dark knight", Tokenizer(), vocabulary)
        Prompt(tokens=['a', 'dark', 'knight'], ids=[3, 4, 1], unknown=['knight'])
    """
    tokens: list[str] = []
    for token in tokenizer.tokenize(text):
        if token not in vocabulary and tokenizer.config.kind == "pretokenized":
            pieces = Tokenizer(TextConfig(lowercase=tokenizer.config.lowercase)).tokenize(token)
            tokens += pieces if any(piece in vocabulary for piece in pieces) else [token]
        else:
            tokens.append(token)
    unknown = [token for token in tokens if token not in vocabulary]
    return Prompt(tokens, vocabulary.encode(tokens), list(dict.fromkeys(unknown)))


def generate(
    engine: Engine,
    vocabulary: Vocabulary,
    tokenizer: Tokenizer,
    prompt: str = "",
    n: int = 1,
    config: SamplingConfig = SamplingConfig(),  # noqa: B008 (frozen)
) -> Iterator[GeneratedText]:
    """Makes `n` texts, each as soon as it and those before it are finished.

    With a seed, text number i is the same whatever n is. A text ends at the end of a paragraph, or after
    `config.sentences` sentences, where paragraphs may end within, or after `config.max_words` words.

    Args:
        engine: the network.
        vocabulary: its words.
        tokenizer: how its text was split.
        prompt: what the texts go on from, mid-sentence; empty for a new paragraph.
        n: how many texts.
        config: how words are drawn.
    """
    start = read_prompt(prompt, tokenizer, vocabulary)
    rngs = _generators(config.seed, n)
    for first in range(0, n, BATCH_SIZE):
        batch = rngs[first : first + BATCH_SIZE]
        drafts = [_Draft(vocabulary, start.tokens, config) for _ in batch]
        for rows, ids, probabilities in generate_ids(engine, start.ids, batch, config, drafts):
            for row, id, probability in zip(rows, ids.tolist(), probabilities.tolist(), strict=True):
                drafts[row].add(id, probability)
        for draft in drafts:
            yield GeneratedText(_join(start.tokens + draft.tokens, tokenizer), draft.words, draft.finish_reason)


def stream(
    engine: Engine,
    vocabulary: Vocabulary,
    tokenizer: Tokenizer,
    prompt: str = "",
    config: SamplingConfig = SamplingConfig(),  # noqa: B008 (frozen)
) -> Iterator[str]:
    """One text of `generate`, its pieces as they come: joined together they are its text, the prompt first.

    A piece is held back by one word, because the next one decides whether a space stands between.
    """
    start = read_prompt(prompt, tokenizer, vocabulary)
    draft = _Draft(vocabulary, start.tokens, config)
    given = ""
    for _, ids, probabilities in generate_ids(engine, start.ids, _generators(config.seed, 1), config, [draft]):
        draft.add(int(ids[0]), float(probabilities[0]))
        text = _join((start.tokens + draft.tokens)[:-1], tokenizer)
        if text.startswith(given):
            yield text[len(given) :]
            given = text
    # A mark may have changed its side in the light of what followed; what was given away stays.
    text = _join(start.tokens + draft.tokens, tokenizer)
    yield text[len(given) :]


def generate_ids(
    engine: Engine,
    prompt: Sequence[int],
    rngs: Sequence[np.random.Generator],
    config: SamplingConfig,
    drafts: Sequence[_Draft],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The loop: draws a word for each text that is not finished, until all are.

    Args:
        engine: the network.
        prompt: ids read before the first draw, behind the `<eos>` that opens every text.
        rngs: a random generator a text, so that a text does not depend on those beside it.
        config: how words are drawn.
        drafts: the texts; a draft that is `finished` leaves the batch.

    Yields:
        rows (B,) of the unfinished texts, ids (B,) drawn for them, and their probabilities (B,) under the
        model, before any filter.
    """
    hidden, state = engine.hidden(np.array([[EOS, *prompt]]))
    logprobs = engine.logprobs(hidden[:, -1])
    rows = np.arange(len(rngs))
    logprobs, state = np.repeat(logprobs, len(rows), axis=0), state.select(np.zeros(len(rows), int))
    never = [PAD, *([UNK] if config.no_unk else [])]
    first = not prompt
    while len(rows):
        # A text of no words is none: a paragraph does not end before it has begun.
        allowed = exclude(logprobs, [*never, EOS] if first else never)
        first = False
        ids = draw(filter_logprobs(allowed, config), np.array([rngs[row].random() for row in rows]))
        yield rows, ids, np.exp(logprobs[np.arange(len(rows)), ids])
        keep = [i for i, row in enumerate(rows) if not drafts[row].finished]
        if len(keep) < len(rows):
            rows, ids, state = rows[keep], ids[keep], state.select(np.array(keep, int))
        if len(rows):
            logprobs, state = engine.step(ids, state)


class _Draft:
    """A text in the making: takes tokens and knows when it is finished."""

    def __init__(self, vocabulary: Vocabulary, prompt: list[str], config: SamplingConfig) -> None:
        self.vocabulary, self.config = vocabulary, config
        self.quotes = prompt.count('"')
        self.tokens: list[str] = []
        self.words: list[Word] = []
        self.finish_reason = ""
        self.sentences = 0

    @property
    def finished(self) -> bool:
        return bool(self.finish_reason)

    def add(self, id: int, probability: float) -> None:
        token = self.vocabulary[id]
        if self.config.sentences and self.sentences >= self.config.sentences:
            # The last sentence is over; a quotation mark or bracket that closes it still belongs to it.
            if token in _CLOSING or (token == '"' and self.quotes % 2):
                self._append(token, probability)
            self.finish_reason = "sentences"
            return
        if id == EOS and not self.config.sentences:
            self.finish_reason = "eos"
            return
        if token in _SENTENCE_ENDS or (id == EOS and self.tokens and self.tokens[-1] not in _SENTENCE_ENDS):
            self.sentences += 1
            if id == EOS and self.sentences >= self.config.sentences:
                self.finish_reason = "sentences"
                return
        self._append(token, probability)
        if len(self.words) >= self.config.max_words:
            self.finish_reason = "max_words"

    def _append(self, token: str, probability: float) -> None:
        self.quotes += token == '"'
        self.tokens.append(token)
        self.words.append(Word(token, probability))


def _generators(seed: int | None, n: int) -> list[np.random.Generator]:
    """A generator a text; number i does not depend on n."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]


def _join(tokens: list[str], tokenizer: Tokenizer) -> str:
    """The tokens as written, a line a paragraph."""
    lines: list[list[str]] = [[]]
    for token in tokens:
        if token == SPECIALS[EOS]:
            lines.append([])
        else:
            lines[-1].append(token)
    return "\n".join(tokenizer.detokenize(line) for line in lines if line)
