"""Passages scored against a plain loop of steps, wherever the model forgets, and however they are put together."""

import doctest
import math
import tracemalloc
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import KINDS, VOCABULARY, make_engine

from wordlm import output, scoring
from wordlm.cache import CachedEngine
from wordlm.errors import OptionError, TextError, WordlmError
from wordlm.measures import measure_logprobs
from wordlm.passages import Passage
from wordlm.scoring import RESETS, score_passages
from wordlm.vocab import EOS

V = len(VOCABULARY)
# Lengths of the passages of each document, without `<eos>`: empty ones, equal ones, a long one.
DOCUMENTS = [[3, 0, 7, 7], [40], [1, 2, 0, 0, 5, 3, 3], [0]]


def passage(document, words):
    ids = np.array([*words, EOS], np.int64)
    return Passage(document, "", [VOCABULARY[id] for id in words], ids, ids)


def passages(documents=DOCUMENTS, seed=0):
    rng = np.random.default_rng(seed)
    return [
        passage(number, rng.integers(1, V, length).tolist())
        for number, lengths in enumerate(documents)
        for length in lengths
    ]


def stepped(engine, texts, reset):
    """(logprobs (n + 1, V), the next prediction (V,)) of each passage, a step a word."""
    document, state, logprobs = None, None, None
    for text in texts:
        if state is None or reset == "sentence" or (reset == "document" and text.document != document):
            logprobs, state = engine.step([EOS], engine.initial_state(1))
        document, rows = text.document, []
        for id in text.inputs.tolist():
            rows.append(logprobs[0])
            logprobs, state = engine.step([id], state)
        yield np.stack(rows), logprobs[0]


@dataclass
class OnlyRun:
    """An engine that gives its predictions as a whole, and counts how large they get."""

    engine: object
    largest: int = 0

    def __post_init__(self):
        self.config, self.initial_state = self.engine.config, self.engine.initial_state

    def run(self, token_ids, state=None):
        logprobs, state = self.engine.run(token_ids, state)
        self.largest = max(self.largest, logprobs.size)
        return logprobs, state


ENGINES = {
    **{name: lambda options=options: make_engine(**options) for name, options in KINDS.items()},
    "two layers and dense": lambda: make_engine(layers=2, dense=6),
    "masking": lambda: make_engine(masking=True),
    "run alone": lambda: OnlyRun(make_engine()),
    "cached": lambda: CachedEngine(make_engine(), cache=10, cache_theta=1, cache_lambda=0.5),
}


def assert_scored(engine, texts, reset, found):
    texts, found = list(texts), list(found)
    assert len(found) == len(texts)
    for text, (same, measures, reduction), (logprobs, after) in zip(
        texts, found, stepped(engine.engine if isinstance(engine, OnlyRun) else engine, texts, reset), strict=True
    ):
        assert same is text
        expected = measure_logprobs(logprobs, text.targets)
        for name in ("surprisal", "entropy", "rank", "confidence"):
            np.testing.assert_allclose(getattr(measures, name), getattr(expected, name), rtol=0, atol=2e-5)
        if reduction is not None:
            entropies = np.append(expected.entropy, measure_logprobs(after[np.newaxis], [0]).entropy)
            np.testing.assert_allclose(reduction, np.maximum(0, entropies[:-1] - entropies[1:]), rtol=0, atol=5e-5)


def test_examples():
    result = doctest.testmod(scoring)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("name", ENGINES)
def test_a_step_a_word_gives_the_same(name, reset):
    engine, texts = ENGINES[name](), passages()
    assert_scored(engine, texts, reset, score_passages(engine, texts, reset, entropy_reduction=True))
    assert all(reduction is None for _, _, reduction in score_passages(engine, texts, reset))


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=5),
    st.sampled_from(RESETS),
    st.sampled_from([(1, 1, 1, 1), (4, 16, 3, 2), (30, 60, 7, 64)]),
)
def test_windows_batches_and_pieces_change_nothing(documents, reset, sizes):
    names = ("_FIRST_WINDOW", "_WINDOW", "_AT_ONCE", "_ROWS")
    before = [getattr(scoring, name) for name in names]
    try:
        for name, size in zip(names, sizes, strict=True):
            setattr(scoring, name, size)
        engine, texts = make_engine(), passages(documents)
        assert_scored(engine, texts, reset, score_passages(engine, texts, reset, entropy_reduction=True))
    finally:
        for name, size in zip(names, before, strict=True):
            setattr(scoring, name, size)


def test_where_the_model_forgets_is_where_it_makes_a_difference():
    engine, texts = make_engine(), passages([[5, 5], [5, 5]])
    found = {reset: [measures.surprisal for _, measures, _ in score_passages(engine, texts, reset)] for reset in RESETS}
    same = [
        [np.allclose(one, other, atol=1e-5) for one, other in zip(found[a], found[b], strict=True)]
        for a, b in (("sentence", "document"), ("document", "never"))
    ]
    assert same == [[True, False, True, False], [True, True, False, False]]


def test_documents_that_come_one_by_one_are_as_together():
    engine, texts = make_engine(), passages()
    together = [measures.surprisal for _, measures, _ in score_passages(engine, texts, "document")]
    apart = [
        measures.surprisal
        for number in range(len(DOCUMENTS))
        for _, measures, _ in score_passages(engine, [text for text in texts if text.document == number], "never")
    ]
    np.testing.assert_allclose(np.concatenate(together), np.concatenate(apart), rtol=0, atol=1e-5)


def test_a_uniform_model_is_surprised_by_log_v_bits():
    engine = make_engine(scale=0)
    for _, measures, reduction in score_passages(engine, passages(), entropy_reduction=True):
        np.testing.assert_allclose(measures.surprisal, math.log2(V), rtol=1e-6)
        np.testing.assert_allclose(measures.entropy, math.log2(V), rtol=1e-6)
        np.testing.assert_allclose(reduction, 0, atol=1e-5)
        assert (measures.rank == 1).all()


def test_what_is_read_may_be_another_word_than_what_is_predicted():
    engine = make_engine()
    text = Passage(0, "", ["x"], np.array([7, EOS]), np.array([1, EOS]))
    ((_, measures, _),) = score_passages(engine, [text])
    logprobs, _ = engine.run([[EOS, 7]])
    np.testing.assert_allclose(measures.surprisal, -logprobs[0, [0, 1], [1, EOS]] / math.log(2), rtol=1e-5)


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("wrap", [lambda engine: engine, OnlyRun])
def test_what_looks_sees_each_prediction(wrap, reset):
    texts, engine = passages(), make_engine()

    def look(scores, words):
        assert scores.shape == (len(words), V)
        return np.where(words == scores.argmax(axis=1), -1, words)

    for text, measures, _ in score_passages(wrap(engine), texts, reset, look=look):
        np.testing.assert_array_equal(measures.looked, np.where(measures.rank == 1, -1, text.targets))


def test_no_passages():
    assert list(score_passages(make_engine(), [])) == []


@pytest.mark.parametrize("reset", RESETS)
def test_first_results_come_before_the_last_passages_are_read(reset):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield passage(0, [5, 6, 7] * 5)

    results = score_passages(make_engine(), endless(), reset)
    assert read == 0
    next(results)
    assert read < 30
    for _ in islice(results, 3000):
        pass
    assert read < 3000 + 2000


@pytest.mark.parametrize("reset", RESETS)
def test_an_error_comes_after_the_results_before_it(reset):
    def damaged():
        yield from passages()
        raise TextError("the file ends here")

    results = score_passages(make_engine(), damaged(), reset)
    documents = [text.document for text in passages()]
    assert [text.document for text, _, _ in islice(results, len(documents))] == documents
    with pytest.raises(TextError, match="ends here"):
        next(results)


def test_a_very_long_passage():
    engine = make_engine()
    words = np.random.default_rng(3).integers(1, V, 40_000).tolist()
    ((_, measures, reduction),) = score_passages(engine, [passage(0, words)], entropy_reduction=True)
    assert measures.surprisal.shape == reduction.shape == (40_001,)
    logprobs, _ = engine.run([[EOS, *words]])
    np.testing.assert_allclose(
        measures.surprisal, measure_logprobs(logprobs[0], [*words, EOS]).surprisal, rtol=0, atol=2e-5
    )


@pytest.mark.parametrize("reset", RESETS)
def test_predictions_that_come_as_a_whole_stay_small(reset, monkeypatch):
    monkeypatch.setattr(scoring, "_FLOATS", 20 * V)
    engine = OnlyRun(make_engine())
    texts = passages([[100], [3] * 200, [1000]])
    assert len(list(score_passages(engine, texts, reset))) == len(texts)
    assert 0 < engine.largest <= scoring._ROWS * V


@pytest.mark.parametrize("reset", RESETS)
def test_memory_stays_flat(reset, monkeypatch):
    monkeypatch.setattr(scoring, "_WINDOW", 1 << 10)
    # A second thread may come late, and have an array of its own.
    monkeypatch.setattr(output, "_THREADS", 1)
    engine = make_engine()

    def peak(count):
        texts = (passage(number // 50, [5, 6, 7, 8] * 5) for number in range(count))
        tracemalloc.start()
        for _ in score_passages(engine, texts, reset, entropy_reduction=True):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(10)
    few = peak(150)
    assert peak(600) < 1.2 * few


def test_keras_models_are_scored():
    pytest.importorskip("keras")
    from wordlm.keras_engine import KerasEngine
    from wordlm.layout import weight_shapes
    from wordlm.model import build_model, set_weights

    known = make_engine(context=4)
    rng = np.random.default_rng(5)
    weights = {name: rng.normal(0, 1.5, shape).astype("float32") for name, shape in weight_shapes(known.config).items()}
    model = build_model(known.config)
    set_weights(model, weights)
    engine, texts = KerasEngine(model), passages([[3, 0], [6]])
    assert not hasattr(engine, "measure")
    for reset in RESETS:
        assert_scored(known, texts, reset, score_passages(engine, texts, reset, entropy_reduction=True))


def test_a_prediction_that_is_nan_is_told():
    with np.errstate(invalid="ignore"), pytest.raises(WordlmError, match="predicts NaN"):
        list(score_passages(make_engine(scale=1e38), passages()))


@pytest.mark.parametrize("reset", ["always", "", None])
def test_a_reset_that_there_is_not(reset):
    with pytest.raises(OptionError, match="`reset` must be one of sentence, document, never, but is"):
        score_passages(make_engine(), [], reset)
