"""Completions against a plain search through all words, and the rules of case by hand."""

import doctest
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wordlm.completion as completion
from wordlm.completion import Completer
from wordlm.vocab import SPECIALS, Vocabulary


def make(*words):
    vocabulary = Vocabulary([*SPECIALS, *words])
    return vocabulary, Completer(vocabulary)


def plain(vocabulary, scores, prefix, k):
    """The rules, word by word."""
    found = [id for id in range(3, len(vocabulary)) if vocabulary[id].casefold().startswith(prefix.casefold())]
    forms = {}
    for id in found:
        forms.setdefault(vocabulary[id].casefold(), []).append(id)
    shown = []
    for ids in forms.values():
        exact = [id for id in ids if vocabulary[id].startswith(prefix)]
        if prefix != prefix.lower() and exact:
            ids = exact
        shown.append(min(ids, key=lambda id: (-scores[id], id)))
    return sorted(shown, key=lambda id: (-scores[id], id))[:k]


def test_doctests():
    result = doctest.testmod(completion)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("prefix", ["Por", "por", "POR", "Portugal", "PORTUGAL"])
def test_a_prefix_matches_in_any_case(prefix):
    vocabulary, completer = make("porter", "Portugal", "Spain")
    assert "Portugal" in vocabulary.decode(completer.best(np.zeros(6), prefix, 3))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["the", "WHO", "Thebes"]),
        ("t", ["the", "Thebes"]),
        ("th", ["the", "Thebes"]),
        # Behind a capital, the word with that capital stands for its other forms, at its own place.
        ("T", ["Thebes", "The"]),
        ("TH", ["Thebes", "THE"]),
        ("The", ["Thebes", "The"]),
        ("THE", ["Thebes", "THE"]),
        # No form begins exactly so.
        ("tHe", ["the", "Thebes"]),
        ("w", ["WHO"]),
        ("Wh", ["WHO"]),
        ("W", ["WHO"]),
        ("the", ["the", "Thebes"]),
        ("thebes", ["Thebes"]),
        ("thebesx", []),
    ],
)
def test_of_words_that_differ_by_case_one_is_shown(prefix, expected):
    vocabulary, completer = make("the", "WHO", "Thebes", "The", "THE", "who")
    assert vocabulary.decode(completer.best(-np.arange(9.0), prefix, 9)) == expected


def test_special_words_are_never_shown():
    _, completer = make("unknown")
    scores = np.array([5.0, 5.0, 5.0, 0.0])
    assert completer.best(scores, "", 4).tolist() == [3]
    assert completer.best(scores, "<", 4).tolist() == []
    assert completer.best(scores, "<unk>", 4).tolist() == []


def test_a_vocabulary_without_words():
    _, completer = make()
    assert completer.best(np.zeros(3), "", 5).tolist() == []
    assert completer.best(np.zeros(3), "a", 5).tolist() == []


def test_equally_likely_words_come_by_their_ids():
    _, completer = make("b", "a", "c", "aa")
    assert completer.best(np.zeros(7), "", 3).tolist() == [3, 4, 5]
    assert completer.best(np.zeros(7), "a", 3).tolist() == [4, 6]


def test_words_that_cannot_come_are_last():
    _, completer = make("b", "a", "c")
    assert completer.best(np.array([0, 0, 0, -np.inf, -1, -np.inf]), "", 3).tolist() == [4, 3, 5]


def test_letters_that_fold_to_two():
    vocabulary, completer = make("Straße", "strasse", "STRASSE", "straw")
    scores = -np.arange(7.0)
    assert vocabulary.decode(completer.best(scores, "straß", 9)) == ["Straße"]
    assert vocabulary.decode(completer.best(scores, "stras", 9)) == ["Straße"]
    assert vocabulary.decode(completer.best(scores, "STRASS", 9)) == ["STRASSE"]


LETTERS = st.text("aAbBß", min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(LETTERS, unique=True, max_size=40), st.text("aAbBß", max_size=3), st.integers(1, 6), st.integers(0, 99))
def test_as_the_plain_search(words, prefix, k, seed):
    vocabulary, completer = make(*words)
    # Few values, so that many are equal.
    scores = np.random.default_rng(seed).integers(-4, 0, len(vocabulary)).astype("float32")
    best = completer.best(scores, prefix, k).tolist()
    assert best == plain(vocabulary, scores, prefix, k)
    for id in range(3, len(vocabulary)):
        if vocabulary[id].startswith(prefix):
            assert completer.shows(scores, prefix, k, id) == (id in best)


def test_as_the_plain_search_among_many_words():
    rng = np.random.default_rng(1)
    words = {"".join(rng.choice(list("abcdeABC"), rng.integers(1, 7))) for _ in range(5000)}
    vocabulary, completer = make(*sorted(words))
    for prefix in ["", "a", "A", "ab", "Ab", "cAb", "edcba"]:
        scores = np.log(rng.dirichlet(np.ones(len(vocabulary)))).astype("float32")
        for k in (1, 3, 500):
            best = completer.best(scores, prefix, k)
            assert best.tolist() == plain(vocabulary, scores, prefix, k)
            assert len(best) <= k
            assert (np.diff(scores[best]) <= 0).all()


def test_several_threads_share_one():
    rng = np.random.default_rng(2)
    vocabulary, completer = make(*sorted({"".join(rng.choice(list("abcABC"), 5)) for _ in range(2000)}))
    scores, prefixes = rng.random(len(vocabulary)), ["", *"abcABC", "ab", "AB", "cCc"]
    expected = [plain(vocabulary, scores, prefix, 5) for prefix in prefixes]
    found = []

    def ask():
        found.append([completer.best(scores, prefix, 5).tolist() for prefix in prefixes])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8
