"""What is typed becomes the model's words, whatever its marks are, and what it does not know is told."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import TEXTS

from wordlm import prompts
from wordlm.config import TextConfig
from wordlm.prompts import read_prompt
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import SPECIALS, UNK, Vocabulary

PRETOKENIZED = Tokenizer(TextConfig(kind="pretokenized"))


def vocabulary_of(text):
    return Vocabulary([*SPECIALS, *dict.fromkeys(Tokenizer().tokenize(text))])


DOG = vocabulary_of("The dog went.")


def test_doctests():
    result = doctest.testmod(prompts)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("text", ["", " ", "\t \n\n", "\u00a0"])
def test_nothing_typed(text):
    prompt = read_prompt(text, Tokenizer(), DOG)
    assert (prompt.text, prompt.tokens, prompt.ids, prompt.unknown) == ("", [], [], [])


def test_white_space_only_parts_words():
    prompt = read_prompt("  The dog\n\twent \n", Tokenizer(), DOG)
    assert prompt.text == "  The dog\n\twent"
    assert prompt.tokens == ["The", "dog", "went"]


def test_unknown_words_are_told_once_in_their_order_and_read_as_unk():
    prompt = read_prompt("a dog the blorp the dog", Tokenizer(), DOG)
    assert prompt.ids == [UNK, 4, UNK, UNK, UNK, 4]
    assert prompt.unknown == ["a", "the", "blorp"]


def test_a_lower_case_model_reads_in_lower_case():
    tokenizer, vocabulary = Tokenizer(TextConfig(lowercase=True)), Vocabulary([*SPECIALS, "the", "dog"])
    prompt = read_prompt("THE Dog", tokenizer, vocabulary)
    assert (prompt.text, prompt.tokens, prompt.unknown) == ("THE Dog", ["the", "dog"], [])


STRAIGHT = "\"Don't,\" said O'Brien. \"It's 'odd'.\" 'Tis so, ma'am."
CURLY = "“Don’t,” said O’Brien. “It’s ‘odd’.” ’Tis so, ma’am."


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (STRAIGHT, CURLY),
        (STRAIGHT, "“Don't” ‘Tis ma’am"),
        (CURLY, '"Don\'t," said O\'Brien. "It\'s so."'),
        (CURLY, "'Tis O'Brien"),
        ("Don’t, ma’am", "Don't ma'am"),  # neither ’s nor ” has come
        ("Don't, O’Brien", "Don’t O'Brien"),  # a text that is not sure
        ("L’homme n’est qu’un roseau", "L'homme qu’un roseau n'est"),
        ("„Ja“, sagte er", '"Ja" „Ja“'),
        ("« Oui », dit-il", '"Oui", dit-il'),
    ],
)
def test_marks_of_another_kind_are_read_as_those_that_the_model_knows(text, prompt):
    read = read_prompt(prompt, Tokenizer(), vocabulary_of(text))
    assert read.unknown == []
    assert read.text == prompt


def test_straight_quotation_marks_open_before_a_word():
    read = read_prompt('"Don\'t," said O\'Brien. "It\'s so."', Tokenizer(), vocabulary_of(CURLY))
    assert " ".join(read.tokens) == "“ Do n’t , ” said O’Brien . “ It ’s so . ”"
    assert read_prompt('"It "', Tokenizer(), vocabulary_of(CURLY)).tokens == ["“", "It", "”"]
    assert read_prompt('"Ja"', Tokenizer(), vocabulary_of("„Ja“")).tokens == ["„", "Ja", "“"]


def test_marks_that_the_model_knows_both_stay():
    vocabulary = vocabulary_of(STRAIGHT + CURLY)
    for text in (STRAIGHT, CURLY):
        assert read_prompt(text, Tokenizer(), vocabulary).tokens == Tokenizer().tokenize(text)


_WORDS = "ill @-@ fated dog , didn 't 10 @,@ 000 3 @.@ 5 ( )"
WIKITEXT = Vocabulary([*SPECIALS, *_WORDS.split()])


@pytest.mark.parametrize(
    ("text", "tokens", "unknown"),
    [
        ("(ill-fated dog, didn't <unk> 10,000)", "( ill @-@ fated dog , didn 't <unk> 10 @,@ 000 )", []),
        ("didn’t", "didn 't", []),
        ("ill @-@ fated 3 @.@ 5", "ill @-@ fated 3 @.@ 5", []),
        ("3.5 dog", "3 @.@ 5 dog", []),
        ("well-blorp", "well @-@ blorp", ["well", "blorp"]),
        ("blorp", "blorp", ["blorp"]),
        ("blorp!", "blorp!", ["blorp!"]),  # of which no part is known
        ("blorp,", "blorp ,", ["blorp"]),
    ],
)
def test_a_prompt_for_a_model_of_wikitext(text, tokens, unknown):
    prompt = read_prompt(text, PRETOKENIZED, WIKITEXT)
    assert prompt.tokens == tokens.split()
    assert prompt.unknown == unknown
    assert prompt.text == text


def test_a_prompt_for_a_model_of_other_pretokenized_text():
    vocabulary = Vocabulary([*SPECIALS, "I", "do", "n't", ",", "well-known", "mr."])
    assert read_prompt("I don't,", PRETOKENIZED, vocabulary).tokens == ["I", "do", "n't", ","]
    assert read_prompt("I do n’t well-known", PRETOKENIZED, vocabulary).tokens == ["I", "do", "n't", "well-known"]
    lower = Tokenizer(TextConfig(kind="pretokenized", lowercase=True))
    assert read_prompt("“I I", PRETOKENIZED, Vocabulary([*SPECIALS, "“I", '"I', "I"])).tokens == ["“I", "I"]
    assert read_prompt("Mr. DO,", lower, vocabulary).tokens == ["mr.", "do", ","]


def test_padding_is_no_word_that_one_could_type():
    assert read_prompt("<pad>", PRETOKENIZED, DOG).ids == [UNK]


@given(
    text=TEXTS,
    words=st.lists(TEXTS, max_size=3),
    kind=st.sampled_from(["prose", "lines", "pretokenized"]),
    lowercase=st.booleans(),
)
def test_any_text_can_be_typed(text, words, kind, lowercase):
    tokenizer = Tokenizer(TextConfig(kind=kind, lowercase=lowercase))
    known = [token for token in tokenizer.tokenize(" ".join(words)) if token not in SPECIALS]
    vocabulary = Vocabulary([*SPECIALS, *dict.fromkeys(known)])
    prompt = read_prompt(text, tokenizer, vocabulary)
    assert prompt.ids == vocabulary.encode(prompt.tokens)
    assert set(prompt.unknown) == {token for token in prompt.tokens if token not in vocabulary}
    assert text.startswith(prompt.text)
    # What the model's own text was is known to it, as it is.
    own = read_prompt(" ".join(words), tokenizer, vocabulary)
    assert own.unknown == []
