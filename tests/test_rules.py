"""The words of a config as ids, and every contradiction refused in one line."""

import doctest
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import rules as module
from wordlm.config import SamplingConfig, TextConfig
from wordlm.errors import OptionError
from wordlm.rules import read_rules
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Vocabulary

WORDS = ["the", "The", "dog", "very", "Very", "dark", "night", "Holmes", "Paris", ".", ",", "do", "Do", "n't", "'tis",
         "'Tis", "USA"]  # fmt: skip
VOCABULARY = Vocabulary([*SPECIALS, *WORDS])
PRETOKENIZED = Tokenizer(TextConfig(kind="pretokenized"))


def rules_of(tokenizer=Tokenizer(), vocabulary=VOCABULARY, **options):  # noqa: B008
    return read_rules(SamplingConfig(**options), tokenizer, vocabulary)


def refused(tokenizer=Tokenizer(), vocabulary=VOCABULARY, **options):  # noqa: B008
    """The one line that refuses the options."""
    config = SamplingConfig(**options)
    with pytest.raises(OptionError) as caught:
        read_rules(config, tokenizer, vocabulary)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def said(ids):
    return VOCABULARY.decode(ids)


def test_doctests():
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0


def test_no_rules():
    rules = rules_of()
    assert rules.never.tolist() == [PAD, UNK]
    assert (rules.banned, rules.start, rules.end, rules.include, rules.stop, rules.strangers) == (
        (), (), (), (), frozenset(), (),
    )  # fmt: skip
    assert rules_of(no_unk=False).never.tolist() == [PAD]
    assert (rules.config, rules.vocabulary, rules.lowercase) == (SamplingConfig(), VOCABULARY, False)


def test_words_and_phrases_become_ids():
    rules = rules_of(include=("dark night", "dog"), start_with="The dog", end_with="night.", stop=("Holmes", ","))
    assert [said(phrase) for phrase in rules.include] == [["dark", "night"], ["dog"]]
    assert (said(rules.start), said(rules.end)) == (["The", "dog"], ["night", "."])
    assert sorted(said(rules.stop)) == [",", "Holmes"]


def test_what_is_included_twice_counts_once():
    assert len(rules_of(include=("dog", " dog ", "dog")).include) == 1


@pytest.mark.parametrize(
    ("ban", "never", "banned"),
    [
        ("very", ["very", "Very"], []),
        ("Very", ["Very"], []),
        ("Holmes", ["Holmes"], []),
        ("holmes", ["Holmes"], []),
        ("'tis", ["'tis", "'Tis"], []),
        ("USA", ["USA"], []),
        ("very dark", [], [["very", "dark"], ["Very", "dark"]]),
        ("Very dark", [], [["Very", "dark"]]),
        ("the Holmes", [], [["the", "Holmes"], ["The", "Holmes"]]),
        ("don't", [], [["do", "n't"], ["Do", "n't"]]),
        (".", ["."], []),
        (("very", "Very", "very dark", "very dark"), ["very", "Very"], [["very", "dark"], ["Very", "dark"]]),
        ("very blorp", [], []),
    ],
)
def test_bans(ban, never, banned):
    rules = rules_of(ban=ban)
    assert said(rules.never) == ["<pad>", "<unk>", *sorted(never, key=VOCABULARY.ids.get)]
    assert [said(phrase) for phrase in rules.banned] == banned


def test_a_lower_case_model_folds_all_of_it():
    tokenizer, vocabulary = Tokenizer(TextConfig(lowercase=True)), Vocabulary([*SPECIALS, "the", "dog", "ran"])
    rules = rules_of(tokenizer, vocabulary, ban="Dog", include="THE", stop="Ran")
    assert rules.lowercase
    assert rules.never.tolist() == [PAD, UNK, 4]
    assert (rules.include, rules.stop) == (((3,),), {5})


def test_strangers_are_told_and_do_nothing():
    rules = rules_of(ban=("blorp", "dog", "dark blorp", "paris", "Dog"), stop=("zork", "night"))
    # It does ban Paris, but there is no Dog.
    assert rules.strangers == ("blorp", "dark blorp", "Dog", "zork")
    assert said(rules.never) == ["<pad>", "<unk>", "dog", "Paris"]
    assert (rules.banned, said(rules.stop)) == ((), ["night"])


@pytest.mark.parametrize("name", ["include", "start_with", "end_with"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("blorp", "but it does not know 'blorp'; give another one"),
        ("the blorp zork", "but it does not know 'blorp'; give another one"),
        ("DOG", "but it does not know 'DOG'; it knows 'dog'"),
        ("holmes", "but it does not know 'holmes'; it knows 'Holmes'"),
        ("usa", "but it does not know 'usa'; it knows 'USA'"),
    ],
)
def test_words_that_the_model_cannot_say(name, words, message):
    assert refused(**{name: words}) == f"`{name}` must be words that the model knows, {message}"


@pytest.mark.parametrize("name", ["include", "start_with", "end_with"])
@pytest.mark.parametrize(
    ("words", "other", "others", "both"),
    [
        ("dog", "ban", "dog", "dog"),
        ("the dark night", "ban", ("dog", "night"), "night"),
        ("Very", "ban", "very", "Very"),
        ("The very dark night", "ban", "very dark", "very dark"),
        ("Very dark", "ban", "very dark", "Very dark"),
        ("dog", "stop", "dog", "dog"),
        ("the dog", "stop", (".", "dog"), "dog"),
    ],
)
def test_contradictions(name, words, other, others, both):
    message = f"`{name}` and `{other}` contradict each other: both have {both!r}; leave one out"
    assert refused(**{name: words, other: others}) == message


def test_what_only_looks_like_a_contradiction():
    rules = rules_of(include=("dark", "very night"), start_with="The dog very", end_with="dark", ban=("very dark",))
    assert [said(phrase) for phrase in rules.banned] == [["very", "dark"], ["Very", "dark"]]
    assert rules_of(include="dog", ban="the", stop="night")
    assert rules_of(ban="dog", stop="dog")


def test_unk_cannot_be_asked_for_where_it_never_comes():
    message = "`include` and `no_unk` contradict each other: both have '<unk>'; leave one out"
    assert refused(PRETOKENIZED, include="<unk>") == message
    assert rules_of(PRETOKENIZED, include="<unk>", no_unk=False).include == ((UNK,),)


@pytest.mark.parametrize("name", ["include", "start_with", "end_with", "ban", "stop"])
def test_the_end_of_a_paragraph_is_no_word(name):
    message = refused(PRETOKENIZED, **{name: "<eos>"})
    assert message.startswith("<eos>, the end of a paragraph, is no word to ban, to stop at or to include; `sentences`")


def test_a_stop_of_more_than_one_word():
    assert refused(stop=("dog", "don't")) == (
        '`stop` takes single words, but "don\'t" is 2 to the model; give one of them'
    )


def test_nothing_left_to_write_with():
    assert refused(ban=WORDS) == "`ban` leaves no word of the model's 20 to write with; give fewer"
    assert refused(ban=WORDS[1:], stop="the") == (
        "`ban` and `stop` leave no word of the model's 20 to write with; give fewer"
    )
    # Of a word to stop at, a text is not made, for it would be none.
    assert refused(stop=WORDS).startswith("`ban` and `stop` leave no word")
    assert rules_of(stop=WORDS[1:])
    assert rules_of(ban=[word for word in WORDS if word.lower() != "the"])
    assert rules_of(ban=WORDS, no_unk=False)


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"include": "dog"}, 1),
        ({"include": ("dark night", "dog", "dog")}, 3),
        ({"start_with": "The dog"}, 2),
        ({"start_with": "The dog", "end_with": "dark night."}, 5),
        ({"start_with": "The dog", "include": ("dog", "dark night"), "end_with": "night"}, 4),
        ({"start_with": "The dark", "include": "dark night", "end_with": "night"}, 3),  # nothing between them
    ],
)
def test_what_must_be_in_a_text_must_fit_into_it(options, needed):
    assert rules_of(max_words=needed, **options)
    if needed > 1:
        assert refused(max_words=needed - 1, **options) == (
            f"`max_words` must leave room for the words to include, to start and to end with, which are {needed}, "
            f"but is {needed - 1}"
        )


phrases = st.lists(st.sampled_from([*WORDS, "blorp", "dogs", "HOLMES"]), min_size=1, max_size=3).map(" ".join)


@given(
    ban=st.lists(phrases, max_size=4),
    stop=st.lists(phrases, max_size=3),
    include=st.lists(phrases, max_size=3),
    start_with=phrases | st.just(""),
    end_with=phrases | st.just(""),
    max_words=st.integers(1, 10),
)
def test_any_rules_hold_together_or_are_refused_in_a_line(**options):
    message = ""
    try:
        rules = rules_of(**options)
    except OptionError as error:
        message = str(error)
    if message:
        assert "\n" not in message
        assert "`" in message
        return
    required = (rules.start, rules.end, *rules.include)
    assert not {UNK, EOS, PAD, *rules.stop, *rules.never} & {id for phrase in required for id in phrase}
    assert all(len(phrase) > 1 for phrase in rules.banned)
    for phrase, banned in product(required, rules.banned):
        assert f" {' '.join(said(banned))} " not in f" {' '.join(said(phrase))} "
    assert max(len(rules.start), len(rules.end)) <= options["max_words"]
    assert set(rules.strangers) <= {*options["ban"], *options["stop"]}
    assert rules.never.tolist() == sorted(set(rules.never.tolist()))


def test_overlapping_words_need_less_room():
    words = ("the dog", "dog very")
    assert len(rules_of(include=words, max_words=3).include) == 2
    with pytest.raises(OptionError, match="which are 3, but is 2"):
        rules_of(include=words, max_words=2)
    with pytest.raises(OptionError, match="which are 4, but is 3"):
        rules_of(include=words, start_with="night", max_words=3)
    assert rules_of(include=words, start_with="the", max_words=3).start
