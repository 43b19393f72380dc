"""The Kneser-Ney model of WikiText-2, beside what an independent implementation of the same formulas gives.

    python benchmarks/kneser_ney.py [--order 5]

The full vocabulary; every line is a sentence whose end is counted, blank lines too, and the history begins anew at
each. Fitting runs in a process of its own, which reports its peak resident memory. Times are those of the processor
(one thread), which other work on the machine does not change much; medians of five.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wordlm.config import TextConfig
from wordlm.ngram import KneserNey
from wordlm.text import Texts
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import Vocabulary

WIKITEXT = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2"
# Modified Kneser-Ney of order 5 on the same tokens, by another implementation.
INDEPENDENT = {"valid": 234.9, "test": 220.1}
REPEATS = 5


def read_ids(folder: Path) -> None:
    """Writes the ids of the three parts to a folder, and the number of words."""
    config, parts = TextConfig(kind="pretokenized"), {}
    tokenizer = Tokenizer(config)
    for part in ("train", "valid", "test"):
        lines = (tokenizer.tokenize(paragraph.text) for paragraph in Texts([WIKITEXT / f"{part}.txt"], config))
        parts[part] = [word for line in lines for word in [*line, "<eos>"]]
    vocabulary = Vocabulary.from_counts((word, 1) for word in dict.fromkeys(parts["train"]))
    for part, words in parts.items():
        np.save(folder / f"{part}.npy", np.array(vocabulary.encode(words), np.uint16))
    (folder / "size").write_text(str(len(vocabulary)))


def fit(folder: Path, order: int) -> None:
    """Fits and saves the model in this process; prints the seconds and the peak resident memory in MB."""
    ids = np.load(folder / "train.npy", mmap_mode="r")
    began = time.process_time()
    model = KneserNey.fit(ids, int((folder / "size").read_text()), order)
    seconds = time.process_time() - began
    model.save(folder / "ngram.npz")
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def median_seconds(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        fit(args.fit, args.order)
        return
    if not WIKITEXT.is_dir():
        sys.exit("needs the texts of ../shared/data")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read_ids(folder)
        command = [sys.executable, __file__, "--order", str(args.order), "--fit", folder]
        runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(REPEATS)]
        seconds, peak = (
            statistics.median(column) for column in zip(*(map(float, run.split()) for run in runs), strict=True)
        )
        train, valid, test = (np.load(folder / f"{part}.npy") for part in ("train", "valid", "test"))
        path = folder / "ngram.npz"
        loading = median_seconds(lambda: KneserNey.load(path))
        model = KneserNey.load(path)
        scoring = len(valid) / median_seconds(lambda: model.target_logprobs(valid))
        contexts, context = [], [2]
        for id in valid[:20_000].tolist():
            contexts.append(context)
            context = [2] if id == 2 else [*context, id][-4:]
        sparse = median_seconds(lambda: [model.sparse(context) for context in contexts]) / len(contexts)
        some = contexts[::10]
        whole = median_seconds(lambda: [model.distribution(context) for context in some]) / len(some)
        perplexity = {
            part: np.exp(-model.target_logprobs(ids).mean()) for part, ids in (("valid", valid), ("test", test))
        }
        print("| what | figure |\n|---|---|")
        print(f"| order, words, training tokens | {args.order}, {model.vocab_size:,}, {len(train):,} |")
        print(f"| fit | {seconds:.1f} s |")
        print(f"| peak resident memory of the process that fits and saves | {peak:.0f} MB |")
        print(f"| file | {path.stat().st_size / 1e6:.1f} MB |")
        print(f"| load | {loading:.2f} s |")
        for part, ids in (("valid", valid), ("test", test)):
            other = f" (independent implementation: {INDEPENDENT[part]})" if args.order == 5 else ""
            print(f"| perplexity on {part}, {len(ids):,} tokens | {perplexity[part]:.2f}{other} |")
        print(f"| `target_logprobs` | {scoring:,.0f} words/s |")
        print(f"| `sparse` | {sparse * 1e6:.0f} µs |")
        print(f"| `distribution` | {whole * 1e6:.0f} µs |")


if __name__ == "__main__":
    main()
