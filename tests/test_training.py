import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from toy import SENTENCES, Silent, toy_corpus, toy_training  # noqa: E402

from wordlm import training as module  # noqa: E402
from wordlm.checkpoint import has_checkpoint, read_checkpoint, read_info, write_checkpoint  # noqa: E402
from wordlm.engine import Engine  # noqa: E402
from wordlm.errors import TrainingError  # noqa: E402
from wordlm.model import get_weights  # noqa: E402
from wordlm.vocab import EOS, UNK  # noqa: E402


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return toy_corpus(tmp_path_factory.mktemp("corpus"), test=SENTENCES[5:])


def same(one, other):
    """Whether two networks have the same weights, to the bit."""
    return all(
        np.array_equal(a, b) for a, b in zip(get_weights(one).values(), get_weights(other).values(), strict=True)
    )


def engine_perplexity(training, ids):
    engine = Engine(training.model_config, get_weights(training.network))
    ids = np.asarray(ids, np.int64)
    logprobs = engine.run(np.array([[EOS, *ids[:-1]]]))[0][0].astype(np.float64)
    return math.exp(-logprobs[np.arange(len(ids)), ids].mean())


def interrupting(monkeypatch, at):
    """A listener that presses Ctrl-C when `at` steps are done."""
    monkeypatch.setattr(module, "REPORT_SECONDS", 0)
    count = iter(range(1, 10**9))
    return Silent(lambda step: next(count) == at and os.kill(os.getpid(), signal.SIGINT))


def test_learns(corpus, tmp_path):
    """Ten sentences by heart; what is left to guess is which one comes, one word in eight."""
    training = toy_training(corpus, tmp_path, epochs=40, model={"units": 48})
    outcome = training.run()
    assert outcome.valid_perplexity < 1.6
    assert outcome.valid_accuracy > 0.85
    assert outcome.history[0]["valid_perplexity"] > 8
    assert outcome.epochs == len(outcome.history) == len(training.listener.epochs)
    # The figures are those of the weights that are left, by another implementation.
    assert outcome.valid_perplexity == pytest.approx(engine_perplexity(training, corpus.valid), rel=1e-4)
    assert outcome.test_perplexity == pytest.approx(engine_perplexity(training, corpus.test), rel=1e-4)
    json.dumps(outcome.history)


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REPORT_SECONDS", 0)
    training = toy_training(corpus, tmp_path, epochs=2)
    outcome = training.run()
    for epoch in (1, 2):
        losses = [step.loss for step in training.listener.steps if step.epoch == epoch]
        assert len(losses) == training.batches.steps
        assert outcome.history[epoch - 1]["loss"] == pytest.approx(np.mean(losses))
    done = [step.done for step in training.listener.steps]
    assert done == sorted(done)
    assert done[-1] == 1


MODELS = [{}, {"cell": "gru", "layers": 2, "input_dropout": 0.2, "dropout": 0.3}, {"context": 5, "bidirectional": True}]


@pytest.mark.parametrize("model", [MODELS[0], *(pytest.param(model, marks=pytest.mark.slow) for model in MODELS[1:])])
def test_interrupted_and_resumed_is_as_uninterrupted(corpus, tmp_path, monkeypatch, model):
    whole = toy_training(corpus, tmp_path / "whole", model=model)
    whole_outcome = whole.run()

    steps = whole.batches.steps
    first = toy_training(
        corpus, tmp_path / "parts", model=model, listener=interrupting(monkeypatch, steps + steps // 2)
    )
    handler = signal.getsignal(signal.SIGINT)
    outcome = first.run()
    assert signal.getsignal(signal.SIGINT) is handler
    assert outcome.interrupted
    assert outcome.test_perplexity is None
    assert (first.position.epoch, first.position.step) == (1, steps // 2)
    assert "Ctrl-C" in first.listener.messages[0]
    assert not same(whole.network, first.network)

    second = toy_training(corpus, tmp_path / "parts", model=model)
    second.network.get_layer("recurrent_1").trainable_weights[0].assign(
        second.network.get_layer("recurrent_1").trainable_weights[0] + 1  # all comes from the checkpoint
    )
    second.resume()
    resumed = second.run()
    assert same(whole.network, second.network)
    assert resumed.valid_perplexity == whole_outcome.valid_perplexity
    assert resumed.test_perplexity == whole_outcome.test_perplexity
    assert not resumed.interrupted
    for one, other in zip(resumed.history, whole_outcome.history, strict=True):
        for name in ("epoch", "loss", "valid_perplexity", "valid_accuracy", "learning_rate"):
            assert one[name] == pytest.approx(other[name], rel=1e-12)
    assert resumed.seconds > outcome.seconds


def test_the_same_seed_gives_the_same_model_and_another_does_not(corpus, tmp_path):
    networks = []
    for seed in (3, 3, 4):
        training = toy_training(corpus, tmp_path / "c", epochs=1, seed=seed, model={"dropout": 0.3})
        training.run()
        networks.append(training.network)
    assert same(networks[0], networks[1])
    assert not same(networks[0], networks[2])


def test_a_second_ctrl_c_stops_at_once(corpus, tmp_path, monkeypatch):
    listener = interrupting(monkeypatch, 3)
    press, again = listener.on_step, []

    def twice(step):
        press(step)
        if listener.messages:
            again.append(step)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    listener.on_step = twice
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        toy_training(corpus, tmp_path, listener=listener).run()
    assert len(again) == 1
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_at_the_very_end_loses_nothing(corpus, tmp_path, monkeypatch):
    training = toy_training(corpus, tmp_path, epochs=1)
    real = training.examiner.examine

    def examine(ids, limit=None):
        if limit is None and ids is corpus.valid:
            os.kill(os.getpid(), signal.SIGINT)
        return real(ids, limit)

    monkeypatch.setattr(training.examiner, "examine", examine)
    outcome = training.run()
    assert not outcome.interrupted
    assert outcome.test_perplexity is not None


def test_the_best_weights_are_kept_and_patience_ends(corpus, tmp_path, monkeypatch):
    training = toy_training(corpus, tmp_path, epochs=20, patience=2)
    losses, seen = iter([3.0, 2.0, 2.5, 2.1, 1.0]), []

    def examine(limit=None):
        if limit is None:  # the final one
            return 2.0, 0.5
        training.learner.publish(training.network)
        seen.append(get_weights(training.network))
        return next(losses), 0.5

    monkeypatch.setattr(training, "_examine", examine)
    outcome = training.run()
    assert outcome.epochs == len(seen) == 4  # two without a better loss
    final = get_weights(training.network)
    assert all(np.array_equal(final[name], seen[1][name]) for name in final)
    assert not np.array_equal(final["output/bias"], seen[3]["output/bias"])


def test_an_interrupted_model_is_the_best_so_far_and_the_checkpoint_the_last(corpus, tmp_path, monkeypatch):
    steps = toy_training(corpus, tmp_path).batches.steps
    training = toy_training(corpus, tmp_path, listener=interrupting(monkeypatch, steps + 3))
    monkeypatch.setattr(module, "LOOKS", 1)
    losses = iter([1.0, 9.0, 1.0])
    monkeypatch.setattr(training, "_examine", lambda limit=None: (next(losses), 0.5))
    outcome = training.run()
    assert outcome.valid_perplexity == pytest.approx(math.e)
    arrays, _ = read_checkpoint(tmp_path)
    assert np.array_equal(get_weights(training.network)["output/bias"], arrays["best_1"])
    assert not np.array_equal(arrays["variable_1"], arrays["best_1"])


def test_looks_between_the_epochs_tell_what_to_expect(corpus, tmp_path, monkeypatch):
    """Ten in the plan, at about equal distances; the steps after the second know where it goes."""

    monkeypatch.setattr(module, "REPORT_SECONDS", 0)
    training = toy_training(corpus, tmp_path, epochs=2, minutes=10)
    outcome = training.run()
    expected = [(step.done, step.expected_perplexity) for step in training.listener.steps]
    shares = training.position.shares
    assert 8 <= len(shares) <= 11
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert np.diff([0, *shares]).max() < 0.2
    assert all(perplexity is None for done, perplexity in expected if done <= shares[1])
    known = [perplexity for done, perplexity in expected if done > shares[1]]
    assert known
    # Of a toy: within a factor of two from the first one on.
    assert all(outcome.history[-1]["valid_perplexity"] / 2 < perplexity < 500 for perplexity in known)


def test_the_last_part_learns_from_the_full_softmax(corpus, tmp_path, monkeypatch):
    training = toy_training(corpus, tmp_path, epochs=2, samples=4)
    sampled = []
    real = training.learner.train_on_batch

    def train_on_batch(*args):
        sampled.append(training.learner.sampler is not None)
        return real(*args)

    monkeypatch.setattr(module, "FINISH", 0.25)
    monkeypatch.setattr(training.learner, "train_on_batch", train_on_batch)
    training.run()
    steps = len(sampled)
    assert sampled == [True] * round(0.75 * steps) + [False] * (steps - round(0.75 * steps))


def test_what_is_kept_for_the_end_follows_the_machine(corpus, tmp_path, monkeypatch):
    """Something else ran while it was planned; then there is more time for learning than it seemed."""
    training = toy_training(corpus, tmp_path, epochs=2, minutes=10)
    real, rates = training.examiner.examine, []

    def examine(ids, limit=None):
        found = real(ids, limit)
        rates.append(training.examiner.tokens_per_second)
        training.examiner.tokens_per_second = 1 if len(rates) <= 2 else 1000
        return found

    monkeypatch.setattr(training.examiner, "examine", examine)
    training._plan_the_end()
    busy = training.closing
    training.run()
    assert busy > len(corpus.valid) > training.closing > module.SAVING_SECONDS


def test_the_time_that_is_left_knows_of_the_full_softmax(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REPORT_SECONDS", 0)
    training = toy_training(corpus, tmp_path, epochs=2, samples=4)
    assert training.finish_cost > 1.3
    assert toy_training(corpus, tmp_path, epochs=2, samples=0).finish_cost == 1
    training.run()
    *_, last = training.listener.steps
    assert (last.done, last.seconds_left) == (1, 0)
    assert all(step.seconds_left > 0 for step in training.listener.steps[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [0.1, 0.2])
def test_minutes(corpus, tmp_path, minutes):
    """The whole run is within the budget, and the learning rate is down when it ends."""
    training = toy_training(corpus, tmp_path, epochs=None, minutes=minutes, patience=10**6)
    outcome = training.run()
    assert outcome.seconds < minutes * 60
    assert outcome.seconds > minutes * 60 - module.SAVING_SECONDS - 1.5
    rates = [epoch["learning_rate"] for epoch in outcome.history]
    assert rates[-1] < 0.02 * max(rates)
    assert max(rates) > 0.9 * training.config.learning_rate


def test_a_budget_that_is_gone_before_the_first_step_still_trains(corpus, tmp_path):
    training = toy_training(corpus, tmp_path, epochs=None, minutes=0.01)
    training.started -= 60
    outcome = training.run()
    assert training.position.steps_done >= 1
    assert min(epoch["valid_perplexity"] for epoch in outcome.history) == outcome.valid_perplexity


def test_a_loss_that_is_not_a_number(corpus, tmp_path):
    training = toy_training(corpus, tmp_path)
    training._step()
    training.learner.bias.assign(np.full(training.learner.bias.shape, np.nan))
    with pytest.raises(TrainingError, match="loss of step 2 of epoch 1 is nan: lower --learning-rate"):
        training.run()
    assert not has_checkpoint(tmp_path)


def test_a_validation_loss_that_is_not_a_number(corpus, tmp_path, monkeypatch):
    training = toy_training(corpus, tmp_path, epochs=1)
    monkeypatch.setattr(training.examiner, "examine", lambda ids, limit=None: (math.inf, 0.0))
    with pytest.raises(TrainingError, match="validation text is inf"):
        training.run()


def test_a_huge_loss_is_a_finite_perplexity():
    assert module._perplexity(5000) == module._perplexity(700) < math.inf


def test_resume_of_what_is_not_ours(corpus, tmp_path):
    with pytest.raises(TrainingError, match="nothing to resume"):
        toy_training(corpus, tmp_path / "none").resume()

    made = toy_training(corpus, tmp_path)
    made.save()
    assert read_info(tmp_path)["name"] == "toy"
    foreign = [
        toy_training(corpus, tmp_path, model={"units": 7}),
        toy_training(corpus, tmp_path, model={"cell": "gru"}),
        toy_training(corpus, tmp_path, batch_size=3),
        toy_training(corpus, tmp_path, sequence_length=9),
    ]
    for training in foreign:
        with pytest.raises(TrainingError, match="of another network, another text or another version"):
            training.resume()
    made.resume()

    arrays, info = read_checkpoint(tmp_path)
    for position in ({"steps": 1, "unknown": 2}, None):
        write_checkpoint(tmp_path, arrays, info | {"position": position})
        with pytest.raises(TrainingError, match="another version"):
            made.resume()
    content = (tmp_path / "state.npz").read_bytes()
    (tmp_path / "state.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match="is damaged"):
        made.resume()


def test_checkpoints_now_and_then(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", 0)
    saved = []
    training = toy_training(corpus, tmp_path, epochs=1)
    real = training.save
    monkeypatch.setattr(training, "save", lambda: saved.append(training.position.step) or real())
    training.run()
    assert saved == [*range(1, training.batches.steps), 0]


def test_small_texts_take_fewer_streams(corpus, tmp_path):
    assert toy_training(corpus, tmp_path, batch_size=1000).batches.steps >= 4
    assert toy_training(corpus, tmp_path, batch_size=1000, model={"context": 5}).batches.steps >= 4


def test_the_bias_starts_at_the_unigrams(corpus, tmp_path):
    with_it, without = (toy_training(corpus, tmp_path, unigram_bias=on) for on in (True, False))
    counts = corpus.counts[corpus.counts > 0]
    share = counts / counts.sum()
    entropy = -(share * np.log(share)).sum()
    for training, expected in ((with_it, entropy), (without, math.log(len(corpus.vocabulary)))):
        training.learner.rows.assign(np.zeros(training.learner.rows.shape))
        loss = training.examiner.examine(corpus.train)[0]
        assert loss == pytest.approx(expected, abs=0.02)


@pytest.mark.slow
def test_another_process_resumes_after_a_real_ctrl_c(tmp_path):
    """The command line, interrupted in the middle of an epoch, then resumed, against one run in one piece."""
    text = tmp_path / "text.txt"
    text.write_text("\n".join(SENTENCES * 300))
    options = "--lines --vectors none --embedding-dim 8 --units 16 --dense 0 --batch-size 4 --sequence-length 8"

    script = [sys.executable, "-c", "from wordlm.cli import main; main()", "train"]
    train = [*script, str(text), *options.split(), "--epochs", "3", "--samples", "20"]
    subprocess.run([*train, "--out", str(tmp_path / "whole")], check=True, capture_output=True, timeout=300)

    parts = tmp_path / "parts"
    with subprocess.Popen(
        [*train, "--out", str(parts)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        for line in process.stderr:
            if line.startswith("epoch 1:"):
                break
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert has_checkpoint(parts / "checkpoint"), rest
    position = read_info(parts / "checkpoint")["position"]
    assert 0 < position["step"] < position["steps"]
    subprocess.run([*script, "--resume", str(parts)], check=True, capture_output=True, timeout=300)

    from wordlm.bundle import load_bundle

    one, other = (load_bundle(tmp_path / name) for name in ("whole", "parts"))
    for name, array in one.weights.items():
        assert np.array_equal(array, other.weights[name]), name
    assert one.metadata["valid_perplexity"] == other.metadata["valid_perplexity"]
    assert not has_checkpoint(parts / "checkpoint")


def test_words_that_stand_once_teach_what_an_unknown_word_is(tmp_path):
    names = [f"name{number}" for number in range(160)]
    lines = [f"my friend {name} sang ." for name in names]
    found = {}
    for unknown in (0.0, 0.5):
        folder = tmp_path / str(unknown)
        corpus = toy_corpus(folder / "corpus", valid=lines[120:], sentences=lines[:120])
        assert corpus.counts[UNK] == 0
        training = toy_training(corpus, folder / "checkpoint", epochs=3, unknown=unknown)
        training.run()
        found[unknown] = engine_perplexity(training, corpus.valid)
    # Each line has five other tokens that are sure, and a name that is none of the 120: one in two of those was hidden.
    assert found[0.5] < 0.7 * found[0.0]
    assert found[0.5] == pytest.approx(2 ** (1 / 6), rel=0.5)


def test_hidden_words_are_the_same_after_an_interruption(tmp_path, monkeypatch):
    lines = [f"my friend name{number} sang ." for number in range(60)]
    corpus = toy_corpus(tmp_path / "corpus", valid=lines[50:], sentences=lines)
    whole = toy_training(corpus, tmp_path / "whole", epochs=2)
    assert whole.batches.rare is not None
    whole.run()

    first = toy_training(corpus, tmp_path / "parts", epochs=2, listener=interrupting(monkeypatch, 3))
    assert first.run().interrupted
    second = toy_training(corpus, tmp_path / "parts", epochs=2)
    second.resume()
    second.run()
    assert same(whole.network, second.network)
