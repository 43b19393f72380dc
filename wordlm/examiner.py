"""The perplexity of a text under the network as it is, by Keras: what validation asks."""

from __future__ import annotations

import time

import keras
import numpy as np

from wordlm.batches import StreamBatches, WindowBatches
from wordlm.config import ModelConfig
from wordlm.learner import JIT, Learner

# The logits of one batch, (rows, V) float32, stay below this many numbers: 64 MB, which stand there several times.
# Twice as many would be a twelfth faster and take 240 MB more.
_LOGITS = 1 << 24
# Streams this long lose nothing to speak of by starting without a context.
_STREAM = 500
_NO_NEGATIVES = np.zeros(1, "int32")


class Examiner:
    """Mean losses over whole texts, with the full softmax.

    Args:
        network: the Sequential of `build_model`.
        config: its config.
        learner: holds the output layer while it is trained.
        ids: the validation text; its length decides how many streams run side by side.
    """

    def __init__(self, network: keras.Sequential, config: ModelConfig, learner: Learner, ids: np.ndarray) -> None:
        rows = max(1, _LOGITS // config.vocab_size)
        self.config = config
        self.batch_size = min(256, rows) if config.context else min(32, rows, max(1, len(ids) // _STREAM))
        self.sequence_length = max(1, min(35, rows // self.batch_size))
        self.learner = Learner(network, config, self.batch_size, twin=learner)
        self.learner.compile(jit_compile=JIT)
        self.tokens_per_second: float | None = None

    def examine(self, ids: np.ndarray, limit: int | None = None) -> tuple[float, float]:
        """The mean loss in nats and the share of words that were the model's first guess.

        Args:
            ids: (N,) token ids.
            limit: about how many tokens to look at, from all over the text; None for all.
        """
        batches: StreamBatches | WindowBatches
        if self.config.context:
            batches = WindowBatches(ids, self.batch_size, self.config.context, seed=None)
            per_step = self.batch_size
        else:
            batches = StreamBatches(ids, self.batch_size, self.sequence_length)
            per_step = self.batch_size * self.sequence_length
        count = batches.steps if limit is None else min(batches.steps, max(1, limit // per_step))
        # A stream must be read from its start; the streams themselves begin all over the text. Windows stand alone.
        steps = np.linspace(0, batches.steps - 1, count).astype(int) if self.config.context else np.arange(count)
        began = time.monotonic()
        self.learner.reset()
        for step in steps:
            x, y, weight = batches.batch(0, int(step))
            self.learner.test_on_batch((x, _NO_NEGATIVES), y, weight)
        loss, correct, tokens = np.asarray(self.learner.sums, np.float64)
        self.tokens_per_second = tokens / (time.monotonic() - began)
        return float(loss / tokens), float(correct / tokens)
