import doctest

import numpy as np
import pytest
from keras import ops

from wordlm import softmax as module
from wordlm.softmax import NegativeSampler, full_loss, full_losses_and_hits, sampled_losses


def losses_over(hidden, rows, bias, targets, negatives, log_inclusion):
    """`sampled_losses` of a whole output layer."""
    of_targets, of_negatives = ((ops.take(rows, ids, axis=0), ops.take(bias, ids)) for ids in (targets, negatives))
    return sampled_losses(hidden, targets, *of_targets, negatives, of_negatives[0], of_negatives[1] - log_inclusion)


ZIPF = (1000 / np.arange(1, 201)).astype(int)


def log_sum_exp(x):
    return np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1)) + x.max(-1)


def random_layer(n=6, d=5, vocab_size=40, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (n, d), (vocab_size, d), (vocab_size,)
    hidden, rows, bias = (rng.normal(size=shape).astype("float32") for shape in shapes)
    return hidden, rows, bias, rng.integers(0, vocab_size, n).astype("int32")


def test_docstrings():
    result = doctest.testmod(module)
    assert result.failed == 0 < result.attempted


@pytest.mark.parametrize("size", [1, 5, 50, 99, 199])
@pytest.mark.parametrize("counts", [ZIPF, np.ones(200), np.r_[10**9, np.zeros(199)]])
def test_inclusion_probabilities(size, counts):
    sampler = NegativeSampler(counts, size)
    assert sampler.inclusion.sum() == pytest.approx(size)
    assert (sampler.inclusion > 0).all()
    assert (sampler.inclusion <= 1 + 1e-12).all()
    uncertain = sampler.inclusion < 1
    share = np.maximum(counts, 0.5)[uncertain] ** 0.75
    assert sampler.inclusion[uncertain] == pytest.approx(share * sampler.inclusion[uncertain].sum() / share.sum())
    drawn = sampler.draw(np.random.default_rng(0))
    assert drawn.dtype == np.int32
    assert len(np.unique(drawn)) == size
    assert set(np.flatnonzero(~uncertain)) <= set(drawn.tolist())


def test_words_are_drawn_with_their_inclusion_probability():
    sampler, rng, trials = NegativeSampler(ZIPF, 30), np.random.default_rng(0), 20_000
    times = np.bincount(np.concatenate([sampler.draw(rng) for _ in range(trials)]), minlength=200)
    p = sampler.inclusion
    assert (times[p == 1] == trials).all()
    z = (times - trials * p)[p < 1] / np.sqrt(trials * p * (1 - p))[p < 1]
    # 200 standard normal numbers: one is beyond 5 with a probability of 1e-4.
    assert np.abs(z).max() < 5


def test_the_full_loss():
    hidden, rows, bias, targets = random_layer()
    logits = hidden.astype(float) @ rows.T + bias
    expected = log_sum_exp(logits) - logits[np.arange(6), targets]
    weights = np.array([1, 1, 0.5, 1, 0, 1], "float32")
    loss = full_loss(hidden, rows, bias, targets, weights)
    assert float(loss) == pytest.approx((weights * expected).sum(), abs=1e-5)
    targets[:3] = logits[:3].argmax(1)
    losses, hits = full_losses_and_hits(hidden, rows, bias, targets)
    assert np.asarray(losses) == pytest.approx(log_sum_exp(logits) - logits[np.arange(6), targets], abs=1e-5)
    assert np.asarray(hits).tolist() == (logits.argmax(1) == targets).tolist()


def test_losses_of_large_logits_are_finite():
    hidden, rows = np.full((1, 1), 1e4, "float32"), np.array([[1], [-1]], "float32")
    losses, _ = full_losses_and_hits(hidden, rows, np.zeros(2, "float32"), np.array([1], "int32"))
    assert np.asarray(losses) == pytest.approx(2e4)


def test_uniform_losses():
    layer = np.zeros((2, 3), "float32"), np.ones((7, 3), "float32"), np.zeros(7, "float32"), np.array([0, 6])
    assert float(full_loss(*layer, np.ones(2, "float32"))) == pytest.approx(2 * np.log(7))
    assert np.asarray(full_losses_and_hits(*layer)[0]) == pytest.approx(np.log(7))


def test_a_sample_of_all_words_is_the_full_softmax():
    hidden, rows, bias, targets = random_layer()
    losses = losses_over(hidden, rows, bias, targets, np.arange(40, dtype="int32"), np.zeros(40, "float32"))
    assert np.asarray(losses) == pytest.approx(
        np.asarray(full_losses_and_hits(hidden, rows, bias, targets)[0]), abs=1e-5
    )


def test_the_sampled_normalizer_is_unbiased():
    """Its mean is the true one, for targets that are always, sometimes and hardly ever among the negatives."""
    vocab_size, trials = 40, 600
    hidden, rows, bias, _ = random_layer(n=4, vocab_size=vocab_size)
    hidden /= 2
    targets = np.array([0, 3, 20, 39], "int32")
    sampler, rng = NegativeSampler(1000 / np.arange(1, vocab_size + 1), 12), np.random.default_rng(1)
    assert sampler.inclusion[0] == 1
    logits = hidden @ rows.T + bias
    estimates = np.zeros((trials, 4))
    for trial in range(trials):
        negatives = sampler.draw(rng)
        log_inclusion = np.log(sampler.inclusion[negatives]).astype("float32")
        losses = losses_over(hidden, rows, bias, targets, negatives, log_inclusion)
        estimates[trial] = np.exp(np.asarray(losses) + logits[np.arange(4), targets])
    exact = np.exp(logits).sum(1)
    # Four standard errors: one of the four is beyond with a probability of 3e-4.
    assert (np.abs(estimates.mean(0) - exact) < 4 * estimates.std(0) / np.sqrt(trials)).all()
    assert (estimates.std(0) > 0.01 * exact).all()


def test_gradients():
    """Those of the sampled loss are those of its formula, and rows that are not looked up have none."""
    tf = pytest.importorskip("tensorflow")
    hidden, rows, bias, targets = random_layer()
    negatives = np.array([1, int(targets[0]), 7, 30], "int32")
    log_inclusion = np.log(np.array([1, 0.5, 0.25, 0.1], "float32"))
    variables = [tf.Variable(array) for array in (hidden, rows, bias)]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(losses_over(*variables, targets, negatives, log_inclusion))
    gradients = [tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(loss, variables)]

    logits = hidden.astype(float) @ rows.T + bias
    slope = np.zeros_like(logits)
    for n, target in enumerate(targets):
        others = [(w, log) for w, log in zip(negatives, log_inclusion, strict=True) if w != target]
        values = np.array([logits[n, target], *(logits[n, w] - log for w, log in others)])
        share = np.exp(values - log_sum_exp(values))
        slope[n, target] += share[0] - 1
        for (word, _), part in zip(others, share[1:], strict=True):
            slope[n, word] += part
    assert gradients[0] == pytest.approx(slope @ rows, abs=1e-5)
    assert gradients[1] == pytest.approx(slope.T @ hidden, abs=1e-5)
    assert gradients[2] == pytest.approx(slope.sum(0), abs=1e-5)
    untouched = sorted(set(range(40)) - set(targets.tolist()) - set(negatives.tolist()))
    assert not gradients[1][untouched].any()
