"""Minimal pairs: which pairs succeed, count and are left out, by hand; the interval against its closed form."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_model import VOCABULARY, Script, make_engine

from wordlm import minimal_pairs
from wordlm.config import TextConfig
from wordlm.errors import OptionError
from wordlm.minimal_pairs import GroupResult, compare, wilson_interval
from wordlm.pairs import Pair
from wordlm.sentence_scores import score_sentences
from wordlm.tokenizer import Tokenizer

TOKENIZER = Tokenizer()


def judge(said, *pairs, **options):
    return compare(Script(said), TOKENIZER, VOCABULARY, [Pair(*pair) for pair in pairs], **options)


def test_doctests():
    result = doctest.testmod(minimal_pairs)
    assert result.attempted
    assert not result.failed


# --- which pairs succeed ------------------------------------------------------------------------------------------


def test_pairs_by_hand():
    # The model is sure of "he went . <eos>"; each word that it does not foresee costs the same.
    found = judge(
        "he went . <eos> <eos>",
        ("verbs", "he went.", "he said."),
        ("verbs", "the lamp went.", "he went."),
        ("marks", "he went.", "he went!"),
        ("verbs", "he said.", "he do."),  # a tie
        ("marks", "he went.", "he xylophones."),
        ("names", "Zoe went.", "Zoe went!"),
    )
    assert found.groups == [
        GroupResult("verbs", 1 / 3, *wilson_interval(1, 3), 3, 0),
        GroupResult("marks", 1.0, *wilson_interval(1, 1), 1, 1),
        GroupResult("names", None, None, None, 0, 1),
    ]
    assert (found.accuracy, found.low, found.high) == (0.5, *wilson_interval(2, 4))
    assert found.mean_accuracy == pytest.approx((1 / 3 + 1) / 2)
    assert (found.pairs, found.left_out, found.ties) == (4, 2, 1)
    assert found.unknown == [("xylophones", 1), ("Zoe", 1)]


def test_the_end_of_a_sentence_counts():
    # It is sure of "went" behind "he", and of no end behind it.
    (group,) = judge("he went . <eos>", ("a", "he went.", "he went")).groups
    assert group.accuracy == 1.0


def test_unknown_words_count_if_asked_for():
    found = judge(
        "<unk> went <eos> <eos>", ("a", "Zoe went", "he went"), ("a", "Zoe went", "Eve went"), include_unknown=True
    )
    assert (found.pairs, found.left_out, found.ties, found.accuracy) == (2, 0, 1, 0.5)
    assert found.unknown == [("Zoe", 2), ("Eve", 1)]


def test_no_pairs():
    found = judge("he")
    assert (found.groups, found.accuracy, found.mean_accuracy, found.pairs, found.unknown) == ([], None, None, 0, [])


def test_all_pairs_left_out():
    found = judge("he", ("a", "Zoe", "Eve"))
    assert (found.accuracy, found.low, found.high, found.mean_accuracy, found.left_out) == (None,) * 4 + (1,)


def test_the_ten_most_frequent_unknown_words():
    pairs = [("a", f"w{number}", f"w{number} w{other}") for number in range(20) for other in range(number)]
    found = judge("he", *pairs)
    # Each word is in 19 pairs; ties stay in the order of their first pairs, good sentence first.
    assert found.unknown == [(f"w{number}", 19) for number in [1, 0, *range(2, 10)]]


def test_words_are_split_and_folded_as_the_models_own():
    tokenizer = Tokenizer(TextConfig(kind="pretokenized"))
    found = compare(Script("he went . <eos>"), tokenizer, VOCABULARY, [Pair("a", "he went .", "he went.")])
    assert found.unknown == [("went.", 1)]
    tokenizer = Tokenizer(TextConfig(lowercase=True))
    found = compare(Script("he went . <eos>"), tokenizer, VOCABULARY, [Pair("a", "HE WENT.", "he do.")])
    assert found.accuracy == 1.0


def test_unk_in_a_pretokenized_text_is_no_word():
    tokenizer = Tokenizer(TextConfig(kind="pretokenized"))
    found = compare(Script("he <eos>"), tokenizer, VOCABULARY, [Pair("a", "<unk> went", "<unk> he")])
    assert (found.left_out, found.unknown) == (1, [("<unk>", 1)])


# --- words with a vector ------------------------------------------------------------------------------------------


def test_a_word_with_a_vector_counts_where_both_sentences_have_it():
    size = len(VOCABULARY)
    rng = np.random.default_rng(1)
    engine = make_engine().with_words(rng.normal(size=(2, 4)))
    extra = {"Zoe": size, "Eve": size + 1}
    pairs = [
        Pair("both", "Zoe went", "he said Zoe"),
        Pair("one", "Zoe went", "he went"),
        Pair("differ", "Zoe went", "Eve went"),
        Pair("twice", "Zoe went Zoe", "Zoe went"),
        Pair("no vector", "Zoe went Adam", "Zoe Adam went"),
    ]
    found = compare(engine, TOKENIZER, VOCABULARY, pairs, extra=extra)
    assert {group.group: group.pairs for group in found.groups} == {
        "both": 1, "one": 0, "differ": 0, "twice": 0, "no vector": 0,
    }  # fmt: skip
    went, he, said = VOCABULARY.encode(["went", "he", "said"])
    good, bad = score_sentences(engine, [[size, went], [he, said, size]])
    assert found.accuracy == float(good > bad)
    # What is read decides, though all of these are predicted as <unk>.
    assert compare(engine, TOKENIZER, VOCABULARY, pairs[2:3], extra=extra, include_unknown=True).ties == 0
    assert compare(engine, TOKENIZER, VOCABULARY, pairs[2:3], include_unknown=True).ties == 1


# --- many pairs ---------------------------------------------------------------------------------------------------

WORDS = st.lists(st.sampled_from(["he", "the", "dog", "went", ".", "Zoe"]), max_size=5).map(" ".join)


@given(st.lists(st.builds(Pair, st.sampled_from("abc"), WORDS, WORDS), max_size=20), st.booleans())
def test_any_pairs_are_judged_as_one_by_one(pairs, include_unknown):
    engine = make_engine()
    alone = [compare(engine, TOKENIZER, VOCABULARY, [pair], include_unknown=include_unknown) for pair in pairs]
    found = compare(engine, TOKENIZER, VOCABULARY, iter(pairs), include_unknown=include_unknown)
    assert found.pairs == sum(one.pairs for one in alone)
    assert found.left_out == sum(one.left_out for one in alone)
    assert found.ties == sum(one.ties for one in alone)
    assert round((found.accuracy or 0) * found.pairs) == sum(one.accuracy or 0 for one in alone)
    assert [group.group for group in found.groups] == list(dict.fromkeys(pair.group for pair in pairs))


def test_pairs_are_read_some_at_a_time(monkeypatch):
    engine = make_engine()
    pairs = [
        Pair(str(number % 3), f"he {word} .", f"{word} he !")
        for number, word in enumerate(["went", "said", "dog", "Zoe", "lamp", "I"] * 5)
    ]
    together = compare(engine, TOKENIZER, VOCABULARY, pairs)
    monkeypatch.setattr(minimal_pairs, "_WORDS", 20)
    read, told = [], []

    def watched():
        for number, pair in enumerate(pairs, 1):
            read.append(number)
            yield pair

    def progress(done):
        told.append(done)
        # Three pairs of eight words with `<eos>`, or more if some of them are left out.
        assert len(read) - done < 6

    assert compare(engine, TOKENIZER, VOCABULARY, watched(), progress=progress) == together
    assert told == sorted(told)
    assert told[-1] == len(pairs)


# --- the interval -------------------------------------------------------------------------------------------------


@given(st.integers(1, 10**7).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilsons_interval_solves_its_equation(case):
    # Its ends are the p whose score test stands at z: (share - p)^2 = z^2 p (1 - p) / n.
    successes, trials = case
    low, high = wilson_interval(successes, trials)
    share, z = successes / trials, 1.959963984540054
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        assert (share - end) ** 2 == pytest.approx(z * z * end * (1 - end) / trials, rel=1e-6, abs=1e-12)
    assert low < high


def test_wilsons_interval_at_its_ends():
    z = 1.959963984540054
    assert wilson_interval(0, 10) == pytest.approx((0, z * z / (10 + z * z)))
    assert wilson_interval(10, 10) == pytest.approx((10 / (10 + z * z), 1))
    low, high = wilson_interval(50, 100)
    assert (low + high) / 2 == pytest.approx(0.5)
    # For many trials it is the usual one.
    low, high = wilson_interval(3 * 10**7, 10**8)
    assert (high - low) / 2 == pytest.approx(z * math.sqrt(0.3 * 0.7 / 10**8), rel=1e-4)


@pytest.mark.parametrize("case", [(0, 0), (-1, 5), (6, 5)])
def test_wilsons_interval_of_nothing(case):
    with pytest.raises(OptionError, match="`successes` must be between 0 and `trials`"):
        wilson_interval(*case)
