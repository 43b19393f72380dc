"""How well a model of WikiText-2 foretells it, beside and with an n-gram model and a cache; how fast, in what memory.

    OPENBLAS_NUM_THREADS=1 python benchmarks/questions.py DIR [--data FOLDER] [--runs 3]

DIR is a model of train.txt in FOLDER (../shared/data/wikitext-2); it is copied, and left as it is. The shares of the
mixture are tuned on valid.txt, so that its figure for that text flatters; test.txt was not seen by anything. The cache
that is mixed in has a lambda of 1: alone, it is worse than one that is tuned to stand alone.

Everything is a command, `wordlm evaluate`, `score` or `suggest`, as a process of its own: the seconds are those of the
whole command, the memory is the most that it had resident. The training text is counted in each command that needs the
n-grams, unless DIR holds them. Starts take turns with the imports that they cannot do without.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

# Nothing large is imported here: the memory of a child counts from that of its parent on.
DATA = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2"
WORDLM = [sys.executable, "-m", "wordlm.cli"]
CONTEXT = "I grew up in Portugal , and my native tongue is"
FIGURES = {
    "perplexity_without_oov": "perplexity without `<unk>`",
    "bits_per_word": "bits a word",
    "bits_per_character": "bits a character",
    "oov_rate": "`<unk>`",
    "top1": "right at first guess",
    "top3": "among the first 3",
    "top5": "among the first 5",
    "keystroke_savings": "keystrokes saved",
    "calibration_error": "calibration error",
}
SHARES = ("oov_rate", "top1", "top3", "top5", "keystroke_savings", "calibration_error")


class Done(NamedTuple):
    """A command that has ended: its output, seconds, and most resident megabytes."""

    output: str
    seconds: float
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of the model")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of train.txt, valid.txt and test.txt")
    parser.add_argument("--runs", type=int, default=3, help="of each time; the median counts")
    arguments = parser.parse_args()
    train, valid, test = (arguments.data / f"{name}.txt" for name in ("train", "valid", "test"))
    if not train.is_file():
        sys.exit(f"needs {train}")
    with tempfile.TemporaryDirectory() as folder:
        model = shutil.copytree(arguments.model, Path(folder) / "model")
        alone = {text: evaluate(model, text, "--train", train) for text in (valid, test)}
        mixed = {valid: evaluate(model, valid, "--train", train, "--tune", valid)}
        mixed[test] = evaluate(model, test, "--train", train, "--mix")
        perplexities(*({path.stem: json.loads(done.output) for path, done in each.items()} for each in (alone, mixed)))
        commands = {
            f"score test.txt --reset {reset}": [*WORDLM, "score", model, test, "--reset", reset]
            for reset in ("sentence", "document", "never")
        }
        commands["evaluate test.txt"] = [*WORDLM, "evaluate", model, test]
        rows = {name: repeated(command, arguments.runs) for name, command in commands.items()}
        rows |= {"evaluate test.txt --train": alone[test], "evaluate test.txt --train --mix": mixed[test]}
        speeds(rows, json.loads(alone[test].output)["tokens"])
        starts(model, max(9, arguments.runs))


def evaluate(model: Path, *arguments: object) -> Done:
    return run([*WORDLM, "evaluate", model, *arguments, "--json"])


def perplexities(alone: dict[str, dict[str, Any]], mixed: dict[str, dict[str, Any]]) -> None:
    """Both tables of figures; `alone` and `mixed` are evaluations by the name of the text."""
    shares = mixed["valid"]["mixture"]
    told = " : ".join(f"{shares[name]:.2f}" for name in ("lstm", "kneser_ney", "cache"))
    rows = {
        "unigram": lambda text: alone[text]["baselines"]["unigram"],
        "Kneser-Ney, order 5": lambda text: alone[text]["baselines"]["kneser_ney"],
        "network": lambda text: alone[text]["perplexity"],
        f"cache of {shares['cache_words']:,} words, as it is mixed in": lambda text: mixed[text]["parts"]["cache"],
        f"network, Kneser-Ney and cache, {told}": lambda text: mixed[text]["perplexity"],
    }
    tokens = " | ".join(f"{name}, {alone[name]['tokens']:,} tokens" for name in alone)
    print(f"| perplexity | {tokens} |\n|---|---|---|")
    for name, perplexity in rows.items():
        print(f"| {name} | " + " | ".join(f"{perplexity(text):.1f}" for text in alone) + " |")
    columns = [f"{way}, {text}" for way in ("network", "mixture") for text in alone]
    print(f"\n| figure | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for key, name in FIGURES.items():
        values = [figures[text][key] for figures in (alone, mixed) for text in alone]
        shape = "{:.1%}" if key in SHARES else "{:.3f}" if key.startswith("bits") else "{:.1f}"
        print(f"| {name} | " + " | ".join(map(shape.format, values)) + " |")
    sys.stdout.flush()


def speeds(rows: dict[str, Done], tokens: int) -> None:
    print("\n| command | time | words/s | peak resident |\n|---|---|---|---|")
    for name, done in rows.items():
        print(f"| {name} | {done.seconds:.1f} s | {tokens / done.seconds:,.0f} | {done.megabytes:.0f} MB |")
    sys.stdout.flush()


def starts(model: Path, runs: int) -> None:
    commands = {
        "suggest": [*WORDLM, "suggest", model, CONTEXT],
        "import numpy, h5py, click": [sys.executable, "-c", "import numpy, h5py, click"],
    }
    done: dict[str, list[Done]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            done[name].append(run(command))
    print("\n| start | time | peak resident |\n|---|---|---|")
    for name, each in done.items():
        print(f"| {name} | {median(d.seconds for d in each):.3f} s | {median(d.megabytes for d in each):.0f} MB |")


def repeated(command: list[object], runs: int) -> Done:
    """A command, its median time and the most memory of all runs."""
    done = [run(command) for _ in range(runs)]
    return Done(done[0].output, median(d.seconds for d in done), max(d.megabytes for d in done))


def run(command: list[object]) -> Done:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        began = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))} has ended with the status {process.returncode}")
        output.seek(0)
        return Done(output.read(), seconds, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
