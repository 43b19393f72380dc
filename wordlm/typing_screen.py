"""The terminal in which someone types with suggestions: keys in, lines out.

There are libraries for it, prompt_toolkit above all; but one verb needs a dozen keys and three kinds of lines, and a
dependency would weigh more than these.
"""

from __future__ import annotations

import codecs
import os
import re
import select
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from wordlm.errors import OptionError
from wordlm.typing_line import MOST, TypingLine

_HELP = "Tab or Alt-1… picks · ←→ marks · Ctrl: Z undo, W word back, S save, C end"
_ARROWS = {"A": "left", "B": "right", "C": "right", "D": "left"}
_KEYS = {
    "\t": "tab", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x17": "cut", "\x1a": "undo",
    "\x1f": "undo", "\x13": "save", "\x03": "end", "\x04": "end", "\x1b": "escape",
    **{f"\x1b{opening}{letter}": name for opening in "[O" for letter, name in _ARROWS.items()},
    **{f"\x1b{number}": f"pick {number}" for number in range(1, MOST + 1)},
}  # fmt: skip
_KEY = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b\[O])|.", re.DOTALL)
# An escape that nothing follows so soon is a key of its own.
_ESCAPE_SECONDS = 0.05
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")


def type_text(line: TypingLine) -> None:
    """Lets someone type in this terminal: stdin is read, stderr drawn on, so that stdout may be a file.

    Args:
        line: the text, which is what was typed when this returns or raises.

    Raises:
        OptionError: there is no terminal, or not one of Unix.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise OptionError("typing with suggestions needs a terminal; give a context, or contexts as lines on stdin")
    keyboard, screen = sys.stdin.fileno(), sys.stderr.fileno()
    with _raw(keyboard, screen):
        keys = read_keys(keyboard, sys.stdin.encoding or "utf-8")
        while True:
            size = os.get_terminal_size(screen)
            # A terminal that does not know its size says 0.
            _put(screen, draw(line, size.columns or 80, size.lines or 24))
            pressed: list[str] | None = []
            while not pressed and os.get_terminal_size(screen) == size:
                pressed = next(keys, None)
                if pressed is None:
                    return
            for key in pressed:
                event = line.press(key)
                if event == "end":
                    return
                if event == "save":
                    line.save()


@contextmanager
def _raw(keyboard: int, screen: int) -> Iterator[None]:
    """Every key comes as it is, and the screen is another one; in the end both are as they were."""
    try:
        import termios
        import tty
    except ImportError:
        raise OptionError("typing with suggestions needs a terminal of Unix; give a context") from None
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard, termios.TCSADRAIN)  # what was typed ahead stays
        _put(screen, "\x1b[?1049h")
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        _put(screen, "\x1b[?1049l")


def read_keys(keyboard: int, encoding: str) -> Iterator[list[str]]:
    """The keys pressed since the last look, as `TypingLine.press` takes them, until the terminal is closed.

    Args:
        keyboard: what to read; nothing is echoed, and every byte comes at once.
        encoding: the terminal's; bytes that are none of its characters are dropped.

    Yields:
        A list of keys; an empty one, where nothing was pressed for a third of a second.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    waiting = ""
    while True:
        if select.select([keyboard], [], [], _ESCAPE_SECONDS if waiting else 0.3)[0]:
            try:
                data = os.read(keyboard, 4096)
            except OSError:  # Linux says so where the other side is closed
                return
            if not data:
                return
            waiting += decoder.decode(data)
            unfinished = _UNFINISHED.search(waiting)
            end = unfinished.start() if unfinished else len(waiting)
        else:
            end = len(waiting)
        found, waiting = _KEY.findall(waiting[:end]), waiting[end:]
        yield [_KEYS.get(key, key) for key in found if key != "\ufffd"]


def draw(line: TypingLine, columns: int, rows: int) -> str:
    """The screen, as what is to be written to the terminal.

    Args:
        line: what there is to show.
        columns, rows: the terminal's.
    """
    # The last column is left to the cursor.
    width = max(1, columns - 1)
    height = max(1, rows - 3)
    text: list[str] = []
    for paragraph in reversed(line.text.rsplit("\n", height)[-height:]):
        # What is far above the screen need not be wrapped; the cut moves rarely, as all lines move with it.
        cut = max(0, len(paragraph) // (width * height) - 1) * width * height
        text = _wrap(paragraph[cut:], width) + text
    text = text[-height:]
    choice, used = [], 0
    for number, suggestion in enumerate(line.suggestions, 1):
        item = _clean(f"{number} {suggestion.word}")
        used += _width(item) + 2
        if used > width:
            break
        choice.append(f"\x1b[7m{item}\x1b[0m" if number == line.marked + 1 else item)
    note = _HELP if line.asked is None else f"Save as (Enter; Esc: not at all): {line.asked}"
    shown = [*text, "  ".join(choice), "", _wrap(_clean(line.message or note), width)[0]]
    content = "\r\n".join(row + "\x1b[K" for row in shown[: max(rows, len(text))])
    return f"\x1b[H{content}\x1b[J\x1b[{len(text)};{_width(text[-1]) + 1}H"


def _wrap(text: str, width: int) -> list[str]:
    """A paragraph in lines, between words where that is possible."""
    lines, used = [""], 0
    for chunk in re.findall(r"\S+|\s", _clean(text)):
        size = _width(chunk)
        if used + size > width and size <= width:
            lines, used = [*lines, ""], 0
            if chunk == " ":  # between two lines no space is seen
                continue
        # What is longer than a line, Chinese for example, is cut anywhere.
        for part in chunk if size > width else [chunk]:
            size = _width(part)
            if used + size > width:
                lines, used = [*lines, ""], 0
            lines[-1] += part
            used += size
    return lines


def _width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(character) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _clean(text: str) -> str:
    """The text without characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(character) == "Cc" else character for character in text)


def _put(screen: int, text: str) -> None:
    data = text.encode(sys.stderr.encoding or "utf-8", "replace")
    while data:
        data = data[os.write(screen, data) :]
