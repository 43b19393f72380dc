"""Text to tokens, and by the detokenizer back again.

Tokens follow the Penn Treebank, as GloVe's words do: `do n't`, `it 's`, `$ 5`, marks apart, `Mr.` and `well-known`
whole. Nothing but white space is lost: `"".join(tokens)` is the text without it. So the way back has to find only
where the spaces were.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import chain

import regex  # not re: combining marks, scripts, emoji and grapheme clusters are beyond it

from wordlm.config import TextConfig
from wordlm.detokenizer import detokenize
from wordlm.wordforms import ELIDED, LETTER, OWN_WORDS, SOLO, Memo


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
        self._tokens_of = Memo(self._split)

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
        return detokenize(tokens, cased=not self.config.lowercase)

    def _split(self, chunk: str) -> list[str]:
        tokens = _TOKEN.findall(chunk)
        return [token.lower() for token in tokens] if self.config.lowercase else tokens


_IDEOGRAM = r"[\p{Han}\p{Hiragana}、。]"
_INNER = rf"[\p{{L}}\p{{M}}\p{{N}}\u00ad\u200c\u200d--[{SOLO}]]"  # with the soft hyphen and the (non-)joiners
# A run of letters and digits, or a number with its inner marks (3.14, 1,000, 10:30, 1/2) and what follows it (1st).
_PART = rf"(?:\p{{Nd}}++(?:[.,:/]\p{{Nd}}++)*+|[\p{{L}}\p{{N}}--[{SOLO}]]){_INNER}*+"
_ENDING = r"['’](?i:s|ll|ve|re|m|d)(?![-‐‑]?[\p{L}\p{N}])"
_ABBREVIATIONS = (
    r"Mrs?|Ms|Messrs|Mmes?|Mlle|Dr|St|Prof|Rev|Hon|Gen|Col|Capt|Cmdr|Lieut|Lt|Sgt|Maj|Sen|Rep|Gov|Pres|Supt|Esq|[JS]r|"
    r"Mt|Inc|Corp|Co|Ltd|Bros|Jan|Feb|Mar|Apr|Aug|Sept?|Oct|Nov|Dec|Ph\.D|[Ee]tc|[Vv]s|[Vv]iz|[Cc]f|[Ff]igs?|[Vv]ol"
)
_URL_END = r"""[^\s<>"“”]*[^\s<>"“”.,;:!?'’)\]}…]"""
_TOKEN = regex.compile(
    rf"""
    # Most tokens, here for speed.
    [\p{{L}}\p{{M}}--[{SOLO}]]++(?=[,;!?”)\]]|"(?!\p{{Hebrew}})|$)
    | [,;!?"](?=[\p{{L}}\p{{N}}]|$) | {_IDEOGRAM}(?={_IDEOGRAM})
    # Addresses, @someone, #something.
    | (?:(?:https?|ftp)://|www\.){_URL_END}
    | [A-Za-z0-9._%+-]{{1,64}}+@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++
    | (?<![\p{{L}}\p{{N}}])(?:@|\#(?=\d*+[\p{{L}}_]))[\p{{L}}\p{{M}}\p{{N}}_]++
    # U.S., e.g., U.S.-led, Mr., J.
    | (?:{LETTER}\.){{2,}}+(?:[-‐‑]{_PART})*+
    | (?<![\p{{L}}\p{{N}}])(?:{_ABBREVIATIONS}|[\p{{Lu}}--I])\.(?!\.)
    # 'tis, '90s, US$.
    | (?<![\p{{L}}\p{{M}}\p{{N}}]){OWN_WORDS}(?=(?i:n['’]t)|[^\p{{L}}\p{{M}}\p{{N}}]|$)
    | ['’]\p{{Nd}}{{2}}s?+(?![\p{{L}}\p{{N}}]) | [A-Z]{{2,3}}\$
    # do of don't, n't, 's, l' of l'homme.
    | {LETTER}+?(?=(?i:n['’]t)(?!\p{{L}})) | [Nn]['’][Tt](?!\p{{L}})
    | (?<=[\p{{L}}\p{{M}}\p{{N}}.]){_ENDING}
    | {ELIDED}(?=(?i:[aeiouyhàâæéèêëîïôœùû]))
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
