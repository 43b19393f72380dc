"""Text to tokens and back (`Tokenizer`), and tokens to ids and back (`Vocabulary`).

Tokens follow the Penn Treebank, as GloVe's words do: `do n't`, `it 's`, `$ 5`, marks apart, `Mr.` and `well-known`
whole. Nothing but white space is lost: `"".join(tokens)` is the text without it. So the way back has to find only
where the spaces were.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Generic, TypeVar

import regex  # not re: combining marks, scripts, emoji and grapheme clusters are beyond it

from wordlm.config import TextConfig
from wordlm.errors import BundleError, OptionError

PAD, UNK, EOS = 0, 1, 2
SPECIALS = ("<pad>", "<unk>", "<eos>")


class Tokenizer:
    """Splits text into words, numbers and marks, and joins them again.

    Args:
        config: `kind` "pretokenized" splits at blanks and tabs only; `lowercase` folds the tokens.

    Example:
        >>> tokenizer = Tokenizer()
        >>> tokens = tokenizer.tokenize('"Don\\'t," said Mr. Holmes, "it\\'s worth $5."')
        >>> print(*tokens)
        " Do n't , " said Mr. Holmes , " it 's worth $ 5 . "
        >>> print(tokenizer.detokenize(tokens))
        "Don't," said Mr. Holmes, "it's worth $5."
    """

    def __init__(self, config: TextConfig = TextConfig()) -> None:  # noqa: B008 (frozen)
        self.config = config
        self._tokens_of = _Memo(self._split)

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, in Unicode's NFC form; no `<eos>` is added.

        Args:
            text: any text; its white space (blanks and line ends in a pretokenized one) parts tokens.

        Returns:
            The tokens. A pretokenized text may hold `<unk>`; in any other, `<`, `unk` and `>` are three tokens.

        Example:
            >>> Tokenizer().tokenize("At 10:30 the U.S. won 3-1.")
            ['At', '10:30', 'the', 'U.S.', 'won', '3-1', '.']
        """
        text = unicodedata.normalize("NFC", text)
        if self.config.kind == "pretokenized":
            tokens = _PRETOKENIZED.findall(text)
            return [token.lower() for token in tokens] if self.config.lowercase else tokens
        # Tokens never span white space: a stretch without it that was met before need not be matched again.
        return list(chain.from_iterable(map(self._tokens_of.__getitem__, text.split())))

    def detokenize(self, tokens: Iterable[str]) -> str:
        """The text that the tokens were, or read best as.

        Quotation marks that look alike at both ends are told apart by what stands around them and by taking turns,
        so unpaired ones do no harm. With a lower-case tokenizer, sentences and `I` get their capitals.

        Args:
            tokens: the tokens of one paragraph or line.

        Returns:
            The text, in one line.

        Example:
            >>> Tokenizer().detokenize("( I ca n't say -- \\" why \\" ? )".split())
            '(I can\\'t say--"why"?)'
        """
        tokens = [token for token in tokens if token]
        sides = _sides(tokens, cased=not self.config.lowercase)
        if self.config.lowercase:
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

    def _split(self, chunk: str) -> list[str]:
        tokens = _TOKEN.findall(chunk)
        return [token.lower() for token in tokens] if self.config.lowercase else tokens


class Vocabulary:
    """Tokens by id: padding, unknown word, end of paragraph, then words by falling frequency.

    Args:
        tokens: the token of each id; the first three are `SPECIALS`.

    Raises:
        OptionError: other first tokens, a token twice, an empty one or one with a line end.

    Example:
        >>> vocabulary = Vocabulary.from_counts([("cat", 1), ("the", 2), ("sat", 1)], max_size=5)
        >>> vocabulary.tokens
        ['<pad>', '<unk>', '<eos>', 'the', 'cat']
        >>> vocabulary.encode(["the", "cat", "sat"])
        [3, 4, 1]
        >>> vocabulary.decode([3, 4, 1])
        ['the', 'cat', '<unk>']
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        if fault := _fault(self.tokens):
            raise OptionError(f"not a vocabulary: {fault}")

    @classmethod
    def from_counts(cls, counts: Iterable[tuple[str, int]], max_size: int = 0, min_count: int = 1) -> Vocabulary:
        """The most frequent words, ties in the order of their first appearance.

        Args:
            counts: words with their counts; special tokens among them are left out.
            max_size: entries of the vocabulary at most, the special tokens counted; 0 keeps all.
            min_count: words that are rarer are left out.

        Raises:
            OptionError: a `max_size` that has no room for the special tokens.
        """
        if max_size != 0 and max_size < len(SPECIALS):
            raise OptionError(f"`max_size` must be 0 (all words) or at least {len(SPECIALS)}, but is {max_size!r}")
        words = [(word, count) for word, count in counts if count >= min_count and word not in SPECIALS]
        words.sort(key=lambda item: -item[1])  # stable: ties stay in order
        if max_size:
            del words[max_size - len(SPECIALS) :]
        return cls([*SPECIALS, *(word for word, _ in words)])

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """The vocabulary out of `to_text`'s form.

        Raises:
            BundleError: a text that `to_text` cannot have made; the message names the line.
        """
        # Not splitlines: tokens may hold U+0085 or U+2028, which are line ends to it.
        *tokens, rest = text.split("\n")
        if rest:
            raise BundleError(f"vocab.txt is cut short: its last line must end with a line end, but is {rest[:40]!r}")
        if fault := _fault(tokens):
            raise BundleError(f"vocab.txt is damaged: {fault}")
        return cls(tokens)

    def to_text(self) -> str:
        """The form of `vocab.txt`: a token a line, the line's number (from 0) its id. Lines end with LF alone."""
        return "".join(f"{token}\n" for token in self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each token, special ones included."""
        return {token: id for id, token in enumerate(self.tokens)}

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of tokens; `UNK` for one that is not in the vocabulary, and for `<pad>`, which no text holds."""
        get = self.ids.get
        return [get(token, UNK) or UNK for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids."""
        return [self.tokens[id] for id in ids]

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.ids

    def __getitem__(self, id: int) -> str:
        return self.tokens[id]


def _fault(tokens: list[str]) -> str | None:
    """What keeps the tokens from being a vocabulary, in words."""
    if tuple(tokens[: len(SPECIALS)]) != SPECIALS:
        return f"its first tokens must be {' '.join(SPECIALS)}, but are {tokens[: len(SPECIALS)]!r}"
    if len(set(tokens)) != len(tokens):
        seen: dict[str, int] = {}
        for id, token in enumerate(tokens):
            if seen.setdefault(token, id) != id:
                return f"each token must be there once, but {token!r} has the ids {seen[token]} and {id}"
    for id, token in enumerate(tokens):
        if not token or "\n" in token or "\r" in token:
            return f"a token must be one or more characters without a line end, but id {id} is {token!r}"
    return None


# --- text to tokens ---------------------------------------------------------------------------------------------

Value = TypeVar("Value")


class _Memo(dict[str, Value], Generic[Value]):
    """A function's values by their argument, for a function that is mostly asked the same. Its memory is bounded."""

    def __init__(self, function: Callable[[str], Value], size: int = 50_000, longest: int = 40) -> None:
        self.function, self.size, self.longest = function, size, longest

    def __missing__(self, key: str) -> Value:
        value = self.function(key)
        if len(key) <= self.longest:
            if len(self) >= self.size:
                self.clear()
            self[key] = value
        return value


# Scripts written without spaces between words: each grapheme cluster is a token. Kept out of every class that repeats.
_SOLO = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\p{Tibetan}\p{Line_Break=SA}ー〆ｰ"
_IDEOGRAM = r"[\p{Han}\p{Hiragana}、。]"
_LETTER = rf"[\p{{L}}--[{_SOLO}]]"
_INNER = rf"[\p{{L}}\p{{M}}\p{{N}}\u00ad\u200c\u200d--[{_SOLO}]]"  # with the soft hyphen and the (non-)joiners
# A run of letters and digits, or a number with its inner marks (3.14, 1,000, 10:30, 1/2) and what follows it (1st).
_PART = rf"(?:\p{{Nd}}++(?:[.,:/]\p{{Nd}}++)*+|[\p{{L}}\p{{N}}--[{_SOLO}]]){_INNER}*+"
_ENDING = r"['’](?i:s|ll|ve|re|m|d)(?![-‐‑]?[\p{L}\p{N}])"
_OWN_WORDS = r"['’](?i:t(?:is|was|were|will|would|wixt|il|ween)|em|un|cause|bout|neath|gainst|n['’]?)"
_ELIDED = rf"(?i:[cdjlmnst]|{_LETTER}*+(?<=ll|qu))['’]"  # l' of l'homme, qu', dell'
_ABBREVIATIONS = (
    r"Mrs?|Ms|Messrs|Mmes?|Mlle|Dr|St|Prof|Rev|Hon|Gen|Col|Capt|Cmdr|Lieut|Lt|Sgt|Maj|Sen|Rep|Gov|Pres|Supt|Esq|[JS]r|"
    r"Mt|Inc|Corp|Co|Ltd|Bros|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|Ph\.D|[Ee]tc|[Vv]s|[Vv]iz|[Cc]f|[Ff]igs?|[Vv]ol"
)
_URL_END = r"""[^\s<>"“”]*[^\s<>"“”.,;:!?'’)\]}…]"""
_TOKEN = regex.compile(
    rf"""
    # Most tokens, here for speed.
    [\p{{L}}\p{{M}}--[{_SOLO}]]++(?=[,;!?”)\]]|"(?!\p{{Hebrew}})|$)
    | [,;!?"](?=[\p{{L}}\p{{N}}]|$) | {_IDEOGRAM}(?={_IDEOGRAM})
    # Addresses, @someone, #something.
    | (?:(?:https?|ftp)://|www\.){_URL_END}
    | [A-Za-z0-9._%+-]{{1,64}}+@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++
    | (?<![\p{{L}}\p{{N}}])(?:@|\#(?=\d*+[\p{{L}}_]))[\p{{L}}\p{{M}}\p{{N}}_]++
    # U.S., e.g., U.S.-led, Mr., J.
    | (?:{_LETTER}\.){{2,}}+(?:[-‐‑]{_PART})*+
    | (?<![\p{{L}}\p{{N}}])(?:{_ABBREVIATIONS}|[\p{{Lu}}--I])\.(?!\.)
    # 'tis, '90s, US$.
    | (?<![\p{{L}}\p{{M}}\p{{N}}]){_OWN_WORDS}(?=(?i:n['’]t)|[^\p{{L}}\p{{M}}\p{{N}}]|$)
    | ['’]\p{{Nd}}{{2}}s?+(?![\p{{L}}\p{{N}}]) | [A-Z]{{2,3}}\$
    # do of don't, n't, 's, l' of l'homme.
    | {_LETTER}+?(?=(?i:n['’]t)(?!\p{{L}})) | [Nn]['’][Tt](?!\p{{L}})
    | (?<=[\p{{L}}\p{{M}}\p{{N}}.]){_ENDING}
    | {_ELIDED}(?=(?i:[aeiouyhàâæéèêëîïôœùû]))
    # Every other word, 3.14, -5, .22, well-known, O'Brien, AT&T, pre-.
    | (?:(?<!\S)[-+−±]?\.?(?=\p{{Nd}}))?{_PART}
      (?:(?!{_ENDING})(?:['’]?[-‐‑]['’]?|[_&·'’]|(?<=\p{{Hebrew}})["״׳](?=\p{{Hebrew}})){_PART})*+
      (?:[-‐‑](?=[,;)\]]|$))?+
    # Runs of a mark, a flag, then any other mark, emoji or cluster.
    | \.{{2,}}+ | -{{2,}}+ | —{{2,}}+ | \*{{2,}}+ | _{{2,}}+ | ={{2,}}+ | ~{{2,}}+ | ``|''
    | \p{{Regional_Indicator}}{{2}} | \X
    """,
    regex.VERBOSE | regex.VERSION1,
)
_PRETOKENIZED = regex.compile(r"[^ \t\r\n]+")

# --- tokens to text ---------------------------------------------------------------------------------------------

# Is a token joined to the one at its left, and to the one at its right?
Sides = tuple[bool, bool]
_FREE, _LEFT, _RIGHT, _BOTH = (False, False), (True, False), (False, True), (True, True)

_MARKS_LEFT = frozenset(",.;:!?%)]}”’›،؛؟۔।॥։՝።፣፤፥…‰°′″")
_MARKS_RIGHT = frozenset("([{„‚‹¿¡`")
_MARKS_BOTH = frozenset("—/\u200b、。，．：；！？（）【】《》〈〉「」『』〔〕・～") | {"@-@", "@,@", "@.@"}
_LEFT_FORM = regex.compile(
    rf"n['’]t|(?!{_OWN_WORDS}$)['’][\p{{L}}][\p{{L}}\p{{M}}'’-]*|\.{{2,}}+|''", regex.VERSION1 | regex.IGNORECASE
)
_RIGHT_FORM = regex.compile(rf"{_ELIDED}|``", regex.VERSION1)
_BOTH_FORM = regex.compile(rf"-{{2,}}+|—{{2,}}+|[{_SOLO}]\X*", regex.VERSION1)
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


_form_of: _Memo[Sides | None] = _Memo(_form)


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
