"""From an engine to text: the loop that draws words, the rules that end a text, and what comes out.

Three layers and one loop: `generate_ids` knows ids only, `generate` makes finished texts of them, and `stream`
gives one text away piece by piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wordlm.config import SamplingConfig, TextConfig
from wordlm.drawing import choose
from wordlm.engine import Engine
from wordlm.sampling import exclude
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Vocabulary

# Texts that run through the engine side by side; more of them come in further batches.
BATCH_SIZE = 64
_SENTENCE_ENDS = frozenset([".", "!", "?", "…", "...", "....", "。", "！", "？", "؟", "।", "॥", "۔", "።", "։"])
_CLOSING = frozenset(["''", "”", "’", "»", ")", "]", "」", "』", "）"])
_ALIKE = ('"', "'")  # quotation marks that open and close
# A paragraph begins outside of any quotation. The detokenizer, which takes any piece of text, learns it from this.
_OUTSIDE = ["(", '"', "'", "x", "'", '"', ")", "."]
# Words of a paragraph that the spaces of its next word may depend on.
_MEMORY = 512


@dataclass(frozen=True)
class Prompt:
    """What a text goes on from: as typed, its tokens, their ids, and the words that the model does not know."""

    text: str
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
    """The prompt as it was typed, and the continuation."""
    words: list[Word] = field(default_factory=list)
    """The continuation alone, as tokens; a token `<eos>` is the end of a paragraph within the text."""
    finish_reason: str = "max_words"
    """Why it ended: "eos" (end of a paragraph), "sentences" or "max_words"."""


def read_prompt(text: str, tokenizer: Tokenizer, vocabulary: Vocabulary) -> Prompt:
    """The prompt as the model reads it; words that it does not know become `<unk>`.

    Straight and typographic quotation marks stand for each other where the model knows only one kind. A model of
    pretokenized text reads white-space tokens; what it does not know that way, `dark,` or `ill-fated` say, is split
    as its text was.

    Args:
        text: any text; its white space parts words, and no paragraph ends in it.
        tokenizer: how the model's text was split.
        vocabulary: the model's words.

    Example:
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "a", "dark"])
        >>> prompt = read_prompt("a dark knight", Tokenizer(), vocabulary)
        >>> prompt.ids, prompt.unknown
        ([3, 4, 1], ['knight'])
    """
    tokens: list[str] = []
    for token in tokenizer.tokenize(_own_marks(text, vocabulary)):
        known = token in vocabulary or tokenizer.config.kind != "pretokenized"
        tokens += [token] if known else _split_further(token, tokenizer.config, vocabulary)
    unknown = [token for token in tokens if token not in vocabulary]
    return Prompt(text.rstrip(), tokens, vocabulary.encode(tokens), list(dict.fromkeys(unknown)))


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
        drafts = [_Draft(vocabulary, start, config, tokenizer.config) for _ in batch]
        for rows, ids, probabilities in generate_ids(engine, start.ids, batch, config, drafts):
            for row, id, probability in zip(rows, ids.tolist(), probabilities.tolist(), strict=True):
                drafts[row].add(id, probability)
        for draft in drafts:
            text = "".join(_pieces(start, iter(draft.words), tokenizer))
            yield GeneratedText(text, draft.words, draft.finish_reason)


def stream(
    engine: Engine,
    vocabulary: Vocabulary,
    tokenizer: Tokenizer,
    prompt: str = "",
    config: SamplingConfig = SamplingConfig(),  # noqa: B008 (frozen)
) -> Iterator[str]:
    """One text of `generate` in pieces, as its words are drawn: joined together they are its text.

    The prompt comes first. Marks wait for the next word, which decides where spaces stand.
    """
    start = read_prompt(prompt, tokenizer, vocabulary)
    draft = _Draft(vocabulary, start, config, tokenizer.config)

    def words() -> Iterator[Word]:
        for _, ids, probabilities in generate_ids(engine, start.ids, _generators(config.seed, 1), config, [draft]):
            known = len(draft.words)
            draft.add(int(ids[0]), float(probabilities[0]))
            yield from draft.words[known:]

    yield from _pieces(start, words(), tokenizer)


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
    first = True
    while len(rows):
        # A text of no words is none: the prompt goes on, and a paragraph does not end before it has begun.
        allowed = exclude(logprobs, [*never, EOS] if first else never)
        first = False
        ids = choose(allowed, config, [rngs[row] for row in rows])
        yield rows, ids, np.exp(logprobs[np.arange(len(rows)), ids])
        keep = np.array([i for i, row in enumerate(rows) if not drafts[row].finished], int)
        if len(keep) < len(rows):
            rows, ids, state = rows[keep], ids[keep], state.select(keep)
        if len(rows):
            logprobs, state = engine.step(ids, state)


class _Draft:
    """A text in the making: takes tokens and knows when it is finished."""

    def __init__(self, vocabulary: Vocabulary, prompt: Prompt, config: SamplingConfig, text: TextConfig) -> None:
        self.vocabulary, self.config, self.lowercase = vocabulary, config, text.lowercase
        self.words: list[Word] = []
        self.finish_reason = ""
        self.sentences = 0
        self.last = prompt.tokens[-1] if prompt.tokens else SPECIALS[EOS]
        # The marks, and what may close behind them, that end the sentence unless it goes on in lower case.
        self.is_over = False
        self.open = {mark: prompt.tokens.count(mark) % 2 == 1 for mark in _ALIKE}

    @property
    def finished(self) -> bool:
        return bool(self.finish_reason)

    def add(self, id: int, probability: float) -> None:
        token = self.vocabulary[id]
        if not self.config.sentences:
            if id == EOS:
                self.finish_reason = "eos"
                return
        elif self._ends_sentence(token):
            self.sentences += 1
            if self.sentences == self.config.sentences:
                self.finish_reason = "sentences"
                return
        self._append(token, probability)
        if len(self.words) == self.config.max_words:
            complete = self.is_over and self.sentences + 1 == self.config.sentences
            self.finish_reason = "sentences" if complete else "max_words"

    def _ends_sentence(self, token: str) -> bool:
        """Whether the sentence before this token has come to its end."""
        if token == SPECIALS[EOS]:
            return self.last != SPECIALS[EOS]
        if not self.is_over or token in _SENTENCE_ENDS or token in _CLOSING or self.open.get(token, False):
            return False
        # "Yes!" said he.
        self.is_over = self.lowercase or not token[0].islower()
        return self.is_over

    def _append(self, token: str, probability: float) -> None:
        if token == SPECIALS[EOS]:
            self.open = dict.fromkeys(_ALIKE, False)
            self.is_over = False
        elif token in _SENTENCE_ENDS:
            self.is_over = True
        elif token in self.open:
            self.is_over = self.is_over and self.open[token]
            self.open[token] = not self.open[token]
        elif token not in _CLOSING:
            self.is_over = False
        self.last = token
        self.words.append(Word(token, probability))


def _generators(seed: int | None, n: int) -> list[np.random.Generator]:
    """A generator a text; number i does not depend on n."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]


def _pieces(prompt: Prompt, words: Iterator[Word], tokenizer: Tokenizer) -> Iterator[str]:
    """A text as written, piece by piece: the prompt as typed, then what each word adds; a line a paragraph.

    What is given stays: where a later mark makes the detokenizer think again about spaces before it, only the
    rest follows the new opinion.
    """
    if prompt.text:
        yield prompt.text
    line = list(prompt.tokens)
    given, anything = _as_written(line, tokenizer), bool(line)

    def rest() -> str:
        """What the line has beyond what is given."""
        nonlocal given
        text, before = _as_written(line, tokenizer), given
        given = text
        return text[len(before) :] if text.startswith(before) else text[_end_of(before, text) :]

    for word in words:
        if word.word == SPECIALS[EOS]:
            if piece := rest():
                yield piece
            line, given = [], ""
            continue
        if not line and anything:
            yield "\n"
        anything = True
        line.append(word.word)
        if any(map(str.isalnum, word.word)) and (piece := rest()):
            yield piece
            if len(line) > _MEMORY:
                line = line[-_MEMORY // 2 :]
                given = _as_written(line, tokenizer)
    if piece := rest():
        yield piece


def _as_written(line: list[str], tokenizer: Tokenizer) -> str:
    if not any(mark in line for mark in _ALIKE):
        return tokenizer.detokenize(line)
    text = tokenizer.detokenize([*_OUTSIDE, *line])
    return text[_end_of("".join(_OUTSIDE), text) :].lstrip()


def _end_of(before: str, text: str) -> int:
    """Where in `text` what `before` holds ends, if both are the same but for their spaces."""
    count = sum(not character.isspace() for character in before)
    for place, character in enumerate(text):
        if not count:
            return place
        count -= not character.isspace()
    return len(text)


def _own_marks(text: str, vocabulary: Vocabulary) -> str:
    """The text with the quotation marks and apostrophes that the model knows."""
    has = vocabulary.__contains__
    if has("’s") or has("”"):
        if not has('"'):
            text = re.sub(r'"(?=\w)', "“", text).replace('"', "”")
        if not has("'s"):
            text = text.replace("'", "’")
    else:
        text = text.translate(str.maketrans("“”‘’", "\"\"''"))
    return text


def _split_further(token: str, config: TextConfig, vocabulary: Vocabulary) -> list[str]:
    """A token that a model of pretokenized text does not know, as words and marks, if it knows any of these."""
    if "@-@" in vocabulary:
        # WikiText: ill @-@ fated, 10 @,@ 000, didn 't
        token = re.sub(r"(?<=\w)-(?=\w)|(?<=\d)[.,](?=\d)", r" @\g<0>@ ", token)
        token = re.sub(r"(?<=\w)'(?=\w)", " '", token)
    pieces = [
        piece
        for part in token.split()
        for piece in (
            [part] if part in vocabulary else Tokenizer(TextConfig(lowercase=config.lowercase)).tokenize(part)
        )
    ]
    return pieces if any(piece in vocabulary for piece in pieces) else [token]
