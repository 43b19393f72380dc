"""What a neural cache gains in perplexity, for sizes, theta and lambda, and what it costs a step.

    OPENBLAS_NUM_THREADS=1 python benchmarks/neural_cache.py MODEL VALID [TEST]

The texts are pretokenized: tokens apart by white space, `<eos>` at each line's end. They are read as one stream.
The grid is computed from the probabilities of the words that came, without distributions over the vocabulary;
the figures of the test text are those of `CachedEngine`.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import wordlm
from wordlm.cache import CachedEngine
from wordlm.engine import Engine
from wordlm.vocab import EOS, Vocabulary

SIZES = (500, 2000)
# The paper's form, and the package's.
THETAS = {
    "products of the vectors as they are": (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6),
    "cosines": (5.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0, 30.0),
}
LAMBDAS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
PIECE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("valid", type=Path, help="pretokenized text that theta and lambda are chosen on")
    parser.add_argument("test", type=Path, nargs="?", help="pretokenized text for the final figures")
    parser.add_argument("--theta", type=float, help="theta of the test and the steps; left out: the best")
    parser.add_argument("--lambda", type=float, dest="cache_lambda")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measured figure of a step")
    arguments = parser.parse_args()
    model = wordlm.load(arguments.model)
    print(f"numpy {np.__version__}, BLAS threads: {os.environ.get('OPENBLAS_NUM_THREADS', 'as many as cores')}")

    ids = read_ids(arguments.valid, model.vocabulary)
    began = time.process_time()
    vectors, of_model = read(model.engine, ids)
    print(
        f"{arguments.valid.name}: {len(ids):,} tokens, perplexity {perplexity(of_model):.2f} without a cache "
        f"(recorded: {model.metadata.get('valid_perplexity', float('nan')):.2f}; {time.process_time() - began:.0f} s)"
    )
    grid: dict[tuple[int, float, float], float] = {}
    for form, thetas in THETAS.items():
        if form == "cosines":
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-20)
        for size in SIZES:
            print(f"\n{form}, cache of {size} words\n theta" + "".join(f"{f'λ {share}':>9}" for share in LAMBDAS))
            for theta, of_cache in zip(thetas, probabilities_of_cache(vectors, ids, size, thetas), strict=True):
                for share in LAMBDAS:
                    mixed = (1 - share) * np.exp(of_model) + share * of_cache
                    # The first word finds an empty cache, and the model's own distribution holds.
                    mixed[0] = np.exp(of_model[0])
                    grid[size, theta, share] = perplexity(np.log(mixed))
                print(f"{theta:6.2f}" + "".join(f"{grid[size, theta, share]:9.2f}" for share in LAMBDAS), flush=True)
    pairs = itertools.product(THETAS["cosines"], LAMBDAS)
    theta, share = min(pairs, key=lambda pair: math.prod(grid[size, *pair] for size in SIZES))
    print(f"\nbest pair for all sizes: theta {theta}, lambda {share}")
    theta = theta if arguments.theta is None else arguments.theta
    share = share if arguments.cache_lambda is None else arguments.cache_lambda

    engines = [CachedEngine(model.engine, size, theta, share) for size in SIZES]
    if arguments.test:
        ids = read_ids(arguments.test, model.vocabulary)
        print(f"\n{arguments.test.name}: {len(ids):,} tokens, theta {theta}, lambda {share}")
        print("cache   perplexity   CPU time")
        for size, engine in zip((0, *SIZES), (model.engine, *engines), strict=True):
            began = time.process_time()
            print(f"{size:5}{perplexity(score(engine, ids)):13.2f}{time.process_time() - began:9.0f} s", flush=True)

    print("\nbatch  step µs" + "".join(f"{f'cache {size}':>14}" for size in SIZES))
    for batch_size in (1, 16):
        steps = [stepper(engine, ids, batch_size) for engine in (model.engine, *engines)]
        print(f"{batch_size:5}" + "{:9.0f}{:14.0f}{:14.0f}".format(*median_times(arguments.seconds, *steps)))


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


def probabilities_of_cache(vectors: np.ndarray, ids: np.ndarray, size: int, thetas: Sequence[float]) -> np.ndarray:
    """The probability that the cache alone gives to each word, (thetas, N); 0 while it is empty."""
    given = np.zeros((len(thetas), len(ids)))
    for start in range(0, len(ids), PIECE):
        end = min(start + PIECE, len(ids))
        first = max(0, start - size)
        products = vectors[start:end] @ vectors[first:end].T
        ago = np.arange(start, end)[:, np.newaxis] - np.arange(first, end)
        products[(ago < 1) | (ago > size)] = -np.inf
        products -= np.maximum(products.max(axis=1, keepdims=True), -1e30)
        # What followed the vector i is the word i, which it predicts.
        hits = ids[start:end, np.newaxis] == ids[np.newaxis, first:end]
        is_in = products > -np.inf
        for theta, row in zip(thetas, given, strict=True):
            weights = np.exp(theta * products) if theta else is_in.astype(np.float32)
            row[start:end] = (weights * hits).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-30)
    return given


def perplexity(logprobs: np.ndarray) -> float:
    return float(np.exp(-logprobs.mean()))


def stepper(engine: Engine | CachedEngine, ids: np.ndarray, batch_size: int) -> Callable[[], object]:
    """A call that goes on by one word of each text, with a full cache."""
    count = max(SIZES) + 1
    state = engine.read(np.stack([ids[row * count : (row + 1) * count] for row in range(batch_size)]))
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
