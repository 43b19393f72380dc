"""Ten sentences, and a training on them that takes seconds."""

import time
from pathlib import Path

from wordlm.config import ModelConfig, TextConfig, TrainConfig
from wordlm.corpus import Corpus, prepare_corpus
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer

SENTENCES = [
    "the cat sat on the mat .",
    "a dog ran in the park .",
    "my red hat is on the tall chair .",
    "she sang an old song at noon .",
    "we ate warm bread with butter .",
    "rain fell all day long .",
    "his boat crossed a wide river .",
    "they never saw such bright stars .",
    "every child knows that little tune .",
    "snow covers both quiet hills .",
]


class Silent:
    """A listener that keeps what it hears."""

    def __init__(self, on_step=None):
        self.messages, self.steps, self.epochs = [], [], []
        self.on_step = on_step

    def message(self, text):
        self.messages.append(text)

    def reading(self, part, tokens, share):
        pass

    def step(self, step):
        self.steps.append(step)
        if self.on_step:
            self.on_step(step)

    def epoch(self, epoch):
        self.epochs.append(epoch)


def toy_corpus(folder, repeats: int = 6, valid=SENTENCES[:5], test=None, sentences=None) -> Corpus:
    config = TextConfig(kind="lines")

    def paragraphs(lines):
        return None if lines is None else [Paragraph(0, line) for line in lines]

    train, valid, test = map(paragraphs, (sentences or SENTENCES * repeats, valid, test))
    return prepare_corpus(folder, train, Tokenizer(config), valid=valid, test=test)


def toy_training(corpus: Corpus, folder: Path, *, model=None, matrix=None, listener=None, **train):
    """A Training with a network of its own; `model` and `train` override the configs."""
    import keras

    from wordlm.model import build_model
    from wordlm.training import Training

    defaults = {"embedding_dim": 8, "units": 24, "dense": 0, "dropout": 0.1, "trainable_embedding": matrix is None}
    config = ModelConfig(**(defaults | {"vocab_size": len(corpus.vocabulary)} | (model or {})))
    train = {"epochs": 4, "batch_size": 4, "sequence_length": 8, "learning_rate": 0.02, "samples": 20} | train
    keras.utils.set_random_seed(1)
    network = build_model(config, matrix)
    listener = listener or Silent()
    return Training(
        network,
        config,
        TrainConfig(**train),
        corpus,
        Path(folder),
        {"name": "toy"},
        listener,
        lambda network: "a sample",
        time.monotonic(),
    )
