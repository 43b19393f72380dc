"""Memory and time of reading a 400,000 x 100 GloVe file: wordlm's reader against gensim's.

Writes a synthetic file of GloVe's size (some 350 MB) into a temporary folder, and reads it in processes of their own:
the vectors of 30,000 words, of one word (what the reader takes without any rows to keep), and all of it with gensim's
`load_word2vec_format`.

    python benchmarks/vectors_memory.py [--words 400000] [--dim 100] [--kept 30000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

READ = """
import json, sys, time
path, kept, reader = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def peak():
    # Not ru_maxrss, which a child inherits from the process that started it.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
if reader == "wordlm":
    from wordlm.vectors import load_vectors
    from wordlm.vocab import SPECIALS, Vocabulary
    words = (f"word{i * 13 % 400_000}" for i in range(kept))
    vocabulary = Vocabulary([*SPECIALS, *words])
    before, start = peak(), time.perf_counter()
    vectors = load_vectors(path, vocabulary)
    rows = int(vectors.found.sum())
else:
    from gensim.models import KeyedVectors
    before, start = peak(), time.perf_counter()
    rows = len(KeyedVectors.load_word2vec_format(path, no_header=True))
seconds = time.perf_counter() - start
print(json.dumps({"rows": rows, "seconds": seconds, "before_mb": before, "peak_mb": peak()}))
"""


def write_file(path: Path, words: int, dim: int) -> None:
    """Rows in GloVe's form; 997 different ones, as making numbers is what takes the time."""
    rng = np.random.default_rng(0)
    tails = [" ".join(f"{x:.5g}" for x in row) for row in rng.normal(scale=0.4, size=(997, dim))]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"word{i} {tails[i % 997]}\n" for i in range(words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--kept", type=int, default=30_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "glove.txt"
        write_file(path, options.words, options.dim)
        print(f"{options.words:,} x {options.dim}, {path.stat().st_size / 2**20:,.0f} MB")
        for reader, kept in (("wordlm", 1), ("wordlm", options.kept), ("gensim", options.words)):
            command = [sys.executable, "-c", READ, str(path), str(kept), reader]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            kept_mb = result["rows"] * options.dim * 4 / 2**20
            print(
                f"{reader}: {result['rows']:,} rows ({kept_mb:.1f} MB) in {result['seconds']:.1f} s, peak "
                f"{result['peak_mb']:.0f} MB, {result['peak_mb'] - result['before_mb']:.0f} MB above the start"
            )


if __name__ == "__main__":
    main()
