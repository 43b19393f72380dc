"""What is added to a network's predictions, by hand; with whole networks it is tested in test_mixed_engine.py."""

import doctest
from types import SimpleNamespace

import numpy as np

from wordlm import additions as additions_module
from wordlm.additions import Additions, Piece

LOG = np.log


def piece(places, targets=None, contexts=()):
    return Piece(None, np.array(places), np.array(places), None, list(contexts), targets and np.array(targets))


def ngram(context):
    """After <eos>, half of a text goes on with 3 or 4; else nothing is known."""
    words = np.array([3, 4], np.uint16) if context == (2,) else np.empty(0, np.uint16)
    return 1 - 0.25 * len(words), words, np.full(len(words), 0.25)


NGRAM = SimpleNamespace(sparse=ngram, unigram=np.array([0, 0.2, 0.2, 0.2, 0.4]))


def test_examples():
    result = doctest.testmod(additions_module)
    assert result.failed == 0
    assert result.attempted > 0


def test_the_cache_counts_the_network_as_one_more_context():
    additions = Additions()
    # At the places 0 to 2 of a stretch: nothing is alike, one context, and three.
    masses = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    additions.add_cache(np.array([4, 1]), masses, piece([0, 2], targets=[4, 1]))
    np.testing.assert_array_equal(np.concatenate(additions.network), [1, 1 / 4])
    np.testing.assert_array_equal([words for words, _ in additions.cached], [[4, 1], [4, 1]])
    np.testing.assert_array_equal([gained for _, gained in additions.cached], [[0, 0], [1 / 4, 2 / 4]])
    np.testing.assert_array_equal(np.concatenate(additions.of_cache), [0, 2 / 4])
    assert masses[2, 1] == 2, "what was given stays as it is"


def test_the_parts_of_the_targets():
    additions = Additions()
    for targets, contexts, masses in (([3, 1], [(2,), (2,)], [[0.0], [1.0]]), ([4], [(2, 3)], [[3.0]])):
        given = piece(range(len(targets)), targets, contexts)
        additions.add_cache(np.array([1]), np.array(masses), given)
        additions.add_ngram(NGRAM, given)
    assert additions.shares == [0.5, 0.5, 1]
    parts = additions.parts(LOG([0.5, 0.1, 0.8]))
    expected = [[0.5, 0.5 * 0.2 + 0.25, 0.5], [0.1, 0.5 * 0.2, (1 + 0.1) / 2], [0.8, 0.4, 0.8 / 4]]
    np.testing.assert_allclose(np.exp(parts), expected, rtol=1e-12)


def test_of_a_word_that_the_n_grams_exclude_and_of_n_grams_that_are_not_there():
    additions = Additions()
    given = piece([0], [0], [(2,)])
    additions.add_cache(np.empty(0, np.intp), np.empty((1, 0)), given)
    assert np.isnan(additions.parts(LOG([0.5]))[0, 1])
    additions.add_ngram(NGRAM, given)
    np.testing.assert_allclose(additions.parts(LOG([0.5])), [[LOG(0.5), -np.inf, LOG(0.5)]])


def test_where_nothing_is_measured_there_are_no_targets():
    additions = Additions()
    given = piece([0, 1], contexts=[(2,), (3,)])
    additions.add_cache(np.array([1]), np.ones((2, 1)), given)
    additions.add_ngram(NGRAM, given)
    assert additions.of_cache == additions.of_ngram == []
    assert [gained.dtype for _, gained in additions.cached + additions.grams] == [np.float32] * 4
