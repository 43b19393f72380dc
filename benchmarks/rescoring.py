"""What a model does for n-best lists: word errors before and after, and hypotheses a second.

    OPENBLAS_NUM_THREADS=1 python benchmarks/rescoring.py DIR [--lists 500] [--hypotheses 20] [--runs 3] [--seed 0]

DIR is a model of WikiText-2, whose texts are in ../shared/data. There are no recognizer's lists there, so these are
made up: a sentence of 5 to 40 words, and hypotheses in which each word is swapped, dropped, or followed by another
one by chance; other words are the sentence's neighbours by frequency. The score is the negative number of word errors
and noise, so that the hypothesis that it likes best is often a wrong one. The weights are tuned on lists from the
validation text and judged on others, from the test text.

Prints Markdown. Times are medians of the runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import wordlm
from wordlm.error_rate import count_errors
from wordlm.language_model import LanguageModel
from wordlm.nbest import Hypothesis
from wordlm.rescoring import RescoredHypothesis, Weights, lists_of, rank
from wordlm.vocab import SPECIALS
from wordlm.weight_tuning import tune

WIKI = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2"
CHANGED = 0.12  # of the words
KINDS = {"swap": 0.6, "drop": 0.2, "insert": 0.2}
NOISE = 2.0  # standard deviation of a score, in word errors
NEAR = 0.2  # a word is swapped for one whose rank differs by less than this share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="DIR")
    parser.add_argument("--lists", type=int, default=500, help="of each text")
    parser.add_argument("--hypotheses", type=int, default=20, help="of each list")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    lm = wordlm.load(arguments.model)
    rng = np.random.default_rng(arguments.seed)
    made = {
        part: make_lists(lm, WIKI / f"{part}.txt", arguments.lists, arguments.hypotheses, rng)
        for part in ("valid", "test")
    }
    print(f"numpy {np.__version__}, BLAS threads: {os.environ.get('OPENBLAS_NUM_THREADS', 'as many as cores')}\n")
    rescored, times = {}, {}
    for part, (references, hypotheses) in made.items():
        times[part], rescored[part] = timed(
            lambda given=hypotheses: list(lm.rescore(given, weight=0.0)), arguments.runs
        )
        print(
            f"{part}: {len(references):,} lists of {len(hypotheses):,} hypotheses, {words(references):,} words said; "
            f"{len(hypotheses) / times[part]:,.0f} hypotheses/s, "
            f"{sum(one.words + 1 for one in rescored[part]) / times[part]:,.0f} tokens/s"
        )
    seconds, tuning = timed(lambda: tune(rescored["valid"], made["valid"][0]), arguments.runs)
    found = tuning.weights
    print(
        f"tuned on valid in {seconds:.2f} s: weight {found.weight:g}, word penalty {found.word_penalty:g}, "
        f"unk penalty {found.unk_penalty:g}\n"
    )
    print("| word error rate of the best hypothesis | valid | test |\n|---|---|---|")
    rows: dict[str, Weights | None] = {
        "by the scores alone": Weights(0.0),
        "weight 1, not tuned": Weights(1.0),
        "by the model alone": Weights(1e9),
        "tuned on valid": found,
        "oracle": None,
    }
    for name, weights in rows.items():
        rates = [f"{rate(rescored[part], made[part][0], weights):.2%}" for part in made]
        print(f"| {name} | {' | '.join(rates)} |")


def sentences(path: Path) -> Iterator[list[str]]:
    """Those of 5 to 40 words, headings left out."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("="):
            continue
        for sentence in line.split(" . "):
            tokens = sentence.split()
            if 5 <= len(tokens) < 40:
                yield tokens if tokens[-1] == "." else [*tokens, "."]


def make_lists(
    lm: LanguageModel, path: Path, lists: int, size: int, rng: np.random.Generator
) -> tuple[list[str], list[Hypothesis]]:
    """References, and distinct hypotheses of each."""
    every = list(sentences(path))
    references, hypotheses = [], []
    for number in sorted(rng.permutation(len(every))[:lists].tolist()):
        reference = " ".join(every[number])
        texts = dict.fromkeys(corrupt(lm, every[number], rng) for _ in range(size * 4))
        texts = list(texts)[:size]
        references.append(reference)
        hypotheses += [
            Hypothesis(str(number), text, NOISE * rng.normal() - errors)
            for text, errors in zip(texts, count_errors(reference, texts), strict=True)
        ]
    return references, hypotheses


def corrupt(lm: LanguageModel, tokens: list[str], rng: np.random.Generator) -> str:
    result = []
    for token in tokens:
        kind = rng.choice(list(KINDS), p=list(KINDS.values())) if rng.random() < CHANGED else ""
        if kind != "drop":
            result.append(neighbour(lm, token, rng) if kind == "swap" else token)
        if kind == "insert":
            result.append(neighbour(lm, tokens[rng.integers(len(tokens))], rng))
    return " ".join(result)


def neighbour(lm: LanguageModel, token: str, rng: np.random.Generator) -> str:
    """Another word about as frequent."""
    first = len(SPECIALS)
    place = max(lm.vocabulary.ids.get(token, first), first)
    reach = max(3, int(NEAR * place))
    low, high = max(first, place - reach), min(len(lm.vocabulary), place + reach + 1)
    return lm.vocabulary[int(rng.integers(low, high))]


def timed(call: Callable, runs: int) -> tuple[float, object]:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def words(references: list[str]) -> int:
    return sum(len(reference.split()) for reference in references)


def rate(rescored: list[RescoredHypothesis], references: list[str], weights: Weights | None) -> float:
    """The word error rate of the best hypotheses; without weights, of those with the fewest errors."""
    ranked = lists_of(rescored) if weights is None else rank(rescored, weights)
    errors = [
        count_errors(reference, [one.text for one in same]) for reference, same in zip(references, ranked, strict=True)
    ]
    return sum(min(counts) if weights is None else counts[0] for counts in errors) / words(references)


if __name__ == "__main__":
    main()
