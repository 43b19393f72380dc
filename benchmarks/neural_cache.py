"""What a neural cache gains in perplexity, for forms, sizes, theta and lambda; what texts become; what a step costs.

    OPENBLAS_NUM_THREADS=1 python benchmarks/neural_cache.py MODEL VALID TEST

The texts are pretokenized: tokens apart by white space, `<eos>` at each line's end. They are read as one stream.
Three forms are compared: the paper's, products of the vectors as they are and a fixed share; cosines with a fixed
share; and the package's, cosines with a share that grows with the number of contexts that are alike. The grids are
computed from the probabilities of the words that came, without distributions over the vocabulary; the last figures of
the test text are those of `CachedEngine`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import wordlm
from wordlm import generation
from wordlm.cache import CachedEngine
from wordlm.config import SamplingConfig
from wordlm.engine import Engine
from wordlm.language_model import LanguageModel
from wordlm.vocab import EOS, Vocabulary

SIZES = (500, 2000)
PIECE = 256


@dataclass(frozen=True)
class Form:
    """A way to make a cache's prediction and its share, and the numbers to try."""

    name: str
    cosines: bool
    adapts: bool
    thetas: tuple[float, ...]
    lambdas: tuple[float, ...]

    def compared(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors (..., d) whose products count."""
        if not self.cosines:
            return vectors
        return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)

    def shares(self, share: float, log_alike: np.ndarray) -> np.ndarray:
        """The cache's share of each prediction, given how many contexts are alike; of an empty cache, none."""
        with np.errstate(over="ignore"):
            return share / (1 + np.exp(-log_alike)) if self.adapts else share * (log_alike > -np.inf)


FORMS = (
    Form("products, fixed share", False, False, (0.1, 0.2, 0.3, 0.4, 0.6), (0.1, 0.15, 0.2, 0.25, 0.3)),
    Form("cosines, fixed share", True, False, (8.0, 10.0, 12.0, 14.0, 16.0), (0.1, 0.15, 0.2, 0.25, 0.3)),
    Form("cosines, adapting share", True, True, (8.0, 10.0, 12.0, 14.0, 16.0), (0.1, 0.2, 0.3, 0.4, 0.5)),
)


def main() -> None:
    defaults = SamplingConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("valid", type=Path, help="pretokenized text that theta and lambda are chosen on")
    parser.add_argument("test", type=Path, help="pretokenized text for the final figures")
    parser.add_argument("--theta", type=float, default=defaults.cache_theta, help="of `CachedEngine`")
    parser.add_argument("--lambda", type=float, dest="cache_lambda", default=defaults.cache_lambda)
    parser.add_argument("--tokens", type=int, help="of the first text, for the grids; left out: all")
    parser.add_argument("--texts", type=int, default=128, help="texts to generate of each kind, at most 256")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measured figure of a step")
    arguments = parser.parse_args()
    lm = wordlm.load(arguments.model)
    print(f"numpy {np.__version__}, BLAS threads: {os.environ.get('OPENBLAS_NUM_THREADS', 'as many as cores')}")

    ids = read_ids(arguments.valid, lm.vocabulary)[: arguments.tokens]
    vectors, of_model = read(lm.engine, ids)
    print(f"{arguments.valid.name}: {len(ids):,} tokens, perplexity {perplexity(of_model):.2f} without a cache")
    best = {form: best_pair(form, vectors, of_model, ids) for form in FORMS}

    ids = read_ids(arguments.test, lm.vocabulary)
    vectors, of_model = read(lm.engine, ids)
    print(f"\n{arguments.test.name}: {len(ids):,} tokens, perplexity {perplexity(of_model):.2f} without a cache")
    print(f"{'':24}{'theta':>7}{'lambda':>8}" + "".join(f"{f'cache {size}':>12}" for size in SIZES))
    for form, (theta, share) in best.items():
        figures = [grid(form, vectors, of_model, ids, size, [theta], [share])[0, 0] for size in SIZES]
        print(label(form.name, theta, share) + "".join(f"{figure:12.2f}" for figure in figures), flush=True)
    chosen = arguments.theta, arguments.cache_lambda
    engines = [CachedEngine(lm.engine, size, *chosen) for size in SIZES]
    figures = [perplexity(score(engine, ids)) for engine in engines]
    print(label("CachedEngine", *chosen) + "".join(f"{figure:12.2f}" for figure in figures), flush=True)

    print(f"\n{arguments.texts} texts of 100 words, cache of {SIZES[0]} words")
    print(f"{'':24}{'theta':>7}{'lambda':>8}   repeat the word before   distinct in a text")
    print_texts(lm, lm.engine, f"{'without a cache':39}", arguments.texts)
    for form, pair in best.items():
        engine = CachedEngine(lm.engine, SIZES[0], *pair) if form.adapts else SlowCache(lm.engine, form, *pair)
        print_texts(lm, engine, label(form.name, *pair), arguments.texts)
    print_texts(lm, engines[0], label("CachedEngine", *chosen), arguments.texts)

    print("\nbatch  step µs" + "".join(f"{f'cache {size}':>14}" for size in SIZES))
    for batch_size in (1, 16):
        steps = [stepper(engine, ids, batch_size) for engine in (lm.engine, *engines)]
        print(f"{batch_size:5}" + "{:9.0f}{:14.0f}{:14.0f}".format(*median_times(arguments.seconds, *steps)))


def label(name: str, theta: float, share: float) -> str:
    return f"{name:24}{theta:7.2f}{share:8.2f}"


def best_pair(form: Form, vectors: np.ndarray, of_model: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Prints the form's grids, and returns the theta and the lambda that are best for all sizes together."""
    grids = []
    for size in SIZES:
        grids.append(grid(form, vectors, of_model, ids, size, form.thetas, form.lambdas))
        print(f"\n{form.name}, cache of {size} words\n theta" + "".join(f"{f'λ {share}':>9}" for share in form.lambdas))
        for theta, row in zip(form.thetas, grids[-1], strict=True):
            print(f"{theta:6.2f}" + "".join(f"{figure:9.2f}" for figure in row), flush=True)
    together = np.prod(grids, axis=0)
    theta, share = np.unravel_index(together.argmin(), together.shape)
    return form.thetas[theta], form.lambdas[share]


def grid(
    form: Form,
    vectors: np.ndarray,
    of_model: np.ndarray,
    ids: np.ndarray,
    size: int,
    thetas: Sequence[float],
    lambdas: Sequence[float],
) -> np.ndarray:
    """The perplexity for each theta and lambda, (thetas, lambdas)."""
    pairs = zip(*cache_alone(form.compared(vectors), ids, size, thetas), strict=True)
    shares = [[(form.shares(share, log_alike), of_cache) for share in lambdas] for of_cache, log_alike in pairs]
    return np.array([[perplexity(np.log((1 - s) * np.exp(of_model) + s * p)) for s, p in row] for row in shares])


def read_ids(path: Path, vocabulary: Vocabulary) -> np.ndarray:
    """The ids of a text, `<eos>` after each line."""
    with open(path, encoding="utf-8") as file:
        return np.array([id for line in file for id in (*vocabulary.encode(line.split()), EOS)])


def pieces(ids: np.ndarray) -> zip:
    """Words read, the first of them `<eos>`, and the words that follow them, in pieces of one stream."""
    known = np.concatenate([[EOS], ids[:-1]])
    starts = range(0, len(ids), PIECE)
    return zip((known[s : s + PIECE] for s in starts), (ids[s : s + PIECE] for s in starts), strict=True)


def read(engine: Engine, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hidden vectors (N, d) that the words were predicted from, and their log-probabilities (N,)."""
    state, vectors, logprobs = engine.initial_state(1), [], []
    for known, wanted in pieces(ids):
        hidden, state = engine.hidden(known[np.newaxis], state)
        vectors.append(hidden[0])
        logprobs.append(engine.logprobs(hidden[0])[np.arange(len(wanted)), wanted])
    return np.concatenate(vectors), np.concatenate(logprobs).astype(np.float64)


def score(engine: Engine | CachedEngine, ids: np.ndarray) -> np.ndarray:
    """The log-probability of each word, (N,)."""
    state, logprobs = engine.initial_state(1), []
    for known, wanted in pieces(ids):
        predicted, state = engine.run(known[np.newaxis], state)
        logprobs.append(predicted[0, np.arange(len(wanted)), wanted])
    return np.concatenate(logprobs).astype(np.float64)


def cache_alone(
    vectors: np.ndarray, ids: np.ndarray, size: int, thetas: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """The probability that the cache alone gives to each word, and the log of how many contexts are alike.

    Both are (thetas, N). The first word meets an empty cache: 0 and -inf.
    """
    given, log_alike = np.zeros((len(thetas), len(ids))), np.zeros((len(thetas), len(ids)))
    for start in range(0, len(ids), PIECE):
        end = min(start + PIECE, len(ids))
        first = max(0, start - size)
        products = vectors[start:end] @ vectors[first:end].T
        ago = np.arange(start, end)[:, np.newaxis] - np.arange(first, end)
        products[(ago < 1) | (ago > size)] = -np.inf
        greatest = np.maximum(products.max(axis=1, keepdims=True), -1e30)
        products -= greatest
        # What followed the vector i is the word i, which it predicts.
        hits = ids[start:end, np.newaxis] == ids[np.newaxis, first:end]
        for number, theta in enumerate(thetas):
            weights = np.exp(theta * products)
            sums = weights.sum(axis=1)
            given[number, start:end] = (weights * hits).sum(axis=1) / np.maximum(sums, 1e-30)
            with np.errstate(divide="ignore"):
                log_alike[number, start:end] = np.log(sums) + theta * (greatest[:, 0] - 1)
    return given, log_alike


class SlowCache:
    """An engine for `generation` with a cache of any form, in which texts are as long as each other.

    Its state is the words themselves, which are read anew at every step.
    """

    def __init__(self, engine: Engine, form: Form, theta: float, share: float) -> None:
        self.engine, self.config, self.form, self.theta, self.share = engine, engine.config, form, theta, share

    def initial_state(self, batch_size: int) -> Words:
        return Words(np.empty((batch_size, 0), np.intp))

    def step(self, token_ids: np.ndarray, state: Words) -> tuple[np.ndarray, Words]:
        ids = np.column_stack([state.ids, token_ids])
        hidden, _ = self.engine.hidden(ids)
        vectors = self.form.compared(hidden)
        mixed = []
        for words, of_text, logprobs in zip(ids, vectors, self.engine.logprobs(hidden[:, -1]), strict=True):
            products = of_text[:-1] @ of_text[-1]
            weights = np.exp(self.theta * (products - products.max(initial=-1e30)))
            with np.errstate(divide="ignore"):
                share = self.form.shares(self.share, np.log(np.exp(self.theta * (products - 1)).sum()))
            of_cache = np.bincount(words[1:], weights, self.config.vocab_size) / max(1, weights.sum())
            mixed.append(np.log((1 - share) * np.exp(logprobs.astype(np.float64)) + share * of_cache))
        return np.array(mixed, np.float32), Words(ids)


@dataclass(frozen=True)
class Words:
    """The words read, (batch, time): the state of a `SlowCache`."""

    ids: np.ndarray

    def select(self, indices: Sequence[int] | np.ndarray) -> Words:
        return Words(self.ids[indices])


def print_texts(lm: LanguageModel, engine: Engine | CachedEngine | SlowCache, label: str, count: int) -> None:
    """One line: how texts of 100 words repeat themselves. Marks may: headings open with "= = ="."""
    config = SamplingConfig(max_words=100, min_words=100, seed=6)
    texts = generation.generate(engine, lm.tokenizer, lm.vocabulary, "", config, n=count)
    texts = [[word.word for word in text.words] for text in texts]
    repeats = sum(a == b for words in texts for a, b in itertools.pairwise(words) if any(map(str.isalnum, a)))
    distinct = sum(len(set(words)) for words in texts)
    print(f"{label}{repeats / count:23.2f} %{distinct / count:19.1f} %", flush=True)


def perplexity(logprobs: np.ndarray) -> float:
    return float(np.exp(-logprobs.mean()))


def stepper(engine: Engine | CachedEngine, ids: np.ndarray, batch_size: int) -> Callable[[], object]:
    """A call that goes on by one word of each text, with a full cache."""
    count = max(SIZES) + 1
    state = engine.read(np.resize(ids, (batch_size, count)))
    words = iter(itertools.cycle(ids.tolist()))

    def step() -> None:
        nonlocal state
        _, state = engine.step([next(words)] * batch_size, state)

    return step


def median_times(seconds: float, *functions: Callable[[], object]) -> list[float]:
    """Median µs of each function, all of them called in turns so that they meet the same machine."""
    times: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds * len(functions)
    while time.perf_counter() < end:
        for taken, function in zip(times, functions, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [1e6 * float(np.median(taken)) for taken in times]


if __name__ == "__main__":
    main()
