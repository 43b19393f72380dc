"""How fast a text is scored, in how much memory, and how much of that is the output layer's matrix product alone.

    OPENBLAS_NUM_THREADS=1 python benchmarks/scoring.py [--words 1000000] [--few 100000] [--dense 200] [--text FILE]

A model of 30,000 words and 256 LSTM units with random weights scores the lines of a text of one paragraph a line, as
often as it takes; 40 lines are a document. Each figure has a process of its own: `score_passages` with each reset,
and the whole command `wordlm score DIR TEXT`. The seconds of the library are those after the model is loaded, those
of the command all. The processor's time does not depend on what else the machine does, or hardly: the product's share
is of that. Its own is measured in the same process, in blocks of as many rows, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import wordlm
from wordlm.config import ModelConfig, TextConfig
from wordlm.passages import Passage
from wordlm.scoring import RESETS, score_passages
from wordlm.vocab import EOS, SPECIALS, Vocabulary

WORDS, UNITS = 30_000, 256
LINES = 40
TEXT = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2" / "train.txt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=1_000_000, help="of the long text")
    parser.add_argument("--few", type=int, default=100_000, help="of the short one")
    parser.add_argument("--dense", type=int, default=200, help="units of the dense layer; 0: none")
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--way", choices=["make", *RESETS], help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way == "make":
        make(Path(arguments.model), arguments.text, arguments.dense)
        return
    if arguments.way:
        print(json.dumps(score(arguments.model, arguments.text, arguments.way)))
        return
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "as many as cores")
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, {os.cpu_count()} cores, BLAS threads: {threads}")
    print(f"{WORDS:,} words, {UNITS} units, dense {arguments.dense}\n")
    print("| | words | words/s | CPU µs a word | the product's share | peak MB |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        # Not in this process: a child's peak begins with its parent's size, and Keras is large.
        model, dense = str(Path(folder) / "model"), str(arguments.dense)
        run(way("make", model, arguments.text, "--dense", dense))
        for count in (arguments.few, arguments.words):
            text = write_text(Path(folder) / f"{count}.txt", arguments.text, count)
            for reset in RESETS:
                row(f"`score_passages`, {reset}", json.loads(run(way(reset, model, text))["output"]))
            found = run([sys.executable, "-m", "wordlm.cli", "score", model, str(text)], silent=True)
            row("`wordlm score DIR TEXT`", found | {"words": count})


def way(name: str, model: str, text: Path, *options: str) -> list[str]:
    """This script again, to do one thing in a process of its own."""
    return [sys.executable, __file__, "--way", name, "--model", model, "--text", str(text), *options]


def row(name: str, found: dict) -> None:
    words = found["words"]
    share = f"{found['product'] / found['cpu']:.0%}" if "product" in found else ""
    figures = f"{words / found['seconds']:,.0f} | {found['cpu'] / words * 1e6:.0f} | {share} | {found['peak']:,.0f}"
    print(f"| {name} | {words:,} | {figures} |", flush=True)


def run(command: list[str], silent: bool = False) -> dict:
    """A command's output, and what it took as a whole."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL if silent else subprocess.PIPE) as process:
        output = None if silent else process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} has failed")
    seconds = time.perf_counter() - start
    return {"output": output, "seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": megabytes(usage)}


def megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def score(model: str, text: Path, reset: str) -> dict:
    """Scores the lines of a text, and tells what it took."""
    lm = wordlm.load(model)
    words = 0

    def passages() -> Iterator[Passage]:
        with text.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                tokens = line.split()
                ids = np.array([*lm.vocabulary.encode(tokens), EOS])
                yield Passage(number // LINES, line, tokens, ids, ids)

    start, cpu = time.perf_counter(), time.process_time()
    for _, measures, _ in score_passages(lm.engine, passages(), reset):
        words += len(measures.surprisal)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = megabytes(resource.getrusage(resource.RUSAGE_SELF))
    return {"words": words, "seconds": seconds, "cpu": cpu, "peak": peak, "product": words * product_seconds(lm.config)}


def product_seconds(config: ModelConfig, rows: int = 256) -> float:
    """Seconds that the product of hidden vectors and the output matrix takes for a word."""
    rng = np.random.default_rng(0)
    size = config.dense or config.units
    hidden = rng.standard_normal((rows, size), np.float32)
    kernel = rng.standard_normal((size, config.vocab_size), np.float32)
    products = np.empty((rows, config.vocab_size), np.float32)
    times = []
    for _ in range(15):
        start = time.process_time()
        np.matmul(hidden, kernel, out=products)
        times.append(time.process_time() - start)
    return float(np.median(times)) / rows


def make(path: Path, text: Path, dense: int) -> None:
    """A model of the text's most frequent words, with random weights, saved."""
    from wordlm.bundle import save_bundle
    from wordlm.model import build_model

    counts = Counter(text.read_text(encoding="utf-8").split())
    for special in SPECIALS:
        counts.pop(special, None)
    vocabulary = Vocabulary([*SPECIALS, *(word for word, _ in counts.most_common(WORDS - len(SPECIALS)))])
    config = ModelConfig(vocab_size=len(vocabulary), embedding_dim=50, units=UNITS, dense=dense)
    model = build_model(config)
    rng = np.random.default_rng(0)
    model.layers[0].set_weights([rng.normal(0, 0.5, (config.vocab_size, 50))])
    save_bundle(path, model, config, TextConfig(kind="pretokenized"), vocabulary, {"seed": 0, "epochs": 0})


def write_text(path: Path, text: Path, count: int) -> Path:
    """The lines of a text, again and again, until they have `count` words, their ends included."""
    lines = text.read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as file:
        for line in chain.from_iterable(repeat(lines)):
            words = line.split()[: count - 1]
            count -= len(words) + 1
            print(*words, file=file)
            if not count:
                return path


if __name__ == "__main__":
    main()
