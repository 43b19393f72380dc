"""How fast training is, beside plain Keras and PyTorch. Everything is measured in one run.

    python benchmarks/train_speed.py [lstm] [PRESET...] [--seconds 4] [--repeats 5]

- `lstm`: forward and backward through two LSTM layers alone, 35 steps, the gradient of the input and of all weights:
  `wordlm.fast_tensorflow.lstm`, `keras.layers.LSTM` on TensorFlow, and `torch.nn.LSTM`.
- A preset: whole steps of learning from WikiText-2, 33,279 words. wordlm's own, as `Training` takes them, without
  validation; Keras' `fit` of the same `build_model` on the same batches, with Adam and
  `sparse_categorical_crossentropy`; the same sizes in PyTorch, with the whole softmax and Adam. The dropout of a
  recurrent state, which PyTorch does not have, is left out there, and so are masks.

Each way has a process of its own (`train_ways.py`), and they take turns, as does a product of two 2048 x 2048 matrices
in NumPy, which is taken for the peak of the machine. A figure is the median of its turns; quote ratios, since they meet
the same machine. The work of a word is that of the matrix products alone; wordlm's is that of its sampled softmax.

Without names, everything. Needs PyTorch (pip install torch) and the texts of ../shared/data. PyTorch works on as many
threads as there are cores; TensorFlow and NumPy do so by themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from wordlm.config import PRESETS

# Nothing large is imported here: the memory of a child counts from that of its parent on.
DATA = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2"
SIZES = ((200, 20), (200, 64), (650, 20), (650, 64))  # units, batch
WAYS = ("wordlm", "keras", "torch")
PAUSE = 0.5  # seconds in which the threads of the way before fall asleep


class Measured(NamedTuple):
    """Medians by way, and what wordlm's way says of its work."""

    rates: dict[str, float]
    """Words a second; of the product, operations."""
    megabytes: dict[str, float]
    """Most that was resident."""
    facts: dict[str, float]
    """Operations a word: "work" as wordlm does it, "whole" with the whole softmax."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=", ".join(["lstm", *PRESETS]))
    parser.add_argument("--seconds", type=float, default=4, help="of a turn, about")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each way; the median counts")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of train.txt")
    arguments = parser.parse_args()
    names = arguments.names or ["lstm", *PRESETS]
    if unknown := set(names) - {"lstm", *PRESETS}:
        sys.exit(f"no such name: {', '.join(sorted(unknown))}; there are lstm, {', '.join(PRESETS)}")
    if find_spec("torch") is None:
        sys.exit("needs PyTorch: pip install torch")
    presets = [name for name in names if name != "lstm"]
    if presets and not (arguments.data / "train.txt").is_file():
        sys.exit(f"needs {arguments.data / 'train.txt'}")
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "torch", "numpy"))
    turns = f"{arguments.repeats} turns of about {arguments.seconds:g} s"
    print(f"{len(os.sched_getaffinity(0))} cores, {versions}; {turns}", flush=True)
    if "lstm" in names:
        lstm_alone(arguments.seconds, arguments.repeats)
    if presets:
        whole_steps(presets, arguments.data, arguments.seconds, arguments.repeats)


def lstm_alone(seconds: float, repeats: int) -> None:
    heads = ["units, batch", "wordlm, tokens/s", "Keras", "PyTorch", "wordlm / Keras", "wordlm / PyTorch"]
    head([*heads, "MFLOP a token", "wordlm of the peak", "PyTorch of the peak", "peak, GFLOP/s"])
    for units, batch in SIZES:
        rates, _, facts = measure({"what": "lstm", "units": units, "batch": batch}, seconds, repeats)
        shares = [f"{rates[way] * facts['work'] / rates['product']:.0%}" for way in ("wordlm", "torch")]
        row(
            [
                f"{units}, {batch}",
                *speeds(rates),
                f"{facts['work'] / 1e6:.2f}",
                *shares,
                f"{rates['product'] / 1e9:.0f}",
            ]
        )


def whole_steps(presets: list[str], data: Path, seconds: float, repeats: int) -> None:
    measured = {}
    head(["preset", "wordlm, words/s", "Keras fit", "PyTorch", "wordlm / Keras", "wordlm / PyTorch"])
    with tempfile.TemporaryDirectory() as folder:
        for preset in presets:
            spec = {"preset": preset, "folder": f"{folder}/{preset}", "data": str(data)}
            subprocess.run(command(spec | {"what": "prepare"}, seconds), check=True)
            measured[preset] = measure(spec | {"what": "preset"}, seconds, repeats)
            row([preset, *speeds(measured[preset].rates)])
    columns = ["MFLOP a word", "with the whole softmax", "wordlm of the peak", "Keras", "PyTorch", "peak, GFLOP/s"]
    head(["preset", *columns, "wordlm, resident", "Keras", "PyTorch"])
    for preset, (rates, megabytes, facts) in measured.items():
        works = {"wordlm": facts["work"], "keras": facts["whole"], "torch": facts["whole"]}
        shares = [f"{rates[way] * works[way] / rates['product']:.0%}" for way in WAYS]
        resident = [f"{megabytes[way]:,.0f} MB" for way in WAYS]
        peak = f"{rates['product'] / 1e9:.0f}"
        row([preset, *(f"{facts[name] / 1e6:.2f}" for name in ("work", "whole")), *shares, peak, *resident])


def speeds(rates: dict[str, float]) -> list[str]:
    """Those of all ways, and the ratios."""
    ratios = [f"{rates['wordlm'] / rates[other]:.2f}" for other in WAYS[1:]]
    return [*(f"{rates[way]:,.0f}" for way in WAYS), *ratios]


def measure(spec: dict[str, Any], seconds: float, repeats: int) -> Measured:
    # Each has compiled before the next one starts, and all before the first turn.
    workers = {way: Worker(spec | {"way": way}, seconds) for way in WAYS}
    workers["product"] = Worker({"what": "product", "way": "numpy"}, seconds)
    rates: dict[str, list[float]] = {way: [] for way in workers}
    for _ in range(repeats):
        for way, worker in workers.items():
            rates[way].append(worker.run())
    megabytes = {way: worker.close() for way, worker in workers.items()}
    return Measured({way: median(each) for way, each in rates.items()}, megabytes, workers["wordlm"].facts)


def command(spec: dict[str, Any], seconds: float) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("train_ways.py")), json.dumps(spec), str(seconds)]


class Worker:
    """A process that learns in one way, for some seconds whenever it is asked to."""

    def __init__(self, spec: dict[str, Any], seconds: float) -> None:
        self.spec = spec
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command(spec, seconds), **pipes, text=True)
        self.facts: dict[str, float] = json.loads(self._line())

    def run(self) -> float:
        """Words a second of a turn."""
        time.sleep(PAUSE)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self) -> float:
        """Ends it; the most megabytes that it had resident."""
        self.process.stdin.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss / 1024

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the process of {self.spec} has ended")
        return line


def head(columns: list[str]) -> None:
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
