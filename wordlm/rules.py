"""What a text must and must not hold: the words of a `SamplingConfig` as ids, checked against the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wordlm.config import SamplingConfig
from wordlm.constraints import Constraints, holds
from wordlm.errors import OptionError
from wordlm.prompts import read_prompt
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, UNK, Vocabulary


@dataclass(frozen=True)
class Rules:
    """The same for every text of a call.

    Attributes:
        config: how texts are made.
        vocabulary: the model's words.
        lowercase: whether the model's words are folded.
        never: ids that are never drawn, ascending.
        banned: banned phrases of more than one word.
        start: the first words.
        end: the last words.
        include: phrases that each text holds.
        stop: ids that end a text.
        strangers: words to ban or to stop at that the model does not know, so that they do nothing.
    """

    config: SamplingConfig
    vocabulary: Vocabulary
    lowercase: bool
    never: np.ndarray
    banned: tuple[tuple[int, ...], ...]
    start: tuple[int, ...]
    end: tuple[int, ...]
    include: tuple[tuple[int, ...], ...]
    stop: frozenset[int]
    strangers: tuple[str, ...]

    @property
    def is_searched(self) -> bool:
        """Whether texts must be searched for, as they cannot be drawn word by word."""
        return bool(self.config.beams or self.include or self.end)


def read_rules(config: SamplingConfig, tokenizer: Tokenizer, vocabulary: Vocabulary) -> Rules:
    """The rules of a config for a model.

    Raises:
        OptionError: a word to include, to start or to end with that the model does not know; rules that contradict
            each other; more words than fit into a text.

    Example:
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "very", "Very", "dark"])
        >>> rules = read_rules(SamplingConfig(ban=("very",), include=("dark",)), Tokenizer(), vocabulary)
        >>> rules.never.tolist(), rules.include
        ([0, 1, 3, 4], ((5,),))
    """

    def read(text: str) -> tuple[int, ...]:
        return tuple(read_prompt(text, tokenizer, vocabulary).ids)

    bans = {word: [read(form) for form in (word, _capitalized(word))] for word in config.ban}
    known = dict.fromkeys(ids for forms in bans.values() for ids in forms if UNK not in ids)
    never = {PAD, *([UNK] if config.no_unk else []), *(ids[0] for ids in known if len(ids) == 1)}
    stops = {word: read(word) for word in config.stop}
    for word, ids in stops.items():
        if len(ids) > 1:
            raise OptionError(f"`stop` takes single words, but {word!r} is {len(ids)} to the model; give one of them")
    required = {"include": config.include, "start_with": (config.start_with,), "end_with": (config.end_with,)}
    found = {name: tuple(_required(name, text, tokenizer, vocabulary) for text in texts if text.strip())
             for name, texts in required.items()}  # fmt: skip
    rules = Rules(
        config=config,
        vocabulary=vocabulary,
        lowercase=tokenizer.config.lowercase,
        never=np.array(sorted(never), np.intp),
        banned=tuple(ids for ids in known if len(ids) > 1),
        start=next(iter(found["start_with"]), ()),
        end=next(iter(found["end_with"]), ()),
        include=tuple(dict.fromkeys(found["include"])),
        stop=frozenset(ids[0] for ids in stops.values() if ids[0] != UNK),
        strangers=(
            *(word for word, forms in bans.items() if all(UNK in ids for ids in forms)),
            *(word for word, ids in stops.items() if UNK in ids),
        ),
    )
    _check(rules, never)
    return rules


def _capitalized(text: str) -> str:
    """The text with its first letter as a capital, the others as they are."""
    place = next((place for place, character in enumerate(text) if character.isalpha()), 0)
    return text[:place] + text[place : place + 1].upper() + text[place + 1 :]


def _required(name: str, text: str, tokenizer: Tokenizer, vocabulary: Vocabulary) -> tuple[int, ...]:
    prompt = read_prompt(text, tokenizer, vocabulary)
    for token in prompt.unknown:
        variants = [word for word in (token.lower(), token.capitalize(), token.upper()) if word in vocabulary]
        hint = f"; it knows {variants[0]!r}" if variants else "; give another one"
        raise OptionError(f"`{name}` must be words that the model knows, but it does not know {token!r}{hint}")
    return tuple(prompt.ids)


def _check(rules: Rules, never: set[int]) -> None:
    """Refuses what no text can fulfil, before any is tried."""
    config, word = rules.config, rules.vocabulary
    required = (rules.start, rules.end, *rules.include)
    if any(EOS in ids for ids in (rules.stop, never, *required)):
        raise OptionError(
            "<eos>, the end of a paragraph, is no word to ban, to stop at or to include; `sentences` and `min_words` "
            "say where a text ends"
        )
    for name, phrases in (("include", rules.include), ("start_with", (rules.start,)), ("end_with", (rules.end,))):
        for phrase in phrases:
            for what, ids in (("ban", never), ("stop", rules.stop)):
                if clash := [id for id in phrase if id in ids]:
                    what = "no_unk" if clash[0] == UNK and config.no_unk else what
                    raise OptionError(
                        f"`{name}` and `{what}` contradict each other: both have {word[clash[0]]!r}; leave one out"
                    )
            for banned in rules.banned:
                if holds(phrase, banned):
                    what = " ".join(word.decode(banned))
                    raise OptionError(f"`{name}` and `ban` contradict each other: both have {what!r}; leave one out")
    if len(word) - len(never | rules.stop) < 2:
        names = "`ban` and `stop` leave" if rules.stop else "`ban` leaves"
        raise OptionError(f"{names} no word of the model's {len(word):,} to write with; give fewer")
    needed = len(rules.start)
    if rules.include or rules.end:
        constraints = Constraints(rules.include, rules.end)
        progress = constraints.start
        for id in rules.start:
            progress = constraints.advance(progress, id)
        needed += constraints.missing(progress)
    if needed > config.max_words:
        raise OptionError(
            f"`max_words` must leave room for the words to include, to start and to end with, which are {needed}, "
            f"but is {config.max_words}"
        )
