"""Whether smaller numbers on the disk would start a model sooner or make its steps faster: float16 and int8.

    OPENBLAS_NUM_THREADS=1 python benchmarks/storage.py MODEL

Processor time, medians of 9. A start reads the file twice, once for its sha256; fewer bytes are read sooner, but have
to become float32 again, since NumPy multiplies float16 and int8 without BLAS: the last lines show at what price.
int8 has a scale for each word.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable

import numpy as np

from wordlm.bundle import MODEL, load_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model")
    bundle = load_bundle(parser.parse_args().model)
    data = (bundle.path / MODEL).read_bytes()
    matrices = [bundle.weights["embedding"], bundle.weights["output/kernel"]]
    halves = [matrix.astype(np.float16) for matrix in matrices]
    scales = [np.abs(matrix).max(axis=0) / np.float32(127) + np.float32(1e-12) for matrix in matrices]
    bytes_ = [np.round(matrix / scale).astype(np.int8) for matrix, scale in zip(matrices, scales, strict=True)]
    output, half, byte = matrices[1], halves[1], bytes_[1]
    hidden = np.random.default_rng(0).random((1, len(output)), np.float32)
    whole_bytes = (hidden * 127).astype(np.int32)
    for name, size, back in (
        ("float32", 4, lambda: None),
        ("float16", 2, lambda: [half.astype(np.float32) for half in halves]),
        ("int8", 1, lambda: [byte * scale for byte, scale in zip(bytes_, scales, strict=True)]),
    ):
        part = memoryview(data)[: len(data) * size // 4]
        reading = median(lambda part=part: (hashlib.sha256(part).digest(), bytearray(part)))
        turning = median(back)
        print(f"{name:8} {len(part) / 1e6:6.1f} MB: sha256 and copy {1e3 * reading:5.1f} ms, to float32 "
              f"{1e3 * turning:5.1f} ms, together {1e3 * (reading + turning):5.1f} ms")  # fmt: skip
    print(f"a step's product with the output matrix: float32 {1e3 * median(lambda: hidden @ output):.1f} ms, "
          f"float16 {1e3 * median(lambda: hidden.astype(np.float16) @ half):.1f} ms, "
          f"int8 {1e3 * median(lambda: np.matmul(whole_bytes, byte)):.1f} ms")  # fmt: skip


def median(function: Callable[[], object]) -> float:
    """Median processor seconds of nine calls."""
    times = []
    for _ in range(9):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return float(np.median(times))


if __name__ == "__main__":
    main()
