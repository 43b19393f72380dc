"""Tokens to text: where the spaces were, which quotation marks open and which close, and a model's lost capitals."""

from __future__ import annotations

from collections.abc import Iterable

import regex  # not re: it knows no emoji, currency signs or grapheme clusters

from wordlm.wordforms import ELIDED, OWN_WORDS, SOLO, Memo


def detokenize(tokens: Iterable[str], cased: bool = True) -> str:
    """The text that the tokens were, or read best as.

    Quotation marks that look alike at both ends are told apart by what stands around them and by taking turns,
    so unpaired ones do no harm.

    Args:
        tokens: the tokens of one paragraph or line.
        cased: False where the tokens are lower-case: sentences and `I` then get their capitals.

    Returns:
        The text, in one line.

    Example:
        >>> detokenize("( I ca n't say -- \\" why \\" ? )".split())
        '(I can\\'t say--"why"?)'
        >>> detokenize("so i 'm here .".split(), cased=False)
        "So I'm here."
    """
    tokens = [token for token in tokens if token]
    sides = _sides(tokens, cased)
    if not cased:
        tokens = _capitalize(tokens, sides)
    pieces: list[str] = []
    joined = True
    for token, (left, right) in zip(tokens, sides, strict=True):
        if not (joined or left):
            pieces.append(" ")
        pieces.append(token)
        joined = right
    text = "".join(pieces)
    return _WIKITEXT_JOINER.sub(r"\1", text) if "@" in text else text


# Is a token joined to the one at its left, and to the one at its right?
Sides = tuple[bool, bool]
_FREE, _LEFT, _RIGHT, _BOTH = (False, False), (True, False), (False, True), (True, True)

_MARKS_LEFT = frozenset(",.;:!?%)]}”’›،؛؟۔।॥։՝።፣፤፥…‰°′″")
_MARKS_RIGHT = frozenset("([{„‚‹¿¡`")
_MARKS_BOTH = frozenset("—/\u200b、。，．：；！？（）【】《》〈〉「」『』〔〕・～") | {"@-@", "@,@", "@.@"}
_LEFT_FORM = regex.compile(
    rf"n['’]t|(?!{OWN_WORDS}$)['’][\p{{L}}][\p{{L}}\p{{M}}'’-]*|\.{{2,}}+|''", regex.VERSION1 | regex.IGNORECASE
)
_RIGHT_FORM = regex.compile(rf"{ELIDED}|``", regex.VERSION1)
_BOTH_FORM = regex.compile(rf"-{{2,}}+|—{{2,}}+|[{SOLO}]\X*", regex.VERSION1)
_EMOJI = regex.compile(r"[\p{Extended_Pictographic}\p{Regional_Indicator}]")
_CURRENCY = regex.compile(r"(?:[A-Z]{2,3})?\p{Sc}")
_WIKITEXT_JOINER = regex.compile(r"@([-,.])@")

_QUOTES = ('"', "'", "_")  # alike at both ends
_MIRRORED = (("„", "“"), ("‚", "‘"), ("»", "«"))  # the first one opens where it comes first
_OPENING = frozenset("\"'“‘«„")
_BESIDE = frozenset("#–“‘«»")
_DASHES = frozenset(["--", "—"])
_SENTENCE_ENDS = frozenset(".!?。！？")


def _sides(tokens: list[str], cased: bool) -> list[Sides]:
    forms = list(map(_form_of.__getitem__, tokens))
    if None not in forms:
        return forms
    for quote in _QUOTES:
        if quote in tokens:
            _take_turns(tokens, forms, quote, cased)
    mirrored = {
        mark: side
        for opening, closing in _MIRRORED
        if opening in tokens and closing in tokens and tokens.index(opening) < tokens.index(closing)
        for mark, side in ((opening, _RIGHT), (closing, _LEFT))
    }
    padded = ["", *tokens, ""]
    for i, form in enumerate(forms):
        if form is None:
            forms[i] = mirrored.get(tokens[i]) or _beside(padded[i], tokens[i], padded[i + 2])
    return forms


def _form(token: str) -> Sides | None:
    """The sides of a token; None where its neighbours decide."""
    if token in _QUOTES or token in _BESIDE or _CURRENCY.fullmatch(token) or _EMOJI.match(token):
        return None
    if token in _MARKS_BOTH or _BOTH_FORM.fullmatch(token):
        return _BOTH
    if token in _MARKS_LEFT or _LEFT_FORM.fullmatch(token):
        return _LEFT
    if token in _MARKS_RIGHT or _RIGHT_FORM.fullmatch(token):
        return _RIGHT
    return _FREE


_form_of: Memo[Sides | None] = Memo(_form)


def _beside(before: str, token: str, after: str) -> Sides:
    """The sides of a mark between two neighbours."""
    if token in _OPENING:
        return _RIGHT
    if token == "»":
        return _LEFT
    if token == "–":  # 5–6, but Yes – no
        return _BOTH if before[-1:].isdigit() and after[:1].isdigit() else _FREE
    if token == "#":
        return _RIGHT if after[:1].isalnum() else _FREE
    if _EMOJI.match(token):
        return _LEFT if _EMOJI.match(before) else _FREE
    if after[:1].isdigit():  # $ 5
        return _RIGHT
    return _LEFT if before[-1:].isdigit() else _FREE  # 5 €


def _take_turns(tokens: list[str], forms: list[Sides | None], quote: str, cased: bool) -> None:
    """Finds which of the quotes open and which close: the likeliest course of being inside or outside a quotation."""
    positions = [i for i, token in enumerate(tokens) if token == quote]
    costs = [0.0, 0.5]  # of being outside, inside: a text may begin in the middle of a quotation
    steps: list[tuple[tuple[int, Sides], tuple[int, Sides]]] = []
    for i in positions:
        before, after = _neighbour(tokens, i, -1), _neighbour(tokens, i, 1)
        lean = _closing(before, after, cased)
        opening, closing = max(lean, 0.0), max(-lean, 0.0)
        apostrophe = _apostrophe(before) if quote == "'" else 9.0
        # The cheapest way to be outside, then inside, after this quote: (cost, state before, sides).
        out = min((costs[1] + closing, 1, _LEFT), (costs[0] + closing + 2, 0, _LEFT), (costs[0] + apostrophe, 0, _LEFT))
        inn = min(
            (costs[0] + opening, 0, _RIGHT), (costs[1] + opening + 2, 1, _RIGHT), (costs[1] + apostrophe, 1, _LEFT)
        )
        steps.append((out[1:], inn[1:]))
        costs = [out[0], inn[0]]
    # Generated text may end inside a quotation; a single quote that nothing closes is rather an apostrophe.
    state = int(costs[1] + (0.25 if quote == "'" else 0.0) < costs[0])
    for i, step in zip(reversed(positions), reversed(steps), strict=True):
        state, forms[i] = step[state]


def _neighbour(tokens: list[str], i: int, step: int) -> str | None:
    """The token beside the one at i, or if that is a quote, the one behind it; None at the text's end."""
    for j in (i + step, i + 2 * step):
        if not 0 <= j < len(tokens):
            return None
        if tokens[j] not in _QUOTES:
            return tokens[j]
    return None


def _closing(before: str | None, after: str | None, cased: bool) -> float:
    """How much a quote between two tokens looks like a closing one (above 0) rather than an opening one."""
    if before is None or after is None:
        return 4.0 * ((before is not None) - (after is not None))
    lean = 0.0
    if _form_of[after] == _LEFT:
        lean += 1.0 if after.startswith((".", "…")) and len(after) > 1 else 3.0
    elif after in _DASHES:
        lean += 2.0
    elif cased and after[0].isalpha() and after != "I":
        weight = 1.0 if before[-1] in ".!?…" else 0.4
        lean += weight if after[0].islower() else -weight
    if _form_of[before] == _RIGHT:
        lean -= 3.0
    elif before[-1] in ".!?…":
        lean += 1.0
    elif before == ":":
        lean -= 1.0
    elif before in _DASHES or before[0].isalnum():
        lean -= 0.5
    return lean


def _apostrophe(before: str | None) -> float:
    """What it costs to take a single quote for the apostrophe of the word before it: boys', goin', o'."""
    if before is None or not before[-1].isalpha():
        return 4.0
    if before[-1] in "sS" or before.lower() in ("o", "i", "a", "th", "ha", "wi", "ol"):
        return 0.0
    return 0.05 if before[-2:] in ("in", "IN") else 2.5


def _capitalize(tokens: list[str], sides: list[Sides]) -> list[str]:
    """Capitals at the start of sentences and of quoted speech, and for the English I."""
    result, start, before = [], True, ""
    for token, side in zip(tokens, sides, strict=True):
        if token[0].isalnum():
            result.append(token[0].upper() + token[1:] if start or token == "i" else token)
            start = False
        else:
            result.append(token)
            if token in _SENTENCE_ENDS:
                start = True
            elif side == _LEFT and before in ("!", "?"):  # "What?" he said
                start = False
            elif side == _RIGHT and before == ",":  # He said, "What?"
                start = token in _OPENING
        before = token
    return result
