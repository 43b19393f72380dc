"""The terminal in which someone types with suggestions: keys in, lines out.

There are libraries for it, prompt_toolkit above all; but one verb needs a dozen keys and three kinds of lines, and a
dependency would weigh more than these.
"""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from wordlm.errors import OptionError
from wordlm.typing_line import MOST, TypingLine

# Narrow terminals show the beginning.
_HELP = "Ctrl-C ends, S saves, Z undoes, W cuts a word · Tab or Alt-1… picks · ←→ marks"
_ASK = ("Save as (Enter; Esc: not at all): ", "Save as: ")
_ARROWS = {"A": "left", "B": "right", "C": "right", "D": "left"}
_KEYS = {
    "\t": "tab", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x17": "cut", "\x1a": "undo",
    "\x1f": "undo", "\x13": "save", "\x03": "end", "\x04": "end", "\x1b": "escape",
    **{f"\x1b{opening}{letter}": name for opening in "[O" for letter, name in _ARROWS.items()},
    **{f"\x1b{number}": f"pick {number}" for number in range(1, MOST + 1)},
}  # fmt: skip
_PASTE = "\x1b[200~"
_KEY = re.compile(
    r"\x1b\[200~(?P<pasted>.*?)(?:\x1b\[201~|\Z)|(?P<key>\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b\[O])|.)", re.DOTALL
)
_UNFINISHED = re.compile(r"\x1b(?:\[200~(?:(?!\x1b\[201~).)*|\[[0-?]*[ -/]*|O)?\Z", re.DOTALL)
_LINE_END = re.compile(r"\r\n?|\n")
# An escape that nothing follows so soon is a key of its own. What a key or a paste has begun is mostly sent at once.
_ESCAPE_SECONDS, _KEY_SECONDS, _PASTE_SECONDS = 0.15, 0.5, 5.0


@contextmanager
def late_signals() -> Iterator[Sequence[int]]:
    """Within it, the signals that would end the process are noted in a list; after it, the first one comes again.

    Those are SIGTERM and SIGHUP, which a closed window sends, where they are not ignored. Python tells signals to the
    main thread alone: in another one nothing changes.
    """
    noted: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if noted:
            os.kill(os.getpid(), noted[0])


def type_text(line: TypingLine, ended: Sequence[int] = ()) -> None:
    """Lets someone type in this terminal: stdin is read, stderr drawn on, so that stdout may be a file.

    Args:
        line: the text, which is what was typed when this returns or raises.
        ended: it returns soon after something is in it, see `late_signals`.

    Raises:
        OptionError: there is no terminal, or not one of Unix.
    """
    # What was closed before the start is None.
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        raise OptionError("typing with suggestions needs a terminal; give a context, or contexts as lines on stdin")
    keyboard, screen = sys.stdin.fileno(), sys.stderr.fileno()
    with _raw(keyboard, screen):
        keys = read_keys(keyboard, sys.stdin.encoding or "utf-8")
        while not ended:
            size = os.get_terminal_size(screen)
            # A terminal that does not know its size says 0.
            _put(screen, draw(line, size.columns or 80, size.lines or 24))
            pressed: list[str] | None = []
            while not (pressed or ended) and os.get_terminal_size(screen) == size:
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
        _put(screen, "\x1b[?1049h\x1b[?2004h")  # and what is pasted is told from what is typed
        yield
    finally:
        with suppress(OSError, termios.error):  # the terminal may be closed
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
            _put(screen, "\x1b[?2004l\x1b[?1049l")


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
        if select.select([keyboard], [], [], _patience(waiting))[0]:
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
        found, waiting = _KEY.finditer(waiting[:end]), waiting[end:]
        yield [key for match in found for key in _keys_of(match) if key != "\ufffd"]


def _patience(waiting: str) -> float:
    """For how many seconds the rest of what has begun may come."""
    if not waiting:
        return 0.3
    return _PASTE_SECONDS if waiting.startswith(_PASTE) else _ESCAPE_SECONDS if waiting == "\x1b" else _KEY_SECONDS


def _keys_of(match: re.Match[str]) -> Iterator[str]:
    """One key; or what was pasted, where a tab is a blank and no character a command."""
    if match["key"] is not None:
        yield _KEYS.get(match["key"], match["key"])
        return
    for character in _LINE_END.sub("\n", match["pasted"]).replace("\t", " "):
        yield "enter" if character == "\n" else character


def draw(line: TypingLine, columns: int, rows: int) -> str:
    """The screen, as what is to be written to the terminal.

    Args:
        line: what there is to show.
        columns, rows: the terminal's.
    """
    # The last column is left to the cursor.
    width = max(1, columns - 1)
    note, is_urgent = _note(line, width), bool(line.message) or line.asked is not None
    # Where not all fits, what was asked for comes before the suggestions, and these before the help.
    below = [_choice(line, width), "", note] if rows > 3 else [note] if is_urgent else [_choice(line, width)]
    if rows == 3:
        below = [_choice(line, width), note]
    height = max(1, rows - len(below))
    text: list[str] = []
    for paragraph in reversed(line.text.rsplit("\n", height)[-height:]):
        # What is far above the screen need not be wrapped; the cut moves rarely, as all lines move with it.
        cut = max(0, len(paragraph) // (width * height) - 1) * width * height
        text = _wrap(paragraph[cut:], width) + text
    text = text[-height:]
    shown = [*text, *below]
    if rows < 2:
        shown = [note] if is_urgent else text
    # Who is asked for a name types it at the end of the last line.
    place = len(shown) if line.asked is not None else len(text)
    content = "\r\n".join(row + "\x1b[K" for row in shown)
    return f"\x1b[H{content}\x1b[J\x1b[{place};{_width(shown[place - 1]) + 1}H"


def _choice(line: TypingLine, width: int) -> str:
    """The suggestions that fit into a row."""
    choice, used = [], 0
    for number, suggestion in enumerate(line.suggestions, 1):
        item = _clean(f"{number} {suggestion.word}")
        used += _width(item) + 2
        if used > width:
            break
        choice.append(f"\x1b[7m{item}\x1b[0m" if number == line.marked + 1 else item)
    return "  ".join(choice)


def _note(line: TypingLine, width: int) -> str:
    """The last row: the name of the file as it is typed, what there is to say, or the help."""
    if line.asked is not None:
        name = _clean(line.asked)
        ask = next((ask for ask in _ASK if _width(ask) + min(_width(name), 20) <= width), "")
        return ask + _shorten(name, width - len(ask), 0)
    if line.message:
        # Names of files stand at one end, what is the matter at the other.
        return _shorten(_clean(line.message), width, width // 3)
    return _wrap(_HELP, width)[0]


def _shorten(text: str, width: int, start: int) -> str:
    """A text that is too long without its middle: `start` columns of its beginning, and its end."""
    if _width(text) <= width:
        return text
    beginning = text[:start]
    while _width(beginning) > start:
        beginning = beginning[:-1]
    end = text[-width:]
    while end and _width(beginning) + 1 + _width(end) > width:
        end = end[1:]
    return f"{beginning}…{end}"


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
