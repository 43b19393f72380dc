"""The recipe of PyTorch's word-language-model example on WikiText-2, as a yardstick for `targets.py torch`.

    python benchmarks/torch_example.py [--epochs 6] [--data FOLDER]

A trained embedding of 200, two LSTM layers of 200 units, the output layer not tied to the embedding; dropout 0.2 on the
embedding, between the layers and before the output. Embedding and output matrix begin uniform in -0.1 to 0.1. 20
contiguous streams, 35 words at a step, the state carried; plain gradient descent with the learning rate 20, divided by
4 after an epoch without a better validation loss, the norm of the gradient clipped to 0.25.

The ids are those of wordlm: all words of train.txt in FOLDER (../shared/data/wikitext-2), and every token counts,
`<eos>` too. Needs PyTorch (pip install torch), which works on all cores; OMP_NUM_THREADS tells it otherwise.

Prints a line of JSON after each epoch: the seconds and the words a second are those of learning since the start,
validation apart. The last line is about the weights that were best on the validation text.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from wordlm.config import configure
from wordlm.corpus import Corpus
from wordlm.preparation import find_texts, read_corpus
from wordlm.progress import Display
from wordlm.vocab import EOS

try:
    import torch
except ImportError:
    sys.exit("needs PyTorch: pip install torch")

DATA = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2"
UNITS, LAYERS, DROPOUT, SPREAD = 200, 2, 0.2, 0.1
STREAMS, STREAMS_IN_EVALUATION, STEP = 20, 10, 35
LEARNING_RATE, DIVISOR, CLIP_NORM = 20.0, 4, 0.25
NOTHING = -100  # the target behind the end of the last stream


class Network(torch.nn.Module):
    """Token ids (T, B) and a state, or None, to logits (T, B, V) and the next state."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab_size, UNITS)
        self.lstm = torch.nn.LSTM(UNITS, UNITS, LAYERS, dropout=DROPOUT)
        self.output = torch.nn.Linear(UNITS, vocab_size)
        self.dropout = torch.nn.Dropout(DROPOUT)
        for matrix in (self.embedding.weight, self.output.weight):
            torch.nn.init.uniform_(matrix, -SPREAD, SPREAD)
        torch.nn.init.zeros_(self.output.bias)

    def forward(self, ids: torch.Tensor, state: tuple | None) -> tuple[torch.Tensor, tuple]:
        hidden, state = self.lstm(self.dropout(self.embedding(ids)), state)
        return self.output(self.dropout(hidden)), state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of train.txt, valid.txt and test.txt")
    arguments = parser.parse_args()
    if not (arguments.data / "train.txt").is_file():
        sys.exit(f"needs {arguments.data / 'train.txt'}")
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))
    with tempfile.TemporaryDirectory() as folder:
        corpus = read(Path(folder), arguments.data)
        network = Network(len(corpus.vocabulary))
        test_perplexity = train(network, corpus, arguments.epochs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"test_perplexity": test_perplexity, "peak_megabytes": peak}))


def read(folder: Path, data: Path) -> Corpus:
    """The ids that `wordlm train --pretokenized --vocab-size 0` would learn from."""
    options = configure(kind="pretokenized", vocab_size=0)
    sources = {part: find_texts(data / f"{part}.txt", options) for part in ("train", "valid", "test")}
    return read_corpus(folder, sources, options, Display(quiet=True))


def train(network: Network, corpus: Corpus, epochs: int) -> float:
    """Learns, prints a line after each epoch, and returns the test perplexity of the best weights."""
    inputs, targets = streams(corpus.train, STREAMS)
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE)
    seconds, best, weights = 0.0, math.inf, {}
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        learn(network, optimizer, inputs, targets)
        seconds += time.perf_counter() - began
        loss = examine(network, corpus.valid)
        figures = {
            "epoch": epoch,
            "seconds": seconds,
            "valid_perplexity": math.exp(loss),
            "words_per_second": epoch * len(corpus.train) / seconds,
            "learning_rate": optimizer.param_groups[0]["lr"],
        }
        print(json.dumps(figures), flush=True)
        if loss < best:
            best, weights = loss, {name: value.clone() for name, value in network.state_dict().items()}
        else:
            optimizer.param_groups[0]["lr"] /= DIVISOR
    network.load_state_dict(weights)
    return math.exp(examine(network, corpus.test))


def streams(ids: np.ndarray, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Input and target ids (T, B) of contiguous streams side by side; the first word follows `<eos>`."""
    length = -(-len(ids) // count)
    inputs, targets = np.full(length * count, EOS, np.int64), np.full(length * count, NOTHING, np.int64)
    inputs[1 : len(ids)], targets[: len(ids)] = ids[:-1], ids
    # Time first, each step contiguous.
    return tuple(torch.from_numpy(part.reshape(count, length).T.copy()) for part in (inputs, targets))


def learn(network: Network, optimizer: torch.optim.SGD, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    """One epoch."""
    network.train()
    state = None
    for x, y in zip(inputs.split(STEP), targets.split(STEP), strict=True):
        optimizer.zero_grad()
        logits, state = network(x, state)
        state = tuple(part.detach() for part in state)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=NOTHING)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()


@torch.no_grad()
def examine(network: Network, ids: np.ndarray) -> float:
    """The mean loss over all tokens, in nats."""
    network.eval()
    state, total = None, 0.0
    for x, y in zip(*(part.split(STEP) for part in streams(ids, STREAMS_IN_EVALUATION)), strict=True):
        logits, state = network(x, state)
        total += torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), y.flatten(), ignore_index=NOTHING, reduction="sum"
        ).item()
    return total / len(ids)


if __name__ == "__main__":
    main()
