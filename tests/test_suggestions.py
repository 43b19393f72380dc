"""Suggestions: words and probabilities by hand, and a text that grows and shrinks against one that is read anew."""

import doctest

import numpy as np
import pytest
from bigrams import make_lm
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import KINDS, VOCABULARY, make_engine

import wordlm
import wordlm.suggestions as suggestions
from wordlm.cache import CachedEngine
from wordlm.completion import Completer
from wordlm.errors import OptionError, WordlmError
from wordlm.suggestions import Suggester, Suggestion, suggest
from wordlm.tokenizer import Tokenizer


@pytest.fixture
def lm():
    return make_lm()


def words(lm, context, **options):
    return [found.word for found in suggest(lm.engine, lm.tokenizer, lm.vocabulary, context, **options)]


def test_doctests(lm):
    result = doctest.testmod(suggestions, extraglobs={"lm": lm})
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize(
    ("context", "prefix", "expected"),
    [
        ("", "", ["I", "The", "Spain"]),
        ("I", "", ["do", "see", "the"]),
        ("I don't", "", ["see", "say", "shout"]),
        ("I don't ", "", ["see", "say", "shout"]),
        ("I don't", "S", ["see", "say", "shout"]),
        ("I don't", "sa", ["say"]),
        ("I see", "", ["the", "Portugal", "porters"]),
        ("I see", "Por", ["Portugal", "porters", "Porto"]),
        ("I see", "por", ["Portugal", "porters", "Porto"]),
        ("I see", " Th ", ["The"]),
        ("I see", "  ", ["the", "Portugal", "porters"]),
        ("I see", "xy", []),
        ("I see", "e\u0301", ["é"]),
        # What is not known: neither <unk> nor <eos> is a word to suggest.
        ("I see xylophones", "", ["and", "the", "I"]),
        # No paragraph ends in a context.
        ("I\nsee", "", ["the", "Portugal", "porters"]),
        ("I do\r\n", "", ["n't", "the", "I"]),
    ],
)
def test_words_by_hand(lm, context, prefix, expected):
    assert words(lm, context, prefix=prefix, k=3) == expected


def test_probabilities_are_the_models_own(lm):
    (found,) = suggest(lm.engine, lm.tokenizer, lm.vocabulary, "I see", prefix="port", k=1)
    assert found.word == "Portugal"
    assert found.probability == pytest.approx(1 / 8, abs=1e-5)
    assert found == Suggestion("Portugal", found.probability)


def test_unknown_words_with_an_input_of_their_own(lm):
    extra = {"xylophones": len(lm.vocabulary)}
    for context in ("I see xylophones", "xylophones"):
        found = suggest(lm.engine, lm.tokenizer, lm.vocabulary, context, extra=extra, k=1)
        assert found[0].word == "and"
        assert found[0].probability > 0.49
    found = suggest(lm.engine, lm.tokenizer, lm.vocabulary, "I see xylophones", k=1)
    assert found[0].probability < 0.2


def test_unknown_words_are_looked_up_once_when_they_are_read(lm):
    asked = []

    def find(words):
        asked.append(list(words))
        return lm.engine, ({"xylophones": len(lm.vocabulary)} if ["xylophones"] in asked else {})

    suggester = Suggester(lm.engine, lm.tokenizer, lm.vocabulary, find)
    assert suggester.suggest(["I see"], k=1)[0].word == "the"
    assert asked == []
    assert suggester.suggest(["I see zithers or"], k=1)[0].probability < 0.3
    found = suggester.suggest(["I see zithers or xylophones"], k=1)[0]
    assert (found.word, found.probability > 0.49) == ("and", True)
    suggester.suggest(["xylophones or zithers", "I"])
    assert asked == [["or", "zithers"], ["xylophones"]]
    # Only the word that is new has been read.
    assert lm.engine.asked[:4] == [2, 1, 1, 1]


def test_what_was_read_before_a_word_was_found_stays():
    engine = make_engine()
    words = iter([np.ones((1, 4)), np.ones((2, 4)) * [[1], [2]]])
    size, extra = len(VOCABULARY), {}

    def find(new):
        extra.update({word: size + len(extra) for word in new})
        return engine.with_words(next(words)), extra

    suggester = Suggester(engine, Tokenizer(), VOCABULARY, find)
    suggester.suggest(["the zither"])
    found = suggester.suggest(["the zither and", "the xylophone"], k=3)
    wider = engine.with_words(np.array([[1] * 4, [2] * 4]))
    anew = Suggester(wider, Tokenizer(), VOCABULARY, lambda _: (wider, extra))
    expected = anew.suggest(["the zither and", "the xylophone"], k=3)
    assert [one.word for one in found] == [one.word for one in expected]
    assert [one.probability for one in found] == pytest.approx([one.probability for one in expected], rel=1e-5)


@pytest.mark.parametrize("k", [0, -1, 1.5, None, "3"])
def test_k_must_be_a_number_of_words(lm, k):
    with pytest.raises(OptionError, match=r"^`k` must be a whole number, at least 1, but is "):
        words(lm, "", k=k)


def test_k_may_be_more_than_there_are(lm):
    found = words(lm, "", k=10**6)
    # The and the are shown once.
    assert len(found) == len(lm.vocabulary) - 3 - 1
    assert words(lm, "", k=np.int64(2)) == ["I", "The"]


@pytest.mark.parametrize("prefix", ["in Por", "a\nb", " a b "])
def test_a_prefix_is_one_word(lm, prefix):
    with pytest.raises(OptionError, match=r"`prefix` must be the beginning of one word, but is '.*; words before it"):
        words(lm, "", prefix=prefix)


@pytest.mark.parametrize("kind", KINDS)
def test_against_the_engine(kind):
    engine, tokenizer = make_engine(**KINDS[kind]), Tokenizer()
    context = "Yes, the dog did not go #"
    ids = [2, *wordlm.prompts.read_prompt(context, tokenizer, VOCABULARY).ids]
    logprobs = engine.run([ids])[0][0, -1]
    best = Completer(VOCABULARY).best(logprobs, "", 5)
    found = suggest(engine, tokenizer, VOCABULARY, context, k=5)
    assert [one.word for one in found] == VOCABULARY.decode(best)
    assert [one.probability for one in found] == pytest.approx(np.exp(logprobs[best]).tolist(), rel=1e-4)


def test_a_model_in_python(trained):
    lm = wordlm.load(trained)
    found = lm.suggest("Then he took", k=3, prefix="t")
    assert all(isinstance(one, Suggestion) and one.word.lower().startswith("t") for one in found)
    logprobs = lm.engine.run([[2, *lm.read_prompt("Then he took").ids]])[0][0, -1]
    for one in found:
        assert one.probability == pytest.approx(np.exp(logprobs[lm.vocabulary.ids[one.word]]), rel=1e-4)


# --- a text that grows and shrinks --------------------------------------------------------------------------------


def test_a_word_costs_a_step_and_a_letter_none(lm):
    suggester = Suggester(lm.engine, lm.tokenizer, lm.vocabulary)
    suggester.suggest(["I do not see"])
    lm.engine.asked.clear()
    suggester.suggest(["I do not see"], prefix="P")
    suggester.suggest(["I do not see "], prefix="Po")
    assert lm.engine.asked == []
    suggester.suggest(["I do not see Portugal"])
    assert lm.engine.asked == [1]
    # Back: the last word again, for its prediction.
    suggester.suggest(["I do not see"])
    assert lm.engine.asked == [1, 1]
    suggester.suggest(["I do not see the dog . I see the dog"])
    assert lm.engine.asked == [1, 1, 6, 1]
    suggester.suggest(["I do not see the"])
    assert lm.engine.asked == [1, 1, 6, 1, 1]


LINES = st.lists(st.sampled_from(["the dog", "I", "Yes, the dog went", "the", "", "didn't he #", "  he"]), max_size=4)


@pytest.mark.parametrize("kind", [*KINDS, "cache"])
@settings(deadline=None)
@given(texts=st.lists(LINES, min_size=1, max_size=6))
def test_as_if_read_anew(kind, texts):
    engine = make_engine(**KINDS.get(kind, {}))
    if kind == "cache":
        engine = CachedEngine(engine, 5, 3.0, 0.4)
    suggester = Suggester(engine, Tokenizer(), VOCABULARY)
    for lines in texts:
        anew = Suggester(engine, Tokenizer(), VOCABULARY).suggest(lines, k=4)
        found = suggester.suggest(lines, k=4)
        assert [one.probability for one in found] == pytest.approx([one.probability for one in anew], rel=1e-4)


def test_paragraphs_end():
    engine = make_engine()
    found = Suggester(engine, Tokenizer(), VOCABULARY).suggest(["the dog", "he"], k=1)
    ids = VOCABULARY.ids
    logprobs = engine.run([[2, ids["the"], ids["dog"], 2, ids["he"]]])[0][0, -1]
    assert found[0].probability == pytest.approx(np.exp(logprobs[3:].max()), rel=1e-4)


def test_an_engine_that_fails_once_leaves_nothing_wrong(lm, monkeypatch):
    suggester = Suggester(lm.engine, lm.tokenizer, lm.vocabulary)
    suggester.suggest(["I do"])

    def fail(*_):
        raise WordlmError("no")

    with monkeypatch.context() as patched:
        patched.setattr(lm.engine, "step", fail)
        with pytest.raises(WordlmError):
            suggester.suggest(["The dog sees Portugal"])
    assert suggester.suggest(["The dog sees Portugal"], k=1)[0].word == ","
    assert suggester.suggest(["I do"], k=1)[0].word == "n't"
