import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import batches as module
from wordlm.batches import StreamBatches, WindowBatches, permute
from wordlm.errors import OptionError
from wordlm.vocab import EOS, PAD

SIZES = {"n": st.integers(1, 80), "batch_size": st.integers(1, 9), "length": st.integers(1, 9)}


def test_docstrings():
    result = doctest.testmod(module)
    assert result.failed == 0 < result.attempted


@settings(max_examples=150, deadline=None)
@given(**SIZES, seed=st.one_of(st.none(), st.integers(0, 99)), epoch=st.integers(0, 3))
def test_streams_predict_every_token_once_from_the_one_before(n, batch_size, length, seed, epoch):
    ids = np.arange(10, 10 + n, dtype=np.uint16)
    batches = StreamBatches(ids, batch_size, length, seed=seed)
    seen = []
    for step in range(batches.steps):
        x, y, weight = batches.batch(epoch, step)
        assert x.shape == y.shape == weight.shape == (batch_size, length)
        assert (x.dtype, y.dtype, weight.dtype) == (np.int32, np.int32, np.float32)
        real = weight > 0
        assert (x[real & (y > 10)] == y[real & (y > 10)] - 1).all()
        assert (x[real & (y == 10)] == EOS).all()
        assert (x[~real] == PAD).all()
        assert (y[~real] == PAD).all()
        seen += y[real].tolist()
    assert sorted(seen) == ids.tolist()
    assert seed is not None or batches.batch(epoch, 0)[0][0, 0] == EOS


@settings(max_examples=100, deadline=None)
@given(**SIZES, seed=st.one_of(st.none(), st.integers(0, 99)))
def test_a_row_goes_on_where_it_stopped(n, batch_size, length, seed):
    ids = np.arange(10, 10 + n)
    batches = StreamBatches(ids, batch_size, length, seed=seed)
    whole = [
        np.concatenate(parts, axis=1)
        for parts in zip(*map(batches.batch, [0] * 99, range(batches.steps)), strict=False)
    ]
    for y, weight in zip(whole[1], whole[2], strict=True):
        row = y[weight > 0]
        assert (np.diff(row) % n == 1 % n).all()  # the first word of the text comes after the last
        assert (weight[: len(row)] == 1).all()  # what pads comes last


def test_an_epoch_of_streams_begins_anywhere():
    n, trials = 20, 400
    streams = StreamBatches(np.arange(10, 10 + n), 1, n, seed=3)
    firsts = [streams.batch(epoch, 0)[1][0, 0] - 10 for epoch in range(trials)]
    assert firsts[0] == streams.batch(0, 0)[1][0, 0] - 10
    # Each of 20 words 20 times on the average: never, or more than 45 times, with a probability below 1e-6.
    assert np.bincount(firsts, minlength=n).min() > 0
    assert np.bincount(firsts).max() <= 45
    in_order = StreamBatches(np.arange(10, 10 + n), 1, n)
    assert {in_order.batch(epoch, 0)[1][0, 0] for epoch in range(9)} == {10}


@settings(max_examples=100, deadline=None)
@given(**SIZES, seed=st.one_of(st.none(), st.integers(0, 99)), epoch=st.integers(0, 3))
def test_windows_predict_every_token_once_from_those_before(n, batch_size, length, seed, epoch):
    ids = np.arange(10, 10 + n)
    batches = WindowBatches(ids, batch_size, length, seed)
    text = [EOS, *ids.tolist()]
    seen = []
    for step in range(batches.steps):
        x, y, weight = batches.batch(epoch, step)
        assert x.shape == (batch_size, length)
        for row, target, real in zip(x.tolist(), y.tolist(), weight, strict=True):
            before = text[: target - 9][-length:]
            assert row == before + [PAD] * (length - len(before))  # right-padded, never wholly
            if real:
                seen.append(target)
    assert sorted(seen) == ids.tolist()
    if seed is None:
        assert seen == ids.tolist()


def test_epochs_have_another_order():
    batches = WindowBatches(np.arange(10, 1010), 1000, 3, seed=1)
    orders = [batches.batch(epoch, 0)[1] for epoch in range(3)]
    assert np.array_equal(orders[0], batches.batch(0, 0)[1])
    for one, other in ((orders[0], orders[1]), (orders[1], orders[2]), (orders[0], np.arange(10, 1010))):
        # Two random orders of 1,000 agree at one place on the average; at 20 with a probability below 1e-18.
        assert (one == other).sum() < 20


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 3000), key=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 1000)))
def test_permute_is_a_bijection(n, key):
    assert np.array_equal(np.sort(permute(np.arange(n), n, key)), np.arange(n))


def test_permute_is_even():
    """Each place is as likely as another: chi-square of 19 degrees of freedom, over 60 with a probability of 4e-6."""
    n, trials = 20, 1000
    counts = np.zeros((n, n))
    for seed in range(trials):
        counts[np.arange(n), permute(np.arange(n), n, (seed,))] += 1
    expected = trials / n
    chi_square = ((counts - expected) ** 2 / expected).sum(axis=1)
    assert chi_square.max() < 60
    assert 12 < chi_square.mean() < 26


def test_permute_large_numbers():
    n = 10**12 + 7
    there = permute(np.arange(n - 1000, n), n, (3,))
    assert len(set(there.tolist())) == 1000
    assert there.min() >= 0
    assert there.max() < n


@pytest.mark.parametrize("kind", [StreamBatches, WindowBatches])
def test_no_tokens(kind):
    with pytest.raises(OptionError, match="at least one token"):
        kind(np.zeros(0, np.uint16), 2, 2)
