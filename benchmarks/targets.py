"""What a training shall reach, beside what it reaches. Each prints a table of figures, and one of targets.

    python benchmarks/targets.py torch [--epochs 1] [--data FOLDER]
    python benchmarks/targets.py hour [--minutes 60] [--data FOLDER] [--out DIR]
    python benchmarks/targets.py seed [--text FILE] [--epochs 100]

- `torch`: PyTorch's word-language-model example on WikiText-2 (`torch_example.py`; needs PyTorch, pip install torch),
  then wordlm with what `--minutes` picks, for as long as the example learned in its first epoch. Start, compiling,
  validation and saving come out of wordlm's time, not out of the example's.
- `hour`: what `--minutes` picks on WikiText-2, alone, and mixed with Kneser-Ney and a cache by shares that are tuned
  on the validation text.
- `seed`: preset seed until its validation loss no longer falls, then the default preset as it stands, on Sherlock
  Holmes: when each is as good as seed at its best. Times are those of its history, start included; the default preset
  is looked at after whole epochs, so that it may have been there sooner.

The figures are of whole texts, every token counted, but those of a history, which are of 32,768 tokens at most. All
processes are commands of their own; the memory is the most that each had resident. FOLDER is
../shared/data/wikitext-2.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Nothing large is imported here: the memory of a child counts from that of its parent on.
from questions import WORDLM, Done, run

DATA = Path(__file__).parents[2] / "shared" / "data"
WIKITEXT, PROSE = DATA / "wikitext-2", DATA / "prose"
MEGABYTES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    torch = verbs.add_parser("torch", help="an epoch of PyTorch's example, and wordlm in the same time")
    torch.add_argument("--epochs", type=int, default=1, help="of the example; the second target is of six")
    torch.add_argument("--data", type=Path, default=WIKITEXT, help="folder of train.txt, valid.txt and test.txt")
    hour = verbs.add_parser("hour", help="WikiText-2 in an hour")
    hour.add_argument("--minutes", type=float, default=60)
    hour.add_argument("--data", type=Path, default=WIKITEXT, help="folder of train.txt, valid.txt and test.txt")
    hour.add_argument("--out", type=Path, help="folder to keep the model in")
    seed = verbs.add_parser("seed", help="when the default preset is as good as preset seed becomes")
    seed.add_argument("--text", type=Path, default=PROSE / "sherlock.txt")
    seed.add_argument("--epochs", type=int, default=100, help="of seed, at most")
    arguments = parser.parse_args()
    needed = arguments.text if arguments.verb == "seed" else arguments.data / "train.txt"
    if not needed.is_file():
        sys.exit(f"needs {needed}")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.verb == "torch":
            beside_torch(arguments.data, arguments.epochs, Path(folder))
        elif arguments.verb == "hour":
            in_an_hour(arguments.data, arguments.minutes, arguments.out or Path(folder) / "model")
        else:
            beside_seed(arguments.text, arguments.epochs, Path(folder))


def beside_torch(data: Path, epochs: int, folder: Path) -> None:
    if find_spec("torch") is None:
        sys.exit("needs PyTorch: pip install torch")
    example = Path(__file__).with_name("torch_example.py")
    theirs = run([sys.executable, example, "--epochs", epochs, "--data", data])
    *each, last = map(json.loads, theirs.output.splitlines())
    seconds = each[0]["seconds"]
    figures, ours = train(*wikitext(data), "--minutes", seconds / 60, out=folder / "model")
    head("", "learning", "words/s", "validation perplexity", "test perplexity", "resident")
    for epoch in each:
        test = f"{last['test_perplexity']:.1f}" if epoch is each[-1] else ""
        memory = megabytes(theirs) if epoch is each[-1] else ""
        cells = f"{epoch['words_per_second']:,.0f}", f"{epoch['valid_perplexity']:.1f}", test, memory
        row(f"PyTorch's example, epoch {epoch['epoch']}", f"{epoch['seconds']:.0f} s", *cells)
    rate, perplexities = figures["tokens_per_second"], [figures[f"{part}_perplexity"] for part in ("valid", "test")]
    cells = f"{rate:,.0f}", *(f"{perplexity:.1f}" for perplexity in perplexities), megabytes(ours)
    row("wordlm, in the time of its first epoch", f"{ours.seconds:.0f} s, start and end included", *cells)
    first, best = each[0]["valid_perplexity"], min(epoch["valid_perplexity"] for epoch in each)
    ratio, of_all = (perplexities[0] / other for other in (first, best))
    print_targets(
        ("validation perplexity / that of the example's first epoch, at most 0.55", f"{ratio:.3f}", ratio <= 0.55),
        (f"… / the example's best of {epochs} epochs (of 6), below 1", f"{of_all:.3f}", of_all < 1),
        memory_target(ours),
    )


def in_an_hour(data: Path, minutes: float, out: Path) -> None:
    figures, trained = train(*wikitext(data), "--minutes", minutes, "--with-ngram", out=out)
    valid, test = data / "valid.txt", data / "test.txt"
    tuned = run([*WORDLM, "evaluate", out, test, "--tune", valid, "--json"])
    mixed = json.loads(tuned.output)
    parts, shares = mixed["parts"], mixed["mixture"]
    told = " : ".join(f"{shares[name]:.2f}" for name in ("lstm", "kneser_ney", "cache"))
    head("", "validation perplexity", "test perplexity", "command", "resident")
    perplexities = f"{figures['valid_perplexity']:.1f}", f"{figures['test_perplexity']:.1f}"
    row("network, as training measures it", *perplexities, f"train, {trained.seconds:,.0f} s", megabytes(trained))
    row("network", "", f"{parts['lstm']:.1f}", f"evaluate --tune, {tuned.seconds:,.0f} s", megabytes(tuned))
    row("Kneser-Ney, order 5", "", f"{mixed['baselines']['kneser_ney']:.1f}", "", "")
    row(f"cache of {shares['cache_words']:,} words, as it is mixed in", "", f"{parts['cache']:.1f}", "", "")
    row(f"network, Kneser-Ney and cache, {told}", "", f"{mixed['perplexity']:.1f}", "", "")
    words = f"{figures['vocab_size']:,} words, {figures['epochs']} epochs, {figures['tokens_per_second']:,.0f} tokens/s"
    print(f"\n{words}, {figures['parameters']:,} parameters")
    print_targets(memory_target(trained, tuned))


def beside_seed(text: Path, epochs: int, folder: Path) -> None:
    runs = {"seed": ["--preset", "seed", "--epochs", epochs], "default": []}
    done, histories = {}, {}
    for name, options in runs.items():
        out = folder / name
        _, done[name] = train(*reading(text), *options, out=out)
        histories[name] = json.loads((out / "metadata.json").read_text(encoding="utf-8"))["history"]
    best = min(epoch["valid_perplexity"] for epoch in histories["seed"])
    reached = {name: reaches(history, best) for name, history in histories.items()}
    head("preset", "epochs", "best validation perplexity", f"at {best:.1f} after", "whole command", "resident")
    for name, history in histories.items():
        least = min(epoch["valid_perplexity"] for epoch in history)
        when = f"{reached[name]:.1f} s" if reached[name] else "never"
        row(name, f"{len(history)}", f"{least:.1f}", when, f"{done[name].seconds:,.0f} s", megabytes(done[name]))
    if len(histories["seed"]) == epochs:
        print(f"\nThe loss of seed was still falling, or not known to have stopped, after {epochs} epochs.")
    ratio = reached["default"] / reached["seed"] if reached["default"] else float("inf")
    print_targets(
        ("time of the default preset / time of seed, at most 0.05", f"{ratio:.4f}", ratio <= 0.05),
        memory_target(*done.values()),
    )


def reaches(history: list[dict[str, Any]], perplexity: float) -> float | None:
    """Seconds from the start until the first epoch that was so good; None for never."""
    return next((epoch["seconds"] for epoch in history if epoch["valid_perplexity"] <= perplexity), None)


def train(*arguments: object, out: Path) -> tuple[dict[str, Any], Done]:
    """`wordlm train`: its figures, and its time and memory."""
    done = run([*WORDLM, "train", *arguments, "--out", out, "--json"])
    return json.loads(done.output), done


def reading(text: Path) -> list[object]:
    """The arguments that name a text and its kind: kjv.txt has a verse a line."""
    return [text, "--lines"] if text.stem == "kjv" else [text]


def wikitext(data: Path) -> list[object]:
    parts = data / "train.txt", "--valid", data / "valid.txt", "--test", data / "test.txt"
    return [*parts, "--pretokenized", "--vocab-size", 0]


def megabytes(done: Done) -> str:
    return f"{done.megabytes:,.0f} MB"


def memory_target(*done: Done) -> tuple[str, str, bool]:
    most = max(each.megabytes for each in done)
    return f"resident in a process of wordlm, below {MEGABYTES:,} MB", f"{most:,.0f} MB", most < MEGABYTES


def print_targets(*targets: tuple[str, str, bool]) -> None:
    """Rows of a target, its figure, and whether it holds."""
    head("target", "figure", "holds")
    for name, figure, holds in targets:
        row(name, figure, "yes" if holds else "no")


def head(*columns: str) -> None:
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
