"""Time of one step of the engine, and the rate at which it reads the output matrix.

    OPENBLAS_NUM_THREADS=1 python benchmarks/engine_step.py [--seconds 1]

The limit of a step with a large vocabulary is the reading of the output matrix once. So beside each step stands
a plain vector-matrix product with that matrix, timed in turns with the step in the same run, and the share of
the step that it takes. Unset the variable to see what more threads do on a quiet machine; on a busy one they wait
for each other.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np

from wordlm.config import ModelConfig, SamplingConfig
from wordlm.engine import Engine
from wordlm.layout import weight_shapes
from wordlm.sampling import draw, filter_logprobs

MODELS = {
    "10,000 words, 64 units": {"vocab_size": 10_000, "units": 64, "dense": 0},
    "33,278 words, 200 units": {"vocab_size": 33_278, "units": 200, "dense": 0},
    "33,278 words, 256 units": {"vocab_size": 33_278, "units": 256, "dense": 0},
    "33,278 words, 256 units, dense 128": {"vocab_size": 33_278, "units": 256, "dense": 128},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each measured figure")
    seconds = parser.parse_args().seconds
    print(f"numpy {np.__version__}, BLAS threads: {os.environ.get('OPENBLAS_NUM_THREADS', 'as many as cores')}")
    print(
        f"{'model':36}{'batch':>6}{'step µs':>10}{'product µs':>12}{'share':>7}{'GB/s':>7}{'words/s':>10}{'draw µs':>9}"
    )
    for name, options in MODELS.items():
        config = ModelConfig(embedding_dim=50, **options)
        rng = np.random.default_rng(0)
        weights = {
            key: (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
            for key, shape in weight_shapes(config).items()
        }
        weights["output/bias"] = -np.log(np.arange(config.vocab_size, dtype=np.float32) + 2)
        engine, matrix = Engine(config, weights), weights["output/kernel"]
        # Predictions as peaked as a language model's (Zipf's law, made uneven), for the time of the filters.
        hidden, _ = engine.hidden(rng.integers(3, config.vocab_size, (16, 16)))
        matrix *= 2.5 / (hidden @ matrix).std()
        for batch_size in (1, 16, 256):
            _, state = engine.run(rng.integers(3, config.vocab_size, (batch_size, 5)))
            token_ids = rng.integers(3, config.vocab_size, batch_size)
            vectors = rng.standard_normal((batch_size, len(matrix))).astype(np.float32)
            logprobs, _ = engine.step(token_ids, state)
            uniforms = rng.random(batch_size)
            sampling = SamplingConfig(temperature=0.8, top_p=0.95)
            step, product, drawing = median_times(
                seconds,
                lambda: engine.step(token_ids, state),  # noqa: B023
                lambda: vectors @ matrix,  # noqa: B023
                lambda: draw(filter_logprobs(logprobs, sampling), uniforms),  # noqa: B023
            )
            print(
                f"{name:36}{batch_size:6}{1e6 * step:10.0f}{1e6 * product:12.0f}{product / step:7.0%}"
                f"{matrix.nbytes / step / 1e9:7.1f}{batch_size / step:10.0f}{1e6 * drawing:9.0f}"
            )


def median_times(seconds: float, *functions: Callable[[], object]) -> list[float]:
    """Median seconds of each function, all of them called in turns so that they meet the same machine."""
    times: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds * len(functions)
    while time.perf_counter() < end or len(times[0]) < 5:
        for taken, function in zip(times, functions, strict=True):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return [float(np.median(taken)) for taken in times]


if __name__ == "__main__":
    main()
