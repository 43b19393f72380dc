"""Which encoding bytes are likely in: for the message about a file that does not decode."""

from __future__ import annotations

import re
import unicodedata

# Those found in texts, the more frequent first: that decides between encodings that read a text equally well.
_ENCODINGS = (
    "utf_8", "cp1252", "cp1250", "cp1251", "iso8859_2", "iso8859_15", "cp932", "euc_jp", "gb18030", "big5", "cp949",
    "koi8_r", "cp866", "iso8859_5", "cp1253", "iso8859_7", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874",
    "iso8859_3", "mac_roman", "cp850",
)  # fmt: skip
_WORD = re.compile(r"\S*[^\x00-\x7f\s]\S*")
_LETTERS = re.compile(r"\w*[^\W\x00-\x7f]\w*")


def likely_encodings(sample: bytes, limit: int = 4) -> list[tuple[str, str]]:
    """The likely encodings of a text, the likeliest first, and some words as each would read them.

    charset-normalizer judges the text as a whole; words that no language writes, such as `don\u00c6t`, speak against
    an encoding too.

    Args:
        sample: bytes of the text; some thousands are enough.
        limit: of the number of encodings.

    Returns:
        (name, up to four words) of each; no two with the same words. Empty if none is known that decodes the sample.

    Example:
        >>> likely_encodings("Все счастливые семьи похожи друг на друга".encode("koi8_r"))[0]
        ('koi8_r', 'Все, счастливые, семьи, похожи')
    """
    from charset_normalizer import from_bytes

    judged: dict[str, tuple[float, float]] = {}  # coarse: finer differences say nothing
    for match in from_bytes(sample, cp_isolation=list(_ENCODINGS)):
        for name in (match.encoding, *match.could_be_from_charset):
            judged.setdefault(name, (round(match.chaos, 2), -round(3 * match.coherence)))
    ranked = []
    for place, name in enumerate(_ENCODINGS):
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            continue
        words = dict.fromkeys(_LETTERS.findall(text))
        if words:
            ranked.append((round(_oddity(text), 2), judged.get(name, (1.0, 0.0)), place, name, words))
    readings: dict[tuple[str, ...], tuple[str, str]] = {}
    for *_, name, words in sorted(ranked, key=lambda rank: rank[:3]):
        readings.setdefault(tuple(words), (name, ", ".join(word[:16] for word in list(words)[:4])))
    return list(readings.values())[:limit]


def _oddity(text: str) -> float:
    """The share of odd ones among the words that are not all ASCII."""
    words = _WORD.findall(text)
    return sum(map(_is_odd, words)) / max(1, len(words))


def _is_odd(word: str) -> bool:
    """Whether the word has a capital or a sign after a small letter, two scripts, or a character of no text."""
    for before, char, after in zip(" " + word, word, word[1:] + " ", strict=False):
        if char.isascii():
            continue
        kind = unicodedata.category(char)
        if kind[0] == "C" or (before.islower() and char.isupper()):
            return True
        sign = kind[0] == "S" or kind == "No" or (char in "«»¡¿§¶" and after.isalpha())
        foreign = before.isascii() and kind[0] == "L" and "LATIN" not in unicodedata.name(char, "")
        if before.isalpha() and (sign or foreign):
            return True
    return False
