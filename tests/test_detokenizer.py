"""Tokens to text: worked examples, real sentences there and back, and what holds for any tokens."""

import doctest
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from strategies import TEXTS, TOKENS

from wordlm import detokenizer
from wordlm.config import TextConfig
from wordlm.detokenizer import detokenize
from wordlm.tokenizer import Tokenizer

TOKENIZER = Tokenizer()


def test_doctests():
    result = doctest.testmod(detokenizer)
    assert result.failed == 0
    assert result.attempted > 1


def test_a_tokenizer_knows_whether_its_tokens_are_cased():
    tokens = ["it", "'s", "so", "."]
    assert Tokenizer().detokenize(tokens) == "it's so."
    assert Tokenizer(TextConfig(kind="pretokenized")).detokenize(tokens) == "it's so."
    assert Tokenizer(TextConfig(lowercase=True)).detokenize(tokens) == "It's so."


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
    assert detokenize(TOKENIZER.tokenize(text)) == text


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
    result = detokenize(tokens.split())
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
    assert detokenize(tokens.split(), cased=False) == text


def test_a_cased_model_gets_no_capitals():
    assert detokenize(["it", "is", ".", "i"]) == "it is. i"


def _round_trip(path: Path) -> float:
    benchmark = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "tokenizer.py"))
    end, paragraphs = benchmark["SENTENCE_END"], benchmark["read_paragraphs"](path)
    sentences = [sentence for paragraph in paragraphs for sentence in end.split(paragraph)]
    assert len(sentences) > 1000
    return sum(detokenize(TOKENIZER.tokenize(s)) == s for s in sentences) / len(sentences)


@pytest.mark.parametrize("name", ["sherlock", "time-machine"])
def test_round_trip_of_real_sentences(shared_data, name):
    assert _round_trip(shared_data / "prose" / f"{name}.txt") >= 0.99


@given(TOKENS)
def test_any_tokens_become_text(tokens):
    text = detokenize(iter(tokens))
    bare = "".join(text.split(" "))
    for mark in "-,.":
        bare = bare.replace(f"@{mark}@", mark)
    expected = "".join("".join(tokens).split(" "))
    for mark in "-,.":
        expected = expected.replace(f"@{mark}@", mark)
    assert bare == expected
    detokenize(tokens, cased=False)


@given(TEXTS)
def test_text_settles(text):
    """What is tokenized out of the text that was made has the same characters again."""
    tokens = TOKENIZER.tokenize(text)
    assert "".join(TOKENIZER.tokenize(detokenize(tokens))).replace("@", "") == "".join(tokens).replace("@", "")
