import numpy as np
import pytest

keras = pytest.importorskip("keras")

from toy import toy_corpus, toy_training  # noqa: E402

from wordlm import examiner as module  # noqa: E402
from wordlm.batches import WindowBatches  # noqa: E402
from wordlm.engine import Engine  # noqa: E402
from wordlm.model import get_weights  # noqa: E402
from wordlm.vocab import EOS  # noqa: E402

KINDS = [{}, {"cell": "gru", "layers": 2}, {"context": 4, "bidirectional": True}, {"context": 3, "masking": True}]


def engine_loss(training, ids):
    """The mean loss and the accuracy by the NumPy engine, one stream from `<eos>`."""
    training.learner.publish(training.network)
    engine = Engine(training.model_config, get_weights(training.network))
    logprobs, _ = engine.run(np.array([[EOS, *ids[:-1]]]))
    logprobs = logprobs[0].astype(np.float64)
    return -logprobs[np.arange(len(ids)), ids].mean(), (logprobs.argmax(-1) == ids).mean()


@pytest.mark.parametrize("model", KINDS)
def test_it_agrees_with_the_engine(tmp_path, model):
    corpus = toy_corpus(tmp_path / "corpus")
    training = toy_training(corpus, tmp_path, model=model)
    for _ in range(5):
        training._step()
    ids = np.asarray(corpus.valid, np.int64)
    loss, accuracy = training.examiner.examine(corpus.valid)
    assert (loss, accuracy) == pytest.approx(engine_loss(training, ids), rel=1e-5)
    # Examining leaves the training as it was: its state, and the next examination.
    assert training.examiner.examine(corpus.valid) == (loss, accuracy)


def test_several_streams_lose_next_to_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_STREAM", 100)
    corpus = toy_corpus(tmp_path / "corpus", valid=None, repeats=100)
    training = toy_training(corpus, tmp_path)
    assert training.examiner.batch_size == len(corpus.valid) // 100 > 2
    for _ in range(30):
        training._step()
    loss, _ = training.examiner.examine(corpus.valid)
    assert loss == pytest.approx(engine_loss(training, np.asarray(corpus.valid, np.int64))[0], rel=0.02)


def test_a_limit_looks_at_the_whole_text_in_windows(tmp_path, monkeypatch):
    corpus = toy_corpus(tmp_path / "corpus", valid=None, repeats=100)
    training = toy_training(corpus, tmp_path, model={"context": 3})
    training.examiner.batch_size = 10
    seen, real = [], WindowBatches.batch
    monkeypatch.setattr(WindowBatches, "batch", lambda self, *at: seen.append(at[1]) or real(self, *at))
    training.examiner.learner.test_on_batch = lambda *batch: None
    training.examiner.learner.sums.assign([1, 1, 1])
    monkeypatch.setattr(training.examiner.learner, "reset", lambda: None)
    training.examiner.examine(corpus.valid, 50)
    assert len(seen) == 5
    assert seen[0] == 0
    assert seen[-1] == WindowBatches(corpus.valid, 10, 3).steps - 1


def test_large_vocabularies_take_small_batches(tmp_path, monkeypatch):
    corpus = toy_corpus(tmp_path / "corpus", repeats=2)
    monkeypatch.setattr(module, "_LOGITS", 3 * len(corpus.vocabulary))
    for model in ({}, {"context": 3}):
        examiner = toy_training(corpus, tmp_path, model=model).examiner
        rows = examiner.batch_size * (1 if model else examiner.sequence_length)
        assert 1 <= rows <= 3
