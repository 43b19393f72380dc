"""Lines to paragraphs: boilerplate left out, hard-wrapped lines joined, broken words made whole; no files here.

And back: where in its lines each word of a paragraph stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice, takewhile

from wordlm.config import TextConfig

_PARAGRAPH = 1 << 16  # characters: a longer paragraph ends at a line end
_SAMPLE = 1 << 21  # characters of a document that tell how its words are written
# For str.translate: control characters and halves of surrogate pairs go; those that part words become a space.
_CONTROLS = {c: " " if chr(c).isspace() else None for c in (*range(32), *range(127, 160), 0x2028, 0x2029)}
_CONTROLS |= dict.fromkeys(range(0xD800, 0xE000))
# Soft hyphen, marks of direction, word joiner and byte-order mark: they cannot be seen, and would split a word in two.
_INVISIBLE = _CONTROLS | dict.fromkeys(
    (0xAD, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF)
)

_START = re.compile(r"\*+\s*(START OF (THE|THIS) PROJECT GUTENBERG|END\s*\*?\s*THE SMALL PRINT)", re.I)
_END = re.compile(r"(\*\*\*\s*)?END OF (THE |THIS )?PROJECT GUTENBERG", re.I)
_CREDIT = re.compile(
    r"\W*((this |the )?(e-?text|e-?book|file)s?\b.{0,40}\b|html (version|file) )?"
    r"(produced|prepared|transcribed|created|scanned|digiti[sz]ed|proofread|updated)\b.{0,20}\b(by|from|at)\b"
    r"|\W*credits?:|.*\b(anonymous|gutenberg) volunteer|.*\bdistributed proofread",
    re.I | re.S,
)
_BROKEN = re.compile(r"(\w+)([-\u2010\u00ad])\n(?=(\w+))")
_HYPHENS = re.compile(r"\n(?<=\w[-\u2010\u00ad]\n)(?=\w)")  # whether _BROKEN is there, much faster
_DASH = re.compile(r"\n(?:(?<=[^\s-]--\n)|(?<=\S—\n))")
# Chinese and Japanese have no spaces between words; Korean has.
_UNSPACED = r"[\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
_UNSPACED_BREAK = re.compile(f"\n(?<={_UNSPACED}\n)(?={_UNSPACED})")
_WORD = re.compile(r"\w+(?:[-\u2010]\w+)*")
_STRETCH = re.compile(r"\S+")
# In a pretokenized line, other white space than this is of the words: a no-break space may be one.
_STRETCH_OF_TOKENS = re.compile("[^ \t-\r\x1c-\x1f\x85\u2028\u2029]+")
_UNSEEN = "".join(chr(c) for c, space in _INVISIBLE.items() if not space)


class Line(str):
    """A line of a document that knows where it stands.

    Attributes:
        offset: characters of the document before it.
    """

    offset: int

    def __new__(cls, text: str, offset: int) -> Line:
        line = super().__new__(cls, text)
        line.offset = offset
        return line


def paragraphs(lines: Iterator[str], config: TextConfig) -> Iterator[tuple[str, Sequence[str]]]:
    """The texts of one document, by the kind that the config says, each with the lines that it was made of.

    Args:
        lines: without their ends.
        config: its kind and keep_boilerplate.

    Returns:
        Paragraphs (prose), lines that are not blank (lines), or all lines (pretokenized), in NFC, without control
        characters and line ends. The lines are the given ones themselves.

    Example:
        >>> lines = ["A well-", "known sto-", "ry.", "", "A well-known man."]
        >>> for text, pieces in paragraphs(iter(lines), TextConfig()):
        ...     print(text, pieces)
        A well-known story. ['A well-', 'known sto-', 'ry.']
        A well-known man. ['A well-known man.']
    """
    if config.kind == "pretokenized":
        # Its tokens are taken as they are, with what cannot be seen: WikiText-2 counts byte-order marks among them.
        for line in lines:
            text = line.strip()
            text = text if text.isprintable() else text.translate(_CONTROLS).strip()
            yield unicodedata.normalize("NFC", text), (line,)
        return
    if not config.keep_boilerplate:
        lines = _without_boilerplate(lines)
    if config.kind == "lines":
        for line in lines:
            text = _tidy(line)
            if text and text != "%":
                yield text, (line,)
        return
    head = _take(lines, _SAMPLE)
    wrapped = _is_wrapped(head[:4096])
    count_words = cache(lambda: _count_words(head))
    block: list[str] = []
    pieces: list[str] = []
    size = 0
    for piece in chain(head, lines, [""]):
        line = piece.strip()
        if line and line != "%":  # a line with `%` alone parts the entries of a fortune file
            block.append(line)
            pieces.append(piece)
            size += len(line)
            if wrapped and size < _PARAGRAPH:
                continue
        if block:
            if text := _tidy(_join("\n".join(block), count_words)):
                yield text, pieces
            block, pieces, size = [], [], 0


def find_words(words: Iterable[str], pieces: Iterable[Line]) -> Iterator[tuple[int, int]]:
    """Where each word of a paragraph stands in its document, as character offsets: start and end.

    A word that a line end has broken has the line end in its place, white space around it too.

    Args:
        words: all words of the paragraph, in order: the stretches of its text between blanks.
        pieces: the lines that it was made of.

    Example:
        >>> ((text, lines),) = paragraphs(iter([Line("A  dark sto-", 0), Line(" ry.", 13)]), TextConfig())
        >>> list(find_words(text.split(" "), lines))
        [(0, 1), (3, 7), (8, 17)]
    """
    words = list(words)
    pattern = _STRETCH_OF_TOKENS if any(map(str.isspace, "".join(words))) else _STRETCH
    stretches = ((piece.offset + found.start(), found[0]) for piece in pieces for found in pattern.finditer(piece))
    for word in words:
        offset, stretch = next(stretches)
        if stretch != word:
            yield _find_changed(word, offset, stretch, stretches)
        else:
            yield offset, offset + len(word)


def _find_changed(word: str, offset: int, stretch: str, stretches: Iterator[tuple[int, str]]) -> tuple[int, int]:
    """Where a word stands that was mended or normalized: it is made of whole stretches all the same."""
    letters = _letters(word)
    start, done = -1, 0
    while True:
        part = _letters(stretch)
        if part and start < 0:
            start = offset + len(stretch) - len(stretch.lstrip(_UNSEEN))
        done += len(part)
        if part.endswith(("-", "\u2010")) and letters[done - 1 : done] != part[-1]:
            done -= 1  # the hyphen went with the line end
        if done >= len(letters):
            return (offset if start < 0 else start), offset + len(stretch.rstrip(_UNSEEN))
        offset, stretch = next(stretches)


def _letters(text: str) -> str:
    """The characters that can be seen, marks apart from letters: as many of them before NFC as after it."""
    return unicodedata.normalize("NFD", "".join(text.translate(_INVISIBLE).split()))


def _without_boilerplate(lines: Iterator[str]) -> Iterator[str]:
    """The lines without the header, credits and licence of Project Gutenberg, of several books in one file too."""
    head = _take(lines, _PARAGRAPH)
    first_book = takewhile(lambda line: not _END.match(line), head)
    starts = [i for i, line in enumerate(first_book) if line.startswith("*") and _START.match(line)]
    # A book of the 1990s that was given a new header has two marks: the text begins after the second.
    lines = _after_start(chain(head[starts[-1] :], lines)) if starts else chain(head, lines)
    while True:
        for line in lines:
            if line[:3] in ("***", "End", "END") and _END.match(line):
                break
            yield line
        else:
            return
        lines = _after_start(lines)


def _after_start(lines: Iterator[str]) -> Iterator[str]:
    """The lines after the next start mark and the credits that follow it; none if there is no mark."""
    line = next((line for line in lines if line.startswith("*") and _START.match(line)), "")
    while line and not line.rstrip().endswith("*"):  # a long title goes on over the next lines
        line = next(lines, "")
    paragraph: list[str] = []
    for _ in range(3):
        paragraph = list(islice(_until_blank(lines), 12))
        if not _CREDIT.match(" ".join(paragraph).strip()):
            break
        paragraph = []
    return chain(paragraph, lines)


def _until_blank(lines: Iterator[str]) -> Iterator[str]:
    """The lines of the next paragraph and the blank line after it."""
    begun = False
    for line in lines:
        begun = begun or bool(line.strip())
        if begun:
            yield line
            if not line.strip():
                return


def _take(lines: Iterator[str], size: int) -> list[str]:
    """The next lines, up to a number of characters."""
    taken = []
    for line in lines:
        taken.append(line)
        size -= len(line) + 1
        if size <= 0:
            break
    return taken


def _is_wrapped(lines: list[str]) -> bool:
    """Whether the lines are as long as a page is wide, so that a paragraph goes over several of them."""
    # A Chinese character is as wide as two Latin letters.
    widths = [len(line) if line.isascii() else len(line) + sum(c >= "\u2e80" for c in line) for line in lines]
    return sum(width for width in widths if width > 120) * 4 <= sum(widths)


def _tidy(text: str) -> str:
    """The text with its white space folded, in NFC, without characters that cannot be seen."""
    text = " ".join(text.split())
    if not text.isprintable():
        text = " ".join(text.translate(_INVISIBLE).split())
    return unicodedata.normalize("NFC", text)


def _count_words(lines: list[str]) -> Counter[str]:
    """How often each word stands in the lines, case folded; those that a line end breaks are left out."""
    whole, broken = [], False
    for line in lines:
        line = line.strip()
        if broken:
            line = line.partition(" ")[2]
        broken = line.endswith(("-", "\u2010", "\u00ad"))
        whole.append(line.rpartition(" ")[0] if broken else line)
    return Counter(_WORD.findall("\n".join(whole).casefold()))


def _join(text: str, count_words: Callable[[], Counter[str]]) -> str:
    """The lines of a paragraph as one; a word broken by a hyphen is made whole, as it is written elsewhere."""

    def mend(match: re.Match[str]) -> str:
        left, hyphen, right = match.groups()
        first, second, words = left.casefold(), right.casefold(), count_words()
        whole, compound = words[first + second], words[f"{first}-{second}"]
        if hyphen == "\u00ad" or whole > compound:
            return left
        if right in ("and", "or", "und", "oder"):  # first- and second-rate
            return f"{left}{hyphen} "
        keep = (
            compound
            or (words[first] and words[second])
            or len(left) == 1
            or (right[0].isupper() and not left.isupper())
            or not (left + right).isalpha()
        )
        return left + hyphen if keep else left

    if text.isascii() and "-\n" not in text:
        return text
    if _HYPHENS.search(text):
        text = _BROKEN.sub(mend, text)
    return _DASH.sub("", _UNSPACED_BREAK.sub("", text))
