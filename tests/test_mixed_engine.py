"""The mixture against its three parts, each asked by itself and put together in float64."""

import doctest
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import cache as cache_module
from wordlm import mixed_engine as mixed_engine_module
from wordlm.cache import CachedEngine
from wordlm.config import ModelConfig
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.layout import weight_shapes
from wordlm.measures import measure_logprobs
from wordlm.mixed_engine import MixedEngine
from wordlm.mixture import Mixture
from wordlm.ngram import KneserNey
from wordlm.vocab import EOS, PAD

V = 12
FEEDS = ({}, {"dense": 7}, {"cell": "gru", "masking": True}, {"context": 3}, {"context": 3, "bidirectional": True})
MIXTURES = (
    Mixture(0.5, 0.2, 0.3, cache_words=4, cache_theta=4.0),
    Mixture(0.1, 0.9, 0.0, cache_words=3, cache_theta=2.0),
    Mixture(0.7, 0.0, 0.3, cache_words=100, cache_theta=0.0),
    Mixture(0.0, 0.0, 1.0, cache_words=2, cache_theta=6.0),
    Mixture(0.0, 1.0, 0.0),
    Mixture(1.0, 0.0, 0.0),
)

# Ends of sentences in the middle and one after the other, padding anywhere, a row of padding alone.
TOKEN_IDS = np.array(
    [
        [2, 3, 4, 3, 5, 2, 3, 4, 2, 3, 4, 1],
        [2, 8, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 6, 0, 5, 3, 2, 0, 5, 0, 6, 6, 5],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [2, 2, 9, 9, 9, 9, 9, 9, 2, 9, 9, 9],
    ]
)
TARGETS = np.roll(np.where(TOKEN_IDS == PAD, 7, TOKEN_IDS), -1, axis=1)


def make_engine(seed=0, scale=1.5, vocab_size=V, **options):
    config = ModelConfig(**{"vocab_size": vocab_size, "embedding_dim": 5, "units": 6, "dense": 0} | options)
    rng = np.random.default_rng(seed)
    weights = {name: scale * rng.standard_normal(shape) / 2 for name, shape in weight_shapes(config).items()}
    weights["embedding"][0] = 0
    return Engine(config, weights)


def make_ngram(order=3, seed=1, words=400, vocab_size=V):
    ids = np.random.default_rng(seed).integers(1, vocab_size, words) // np.random.default_rng(2).integers(1, 3, words)
    return KneserNey.fit(np.maximum(ids, 1), vocab_size, order)


NGRAM = make_ngram()


def make(mixture=MIXTURES[0], **options):
    return MixedEngine(make_engine(**options), NGRAM, mixture)


def parts_of(mixed, words):
    """The three distributions after each word of a text without padding, (T, 3, V) float64; nothing read: (3, V)."""
    mixture, ids = mixed.weights, np.array([words])
    of_lstm = np.exp(mixed.engine.run(ids)[0][0].astype(np.float64))
    # A lambda of one in all but name.
    cached = CachedEngine(mixed.engine, mixture.cache_words, mixture.cache_theta, 1 - 1e-9)
    of_cache = np.exp(cached.run(ids)[0][0].astype(np.float64))
    sentence, of_ngram = [EOS], []
    for word in words:
        sentence = [EOS] if word == EOS else [*sentence, word]
        of_ngram.append(mixed.ngram.distribution(sentence) if mixed.ngram else np.zeros(V))
    return np.stack([of_lstm, np.array(of_ngram), of_cache], axis=1)


def expected_of(mixed, token_ids):
    """At each place of a padded batch, (row, time, parts, mixture); places before the first word are left out."""
    for row, ids in enumerate(np.asarray(token_ids).tolist()):
        words = [word for word in ids if word]
        parts = parts_of(mixed, words) if words else []
        for time, count in enumerate(np.cumsum([word != 0 for word in ids])):
            if count:
                yield row, time, parts[count - 1], mixed.weights.weights @ parts[count - 1]


def one_by_one(mixed, token_ids, state):
    stepped = []
    for column in np.asarray(token_ids).T:
        logprobs, state = mixed.step(column, state)
        stepped.append(logprobs)
    return np.stack(stepped, axis=1), state


def as_probabilities(logprobs):
    return np.exp(np.asarray(logprobs, np.float64))


def test_examples():
    result = doctest.testmod(mixed_engine_module)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: str(mixture.weights))
@pytest.mark.parametrize("options", FEEDS, ids=str)
def test_run_and_step_are_the_parts_put_together(options, mixture):
    mixed = make(mixture, **options)
    logprobs, state = mixed.run(TOKEN_IDS)
    assert logprobs.dtype == np.float32
    assert logprobs.shape == (*TOKEN_IDS.shape, V)
    assert np.isfinite(logprobs).all()
    np.testing.assert_allclose(as_probabilities(logprobs).sum(axis=-1), 1, rtol=1e-5)
    for row, time, _, expected in expected_of(mixed, TOKEN_IDS):
        np.testing.assert_allclose(as_probabilities(logprobs[row, time]), expected, rtol=1e-4, atol=1e-7)
    stepped, step_state = one_by_one(mixed, TOKEN_IDS, mixed.initial_state(len(TOKEN_IDS)))
    np.testing.assert_allclose(stepped, logprobs, rtol=1e-4, atol=1e-5)
    # What comes next is the same too, and after reading alone.
    states = (state, step_state, mixed.read(TOKEN_IDS), mixed.measure(TOKEN_IDS, TARGETS)[1])
    after = [mixed.step([3, 4, 2, 6, 7], each)[0] for each in states]
    for other in after[1:]:
        np.testing.assert_allclose(other, after[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: str(mixture.weights))
@pytest.mark.parametrize("options", [{}, {"context": 3}], ids=str)
def test_measure_is_run_and_then_measured(options, mixture):
    mixed = make(mixture, **options)
    logprobs = mixed.run(TOKEN_IDS)[0].reshape(-1, V)
    measures, _ = mixed.measure(TOKEN_IDS, TARGETS)
    expected = measure_logprobs(logprobs, TARGETS.ravel()).reshape(*TARGETS.shape)
    is_word = TOKEN_IDS != PAD
    for name in ("surprisal", "entropy", "confidence"):
        found = getattr(measures, name)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found[is_word], getattr(expected, name)[is_word], rtol=1e-4, atol=1e-4)
    # Words may be as likely but for rounding.
    own = np.take_along_axis(logprobs, TARGETS.reshape(-1, 1), axis=1)
    likelier = [(logprobs > own + slack).sum(axis=1).reshape(TARGETS.shape) + 1 for slack in (1e-5, -1e-5)]
    assert measures.rank.dtype == np.int64
    assert (likelier[0] <= measures.rank)[is_word].all()
    assert (measures.rank <= likelier[1])[is_word].all()


@pytest.mark.parametrize("mixture", MIXTURES, ids=lambda mixture: str(mixture.weights))
def test_parts_are_what_each_part_says_whatever_its_weight(mixture):
    mixed = make(mixture)
    measures, _ = mixed.measure(TOKEN_IDS, TARGETS)
    assert measures.parts.shape == (*TOKEN_IDS.shape, 3)
    assert measures.parts.dtype == np.float64
    for row, time, parts, expected in expected_of(mixed, TOKEN_IDS):
        if TOKEN_IDS[row, time] != PAD:
            target = TARGETS[row, time]
            np.testing.assert_allclose(np.exp(measures.parts[row, time]), parts[:, target], rtol=1e-4)
            assert measures.surprisal[row, time] == pytest.approx(-math.log2(expected[target]), rel=1e-4, abs=1e-4)


def test_at_padding_nothing_is_measured():
    measures, _ = make().measure(TOKEN_IDS, TARGETS)
    for array in (measures.surprisal, measures.entropy, measures.rank, measures.confidence, measures.parts):
        assert not array[TOKEN_IDS == PAD].any()
        assert array[TOKEN_IDS != PAD].all()


@pytest.mark.parametrize("rows", [[[0] * 40] * 3, [[0] * 40, [3] * 40, [0] * 40, [4] * 40]], ids=["all", "some"])
def test_rows_of_padding_alone(rows, monkeypatch):
    monkeypatch.setattr(mixed_engine_module, "_LOT", 10)
    measures, state = make().measure(rows, rows, look=lambda scores, targets: targets)
    for array in (measures.surprisal, measures.parts[..., 0], measures.parts[..., 2]):
        np.testing.assert_array_equal(array != 0, np.array(rows) != PAD)
    assert measures.looked is None or np.array_equal(measures.looked, rows)
    assert state.contexts == tuple((2, row[0], row[0])[-2:] if row[0] else (2,) for row in rows)


def test_padding_repeats_the_prediction_before():
    mixed = make()
    logprobs, state = mixed.run([[2, 3, 4, 3, 5]])
    repeated, after = mixed.step([0], state)
    np.testing.assert_allclose(repeated[0], logprobs[0, -1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(mixed.step([4], after)[0], mixed.step([4], state)[0], rtol=0, atol=1e-6)


def test_an_end_of_a_sentence_makes_the_n_grams_forget_and_nothing_else():
    mixture = Mixture(0.0, 1.0, 0.0)
    texts = np.array([[2, 3, 4, 5, 2, 6, 7], [2, 9, 8, 1, 2, 6, 7]])
    alone = make(mixture).run(texts)[0]
    np.testing.assert_array_equal(alone[0, 4:], alone[1, 4:])
    np.testing.assert_array_equal(alone[:, 0], alone[:, 4])
    assert np.abs(alone[0, 3] - alone[1, 3]).max() > 0.01
    with_more = make(Mixture(0.5, 0.3, 0.2)).run(texts)[0]
    assert np.abs(with_more[0, 4:] - with_more[1, 4:]).max() > 0.01


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_n_grams_are_as_over_the_whole_text(order):
    """With all of a text's words rather than the last ones, and across the places where it is cut."""
    ngram = make_ngram(order)
    text = np.random.default_rng(3).integers(1, 9, 60)
    expected = ngram.target_logprobs(text)
    mixed, state, parts = MixedEngine(make_engine(), ngram, Mixture.equal()), None, []
    for block in np.split(np.arange(60), [1, 2, 10, 11, 40]):
        measures, state = mixed.measure([np.append(2, text)[block]], [text[block]], state)
        parts.append(measures.parts[0, :, 1])
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-9)


def test_without_n_grams():
    mixed = MixedEngine(make_engine(), None, Mixture(0.7, 0.0, 0.3, cache_words=4, cache_theta=4.0))
    with_them = make(mixed.weights)
    np.testing.assert_array_equal(mixed.run(TOKEN_IDS)[0], with_them.run(TOKEN_IDS)[0])
    measures, expected = (each.measure(TOKEN_IDS, TARGETS)[0] for each in (mixed, with_them))
    np.testing.assert_array_equal(measures.surprisal, expected.surprisal)
    np.testing.assert_array_equal(measures.parts[..., [0, 2]], expected.parts[..., [0, 2]])
    assert np.isnan(measures.parts[TOKEN_IDS != PAD, 1]).all()


def test_an_empty_cache_is_the_network():
    mixed = make(Mixture(0.0, 0.0, 1.0))
    np.testing.assert_allclose(mixed.run([[2]])[0], mixed.engine.run([[2]])[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("block", [1, 3])
def test_a_long_text_is_read_in_blocks(block, monkeypatch):
    mixed = make(Mixture(0.4, 0.3, 0.3, cache_words=20, cache_theta=4.0))
    token_ids = np.random.default_rng(1).integers(0, 6, (3, 50))
    targets = np.random.default_rng(2).integers(0, V, (3, 50))
    whole, expected = mixed.run(token_ids)[0], mixed.measure(token_ids, targets)[0]
    monkeypatch.setattr(cache_module, "_BLOCK", 4)
    monkeypatch.setattr(mixed_engine_module, "_READ", 7 * block)
    monkeypatch.setattr(mixed_engine_module, "_LOT", 5)
    monkeypatch.setattr(mixed_engine_module, "_LEAST", 1)
    monkeypatch.setattr(mixed_engine_module, "_LOGITS", block * V)
    np.testing.assert_allclose(mixed.run(token_ids)[0], whole, rtol=0, atol=1e-5)
    measures, _ = mixed.measure(token_ids, targets)
    np.testing.assert_allclose(measures.surprisal, expected.surprisal, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(measures.parts, expected.parts, rtol=1e-5, atol=1e-5)


def test_threads_change_nothing(monkeypatch):
    mixed = make()
    token_ids = np.random.default_rng(1).integers(0, 6, (3, 300))
    whole, expected = mixed.run(token_ids)[0], mixed.measure(token_ids, token_ids)[0]
    monkeypatch.setattr(mixed_engine_module, "_PARALLEL", 1)
    monkeypatch.setattr(mixed_engine_module, "_THREADS", 3)
    np.testing.assert_array_equal(mixed.run(token_ids)[0], whole)
    np.testing.assert_array_equal(mixed.measure(token_ids, token_ids)[0].surprisal, expected.surprisal)


def test_what_looks_sees_every_word_once():
    mixed, seen = make(), []

    def look(scores, targets):
        seen.append(scores.copy())
        np.testing.assert_allclose(scores.sum(axis=1) / scores.sum(axis=1), 1)
        return targets * 10 + np.argmax(scores, axis=1)

    measures, _ = mixed.measure(TOKEN_IDS, TARGETS, None, look)
    is_word = TOKEN_IDS != PAD
    best = np.argmax(mixed.run(TOKEN_IDS)[0], axis=-1)
    np.testing.assert_array_equal(measures.looked[is_word], (TARGETS * 10 + best)[is_word])
    assert sum(map(len, seen)) == is_word.sum()
    assert mixed.measure(TOKEN_IDS, TARGETS)[0].looked is None


WORDS = st.lists(st.integers(0, 6), min_size=6, max_size=6)
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["step", "run", "read", "measure", "select", "join"]), st.integers(0, 99), WORDS),
    max_size=10,
)


@settings(deadline=None, max_examples=50)
@given(ACTIONS)
def test_any_number_of_continuations_may_start_from_any_state(actions):
    mixed = make()
    reached = [(mixed.initial_state(2), [[], []])]
    for action, number, words in actions:
        state, texts = reached[number % len(reached)]
        if action == "select":
            rows = [word % len(texts) for word in words[:3]]
            reached.append((state.select(rows), [texts[row] for row in rows]))
        elif action == "join":
            other, others = reached[words[0] % len(reached)]
            if len(texts) + len(others) <= 6:
                reached.append((state.join(other), texts + others))
        else:
            block = np.array([words[row % 3 :: 3] for row in range(len(texts))])[:, : 1 if action == "step" else 2]
            if action == "step":
                state = mixed.step(block[:, 0], state)[1]
            elif action == "read":
                state = mixed.read(block, state)
            else:
                state = (mixed.run(block, state) if action == "run" else mixed.measure(block, block, state))[1]
            reached.append((state, [text + new for text, new in zip(texts, block.tolist(), strict=True)]))
    # All of them at the end, when every state has been gone on from.
    for state, texts in reached:
        assert state.batch_size == len(texts)
        logprobs, _ = mixed.step([4] * len(texts), state)
        for row, text in zip(logprobs, texts, strict=True):
            words = [word for word in [*text, 4] if word]
            expected = mixed.weights.weights @ parts_of(mixed, words)[-1]
            np.testing.assert_allclose(as_probabilities(row), expected, rtol=1e-3, atol=1e-6)


def test_words_with_a_vector_alone_are_unknown_to_the_others():
    vectors = np.random.default_rng(4).standard_normal((2, 5))
    ngram, mixture = NGRAM, MIXTURES[0]
    mixed = MixedEngine(make_engine().with_words(vectors), ngram, mixture)
    text = [2, 3, V, 3, V + 1, 4, V]
    known = [word if word < V else 1 for word in text]
    measures, state = mixed.measure([text[:-1]], [known[1:]])
    np.testing.assert_allclose(measures.parts[0, :, 1], ngram.target_logprobs(known[1:]), rtol=1e-9)
    # Of the cache nearly all speaks for <unk>, where it alone was read.
    with_unk, _ = MixedEngine(mixed.engine, ngram, Mixture(0, 0, 1, 1)).run([[2, 3, V]])
    assert with_unk[0, -1, 1] > mixed.engine.run([[2, 3, V]])[0][0, -1, 1]
    np.testing.assert_allclose(mixed.step([V + 1], state)[0], mixed.run([[*text[:-1], V + 1]])[0][:, -1], atol=1e-5)
    with pytest.raises(OptionError, match="between 0 and 13"):
        mixed.run([[2, V + 2]])


@pytest.mark.parametrize("scale", [0.0, 1e-30, 40.0])
@pytest.mark.parametrize("theta", [0.0, 1e4, 1e300])
@pytest.mark.parametrize("mixture", [(1 / 3, 1 / 3, 1 / 3), (1, 0, 0), (0, 0, 1), (1 - 1e-9, 1e-9, 0)], ids=str)
def test_predictions_are_finite_and_sum_to_one(scale, theta, mixture):
    mixed = make(Mixture(*mixture, 4, theta), scale=scale)
    logprobs, _ = mixed.run(TOKEN_IDS)
    assert np.isfinite(logprobs).all()
    np.testing.assert_allclose(as_probabilities(logprobs).sum(axis=-1), 1, rtol=1e-5)
    measures, _ = mixed.measure(TOKEN_IDS, TARGETS)
    for array in (measures.surprisal, measures.entropy, measures.parts):
        assert np.isfinite(array).all()


def test_of_padding_the_surprisal_is_the_networks():
    """The n-grams give it none, and that has no logarithm, which must not spoil the others."""
    mixed = make()
    measures, _ = mixed.measure([[2, 3]], [[PAD, PAD]])
    assert np.isfinite(measures.surprisal).all()
    np.testing.assert_array_equal(measures.parts[..., 1], -np.inf)


def test_nothing_to_read():
    mixed = make()
    logprobs, state = mixed.run(np.empty((2, 0), int))
    assert logprobs.shape == (2, 0, V)
    measures, state = mixed.measure(np.empty((2, 0), int), np.empty((2, 0), int), mixed.read(np.empty((2, 0), int)))
    assert measures.surprisal.shape == (2, 0)
    assert measures.parts.shape == (2, 0, 3)
    np.testing.assert_array_equal(mixed.step([2, 3], state)[0], mixed.run([[2], [3]])[0][:, 0])


@pytest.mark.parametrize(
    ("engine", "ngram", "weights", "message"),
    [
        (object(), NGRAM, Mixture.equal(), "needs a model that NumPy runs, but Keras runs this one"),
        (make_engine(), None, Mixture(0.9, 0.1, 0), "`kneser_ney` has the weight 0.1, but there is no n-gram model"),
        (make_engine(vocab_size=13), NGRAM, Mixture.equal(), "must be over the model's 13 words, but has 12"),
        (make_engine(vocab_size=13), NGRAM, Mixture(1, 0, 0), "must be over the model's 13 words, but has 12"),
    ],
)
def test_parts_that_do_not_fit_are_refused(engine, ngram, weights, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        MixedEngine(engine, ngram, weights)


def test_wrong_ids_are_refused_as_by_the_engine():
    mixed = make()
    with pytest.raises(OptionError, match=r"between 0 and 11.* there is 12"):
        mixed.step([V], mixed.initial_state(1))
    with pytest.raises(OptionError, match="2 texts, but have 3"):
        mixed.step([1, 2, 3], mixed.initial_state(2))
    with pytest.raises(OptionError, match=r"shape \(batch, time\), but have \(2,\)"):
        mixed.run([1, 2])
    with pytest.raises(OptionError, match=r"shape \(batch, time\), but have \(2,\)"):
        mixed.measure([1, 2], [2, 3])
    with pytest.raises(OptionError, match=r"`targets` must have the ids' shape, \(1, 2\), but have \(1, 3\)"):
        mixed.measure([[1, 2]], [[2, 3, 4]])
    with pytest.raises(OptionError, match="`targets` must be ids between 0 and 11"):
        mixed.measure([[1, 2]], [[2, V]])
    with pytest.raises(OptionError, match="`batch_size` must be at least 1"):
        mixed.initial_state(0)


def test_many_words_side_by_side():
    """A vocabulary that takes several blocks of rows for each stretch, and threads."""
    vocab_size = 40_000
    ngram = make_ngram(words=3000, vocab_size=vocab_size)
    mixed = MixedEngine(make_engine(vocab_size=vocab_size), ngram, Mixture(0.5, 0.3, 0.2))
    token_ids = np.random.default_rng(5).integers(1, 50, (2, 40))
    measures, _ = mixed.measure(token_ids, token_ids)
    logprobs, _ = mixed.run(token_ids)
    np.testing.assert_allclose(as_probabilities(logprobs).sum(axis=-1), 1, rtol=1e-4)
    expected = measure_logprobs(logprobs.reshape(80, -1), token_ids.ravel())
    np.testing.assert_allclose(measures.surprisal.ravel(), expected.surprisal, atol=1e-4)
    np.testing.assert_allclose(measures.entropy.ravel(), expected.entropy, atol=1e-3)
    np.testing.assert_allclose(measures.confidence.ravel(), expected.confidence, rtol=1e-4)
