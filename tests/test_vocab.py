"""The tokenizer, the way back to text, and the vocabulary."""

import doctest
import pickle
import runpy
import time
import unicodedata
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import vocab
from wordlm.config import TextConfig
from wordlm.errors import BundleError, OptionError
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Tokenizer, Vocabulary

TOKENIZER = Tokenizer()
LOWER = Tokenizer(TextConfig(lowercase=True))
PRETOKENIZED = Tokenizer(TextConfig(kind="pretokenized"))

# Characters that meet in the rules' corners, more often than chance would have them meet.
CORNERS = st.lists(
    st.one_of(
        st.sampled_from("aIZs09 .,:;!?'’\"“”‘-–—_*#@$€%&/()[]=~`\u0301\u200d\ufe0f\u00a0\u2028字かーกำक्שل👍🏽🇫♀\u20e3"),
        st.sampled_from(["n't", "--", "...", "Mr.", "U.S.", "http://", "www.", "<unk>", "@-@", "l'", "'s", "'tis"]),
    ),
    max_size=40,
).map("".join)
TEXTS = st.one_of(st.text(max_size=60), CORNERS)
TOKENS = st.lists(
    st.one_of(st.text(min_size=1, max_size=6), CORNERS.filter(bool), st.sampled_from(['"', "'", "_", ",", "--"]))
)


def test_doctests():
    result = doctest.testmod(vocab)
    assert result.failed == 0
    assert result.attempted > 5


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


@pytest.mark.parametrize(
    "text",
    [
        '"Come," he said, "I can\'t--" He stopped.',
        '"Well?" she asked. "What is it?"',
        "'I said, \"No,\"' he told us; 'and that was that.'",
        "\"'Tis true,' he said, 'by Jove!'\"",
        "He called it a \"great (and 'good') thing\"; we didn't.",
        "The boys' books, the horses' hoofs and James's hat, i' the dark o' night, goin' home.",
        'Nothing--but "this"--matters...',
        '"One paragraph that goes on in the next,',
        'Nothing of the sort!" he cried. "Come.',
        "“Oh,” said ‘he’—“no!”",
        "„Ja“, sagte er. ‚So‘. »Ja«, sagte sie.",
        "Dijo: «no», ¿y?",
        "It cost $5 (US$6, £4.50 or 5€), i.e. 50% of #1.",
        "See pp. 5–6 – or not – at 10:30 a.m.: and/or.",
        "_This_ is (_really_) it.",
        "l'homme qu'il dit d’Artagnan",
        "「世界人权宣言」是1948年的。人人生而自由,平等。",
        "ภาษาไทยน้ำใจ",
        "चूंकि (हिन्दी) में। مرحبا، كيف؟ שלום, עולם.",
        "Look 👍🏽👍🏽 https://example.com/x, @you #tag!",
        "He was born in '82, 'twas cold; rock 'n' roll.",
    ],
)
def test_text_comes_back_as_it_was(text):
    assert TOKENIZER.detokenize(TOKENIZER.tokenize(text)) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("the lobster , 0 @.@ 7 – 2 @.@ 2 kg ( 1 @,@ 500 lb )", "the lobster, 0.7–2.2 kg (1,500 lb)"),
        ("= = Early life = =", "= = Early life = ="),
        ("a well @-@ known <unk> , don 't they 've O 'Brien 's", "a well-known <unk>, don't they've O'Brien's"),
        ('he said " no " and " yes " .', 'he said "no" and "yes".'),
        # As a model may make it: marks without a partner.
        ('He said , " and then', 'He said, "and then'),
        ('" " "', None),
        (') ( " . " , n\'t', None),
        ("", ""),
    ],
)
def test_tokens_read_as_written(tokens, text):
    result = PRETOKENIZED.detokenize(tokens.split())
    assert result.replace(" ", "") == tokens.replace(" ", "").replace("@-@", "-").replace("@.@", ".").replace(
        "@,@", ","
    )
    if text is not None:
        assert result == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("it is so . is n't it ? i 'm", "It is so. Isn't it? I'm"),
        ('" what ? " he said . he said , " yes . "', '"What?" he said. He said, "Yes."'),
        ('" yes . " she left .', '"Yes." She left.'),
        ("mr. holmes and i ... went", "Mr. holmes and I... went"),
        (", and", ", And"),
    ],
)
def test_capitals_of_a_lowercase_model(tokens, text):
    assert LOWER.detokenize(tokens.split()) == text


def test_a_cased_model_gets_no_capitals():
    assert TOKENIZER.detokenize(["it", "is", ".", "i"]) == "it is. i"


def _round_trip(path: Path) -> float:
    benchmark = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "tokenizer.py"))
    end, paragraphs = benchmark["SENTENCE_END"], benchmark["read_paragraphs"](path)
    sentences = [sentence for paragraph in paragraphs for sentence in end.split(paragraph)]
    assert len(sentences) > 1000
    return sum(TOKENIZER.detokenize(TOKENIZER.tokenize(s)) == s for s in sentences) / len(sentences)


@pytest.mark.parametrize("name", ["sherlock", "time-machine"])
def test_round_trip_of_real_sentences(shared_data, name):
    assert _round_trip(shared_data / "prose" / f"{name}.txt") >= 0.99


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


@given(TOKENS)
def test_any_tokens_become_text(tokens):
    text = TOKENIZER.detokenize(iter(tokens))
    bare = "".join(text.split(" "))
    for mark in "-,.":
        bare = bare.replace(f"@{mark}@", mark)
    expected = "".join("".join(tokens).split(" "))
    for mark in "-,.":
        expected = expected.replace(f"@{mark}@", mark)
    assert bare == expected
    LOWER.detokenize(tokens)


@given(TEXTS)
def test_text_settles(text):
    """What is tokenized out of the text that was made has the same characters again."""
    tokens = TOKENIZER.tokenize(text)
    assert "".join(TOKENIZER.tokenize(TOKENIZER.detokenize(tokens))).replace("@", "") == "".join(tokens).replace(
        "@", ""
    )


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


def test_memory_of_the_memo_is_bounded():
    memo = vocab._Memo(len, size=10, longest=4)
    for n in range(100):
        assert memo[str(n)] == len(str(n))
        assert len(memo) <= 10
    assert memo["12345"] == 5
    assert "12345" not in memo


def test_a_tokenizer_can_be_pickled():
    copy = pickle.loads(pickle.dumps(LOWER))
    assert copy.tokenize("It's") == ["it", "'s"]


# --- vocabulary


def test_vocabulary_in_order():
    counts = [("b", 2), ("a", 5), ("<unk>", 90), ("c", 2), ("<eos>", 9), ("d", 1)]
    assert Vocabulary.from_counts(counts).tokens == [*SPECIALS, "a", "b", "c", "d"]
    assert Vocabulary.from_counts(counts, min_count=2).tokens == [*SPECIALS, "a", "b", "c"]
    assert Vocabulary.from_counts(counts, max_size=5).tokens == [*SPECIALS, "a", "b"]
    assert Vocabulary.from_counts(counts, max_size=3).tokens == list(SPECIALS)
    with pytest.raises(OptionError, match="max_size"):
        Vocabulary.from_counts(counts, max_size=2)


def test_vocabulary_looks_up():
    vocabulary = Vocabulary([*SPECIALS, "the"])
    assert (vocabulary.ids["<pad>"], vocabulary.ids["<unk>"], vocabulary.ids["<eos>"]) == (PAD, UNK, EOS) == (0, 1, 2)
    assert vocabulary.encode(["the", "cat", "<pad>", "<unk>", "<eos>"]) == [3, UNK, UNK, UNK, EOS]
    assert len(vocabulary) == 4
    assert "the" in vocabulary
    assert "cat" not in vocabulary
    assert vocabulary[3] == "the"
    assert vocabulary.decode([3, 2]) == ["the", "<eos>"]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["the"], "first tokens"),
        ([*SPECIALS, "a", "b", "a"], "'a' has the ids 3 and 5"),
        ([*SPECIALS, ""], "id 3 is ''"),
        ([*SPECIALS, "a\nb"], "id 3"),
        ([*SPECIALS, "a\r"], "id 3"),
    ],
)
def test_faults_of_a_vocabulary(tokens, message):
    with pytest.raises(OptionError, match=message):
        Vocabulary(tokens)
    if "a\nb" not in tokens:
        with pytest.raises(BundleError, match=message):
            Vocabulary.from_text("".join(f"{token}\n" for token in tokens))


def test_vocabulary_cut_short():
    text = Vocabulary([*SPECIALS, "word"]).to_text()
    assert text == "<pad>\n<unk>\n<eos>\nword\n"
    for cut in range(len(text)):
        if text[:cut] != "<pad>\n<unk>\n<eos>\n":  # which is a vocabulary too
            with pytest.raises(BundleError):
                Vocabulary.from_text(text[:cut])


WORDS = st.lists(st.text(min_size=1, max_size=8).filter(lambda w: not set(w) & set("\r\n")), unique=True, max_size=30)


@given(WORDS)
@settings(max_examples=50)
def test_vocabulary_round_trips(words):
    vocabulary = Vocabulary([*SPECIALS, *(word for word in words if word not in SPECIALS)])
    assert Vocabulary.from_text(vocabulary.to_text()).tokens == vocabulary.tokens
    ids = list(range(1, len(vocabulary)))
    assert vocabulary.encode(vocabulary.decode(ids)) == ids


def test_separators_of_other_kinds_survive_in_vocab_txt():
    tokens = [*SPECIALS, "a\x85b", "a\u2028b", "a\u2029b", "a\x0cb", "a\x1cb", "a\u00a0b"]
    assert Vocabulary.from_text(Vocabulary(tokens).to_text()).tokens == tokens


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5)), unique_by=lambda item: item[0]))
@settings(max_examples=50)
def test_vocabulary_keeps_the_most_frequent(counts):
    kept = Vocabulary.from_counts(counts, max_size=6).tokens[3:]
    by_word = dict(counts)
    assert len(kept) == min(3, sum(count >= 1 for count in by_word.values()))
    assert [by_word[word] for word in kept] == sorted((n for n in by_word.values() if n), reverse=True)[:3]
