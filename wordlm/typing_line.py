"""A text that someone types with the likeliest next words in view: what each key does to it. No terminal is needed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from wordlm.prompts import read_prompt
from wordlm.suggestions import Suggester, Suggestion
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import Vocabulary
from wordlm.writer import write

# As many as Alt and a digit can pick.
MOST = 9
# Characters, some hundred words.
_FAR = 2000
# In WikiText, the hyphen of well-known is a word.
_HYPHEN = "@-@"
# Words are told from marks as in prose, whatever the model's text was like.
_SPLITTER = Tokenizer()


class TypingLine:
    """A text that grows and shrinks at its end, with suggestions for the word that is being typed.

    Args:
        suggester: what suggests.
        tokenizer: how the model's text was split.
        vocabulary: the model's words.
        k: how many suggestions, 1 to 9.
        path: where to save; empty: it is asked for.

    Attributes:
        text: what is written so far.
        marked: number of the suggestion that Tab picks, from 0.
        path: the file to save in.
        asked: what is typed of the file's name while it is asked for, else None.
        message: what there is to say, until the next key.

    Example:
        >>> line = TypingLine(Suggester(lm.engine, lm.tokenizer, lm.vocabulary), lm.tokenizer, lm.vocabulary)
        >>> for key in ["I", " ", "tab", "tab", "s", "tab", "."]:
        ...     _ = line.press(key)
        >>> line.text
        "I don't see."
    """

    def __init__(
        self, suggester: Suggester, tokenizer: Tokenizer, vocabulary: Vocabulary, *, k: int = 5, path: str = ""
    ) -> None:
        self._suggester, self._tokenizer, self._vocabulary, self._k = suggester, tokenizer, vocabulary, min(k, MOST)
        self.text, self.path, self.message, self.marked = "", path, "", 0
        self.asked: str | None = None
        # What undoes each change: from where on the text was another one, and which; and how it was made.
        self._changes: list[tuple[int, str, str]] = []
        self._saved: Path | None = None
        self._known: tuple[str, list[Suggestion]] | None = None

    @property
    def suggestions(self) -> list[Suggestion]:
        """The likeliest words that the word being typed may become, or next words if none is begun."""
        if self._known is None or self._known[0] != self.text:
            *before, _ = self.text.split("\n")
            context, prefix = self._parts()
            if self._is_joined(context):
                context = f"{context[:-1]} {_HYPHEN}"
            lines = [*filter(str.strip, before), context]
            self._known = self.text, self._suggester.suggest(lines, k=self._k, prefix=prefix)
        return self._known[1]

    @property
    def finished(self) -> str:
        """The text as it is printed and saved: without the blanks at the ends of its lines."""
        return "\n".join(line.rstrip(" ") for line in self.text.split("\n"))

    def press(self, key: str) -> str | None:
        """Takes a key: a character, or the name of one that is none.

        Args:
            key: "tab", "pick 1" to "pick 9", "left", "right", "undo", "backspace", "cut", "enter", "save", "end",
                "escape" or a character; others do nothing.

        Returns:
            "save" or "end", where that is to be done; else None.
        """
        self.message = ""
        if key == "end":
            return key
        if self.asked is not None:
            return self._answer(key)
        before = self.text
        if key == "save":
            self.asked = None if self.path else ""
            return key if self.path else None
        if key in ("left", "right"):
            step = 1 if key == "right" else -1
            self.marked = (self.marked + step) % max(1, len(self.suggestions))
        elif key == "tab":
            self._pick(self.marked)
        elif key.startswith("pick "):
            self._pick(int(key[5:]) - 1)
        elif key == "undo":
            if self._changes:
                start, removed, _ = self._changes.pop()
                self.text = self.text[:start] + removed
        elif key == "backspace":
            end = len(self.text) - 1
            while end > 0 and unicodedata.combining(self.text[end]):
                end -= 1
            self._change(max(0, end), "", key)
        elif key == "cut":
            rest = self.text.rstrip(" ")
            # A line end is deleted by itself.
            self._change(len(rest[:-1]) if rest.endswith("\n") else 1 + max(map(rest.rfind, " \n")), "", key)
        elif key == "enter":
            self._change(len(self.text.rstrip(" ")), "\n", key)
        elif _is_text(key):
            self._type(key)
        if self.text != before:
            self.marked = 0
        return None

    def save(self) -> None:
        """Writes the text into the file, and says so. A file that was there before is not replaced."""
        path = Path(self.path)
        try:
            path = path.expanduser()
            with open(path, "w" if path == self._saved else "x", encoding="utf-8") as file:
                file.write(self.finished + "\n")
        except FileExistsError:
            self.message, self.path = f"{path} is there already: give another name", ""
        except OSError as error:
            self.message, self.path = f"{path}: {error.strerror or error}", ""
        except RuntimeError as error:  # there is no such user
            self.message, self.path = f"{path}: {error}", ""
        else:
            self._saved, self.message = path, f"saved in {path}"

    def _answer(self, key: str) -> str | None:
        """A key while the name of the file is asked for."""
        name = self.asked or ""
        if key == "enter" and name.strip():
            self.path, self.asked = name.strip(), None
            return "save"
        if key in ("escape", "undo", "enter"):
            self.asked = None
        elif key == "backspace":
            self.asked = name[:-1]
        elif _is_text(key):
            self.asked = name + key
        return None

    def _type(self, key: str) -> None:
        start, way = max(0, len(self.text) - 1), self._changes[-1][2] if self._changes else ""
        if way == "pick" and self.text.endswith(" "):
            # The space came with the pick.
            if key == " ":
                return
            line = self.text[self.text.rfind("\n") + 1 :].rstrip()
            if not key.isalnum() and self._written(line, key).startswith(line + key):
                self._change(start, key, "type")
                return
        # Letters of a word are undone together.
        is_new = way != "type" or key == " " or self.text[-1:] in ("", " ", "\n")
        # A mark may make one character with the letter before it.
        self._change(start, unicodedata.normalize("NFC", self.text[start:] + key), "type" if is_new else "go on")

    def _pick(self, number: int) -> None:
        """Puts a suggestion in the place of what is typed of its word, and the space after it."""
        if not 0 <= number < len(self.suggestions):
            return
        word = self.suggestions[number].word
        context, prefix = self._parts()
        written = self._written(context, word)
        if prefix or self._is_joined(context):
            if self._tokenizer.config.lowercase:
                # The capitals of who types are better than none.
                word = prefix + word[len(prefix) :]
            written = context + word + (" " if written.endswith(" ") else "")
        self._change(self.text.rfind("\n") + 1, written, "pick")

    def _parts(self) -> tuple[str, str]:
        """The last line: what is finished, and what is typed of a word."""
        line = self.text[self.text.rfind("\n") + 1 :]
        prefix = ""
        if line and not line[-1].isspace():
            last = _SPLITTER.tokenize(line.split()[-1])[-1]
            if _HYPHEN in self._vocabulary:
                last = last[last.rfind("-") + 1 :]
            if line.endswith(last) and any(map(str.isalnum, last)):
                prefix = last
        return line[: len(line) - len(prefix)], prefix

    def _is_joined(self, context: str) -> bool:
        """Whether the next word is a part of the last one to who types, and a word behind a hyphen to the model."""
        return _HYPHEN in self._vocabulary and context.endswith("-") and context[-2:-1].isalnum()

    def _written(self, line: str, word: str) -> str:
        """The line with a word or mark behind it, and with the space behind that, unless there is none."""
        # What stands far before has no say in the spaces.
        cut = line.find(" ", len(line) - _FAR) if len(line) > _FAR else 0
        prompt = read_prompt(line[cut:], self._tokenizer, self._vocabulary)
        # On which side of a mark the space stands, a further word tells.
        return line[:cut] + write(prompt, [word, "x"], self._tokenizer)[:-1]

    def _change(self, start: int, end: str, way: str) -> None:
        """The text from `start` on becomes `end`."""
        if self.text[start:] == end:
            return
        if way != "go on":
            self._changes.append((start, self.text[start:], way))
        self.text = self.text[:start] + end


def _is_text(key: str) -> bool:
    return len(key) == 1 and unicodedata.category(key) not in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")
