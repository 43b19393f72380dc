"""What the vectors of unknown words are worth as context: the loss on the words after them, with and without.

    python benchmarks/open_vocabulary.py DIR

DIR is a model of WikiText-2 with a small vocabulary, such as this makes in eight minutes:

    wordlm train train.txt --valid valid.txt --test test.txt --pretokenized --vocab-size 10000 --minutes 8 --out DIR

An unknown word is one that the vocabulary lacks, but that has a vector; WikiText's own <unk> is none. The losses are of
the same tokens by the same network, so their difference is told with its standard error.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

import wordlm
from wordlm.reading import passages_of, texts_at
from wordlm.scoring import score_passages

DATA = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2"
DISTANCES = {"the next word": (1, 1), "the next 5 words": (1, 5), "the next 20 words": (1, 20)}


def losses(lm: wordlm.LanguageModel, path: Path, vectors: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each token in nats, and which tokens are unknown words that have a vector."""
    engine, passages = passages_of(lm, texts_at(lm, path, {}), vectors)
    found = [
        (measures.surprisal * math.log(2), passage.inputs != passage.targets)
        for passage, measures, _ in score_passages(engine, passages)
    ]
    nats, has_vector = zip(*found, strict=True)
    return np.concatenate(nats), np.concatenate(has_vector)


def since(marks: np.ndarray) -> np.ndarray:
    """How many places each one is behind the last mark before it; a large number where there is none."""
    places = np.arange(len(marks))
    last = np.maximum.accumulate(np.where(marks, places, -(10**9)))
    return places - np.concatenate([[-(10**9)], last[:-1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="DIR")
    model = parser.parse_args().model
    if not DATA.is_dir():
        sys.exit("needs the texts of ../shared/data")
    lm = wordlm.load(model)
    print("| text | words | tokens | loss as `<unk>` | loss by vector | difference | perplexity |")
    print("|---|---|---|---|---|---|---|")
    for part in ("valid", "test"):
        path = DATA / f"{part}.txt"
        closed, _ = losses(lm, path, None)
        opened, is_open = losses(lm, path, lm.metadata["vectors"]["name"])
        distance = since(is_open)
        chosen = {name: (low <= distance) & (distance <= high) for name, (low, high) in DISTANCES.items()}
        for name, rows in (chosen | {"all": np.ones(len(closed), bool)}).items():
            gain = closed[rows] - opened[rows]
            error = gain.std() / math.sqrt(len(gain))
            before, after = closed[rows].mean(), opened[rows].mean()
            print(
                f"| {part} | {name} | {rows.sum():,} | {before:.4f} | {after:.4f} | -{gain.mean():.4f} ± {error:.4f} "
                f"| {math.exp(before):.1f} → {math.exp(after):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
