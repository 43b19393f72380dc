"""Written at once or word by word, a text is the same, and nothing of it is lost or comes twice."""

import doctest
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wordlm import writer
from wordlm.config import TextConfig
from wordlm.prompts import Prompt, read_prompt
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import SPECIALS, Vocabulary
from wordlm.writer import pieces, write

# Words and marks of all kinds, and what stands close to numbers, in quotations, or has capitals of two letters.
_TOKENS = """
the he I i Yes said dog do n't 's Mr. Holmes U.S. 5 1990s .22 3-1 5th 'tis o' l' well-known pre- é ß ßen ﬁn n’t ’s
. , ; : ! ? … ... .... 。 ، ° % - -- --- – — + = / & * # ## @ @home #tag http://x.y/a? a@b.c
" ' `` '' _ __ “ ” ‘ ’ „ ‚ « » ( ) [ ] { } ¿ ¡ 「 」 $ US$ € £ 東 京 ก 👍 🇫🇷 ™ <unk> <eos>
"""
TOKENS = _TOKENS.split()
VOCABULARY = Vocabulary([*SPECIALS, *(token for token in TOKENS if token not in SPECIALS)])
NOTHING = Prompt("", [], [], [])


def test_doctests():
    result = doctest.testmod(writer)
    assert result.failed == 0
    assert result.attempted > 0


def prompt_of(text, tokenizer=Tokenizer()):  # noqa: B008
    return read_prompt(text, tokenizer, VOCABULARY)


def both_ways(words, prompt="", tokenizer=Tokenizer()):  # noqa: B008
    """The text as it is written at once, if it is so word by word too."""
    start = prompt_of(prompt, tokenizer)
    text = write(start, words, tokenizer)
    assert "".join(pieces(start, words, tokenizer)) == text
    return text


def bare(text):
    """What is left of a text without its spaces and capitals."""
    return "".join(text.split()).casefold()


@st.composite
def texts(draw):
    """A tokenizer, a prompt, and words, of few different ones that meet in many ways."""
    lowercase = draw(st.booleans())
    tokenizer = Tokenizer(TextConfig(kind=draw(st.sampled_from(["prose", "pretokenized"])), lowercase=lowercase))
    some = st.sampled_from(draw(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=8)))
    prompt = draw(st.lists(st.tuples(some, st.sampled_from(["", " ", " ", "  "])).map("".join), max_size=6))
    words = draw(st.lists(some, max_size=30))
    return tokenizer, "".join(prompt), [word.lower() if lowercase else word for word in words]


PROSE, LOWER = Tokenizer(), Tokenizer(TextConfig(lowercase=True))


@settings(max_examples=300, deadline=None)
@given(texts(), st.sampled_from([4, 512]))
@example((PROSE, "3-1 –", ["3-1"]), 512)  # after which the dash has no space before it
@example((PROSE, "5 $", ["5"]), 512)
@example((PROSE, "", ["5", "US$", "5"]), 512)
@example((LOWER, "", ["!", "_", "ß", "_"]), 512)  # whose capital is SS, until the quotation is thought over
@example((PROSE, "", ["he", "»", "Yes", "«"]), 512)  # the first of which opens, as the second one tells
@example((PROSE, "", ["<eos>", "<eos>", "he", "<eos>"]), 512)
def test_at_once_is_as_word_by_word_and_each_line_is_there_once(case, memory):
    tokenizer, prompt, words = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_MEMORY", memory)
        text = both_ways(words, prompt, tokenizer)
        assert all(pieces(prompt_of(prompt, tokenizer), words, tokenizer))
    assert text.startswith(prompt.rstrip())
    assert bare(text) == bare(prompt + "".join(word for word in words if word != "<eos>"))
    rest = text[len(prompt.rstrip()) :]
    lines = " ".join(words).split("<eos>")
    begun = [line for number, line in enumerate(lines) if line.strip() or (not number and prompt.strip())]
    assert rest.count("\n") == max(0, len(begun) - 1)
    assert [bare(line) for line in rest.split("\n")][1:] == [bare(line) for line in begun][1:]


@pytest.mark.parametrize(
    ("prompt", "words", "text"),
    [
        ("he went", ".", "he went."),
        ("he went ", "dog .", "he went dog."),
        ('he said, "', 'Yes . "', 'he said, "Yes."'),
        ("I do", "n't .", "I don't."),
        ("he  said", ", the", "he  said, the"),
        ("$", "5", "$5"),
        ("", "he said , “ Yes . ” <eos> Yes .", "he said, “Yes.”\nYes."),
        ("", "Yes . <eos> <eos> <eos> I", "Yes.\nI"),
        ("", "<eos> I <eos>", "I"),
        ("", "", ""),
        ("he", "", "he"),
        ("he", "<eos> I", "he\nI"),
    ],
)
def test_how_it_is_written(prompt, words, text):
    assert both_ways(words.split(), prompt) == text


def test_a_lower_case_model_gets_its_capitals():
    assert both_ways(["i", "went", ".", "he", "<eos>", "the", "dog"], "", LOWER) == "I went. He\nThe dog"


def test_a_model_of_wikitext():
    tokenizer = Tokenizer(TextConfig(kind="pretokenized"))
    assert both_ways(["@-@", "known", ",", "10", "@,@", "000", "@.@", "5"], "ill", tokenizer) == "ill-known, 10,000.5"


def test_words_come_as_soon_as_their_spaces_are_known():
    words = ["he", "said", ",", '"', "Yes", ".", '"', "<eos>", "I"]
    assert list(pieces(prompt_of("Mr. Holmes"), words, PROSE)) == [
        "Mr. Holmes", " he", " said", ', "Yes', '."', "\n", "I",
    ]  # fmt: skip


def test_pieces_are_not_waited_for_until_the_text_is_whole():
    def endless():
        while True:
            yield from ["he", "said", ",", '"', "Yes", ".", '"', "<eos>"]

    parts = pieces(NOTHING, endless(), PROSE)
    text = "".join(next(parts) for _ in range(1000))
    assert text.startswith('he said, "Yes."\nhe said, "Yes."\n')


@pytest.mark.parametrize("sentence", ["the dog went , he said .", '" Yes , " said Holmes . " No dog . "'])
@pytest.mark.parametrize("memory", [100, 512])
def test_a_paragraph_longer_than_what_is_remembered(monkeypatch, sentence, memory):
    monkeypatch.setattr(writer, "_MEMORY", memory)
    once = PROSE.detokenize(sentence.split())
    assert both_ways(sentence.split() * 60) == " ".join([once] * 60)


@pytest.mark.parametrize(("marks", "most"), [([], 13), (["»"], 513)])
def test_what_is_remembered_of_a_line_is_bounded(monkeypatch, marks, most):
    seen = []
    tokenizer = Tokenizer()
    monkeypatch.setattr(tokenizer, "detokenize", lambda tokens: seen.append(len(tokens)) or " ".join(tokens))
    numbers = [str(number) for number in range(3000)]
    for _ in pieces(NOTHING, [word for number in numbers for word in (*marks, number)], tokenizer):
        pass
    assert most <= max(seen) <= most + len(marks)
    assert all(after <= before + 1 + len(marks) for before, after in pairwise(seen))


def test_a_long_line_is_written_as_if_none_of_it_were_forgotten():
    tokenizer = Tokenizer(TextConfig(lowercase=True))
    words = ["i", "said", "yes", ".", "it", "'s", "$", "5", ",", "or", "6", "(", "he", "says", ")", "?", "no", "!"] * 20
    assert "".join(pieces(NOTHING, words, tokenizer)) == tokenizer.detokenize(words)
