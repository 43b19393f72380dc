"""A vocabulary of words and marks, networks with random weights over it, and one that says what it is told."""

from dataclasses import dataclass

import numpy as np

from wordlm.config import ModelConfig
from wordlm.engine import Engine
from wordlm.layout import weight_shapes
from wordlm.vocab import SPECIALS, Vocabulary

_WORDS = """the he I Yes said went dog lamp do n't 's Mr. Holmes U.S. 5 $ . , ! ? " ' ( ) -- – “ ” # @-@ … 東 京"""
WORDS = _WORDS.split()
VOCABULARY = Vocabulary([*SPECIALS, *WORDS])
KINDS = {"streams": {}, "windows": {"context": 4}, "both ways": {"context": 4, "bidirectional": True}}


def make_engine(scale=1.5, bias=(), **options):
    """An engine with random weights; `bias` lifts some words."""
    shape = {"vocab_size": len(VOCABULARY), "embedding_dim": 4, "units": 5, "dense": 0}
    config = ModelConfig(**shape | options)
    rng = np.random.default_rng(5)
    weights = {name: rng.normal(0, scale, shape).astype("float32") for name, shape in weight_shapes(config).items()}
    for id, value in dict(bias).items():
        weights["output/bias"][id] = value
    return Engine(config, weights)


@dataclass(frozen=True)
class _Place:
    """How many words of its script each text has been told."""

    said: tuple[int, ...]

    @property
    def batch_size(self):
        return len(self.said)

    def select(self, indices):
        return _Place(tuple(self.said[index] for index in indices))

    def join(self, other):
        return _Place(self.said + other.said)


class Script:
    """Stands for an engine: after the prompt it is nearly sure of the given tokens, one after the other."""

    def __init__(self, said):
        self.ids = VOCABULARY.encode(said.split())
        self.config = ModelConfig(vocab_size=len(VOCABULARY))

    def initial_state(self, batch_size):
        return _Place((0,) * batch_size)

    def read(self, token_ids, state=None):
        return state or self.initial_state(len(token_ids))

    def step(self, token_ids, state):
        logprobs = np.full((len(token_ids), len(VOCABULARY)), -50.0, "float32")
        for row, place in zip(logprobs, state.said, strict=True):
            row[self.ids[place]] = 0
        return logprobs, _Place(tuple(place + 1 for place in state.said))
