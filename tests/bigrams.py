"""Stands for a model that knows which words follow which, so that every suggestion is known beforehand."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from wordlm.config import ModelConfig, TextConfig
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import SPECIALS, Vocabulary

_FOLLOWING = {
    "<eos>": "I The Spain",
    "I": "do see",
    "do": "n't",
    "n't": "see say shout",
    "see": "the The Portugal porters (",
    "the": "the",
    "The": "dog",
    "dog": "'s , .",
    "Portugal": ", .",
    ",": '" and',
    '"': "Yes ,",
    "(": "Portugal the",
    ".": "<eos>",
    "<unk>": "<unk> <eos> and",
    "xylophones": "and",
    "well": "@-@",
    "@-@": "known",
}
_WORDS = """the The I do n't see say shout dog 's Portugal porters Porto and Yes Spain , . " ( ) é"""
WORDS = _WORDS.split()


@dataclass(frozen=True)
class _Last:
    """The last id of each text of a batch."""

    ids: tuple[int, ...]

    @property
    def batch_size(self):
        return len(self.ids)


class Bigrams:
    """An engine: the first word of a list has the probability 1/2, the second 1/4 and so on, others share the rest.

    The id behind the vocabulary is read as `xylophones`. `asked` holds how many words each call has read.
    """

    def __init__(self, words=WORDS):
        self.vocabulary = Vocabulary([*SPECIALS, *words])
        self.config = ModelConfig(vocab_size=len(self.vocabulary))
        self.asked = []

    def initial_state(self, batch_size):
        return _Last((0,) * batch_size)

    def read(self, token_ids, state=None):
        self.asked.append(np.shape(token_ids)[1])
        return _Last(tuple(np.asarray(token_ids)[:, -1].tolist()))

    def step(self, token_ids, state):
        self.asked.append(1)
        probabilities = np.zeros((len(token_ids), len(self.vocabulary)))
        for row, id in zip(probabilities, np.asarray(token_ids).tolist(), strict=True):
            word = [*self.vocabulary.tokens, "xylophones"][id]
            following = self.vocabulary.encode(_FOLLOWING.get(word, "").split())
            for place, next_id in enumerate(following):
                row[next_id] = 2.0 ** -(place + 1)
            # Those that are left get less the rarer they are.
            row += np.linspace(2e-6, 1e-6, len(row))
        return np.log(probabilities).astype("float32"), _Last(tuple(np.asarray(token_ids).tolist()))


def make_lm(words=WORDS, **text):
    """What a suggester wants of a model."""
    engine = Bigrams(words)
    return SimpleNamespace(engine=engine, tokenizer=Tokenizer(TextConfig(**text)), vocabulary=engine.vocabulary)
