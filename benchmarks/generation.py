"""How soon and how fast texts are generated, beside the usual ways to do it. Everything is measured in one run.

    python benchmarks/generation.py [--runs 5] [--words 400] [--model DIR]

- Cold start: `wordlm generate DIR --max-words 50` as a process of its own, for a model of 30,000 words and 256 units,
  in turns with `python -c "import numpy, h5py, click"`.
- One text, words a second: `LanguageModel.stream` with its default options, against the loop that calls
  `model.predict` on a padded window of 50 words for every word, and against PyTorch's `nn.LSTM`, stepped with its state
  in `inference_mode` (pip install torch; without it that column is empty). All draw from the softmax at the
  temperature 0.8. Each way has a process of its own, as it would have: the threads of TensorFlow and PyTorch stay
  awake for a while. How fast the step reads the output matrix, against how fast this machine reads memory at all.
- Many texts: `-n 256` against one text, in one process and as whole commands.

The networks have random weights, a bias like the frequencies of words, and a dense layer, half of whose units are
active at random; a trained one's are sparser, which --model shows. Its figures have the same columns.

BLAS works on as many threads as there are cores, PyTorch too: with OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1, on one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import wordlm
from wordlm.bundle import save_bundle
from wordlm.config import ModelConfig, TextConfig
from wordlm.language_model import LanguageModel
from wordlm.state import State
from wordlm.vocab import SPECIALS, Vocabulary

TEMPERATURE = 0.8
WINDOW = 50
SIZES = {
    "10,000 words, 64 units": {"vocab_size": 10_000, "units": 64, "dense": 64},
    "33,278 words, 200 units": {"vocab_size": 33_278, "units": 200, "dense": 200},
}
COLD = {"vocab_size": 30_000, "units": 256, "dense": 200}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="of each figure, in turns; the median counts")
    parser.add_argument("--words", type=int, default=400, help="in a measured text")
    parser.add_argument("--model", help="folder of a trained model, measured too")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        serve(arguments.way, wordlm.load(arguments.model), arguments.words)
        return
    threads = os.environ.get("OPENBLAS_NUM_THREADS", f"{os.cpu_count()}, as many as cores")
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, BLAS threads: {threads}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        cold = make(Path(folder) / "cold", COLD)
        models = {name: make(Path(folder) / name.split()[0], size) for name, size in SIZES.items()}
        if arguments.model:
            trained = wordlm.load(arguments.model)
            models[f"{len(trained.vocabulary):,} words, {trained.config.units} units, trained"] = trained
        cold_starts(cold, max(arguments.runs, 9))
        one_text(models, arguments.runs, arguments.words)
        many_texts(models, arguments.runs)


def make(path: Path, size: dict[str, int]) -> LanguageModel:
    """A model of this size with random weights, saved."""
    from wordlm.model import build_model

    config = ModelConfig(embedding_dim=50, **size)
    model = build_model(config)
    rng = np.random.default_rng(0)
    model.layers[0].set_weights([rng.normal(0, 0.5, (config.vocab_size, 50))])
    kernel, bias = model.layers[-1].get_weights()
    bias[3:] = -np.log(np.arange(2, len(bias) - 1))
    bias[:3] = -20  # no text ends before its time
    model.layers[-1].set_weights([kernel, bias])
    vocabulary = Vocabulary([*SPECIALS, *(f"w{number}" for number in range(config.vocab_size - 3))])
    save_bundle(path, model, config, TextConfig(), vocabulary, {"seed": 0, "epochs": 0})
    return wordlm.load(path)


def cold_starts(lm: LanguageModel, runs: int) -> None:
    """The command as a whole, and the imports that it cannot do without."""
    commands = {
        "wordlm generate": [sys.executable, "-m", "wordlm.cli", "generate", str(lm.path), "--max-words", "50"],
        "imports alone": [sys.executable, "-c", "import numpy, h5py, click"],
    }
    times = in_turns(runs, {name: lambda args=args: run(args) for name, args in commands.items()})
    generate, imports = times.values()
    print(f"cold start, {len(lm.vocabulary):,} words, {lm.config.units} units, medians of {runs}")
    print(f"{'wordlm generate --max-words 50':34}{generate:8.3f} s")
    print(f"{'import numpy, h5py, click':34}{imports:8.3f} s   ratio {generate / imports:.2f}\n", flush=True)


def one_text(models: dict[str, LanguageModel], runs: int, words: int) -> None:
    bandwidth = machine_bandwidth()
    print(f"one text, words a second, medians of {runs}; this machine reads {bandwidth / 1e9:.1f} GB/s")
    print(f"{'model':34}{'wordlm':>9}{'predict':>9}{'torch':>9}{'/predict':>10}{'/torch':>8}{'step µs':>9}", end="")
    print(f"{'matrix MB':>11}{'read':>6}{'GB/s':>7}")
    for name, lm in models.items():
        # The slow way gets fewer words.
        counts = {"wordlm": words, "predict": max(10, words // 20), "step": words, "torch": words}
        workers = {way: Worker(way, lm, count) for way, count in counts.items()}
        taken = in_turns(runs, {way: worker.run for way, worker in workers.items()})
        rate = {way: counts[way] / seconds if seconds else float("nan") for way, seconds in taken.items()}
        for worker in workers.values():
            worker.close()
        hidden = some_hidden(lm)[0]
        matrix = 4 * hidden.shape[-1] * len(lm.vocabulary)
        share = np.count_nonzero(hidden) / hidden.size
        # The output layer copies the rows of few active units, and reads all rows where many are.
        read = matrix * (share if share < 0.4 and matrix > 1 << 22 else 1)
        print(f"{name:34}{rate['wordlm']:9,.0f}{rate['predict']:9,.1f}{rate['torch']:9,.0f}", end="")
        print(f"{rate['wordlm'] / rate['predict']:10,.0f}{rate['wordlm'] / rate['torch']:8.1f}", end="")
        print(f"{1e6 / rate['step']:9.0f}{matrix / 1e6:11.1f}{read / matrix:6.0%}{read * rate['step'] / 1e9:7.1f}")
        sys.stdout.flush()
    print()


class Worker:
    """A process that makes a text in one way, whenever it is asked to."""

    def __init__(self, way: str, lm: LanguageModel, words: int) -> None:
        command = [sys.executable, __file__, "--way", way, "--words", str(words), "--model", str(lm.path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()  # it is ready

    def run(self) -> float:
        """Seconds of one text."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


def serve(way: str, lm: LanguageModel, words: int) -> None:
    """What a `Worker` runs; where PyTorch is not there, it takes no time."""
    make = {
        "wordlm": lambda: lambda: words_of(lm, words),
        "step": lambda: steps(lm, words),
        "predict": lambda: predict_loop(lm, words),
        "torch": lambda: torch_loop(lm, words),
    }[way]()
    if make:
        make()  # the first one compiles, and reads the weights
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        if make:
            make()
        print(time.perf_counter() - start if make else 0.0, flush=True)


def many_texts(models: dict[str, LanguageModel], runs: int) -> None:
    print(f"256 texts of 50 words against one, words a second, medians of {runs}")
    print(f"{'model':34}{'one':>9}{'256':>9}{'ratio':>7}   as commands:{'one':>7}{'256':>9}{'ratio':>7}")
    for name, lm in models.items():
        command = [sys.executable, "-m", "wordlm.cli", "generate", str(lm.path), "--max-words", "50"]
        command += ["--min-words", "50"]
        taken = in_turns(runs, {
            "one": lambda lm=lm: words_of(lm, 50),
            "many": lambda lm=lm: words_of(lm, 50, 256),
            "one, command": lambda command=command: run(command),
            "many, command": lambda command=command: run([*command, "-n", "256"]),
        })  # fmt: skip
        one, many, one_command, many_command = (
            count * 50 / seconds for count, seconds in zip((1, 256, 1, 256), taken.values(), strict=True)
        )
        print(f"{name:34}{one:9,.0f}{many:9,.0f}{many / one:7.1f}", end="")
        print(f"{one_command:22,.0f}{many_command:9,.0f}{many_command / one_command:7.1f}", flush=True)


def words_of(lm: LanguageModel, words: int, n: int = 1) -> None:
    """Some texts, to the written word."""
    options = {"min_words": words, "max_words": words, "temperature": TEMPERATURE, "seed": 1}
    for _ in lm.stream(**options) if n == 1 else lm.generate_many(n=n, **options):
        pass


def some_hidden(lm: LanguageModel) -> tuple[np.ndarray, State, list[int]]:
    """Hidden vectors of a generated text, the state after it, and its ids."""
    (text,) = lm.generate_many(n=1, min_words=60, max_words=60, seed=3)
    ids = lm.vocabulary.encode(word.word for word in text.words)
    return *lm.engine.hidden(np.array([ids])), ids


def steps(lm: LanguageModel, words: int) -> Callable[[], object]:
    """Steps of the engine alone. Their words change, and with them the active units."""
    _, state, ids = some_hidden(lm)
    turns = cycle(ids)
    return lambda: [lm.engine.step([next(turns)], state) for _ in range(words)]


def predict_loop(lm: LanguageModel, words: int) -> Callable[[], object]:
    """The usual way: the last 50 words, padded, through `model.predict`, for every word."""
    model = lm.keras_model()
    rng = np.random.default_rng(1)

    def loop() -> None:
        ids = [2]
        for _ in range(words):
            window = np.zeros((1, WINDOW), np.int32)
            recent = ids[-WINDOW:]
            window[0, : len(recent)] = recent
            predicted = model.predict(window, verbose=0)[0]
            # A stream model predicts at every position.
            probabilities = predicted[len(recent) - 1] if predicted.ndim == 2 else predicted
            masses = probabilities.astype(np.float64) ** (1 / TEMPERATURE)
            ids.append(int(rng.choice(len(masses), p=masses / masses.sum())))

    return loop


def torch_loop(lm: LanguageModel, words: int) -> Callable[[], object] | None:
    """The same network in PyTorch, a word at a time, its state carried."""
    try:
        import torch
    except ImportError:
        return None
    config = lm.config
    if config.cell != "lstm" or config.context or not config.dense:
        return None
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    embedding = torch.nn.Embedding(config.vocab_size, config.embedding_dim)
    lstm = torch.nn.LSTM(config.embedding_dim, config.units, config.layers, batch_first=True)
    dense = torch.nn.Linear(config.units, config.dense)
    output = torch.nn.Linear(config.dense, config.vocab_size)
    words_by_id = lm.vocabulary.tokens

    def loop() -> None:
        with torch.inference_mode():
            ids, state, text = torch.full((1, 1), 2), None, []
            for _ in range(words):
                hidden, state = lstm(embedding(ids), state)
                logits = output(torch.relu(dense(hidden[:, -1])))
                ids = torch.multinomial(torch.softmax(logits / TEMPERATURE, -1), 1)
                text.append(words_by_id[ids.item()])
            " ".join(text)

    return loop


def machine_bandwidth() -> float:
    """Bytes a second that a matrix-vector product reads of a matrix that fits into no cache."""
    matrix, vector = np.ones((64, 4_000_000), np.float32), np.ones(64, np.float32)
    product = np.empty(4_000_000, np.float32)

    def multiply() -> None:
        np.matmul(vector, matrix, out=product)

    return matrix.nbytes / in_turns(5, {"product": multiply})["product"]


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def in_turns(runs: int, ways: dict[str, Callable[[], float | None]]) -> dict[str, float]:
    """Median seconds of each way, which may tell them itself. All take turns, so that they meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            start = time.perf_counter()
            seconds = way()
            times[name].append(time.perf_counter() - start if seconds is None else seconds)
    return {name: float(np.median(taken)) for name, taken in times.items()}


if __name__ == "__main__":
    main()
