"""Words that stand once, hidden now and then."""

import doctest

import numpy as np
import pytest

from wordlm import rare_words
from wordlm.batches import StreamBatches, WindowBatches
from wordlm.rare_words import RareWords
from wordlm.vocab import EOS, PAD, UNK

V = 1000
RARE = RareWords(np.arange(V) >= 500, share=0.3, seed=4)
IDS = np.random.default_rng(0).integers(3, V, 4000).astype(np.uint16)


def test_examples():
    result = doctest.testmod(rare_words)
    assert result.failed == 0
    assert result.attempted > 4


def test_only_rare_words_are_hidden_and_as_often_as_asked():
    positions = np.arange(len(IDS))
    is_rare = IDS >= 500
    shares = []
    for epoch in range(50):
        hidden = RARE.hide(IDS, positions, epoch)
        np.testing.assert_array_equal(hidden[~is_rare], IDS[~is_rare])
        changed = hidden != IDS
        assert set(hidden[changed].tolist()) == {UNK}
        shares.append(changed[is_rare].mean())
    # 100,000 draws: the standard error is 0.0015, five of them fail once in two million.
    assert np.mean(shares) == pytest.approx(0.3, abs=0.0075)
    assert len(set(shares)) > 20  # of some 100 that are likely


def test_every_place_is_hidden_in_some_epochs_and_not_in_others():
    positions, always = np.arange(len(IDS)), np.full(len(IDS), 700)
    hidden = np.array([RARE.hide(always, positions, epoch) == UNK for epoch in range(100)])
    # The chance that one of 4,000 places is never or always hidden in 100 epochs: 4,000 * 0.7 ** 100 < 1e-12.
    assert hidden.any(axis=0).all()
    assert not hidden.all(axis=0).any()
    # Neighbors and epochs are independent: the correlations' standard error is 0.0016.
    a = hidden.astype(float) - hidden.mean()
    for pair in (a[:, 1:] * a[:, :-1], a[1:] * a[:-1]):
        assert pair.mean() / a.var() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 1)])
def test_none_or_all(share, expected):
    rare = RareWords(np.ones(5, bool), share)
    assert (rare.hide(np.full(1000, 3), np.arange(1000), 0) == UNK).mean() == expected


def test_a_text_with_unknown_words_of_its_own_needs_fewer():
    counts = np.array([0, 20, 7, 9, *[1] * 100])
    assert RareWords.of(counts, 0.5).share == pytest.approx(0.3)
    assert RareWords.of(counts, 0.2) is None
    assert RareWords.of(counts[:4], 0.5) is None
    assert not RareWords.of(np.array([1, 0, 1, 1, 2]), 0.5).is_rare[: EOS + 1].any()


def test_expected_counts_are_those_of_the_epochs():
    counts = np.bincount(IDS, minlength=V)
    rare = RareWords.of(counts, 0.5)
    found = sum(np.bincount(rare.hide(IDS, np.arange(len(IDS)), e), minlength=V) for e in range(400)) / 400
    expected = rare.counts(counts)
    assert expected.sum() == pytest.approx(len(IDS))
    assert found[UNK] == pytest.approx(expected[UNK], rel=0.1)
    np.testing.assert_array_equal(found[counts > 1], expected[counts > 1])


def test_a_stream_reads_a_word_as_it_was_asked_to_predict_it():
    batches = StreamBatches(IDS, 4, 25, RARE)
    for epoch in range(3):
        before = None
        for step in range(batches.steps):
            x, y, _ = batches.batch(epoch, step)
            np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
            assert x[0, 0] == EOS if before is None else (x[:, 0] == before).all()
            before = y[:, -1]
    assert (batches.batch(0, 3)[1] != batches.batch(1, 3)[1]).any()
    np.testing.assert_array_equal(batches.batch(1, 3)[1], batches.batch(1, 3)[1])


def test_windows_hide_the_same_places_everywhere():
    batches = WindowBatches(IDS, 50, 6, None, RARE)
    expected = RARE.hide(IDS, np.arange(len(IDS)), 2)
    for step in range(3):
        x, y, _ = batches.batch(2, step)
        np.testing.assert_array_equal(y, expected[step * 50 : step * 50 + 50])
    np.testing.assert_array_equal(x[-1], expected[143:149])
    assert not (batches.batch(2, 0)[0] == PAD).all()
