"""The training loop: budget, validation, early stop, checkpoints, interruption and going on."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from wordlm.batches import StreamBatches, WindowBatches, fitting_batch_size
from wordlm.checkpoint import read_checkpoint, write_checkpoint
from wordlm.config import ModelConfig, TrainConfig
from wordlm.corpus import Corpus
from wordlm.errors import TrainingError
from wordlm.examiner import Examiner
from wordlm.interrupt import interruptible
from wordlm.learner import JIT, Learner, make_optimizer
from wordlm.learning_curve import advice, forecast
from wordlm.memory import give_memory_back
from wordlm.planning import flops_per_token
from wordlm.position import Position
from wordlm.rare_words import RareWords
from wordlm.reports import Epoch, Listener, Outcome, Step
from wordlm.schedule import FINISH, Schedule
from wordlm.softmax import NegativeSampler, words_in_a_step

# Enough words for a perplexity to within two or three per cent, few enough for seconds.
QUICK_LOOK = 32_768
# Ten looks in a plan of minutes, between the epochs if need be, tell what to expect; they take a fiftieth of its time.
LOOKS, LOOKING = 10, 0.02
# The full softmax is worth its seconds of compiling where the last part of the plan is longer than they are.
COMPILING = 5
CHECKPOINT_SECONDS = 120
SAVING_SECONDS = 2
REPORT_SECONDS = 0.5


class Training:
    """Fits a network to a corpus, and leaves the best weights in it.

    Args:
        network: the Sequential of `build_model`.
        model_config: its config.
        config: how to train.
        corpus: what to train on.
        checkpoint: folder for checkpoints.
        notes: what the caller wants to find in a checkpoint.
        listener: hears of the progress.
        sample: makes a short text of the network, after each epoch.
        started: the `time.monotonic()` from which the minutes count.
    """

    def __init__(
        self,
        network: keras.Sequential,
        model_config: ModelConfig,
        config: TrainConfig,
        corpus: Corpus,
        checkpoint: Path,
        notes: Mapping[str, Any],
        listener: Listener,
        sample: Callable[[keras.Sequential], str],
        started: float,
    ) -> None:
        self.network, self.model_config, self.config, self.corpus = network, model_config, config, corpus
        self.checkpoint, self.notes, self.listener, self.sample = checkpoint, dict(notes), listener, sample
        self.started = self.saved = started
        self.reported = 0.0
        self.compiled = False  # by the first step, which takes longer
        self.best: list[np.ndarray] = []
        self.closing = 0.0  # seconds that the end will take
        self.look = QUICK_LOOK
        self.interrupted = False

        self.batches: StreamBatches | WindowBatches
        size = fitting_batch_size(len(corpus.train), model_config, config)
        rare = RareWords.of(corpus.counts, config.unknown, config.seed)
        counts = corpus.counts if rare is None else rare.counts(corpus.counts)
        if model_config.context:
            self.batches = WindowBatches(corpus.train, size, model_config.context, config.seed, rare)
        else:
            self.batches = StreamBatches(corpus.train, size, config.sequence_length, rare, config.seed)
        self.position = Position(self.batches.steps)
        words, some = model_config.vocab_size, words_in_a_step(model_config.vocab_size, config.samples)
        sampler = NegativeSampler(counts, config.samples) if some < words else None
        # How many times as long a step with the full softmax takes.
        self.finish_cost = flops_per_token(model_config, words) / flops_per_token(model_config, some)
        self.learner = Learner(network, model_config, size, sampler)
        if config.unigram_bias:
            smoothed = counts + 0.1
            self.learner.bias.assign(np.log(smoothed / smoothed.sum()).astype("float32"))
        self.learner.compile(optimizer=make_optimizer(config), jit_compile=JIT)
        self.learner.optimizer.build(self.learner.trainable_variables)
        self.examiner = Examiner(network, model_config, self.learner, corpus.valid)

    @property
    def schedule(self) -> Schedule:
        """The plan, as far as it is known: what does not go into learning comes out as training goes on."""
        return Schedule(self.config, self.batches.steps, reserve=self.position.prepared + self.closing)

    def resume(self) -> None:
        """Goes back to the checkpoint: variables, optimizer, random state and position.

        Raises:
            TrainingError: there is none, it is damaged, or it is of another network or text.
        """
        arrays, info = read_checkpoint(self.checkpoint)
        variables = self._variables()
        weights = {f"best_{i}": variable for i, variable in enumerate(self.learner.trainable_variables)}
        expected = variables | (weights if "best_0" in arrays else {})
        shapes = {name: tuple(variable.shape) for name, variable in expected.items()}
        found = {name: array.shape for name, array in arrays.items()}
        try:
            position = Position(**info["position"])
        except (KeyError, TypeError):
            position = None
        if position is None or shapes != found or position.steps != self.batches.steps:
            raise TrainingError(
                f"the checkpoint in {self.checkpoint} is of another network, another text or another version of "
                "wordlm: train again from the text"
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.best = [arrays[name] for name in weights if name in arrays]
        self.position = position
        self.position.shares, self.position.losses = [], []  # the plan may be another one now
        self.started -= self.position.seconds

    def run(self) -> Outcome:
        """Trains until the plan is done, the validation loss no longer falls, or Ctrl-C.

        After Ctrl-C it finishes the step and leaves a checkpoint to resume from.

        Raises:
            TrainingError: the loss is no longer a number.
        """
        position = self.position
        with interruptible(self._interrupt):
            if self.config.minutes:
                self._plan_the_end()
            while not self._is_done() and not self.interrupted:
                self._step()
                if position.step == position.steps:
                    position.epoch, position.step = position.epoch + 1, 0
                    self.learner.reset()
                    self._end_epoch()
                    continue
                if self.config.minutes and self._done() >= max([0.0, *position.shares[-1:]]) + 1 / LOOKS:
                    self._look()
                if time.monotonic() - self.saved > CHECKPOINT_SECONDS:
                    self.save()
            if position.examined < position.steps_done and not self.interrupted:
                self._end_epoch()  # the minutes ran out within an epoch
            self.save()
            interrupted = self.interrupted
            if interrupted:
                loss, accuracy = self._examine(QUICK_LOOK)
                if position.best_loss is not None and position.best_loss < loss:
                    self._take_best()
                    loss, accuracy = self._examine(QUICK_LOOK)
            else:
                self.listener.message("measuring the perplexity on all that is held out")
                self._take_best()
                loss, accuracy = self._examine()
                shift = loss - min(position.losses, default=loss)  # a look is at a part of the text
                if said := advice(position.shares, [look + shift for look in position.losses], position.epochs):
                    self.listener.message(said)
            test = None if interrupted else self.corpus.test
            test_loss = None if test is None else self.examiner.examine(test)[0]
        self.learner.publish(self.network)
        return Outcome(
            valid_perplexity=_perplexity(loss),
            valid_accuracy=accuracy,
            test_perplexity=None if test_loss is None else _perplexity(test_loss),
            epochs=position.epoch,
            seconds=self._seconds(),
            tokens_per_second=self._rate(),
            history=position.history,
            interrupted=interrupted,
        )

    def save(self) -> None:
        """Writes a checkpoint."""
        self.position.seconds = self._seconds()
        # The variables themselves, since as arrays they would all stand there twice.
        arrays = self._variables() | {f"best_{i}": array for i, array in enumerate(self.best)}
        write_checkpoint(self.checkpoint, arrays, {**self.notes, "position": dataclasses.asdict(self.position)})
        self.saved = time.monotonic()

    def _step(self) -> None:
        """Learns from one batch."""
        position, began = self.position, time.monotonic()
        self.learner.optimizer.learning_rate.assign(self.schedule.learning_rate(self._done()))
        is_worth = FINISH * 60 * (self.config.minutes or math.inf) > COMPILING
        if self.learner.sampler and is_worth and self._done() >= 1 - FINISH:
            self.learner.use_full_softmax()
        x, y, weight = self.batches.batch(position.epoch, position.step)
        negatives = np.zeros(1, "int32")
        if self.learner.sampler:
            rng = np.random.default_rng((self.config.seed, position.epoch, position.step))
            negatives = self.learner.sampler.draw(rng)
        # Not `fit`, which takes a tenth of a second to begin and to end, and its batches from another thread.
        loss = float(self.learner.train_on_batch((x, negatives), y, weight))
        position.step += 1
        position.steps_done += 1
        position.loss_sum += loss
        _check_finite(loss, f"of step {position.step} of epoch {position.epoch + 1}")
        now = time.monotonic()
        if self.compiled:
            position.fit_seconds += now - began
            position.fit_tokens += y.size
        self.compiled = True
        if position.steps_done == 1:
            position.prepared = self._seconds()
        if now - self.reported > REPORT_SECONDS:
            self.reported = now
            self._report(loss)

    def _report(self, loss: float) -> None:
        position = self.position
        left = self.schedule.seconds_left(position.steps_done, self._learning_seconds(), self.finish_cost)
        end = forecast(position.shares, position.losses)
        expected = None if end is None else _perplexity(end.loss)
        step = Step(position.epoch + 1, position.step, position.steps, loss, self._rate(), self._done(), left, expected)
        self.listener.step(step)

    def _end_epoch(self) -> None:
        position = self.position
        # What the steps have freed lies about in pieces too small for the copies that are made here.
        give_memory_back()
        loss, accuracy = self._look()
        if position.best_loss is None or loss < position.best_loss:
            position.best_loss, position.bad_epochs, self.best = loss, 0, []  # the old ones make room first
            self.best = [np.array(variable) for variable in self.learner.trainable_variables]
        else:
            position.bad_epochs += 1
        position.examined = position.steps_done
        self.learner.publish(self.network)
        epoch = Epoch(
            epoch=position.epoch + (position.step > 0),
            loss=position.loss_sum / max(1, (position.steps_done - 1) % position.steps + 1),
            valid_perplexity=_perplexity(loss),
            valid_accuracy=accuracy,
            learning_rate=float(self.learner.optimizer.learning_rate),
            seconds=self._seconds(),
            tokens_per_second=self._rate(),
            sample=self.sample(self.network),
        )
        position.loss_sum = 0.0
        position.history.append(dataclasses.asdict(epoch))
        self.listener.epoch(epoch)

    def _examine(self, limit: int | None = None) -> tuple[float, float]:
        """The validation loss in nats, and the accuracy.

        Raises:
            TrainingError: the loss is no longer a number.
        """
        loss, accuracy = self.examiner.examine(self.corpus.valid, limit)
        _check_finite(loss, "on the validation text")
        return loss, accuracy

    def _look(self) -> tuple[float, float]:
        """As `_examine`, and kept for what is to be expected."""
        loss, accuracy = self._examine(self.look)
        self._keep_for_the_end()  # the machine may have been busy at the start, or may be now
        self.position.shares.append(self._done())
        self.position.losses.append(loss)
        return loss, accuracy

    def _is_done(self) -> bool:
        return self.position.bad_epochs >= self.config.patience or self._done() >= 1

    def _done(self) -> float:
        """The share of the plan that lies behind, 0 to 1."""
        return self.schedule.done(self.position.steps_done, self._learning_seconds())

    def _learning_seconds(self) -> float:
        return self._seconds() - self.position.prepared if self.position.steps_done else 0.0

    def _plan_the_end(self) -> None:
        """Keeps of the minutes what the last validation, the test and saving will take."""
        self._examine(1)  # the first call compiles
        self._examine(QUICK_LOOK // 8)
        rate = self.examiner.tokens_per_second or 1
        seconds = LOOKING / LOOKS * 60 * (self.config.minutes or math.inf)
        self.look = round(min(QUICK_LOOK, max(QUICK_LOOK // 4, rate * seconds)))
        self._keep_for_the_end()

    def _keep_for_the_end(self) -> None:
        """What the end takes by the latest examination."""
        parts = [self.corpus.valid, *([self.corpus.test] if self.corpus.test is not None else [])]
        tokens = sum(map(len, parts)) + min(self.look, len(self.corpus.valid))
        self.closing = SAVING_SECONDS + tokens / (self.examiner.tokens_per_second or 1)

    def _variables(self) -> dict[str, keras.Variable]:
        """All that training changes: weights, carried state, random state, optimizer."""
        variables = [*self.learner.variables, *self.learner.optimizer.variables]
        return {f"variable_{i}": variable for i, variable in enumerate(variables)}

    def _take_best(self) -> None:
        """At the end."""
        for variable, array in zip(self.learner.trainable_variables, self.best, strict=True):
            variable.assign(array)
        self.best = []  # nothing is learned any more, and the examination needs memory

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _rate(self) -> float:
        return self.position.fit_tokens / max(self.position.fit_seconds, 1e-9)

    def _interrupt(self) -> None:
        self.interrupted = True
        self.listener.message("stopping after this step; Ctrl-C again stops at once")


def _check_finite(loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss {where} is {loss}: lower --learning-rate, or give a smaller --clip-norm")


def _perplexity(loss: float) -> float:
    return math.exp(min(loss, 700.0))  # more is no float
