"""Small texts: the default preset beside preset seed and Kneser-Ney, and what the word vectors bring.

    python benchmarks/small_texts.py [FILE...] [--minutes 5]
    python benchmarks/small_texts.py --vectors [FILE...] [--minutes 5]

Validation perplexities on the held-out end of each text, every token counted, `<eos>` and `<unk>` too. All trainings
have the same minutes, start and end included; the default preset may be done sooner. Kneser-Ney is of order 5,
interpolated, fitted to the very ids that the network learns from. Where these hold no `<unk>`, it thinks little of the
new words behind them; so there is a second one, which learns what they are as the network does: words are hidden from
it that the network has as `<unk>` in its first epoch. It is the harder one to beat.

--vectors: the default preset with its frozen vectors of GloVe; with frozen vectors of the same size that are random,
each number with GloVe's mean and spread in its dimension, a vector for every spelling in lower case, which is how GloVe
has them; and with an embedding of that size that is trained with the network. The numbers that the preset trains beside
them are there in all three.

Without files: prose of ../shared/data. Every training is a command of its own; the memory is the most that it had
resident.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

# Nothing large is imported here: the memory of a child counts from that of its parent on.
from questions import Done, run
from targets import PROSE, head, megabytes, memory_target, print_targets, reading, row, train

NAMES = ("sherlock", "kjv", "shakespeare", "war-and-peace")
ORDER = 5
BELOW_SEED = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="texts; left out: " + ", ".join(NAMES))
    parser.add_argument("--minutes", type=float, default=5, help="of each training")
    parser.add_argument("--vectors", action="store_true", help="compare word vectors")
    parser.add_argument("--kneser-ney", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--random-vectors", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    files = arguments.files or [PROSE / f"{name}.txt" for name in NAMES]
    if missing := [file for file in files if not file.is_file()]:
        sys.exit(f"needs {missing[0]}")
    if arguments.kneser_ney:
        print(json.dumps(kneser_ney(files[0])))
    elif arguments.random_vectors:
        print(write_random_vectors(files[0], arguments.random_vectors))
    elif arguments.vectors:
        compare_vectors(files, arguments.minutes)
    else:
        compare_models(files, arguments.minutes)


def compare_models(files: list[Path], minutes: float) -> None:
    targets, trained = [], []
    columns = ["default", "seed", "Kneser-Ney", "… with unknown words"]
    columns += [f"default / {name}" for name in ("seed", "Kneser-Ney", "… with unknown words")]
    head("text", "tokens", "held out", "words", *columns, "default, resident", "seed")
    for file in files:
        figures, done = trainings(file, minutes, {"default": [], "seed": ["--preset", "seed"]})
        counted = json.loads(run([sys.executable, __file__, file, "--kneser-ney"]).output)
        sizes = ("train_tokens", "valid_tokens", "vocab_size")
        if any(each[size] != counted[size] for each in figures.values() for size in sizes):
            sys.exit(f"{file}: the presets and Kneser-Ney have not read the same ids")
        ours, seed = (figures[name]["valid_perplexity"] for name in ("default", "seed"))
        others = seed, counted["plain"], counted["hidden"]
        ratios = [ours / other for other in others]
        perplexities = [f"{each:.1f}" for each in (ours, *others)]
        memory = [megabytes(each) for each in done.values()]
        row(file.stem, *(f"{counted[size]:,}" for size in sizes), *perplexities, *(f"{r:.2f}" for r in ratios), *memory)
        targets += [
            (f"{file.stem}: default / seed, at most {BELOW_SEED}", f"{ratios[0]:.3f}", ratios[0] <= BELOW_SEED),
            (f"{file.stem}: default / Kneser-Ney, below 1", f"{ratios[1]:.3f}", ratios[1] < 1),
            (f"{file.stem}: default / Kneser-Ney with unknown words, below 1", f"{ratios[2]:.3f}", ratios[2] < 1),
        ]
        trained += done.values()
    print_targets(*targets, memory_target(*trained))


def compare_vectors(files: list[Path], minutes: float) -> None:
    trained = []
    columns = ["GloVe", "random", "trained", "random / GloVe", "trained / GloVe"]
    head("text", "numbers in a vector", *columns, "GloVe, resident", "random", "trained")
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "random.txt"
            dim = run([sys.executable, __file__, file, "--random-vectors", path]).output.strip()
            options = {
                "GloVe": [],
                "random": ["--vectors", path],
                "trained": ["--vectors", "none", "--embedding-dim", dim],
            }
            figures, done = trainings(file, minutes, options)
        perplexities = [each["valid_perplexity"] for each in figures.values()]
        ratios = [f"{each / perplexities[0]:.2f}" for each in perplexities[1:]]
        memory = [megabytes(each) for each in done.values()]
        row(file.stem, dim, *(f"{each:.1f}" for each in perplexities), *ratios, *memory)
        trained += done.values()
    print_targets(memory_target(*trained))


def trainings(
    file: Path, minutes: float, options: dict[str, list[object]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Done]]:
    """The figures, and the time and memory, of a training with each of these options."""
    figures, done = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, some in options.items():
            out = Path(folder) / name
            figures[name], done[name] = train(*reading(file), "--minutes", minutes, *some, out=out)
    return figures, done


def read(file: Path, folder: str) -> tuple[Any, Any]:
    """The options and the ids of a training on this text with the default preset."""
    from wordlm.config import configure
    from wordlm.preparation import find_texts, read_corpus
    from wordlm.progress import Display

    path, *lines = reading(file)
    options = configure(kind="lines" if lines else None)
    return options, read_corpus(Path(folder), {"train": find_texts(path, options)}, options, Display(quiet=True))


def kneser_ney(file: Path) -> dict[str, float]:
    """The sizes of the text, and the perplexities of both models on what is held out."""
    import numpy as np

    from wordlm.ngram import KneserNey
    from wordlm.rare_words import RareWords

    with tempfile.TemporaryDirectory() as folder:
        options, corpus = read(file, folder)
        rare = RareWords.of(corpus.counts, options.train.unknown, options.train.seed)
        hidden = corpus.train if rare is None else rare.hide(corpus.train, np.arange(len(corpus.train)), 0)
        size = len(corpus.vocabulary)
        losses = {
            name: -KneserNey.fit(ids, size, ORDER).target_logprobs(corpus.valid).mean()
            for name, ids in (("plain", corpus.train), ("hidden", hidden))
        }
        sizes = {"train_tokens": len(corpus.train), "valid_tokens": len(corpus.valid), "vocab_size": size}
        return sizes | {name: float(np.exp(loss)) for name, loss in losses.items()}


def write_random_vectors(file: Path, path: Path) -> int:
    """Writes a file of vectors for the words of a text; how many numbers each has."""
    import numpy as np

    from wordlm.preparation import find_vectors
    from wordlm.progress import Display
    from wordlm.vocab import SPECIALS

    with tempfile.TemporaryDirectory() as folder:
        options, corpus = read(file, folder)
        vectors = find_vectors(corpus, options, Display(quiet=True))
    known = vectors.matrix[vectors.found]
    spellings = sorted({token.lower() for token in corpus.vocabulary.tokens[len(SPECIALS) :]})
    size = len(spellings), known.shape[1]
    numbers = np.random.default_rng(0).normal(known.mean(axis=0), known.std(axis=0), size)
    with open(path, "w", encoding="utf-8") as out:
        for spelling, vector in zip(spellings, numbers.tolist(), strict=True):
            out.write(f"{spelling} {' '.join(f'{number:.6f}' for number in vector)}\n")
    return known.shape[1]


if __name__ == "__main__":
    main()
