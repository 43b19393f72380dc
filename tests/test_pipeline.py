"""From a text to a bundle: what stays after a success, a failure and an interruption, and whom it does not disturb."""

import os
import random
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from trained import TINY

import wordlm
import wordlm.pipeline as pipeline
from wordlm import planning
from wordlm.bundle import load_bundle
from wordlm.cli import main
from wordlm.errors import BundleError, OptionError, TextError, TrainingError, VectorError

LONG = TINY | {"epochs": 3000, "patience": 3000}


class Listener:
    """Keeps what it hears, and does something at each step and epoch."""

    def __init__(self, at_step=lambda: None, at_epoch=lambda: None):
        self.messages, self.at_step, self.at_epoch = [], at_step, at_epoch

    def message(self, text):
        self.messages.append(text)

    def reading(self, part, tokens, share):
        self.messages.append((part, share))

    def step(self, step):
        self.at_step()

    def epoch(self, epoch):
        self.messages.append(epoch.sample)
        self.at_epoch()


def fail():
    raise RuntimeError("the machine is on fire")


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def old(trained, tmp_path):
    """A finished model at the place of the next one."""
    return Path(shutil.copytree(trained, tmp_path / "old"))


# --- what a training leaves --------------------------------------------------------------------------------------


def test_the_metadata_say_where_a_model_comes_from(trained):
    metadata = load_bundle(trained).metadata
    import hashlib

    source = trained.parent / "story.txt"
    assert metadata["corpus"]["train"] == {
        "files": [str(source)],
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    assert metadata["vectors"]["name"] == "glove-6b-50d"
    assert len(metadata["vectors"]["sha256"]) == 64
    assert metadata["preset"] == "small"
    assert metadata["train"]["seed"] == 0
    assert [epoch["epoch"] for epoch in metadata["history"]] == [1]
    assert metadata["history"][0]["sample"]
    assert metadata["interrupted"] is False
    assert metadata["with_ngram"] is False
    assert not (trained / "ngram.npz").exists()


def test_the_n_grams_are_those_of_the_training_text(book, tmp_path):
    listener = Listener()
    options = {"with_ngram": True, "vectors": "none", "embedding_dim": 3, "test": book, "listener": listener} | TINY
    lm = wordlm.train(book, tmp_path / "m", **options)
    ngram = load_bundle(tmp_path / "m").ngram
    assert (ngram.order, ngram.vocab_size) == (5, len(lm.vocabulary))
    # What was held out to validate on is not counted.
    assert ngram.counts.sum() == lm.metadata["train_tokens"] < lm.metadata["test_tokens"]
    ids = lm.vocabulary.ids
    context = [ids[word] for word in ("<eos>", '"', "I", "do")]
    assert ngram.distribution(context).argmax() == ids["n't"]
    assert f"counting the n-grams of {lm.metadata['train_tokens']:,} words" in listener.messages
    assert lm.metadata["with_ngram"] is True


def test_the_vocabulary_and_counts_are_those_of_the_text(trained):
    bundle = load_bundle(trained)
    assert {"Holmes", "n't", '"', "lamp"} <= set(bundle.vocabulary.tokens)
    assert bundle.metadata["vocab_size"] == len(bundle.vocabulary) == bundle.config.vocab_size
    # Those of the frozen vectors, and those that are trained.
    assert (bundle.config.embedding_dim, bundle.config.trained_dim) == (50 + 3, 3)
    assert bundle.config.units == TINY["units"]
    assert not bundle.config.trainable_embedding


def test_minutes_alone_choose_the_preset(book, tmp_path):
    """Said in a line; the options that are given stand above what is chosen."""
    listener = Listener()
    sizes = {name: value for name, value in TINY.items() if name != "epochs"}
    lm = wordlm.train(book, tmp_path / "m", minutes=0.1, dropout=0.05, listener=listener, **sizes)
    (plan,) = [message for message in listener.messages if message.startswith("0.1 minutes for")]
    assert "preset small, about" in plan
    assert lm.metadata["preset"] == "small"
    assert lm.metadata["train"]["epochs"] == planning.MOST_EPOCHS["small"]
    assert lm.config.dropout == 0.05
    assert lm.config.input_dropout in {shares["input_dropout"] for _, shares in planning.DROPOUT}
    assert lm.config.units == TINY["units"]


@pytest.mark.parametrize("options", [{"preset": "medium", "minutes": 0.1}, {"minutes": 0.1, "epochs": 1}])
def test_nothing_is_chosen_for_who_chooses(book, tmp_path, options):
    listener = Listener()
    lm = wordlm.train(book, tmp_path / "m", listener=listener, **(TINY | {"epochs": None} | options))
    assert not any(" words: preset" in message for message in listener.messages)
    assert lm.metadata["preset"] == options.get("preset", "small")


def test_the_callers_random_numbers_are_left_alone(book, tmp_path):
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    lm = wordlm.train(book, tmp_path / "m", vectors="none", embedding_dim=3, seed=7, listener=Listener(), **TINY)
    assert (random.random(), np.random.random()) == expected
    assert lm.config.trainable_embedding
    assert lm.metadata["vectors"] is None


def test_in_a_thread_and_with_vectors_of_the_corpus(book, tmp_path):
    found = []
    listener = Listener()
    options = {"vectors": "corpus", "embedding_dim": 5, "listener": listener} | TINY
    thread = threading.Thread(target=lambda: found.append(wordlm.train([book], tmp_path / "m", **options)))
    thread.start()
    thread.join()
    assert found[0].config.embedding_dim == 5 + 3
    assert found[0].generate(seed=1)
    assert any("word vectors: epoch 5 of 5" in message for message in listener.messages)


# --- failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"nonsense": 3}, OptionError),
        ({"preset": "huge"}, OptionError),
        ({"bidirectional": True}, OptionError),
        ({"vectors": "nothing.txt"}, VectorError),
        ({"valid": "nothing.txt"}, TextError),
        ({"texts": []}, OptionError),
        ({"texts": "nothing.txt"}, TextError),
        ({"out": "book.txt"}, BundleError),
        ({"out": "book.txt/m"}, BundleError),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(book, tmp_path, monkeypatch, options, error):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "read_corpus", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(error):
        wordlm.train(**{"texts": "book.txt", "out": "a/b", "listener": Listener()} | options)
    assert os.listdir(tmp_path) == ["book.txt"]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_before_the_training_leaves_nothing(book, tmp_path, monkeypatch, kind, there):
    if there:
        (tmp_path / "a").mkdir()

    def fail(*_):
        assert (tmp_path / "a" / "b" / "checkpoint" / "corpus").is_dir()
        raise kind

    monkeypatch.setattr(pipeline, "find_vectors", fail)
    with pytest.raises(kind):
        wordlm.train(book, tmp_path / "a" / "b", listener=Listener())
    assert sorted(os.listdir(tmp_path)) == (["a", "book.txt"] if there else ["book.txt"])
    assert not (tmp_path / "a" / "b").exists()


def test_a_failure_leaves_an_empty_folder_of_the_users(book, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(pipeline, "find_vectors", lambda *_: fail())
    with pytest.raises(RuntimeError):
        wordlm.train(book, tmp_path / "mine", listener=Listener())
    assert os.listdir(tmp_path / "mine") == []


def test_a_failure_while_training_leaves_the_old_model_as_it_was(book, old):
    before = tree(old)
    with pytest.raises(RuntimeError):
        wordlm.train(book, old, overwrite=True, listener=Listener(at_step=fail), **LONG)
    assert tree(old) == before
    assert wordlm.load(old).generate(seed=1)


def test_a_failure_while_saving_leaves_the_old_model_and_what_was_learned(book, old, monkeypatch):
    before = tree(old)

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline, "save_bundle", fail)
    listener = Listener()
    with pytest.raises(OSError, match="No space left"):
        wordlm.train(book, old, overwrite=True, listener=listener, **TINY)
    assert {name: content for name, content in tree(old).items() if name.parts[0] != "checkpoint"} == before
    assert listener.messages[-1].endswith(f"Go on with: wordlm train --resume {old}")
    assert "of a newer model not finished" in CliRunner().invoke(main, ["info", str(old)]).output

    monkeypatch.undo()
    lm = wordlm.resume(old, listener=Listener())
    assert lm.metadata["epochs"] == 1
    assert not (old / "checkpoint").exists()


# --- interruption -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupted_training_is_a_model_and_can_go_on(book, tmp_path):
    listener, before = Listener(at_step=press_ctrl_c), signal.getsignal(signal.SIGINT)
    lm = wordlm.train(book, tmp_path / "m", with_ngram=True, listener=listener, **LONG)
    assert signal.getsignal(signal.SIGINT) is before
    assert lm.metadata["interrupted"] is True
    assert lm.generate(seed=1)
    assert listener.messages[-1] == (
        f"stopped; the model so far is saved. Go on with: wordlm train --resume {tmp_path / 'm'}"
    )
    with pytest.raises(BundleError, match="--overwrite"):
        wordlm.train(book, tmp_path / "m", **TINY)

    counts = load_bundle(tmp_path / "m").ngram.counts
    lm = wordlm.resume(tmp_path / "m", epochs=1, listener=Listener())
    assert lm.metadata["interrupted"] is False
    assert np.array_equal(load_bundle(tmp_path / "m").ngram.counts, counts)
    assert lm.metadata["train"]["epochs"] == 1
    assert not (tmp_path / "m" / "checkpoint").exists()
    with pytest.raises(TrainingError, match="nothing to resume"):
        wordlm.resume(tmp_path / "m")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_twice_stops_at_once(book, tmp_path):
    def twice():
        press_ctrl_c()
        press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        wordlm.train(book, tmp_path / "a" / "m", listener=Listener(at_step=twice), **LONG)
    assert os.listdir(tmp_path) == ["book.txt"]


def test_an_unfinished_training_is_not_begun_anew_by_accident(book, tmp_path):
    checkpoint = tmp_path / "m" / "checkpoint"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.npz").write_bytes(b"not one really")
    with pytest.raises(TrainingError, match=r"go on with --resume .*m, or give --overwrite"):
        wordlm.train(book, tmp_path / "m")
    with pytest.raises(TrainingError, match="damaged"):
        wordlm.resume(tmp_path / "m")
    assert (checkpoint / "state.npz").read_bytes() == b"not one really"
