"""Text to tokens: worked examples, and what holds for any text."""

import doctest
import pickle
import time
import unicodedata

import pytest
import regex
from hypothesis import given
from strategies import TEXTS

from wordlm import tokenizer
from wordlm.config import TextConfig
from wordlm.tokenizer import Tokenizer

TOKENIZER = Tokenizer()
LOWER = Tokenizer(TextConfig(lowercase=True))
PRETOKENIZED = Tokenizer(TextConfig(kind="pretokenized"))


def test_doctests():
    result = doctest.testmod(tokenizer)
    assert result.failed == 0
    assert result.attempted > 4


@pytest.mark.parametrize(
    "text",
    [
        # Contractions and possessives, as GloVe has them.
        "Do|n't you ? ca|n't I|'d|'ve DO|N'T it|’s we|'ll they|'re Holmes|'s boys|' would|n't|'ve he|’ll U.S.|'s",
        "O'Brien o'clock ma'am 'tis 'Twas 'em 'n' rock'n'roll bull's-eye",
        "ne'er-do-well will-o'-the-wisp O’Brien ’tis '90s '98",
        "l'|homme qu'|il d’|Artagnan c'|est aujourd'hui dell'|anno L’|ONU",
        # Abbreviations and the full stop that ends a sentence.
        "Mr. and Mrs. X. , Dr. Who , St. Ives|. It was I|.",
        "e.g. i.e. a.m. U.S.|, J. R. R. J.R.R. Ph.D. U.S.-led etc.|, end|.",
        'end|.|" he|.|)',
        # Numbers.
        "3.14 1,000 1,000|. 10:30 1st 2|. $|5 US$|5 £|5.50 5|€ -5 .22 50|% 1/2 1990s 20-year-old 1914-18 2.5m ½ ١٢٣",
        # Marks.
        "a|--|b wait|... ....|? what|?|! (|see|: this|) [|1|] “|so|”",
        "‘|so|’ —|yes|— {|x|} *** * and|/|or _|word|_ 5|–|6",
        # Hyphens and other inner marks.
        "well-known pre- and post-war twenty-one bien‐être AT&T snake_case col·lecció",
        # Addresses.
        "http://example.com/a?b=c|. https://x.org/~y|) www.foo.com/bar|, me.too@mail.co.uk|; #tag #東京 @you #|1 ftp://f.org",
        # Emoji, each one token.
        "hi|😀|! 👨‍👩‍👧‍👦|🇫🇷|🇩🇪|👍🏽|❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🇫🇷|🇫",
        # Scripts without spaces, in clusters; marks and (non-)joiners stay in their words.
        "世|界|人|权|,|hello|世 ス|ー|パ|ー か|\u304d\u3099 น้ำ|ใ|จ ລ|າ|ວ ខ្ញុំ",
        'हिन्दी में क्षत्रिय|। مَرْحَبًا|، שָׁלוֹם צה"ל می‌خواهم 한국어|. Ελλάδα|; Привет|!',
    ],
)
def test_tokens(text):
    """White space and | part the expected tokens; | stands for no space in the text."""
    expected = unicodedata.normalize("NFC", text.replace("|", " ")).split()
    if "ខ្ញុំ" in text:  # conjuncts hang together or not, by the version of Unicode
        expected = [*expected[: expected.index("ខ្ញុំ")], *regex.findall(r"\X", "ខ្ញុំ")]
    assert TOKENIZER.tokenize(text.replace("|", "")) == expected


def test_input_is_composed():
    assert TOKENIZER.tokenize("cafe\u0301") == ["caf\u00e9"] == PRETOKENIZED.tokenize("cafe\u0301")


def test_special_tokens_cannot_be_written_into_prose():
    assert TOKENIZER.tokenize("a <unk> <eos>") == ["a", "<", "unk", ">", "<", "eos", ">"]


def test_pretokenized():
    text = " = Robert <unk> = \n5\u00a0km\tof \u2028 1 @,@ 000 don 't 's\r\n"
    tokens = ["=", "Robert", "<unk>", "=", "5\u00a0km", "of", "\u2028", "1", "@,@", "000", "don", "'t", "'s"]
    assert PRETOKENIZED.tokenize(text) == tokens
    lower = Tokenizer(TextConfig(kind="pretokenized", lowercase=True))
    assert lower.tokenize(text) == [token.lower() for token in tokens]


def test_lowercase_splits_as_the_cased_form_does():
    text = "J. R. said NATO can't, Mr. Ürün. DON'T"
    assert LOWER.tokenize(text) == [token.lower() for token in TOKENIZER.tokenize(text)]
    assert "j." in LOWER.tokenize(text)


@given(TEXTS)
def test_nothing_but_white_space_is_lost(text):
    assert "".join(TOKENIZER.tokenize(text)) == "".join(unicodedata.normalize("NFC", text).split())


@given(TEXTS)
def test_tokens_hold_no_white_space(text):
    for token in TOKENIZER.tokenize(text):
        assert token
        assert not any(character.isspace() for character in token)


@given(TEXTS)
def test_the_memo_changes_nothing(text):
    assert TOKENIZER.tokenize(text) == Tokenizer().tokenize(text) == Tokenizer().tokenize(text)
    for stretch in text.split():
        assert len(stretch) > 40 or TOKENIZER.tokenize(stretch) == TOKENIZER.tokenize(f" {stretch} ")


@given(TEXTS)
def test_pretokenized_parts_at_blanks_only(text):
    tokens = PRETOKENIZED.tokenize(text)
    assert tokens == [t for t in regex.split("[ \t\r\n]", unicodedata.normalize("NFC", text)) if t]


LONG = [
    *".-'\"_1#@aéกア字👍🇫[\u0301\u200d",
    "a.",
    "a'",
    "a-",
    "1.",
    "1,",
    "_a",
    "ll",
    "l'",
    "n't",
    "'s",
    "a@",
    "@a",
    "#1",
]
LONG += ["http://", "Mr.", "x@y.", "👩\u200d", 'ש"', '"a', "'a ", 'a " ']


@pytest.mark.parametrize("unit", LONG)
def test_time_is_linear_in_the_text(unit):
    def seconds(n: int) -> float:
        text = unit * (n // len(unit))
        best = 9.0
        for _ in range(2):
            start = time.process_time()
            tokens = Tokenizer().tokenize(text)
            Tokenizer().detokenize(tokens)
            best = min(best, time.process_time() - start)
        assert "".join(tokens) == unicodedata.normalize("NFC", "".join(text.split()))
        return best

    # Quadratic time would be 64 times as long, and minutes; linear is under a second.
    assert seconds(80_000) < 24 * seconds(10_000) + 0.2


def test_a_tokenizer_can_be_pickled():
    copy = pickle.loads(pickle.dumps(LOWER))
    assert copy.tokenize("It's") == ["it", "'s"]
