"""What to train in the minutes that there are: which preset, for how many epochs, and with which dropout."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from wordlm.config import ModelConfig, TrainConfig, configure
from wordlm.layout import weight_shapes
from wordlm.schedule import DEFAULT_EPOCHS
from wordlm.softmax import words_in_a_step

# Share of the rate of matrix products at which training does its own, 0.42 to 0.6 of it on two processors; the rest of
# its time goes into everything else.
EFFICIENCY = 0.5
# Seconds that are not for learning: reading the text, starting Keras, compiling, saving; a third of the time at most.
RESERVE = 10.0
# Words of a text that is long.
LONG = 1_500_000
# From the experiments. The presets by size, with the fewest epochs with which each is better than the one before it,
LEAST_EPOCHS = {"small": 0.0, "medium": 8.0, "large": math.inf}
# or the fewest words that it reads in all,
LEAST_READ = {"small": 0.0, "medium": 2e6, "large": 6e6}
# the least text that it is for: large was not shown to be better for a shorter one,
LEAST_WORDS = {"small": 0, "medium": 50_000, "large": LONG}
# and the most epochs that are of use: in a longer plan, a text is learned by heart while the learning rate is high.
MOST_EPOCHS = {"small": 12, "medium": 16, "large": 16}
# Without minutes, so short a text is read more often than others: its epochs have few steps.
SHORT = 50_000
# Below so many epochs, the shares of units to drop: the more often a text is read, the more is learned by heart.
DROPOUT = [
    (3.2, {"dropout": 0.2, "input_dropout": 0.1, "recurrent_dropout": 0.0}),
    (8.0, {"dropout": 0.4, "input_dropout": 0.3, "recurrent_dropout": 0.3}),
    (math.inf, {"dropout": 0.5, "input_dropout": 0.4, "recurrent_dropout": 0.5}),
]
# So many times as many epochs for a long text: a small network is slow to learn that by heart, a large one is not.
LONGER = {"small": 2.0, "medium": 1.5, "large": 1.25}

_SIDES = (1024, 512, 2048)  # of the matrices whose product is timed, of the size that training has
_SECONDS = 0.2


@dataclass(frozen=True)
class Plan:
    """A training that fits into some minutes.

    Example:
        >>> print(Plan("small", {"epochs": 12}, 17_240, 6.8, minutes=1, train_tokens=122_147).describe())
        1 minute for 122,147 words: preset small, about 17,000 words/s, 6.8 epochs
    """

    preset: str
    options: dict[str, Any]
    """What `configure` is to be given beside the preset. The epochs are the most that are of use."""
    tokens_per_second: float
    """As expected; words of training text."""
    epochs: float
    """Expected passes over the text, at most those of the options."""
    minutes: float
    train_tokens: int

    def describe(self) -> str:
        """The plan in one line."""
        minutes, epochs = _plural(f"{self.minutes:g}", "minute"), _plural(_epochs(self.epochs), "epoch")
        sooner = ", done before the time is up" if self.epochs >= self.options.get("epochs", math.inf) else ""
        return (
            f"{minutes} for {_plural(f'{self.train_tokens:,}', 'word')}: preset {self.preset}, "
            f"about {_two_digits(self.tokens_per_second):,} words/s, {epochs}{sooner}"
        )


def choose(
    minutes: float, train_tokens: int, vocab_size: int, rate: float, vector_dim: int = 50, samples: int = 2048
) -> Plan:
    """The largest preset that reads enough of the text in the time. More time never means a smaller one.

    Args:
        minutes: for all, from reading the text to saving the model; above 0.
        train_tokens: words of the training text.
        vocab_size: words of its vocabulary.
        rate: of the machine, in FLOP/s, as `matrix_rate` measures it.
        vector_dim: numbers of each pretrained vector, which are not trained.
        samples: words in the sampled softmax; 0: the full softmax.

    Example:
        >>> plan = choose(minutes=1, train_tokens=122_147, vocab_size=8609, rate=2e11)
        >>> plan.preset, round(plan.epochs)
        ('small', 6)
        >>> choose(minutes=10, train_tokens=122_147, vocab_size=8609, rate=2e11).preset
        'medium'
    """
    seconds = 60 * minutes - min(RESERVE, 20 * minutes)
    outputs = words_in_a_step(vocab_size, samples)
    possible = []
    for preset, least in LEAST_EPOCHS.items():
        model = configure(preset).model
        model = model.replace(vocab_size=max(3, vocab_size), embedding_dim=vector_dim + model.trained_dim)
        tokens_per_second = EFFICIENCY * rate / flops_per_token(model, outputs)
        epochs = tokens_per_second * seconds / max(1, train_tokens)
        is_enough = epochs >= least or epochs * train_tokens >= LEAST_READ[preset]
        if is_enough and train_tokens >= LEAST_WORDS[preset]:
            most = MOST_EPOCHS[preset]
            options = {"epochs": most} | _for_epochs(min(epochs, most), train_tokens, preset)
            possible.append(Plan(preset, options, tokens_per_second, min(epochs, most), minutes, train_tokens))
    return possible[-1]


def without_minutes(train_tokens: int) -> dict[str, Any]:
    """The options of a training for which nobody has named minutes, epochs or a preset, beside those of the first one.

    Only a short text names epochs: for others, minutes may still be named when training is resumed. Less is dropped of
    a long one.

    Args:
        train_tokens: words of the training text.

    Example:
        >>> without_minutes(30_000)["epochs"], without_minutes(122_147), without_minutes(2_000_000)["dropout"]
        (12, {}, 0.2)
    """
    if train_tokens >= LONG:
        return _for_epochs(DEFAULT_EPOCHS, train_tokens, "small")
    if train_tokens >= SHORT:
        return {}
    epochs = MOST_EPOCHS["small"]
    return {"epochs": epochs} | _for_epochs(epochs, train_tokens, "small")


def flops_per_token(config: ModelConfig, outputs: int) -> float:
    """Operations of the matrix products, forward and backward, for each word that is predicted and learned from.

    Backward is twice forward, but for the gradient of vectors that are frozen, which nobody works out.

    Args:
        config: of the network.
        outputs: words that the softmax is over: the vocabulary, or a sample of it and the word itself.

    Example:
        >>> flops_per_token(ModelConfig(embedding_dim=5, cell="rnn", units=7, dense=0), outputs=100)  # 5 are frozen
        4634.0
    """
    read = config.context or 1  # words that are read for one that is predicted
    total = 0.0
    for name, shape in weight_shapes(config).items():
        if not name.endswith("kernel"):
            continue
        rows, columns = shape[0], outputs if name == "output/kernel" else shape[1]
        is_first = name.startswith("recurrent_1/") and name.endswith("/kernel")
        passes = 3 * rows - (config.frozen_dim if is_first else 0)
        total += 2 * passes * columns * (read if name.startswith("recurrent_") else 1)
    return total


def matrix_rate() -> float:
    """The machine's rate of float32 matrix products in FLOP/s, by NumPy, in 0.2 seconds."""
    rows, inner, columns = _SIDES
    left, right = np.ones((rows, inner), np.float32), np.ones((inner, columns), np.float32)
    out = np.empty((rows, columns), np.float32)
    times: list[float] = []
    began = time.perf_counter()
    # The first product wakes the threads up; three more are there even on a slow machine.
    while len(times) < 4 or time.perf_counter() - began < _SECONDS:
        start = time.perf_counter()
        np.matmul(left, right, out=out)
        times.append(time.perf_counter() - start)
    return 2 * rows * inner * columns / float(np.median(times[1:]))


def _for_epochs(epochs: float, train_tokens: int, preset: str) -> dict[str, Any]:
    """Dropout and patience of a plan."""
    # While the learning rate is high, the loss may stand still for long; as it falls, so does the loss.
    patience = max(TrainConfig().patience, math.ceil(epochs / 3))
    slower = LONGER[preset] if train_tokens >= LONG else 1
    return {"patience": patience} | next(shares for below, shares in DROPOUT if epochs < slower * below)


def _two_digits(number: float) -> int:
    """A number to two significant digits."""
    return int(float(f"{number:.1e}"))


def _epochs(number: float) -> str:
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}".removesuffix(".0")


def _plural(number: str, noun: str) -> str:
    return f"{number} {noun}{'' if number == '1' else 's'}"
