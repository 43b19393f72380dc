"""A text in the making: which words may come next, which must, and when it is finished."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import TYPE_CHECKING

from wordlm.prompts import Prompt
from wordlm.rules import Rules
from wordlm.vocab import EOS, SPECIALS

if TYPE_CHECKING:
    from wordlm.novelty import CopyTracker

_SENTENCE_ENDS = frozenset([".", "!", "?", "…", "...", "....", "。", "！", "？", "؟", "।", "॥", "۔", "።", "։"])
_CLOSING = frozenset(["''", "”", "’", "»", ")", "]", "」", "』", "）"])
_ALIKE = ('"', "'")  # quotation marks that open and close
# Words that the repetition penalty looks back on. All words of a long text would leave it without "the".
_RECENT = 64


class Draft:
    """Takes the words of one text as they are drawn. It keeps only what its rules ask for, not the text.

    Args:
        rules: what holds for every text.
        prompt: what the text goes on from.
        copies: watches over words that are copied from another text; None: nobody does.

    Attributes:
        count: words so far.
        finish_reason: why the text is finished: "eos" (the end of its paragraph), "sentences", "stop", "max_words";
            empty while it is not.
    """

    def __init__(self, rules: Rules, prompt: Prompt, copies: CopyTracker | None = None) -> None:
        self.rules, self.copies = rules, copies
        self.count = 0
        self.finish_reason = ""
        self._sentences = 0
        self._last = prompt.tokens[-1] if prompt.tokens else SPECIALS[EOS]
        # The marks, and what may close behind them, that end the sentence unless it goes on in lower case.
        self._is_over = False
        self._open = {mark: prompt.tokens.count(mark) % 2 == 1 for mark in _ALIKE}
        self._recent = deque(prompt.ids, maxlen=max([_RECENT, *map(len, rules.banned)]))
        # Words that came after each run of n - 1 words.
        self._followers: dict[tuple[int, ...], tuple[int, ...]] = {}
        if rules.config.no_repeat_ngram:
            self._tail: tuple[int, ...] = ()
            for id in prompt.ids:
                self._remember(id)

    @property
    def finished(self) -> bool:
        return bool(self.finish_reason)

    @property
    def recent(self) -> list[int]:
        """The last 64 words, the prompt's too."""
        return list(self._recent)[-_RECENT:]

    def copy(self) -> Draft:
        """Another one that goes its own way from here."""
        other = copy(self)
        other._open, other._recent, other._followers = self._open.copy(), self._recent.copy(), self._followers.copy()
        other.copies = self.copies and self.copies.copy()
        return other

    def required(self) -> int | None:
        """The id that must come next, if only one may."""
        return self.rules.start[self.count] if self.count < len(self.rules.start) else None

    def forbidden(self) -> list[int]:
        """Ids that may not come next, beside those that never may."""
        rules, config = self.rules, self.rules.config
        ids: list[int] = []
        # A text of no words is none: the prompt goes on, and a paragraph does not end before it has begun.
        if not self.count or (self.count < config.min_words and not config.sentences):
            ids.append(EOS)
        if self.count < max(config.min_words, 1):
            ids += rules.stop
        last = self._recent[-1] if self._recent else EOS
        for phrase in rules.banned:
            # The first comparison is for speed.
            if phrase[-2] == last and tuple(self._recent)[1 - len(phrase) :] == phrase[:-1]:
                ids.append(phrase[-1])
        if config.no_repeat_ngram and len(self._tail) == config.no_repeat_ngram - 1:
            ids += self._followers.get(self._tail, ())
        if self.copies:
            ids += self.copies.forbidden()
        return ids

    def add(self, id: int) -> bool:
        """Takes the next word.

        Returns:
            Whether it belongs to the text. A word that shows that the text was finished before it does not.
        """
        config = self.rules.config
        if id in self.rules.stop:
            self.finish_reason = "stop"
            return False
        token = self.rules.vocabulary[id]
        enough = self.count >= max(config.min_words, len(self.rules.start))
        if not config.sentences:
            if id == EOS:
                self.finish_reason = "eos"
                return False
        elif self._ends_sentence(token):
            self._sentences += 1
            if self._sentences >= config.sentences and enough:
                self.finish_reason = "sentences"
                return False
        self._append(id, token)
        if self.count == config.max_words:
            complete = self._is_over and self._sentences + 1 >= config.sentences > 0
            self.finish_reason = "sentences" if complete else "max_words"
        return True

    def _ends_sentence(self, token: str) -> bool:
        """Whether the sentence before this token has come to its end."""
        if token == SPECIALS[EOS]:
            return self._last != SPECIALS[EOS]
        if not self._is_over or token in _SENTENCE_ENDS or token in _CLOSING or self._open.get(token, False):
            return False
        # "Yes!" said he.
        self._is_over = self.rules.lowercase or not token[0].islower()
        return self._is_over

    def _append(self, id: int, token: str) -> None:
        if id == EOS:
            self._open = dict.fromkeys(_ALIKE, False)
            self._is_over = False
        elif token in _SENTENCE_ENDS:
            self._is_over = True
        elif token in self._open:
            self._is_over = self._is_over and self._open[token]
            self._open[token] = not self._open[token]
        elif token not in _CLOSING:
            self._is_over = False
        self._last = token
        self.count += 1
        self._recent.append(id)
        if self.rules.config.no_repeat_ngram:
            self._remember(id)
        if self.copies:
            self.copies.add(id)

    def _remember(self, id: int) -> None:
        length = self.rules.config.no_repeat_ngram - 1
        if len(self._tail) == length:
            self._followers[self._tail] = (*self._followers.get(self._tail, ()), id)
        self._tail = (*self._tail, id)[-length:]
