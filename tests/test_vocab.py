"""The vocabulary."""

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import vocab
from wordlm.errors import BundleError, OptionError
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Vocabulary


def test_doctests():
    result = doctest.testmod(vocab)
    assert result.failed == 0
    assert result.attempted > 3


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
