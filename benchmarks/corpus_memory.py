"""Memory and speed of preparing a large text: the prose of ../shared/data repeated and shuffled to 10 MB ... 1 GB.

    python benchmarks/corpus_memory.py [--sizes 10 100 1000]

Each size runs in a process of its own, which reports its peak resident memory: it must not grow with the text.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROSE = Path(__file__).parents[2] / "shared" / "data" / "prose"


def make_text(path: Path, megabytes: int) -> None:
    """Writes paragraphs of the prose in random order until the file has its size."""
    paragraphs = [p for file in sorted(PROSE.glob("*.txt")) for p in file.read_text("utf-8").split("\n\n") if p.strip()]
    rng = random.Random(0)
    with open(path, "w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1_000_000:
            rng.shuffle(paragraphs)
            file.write("\n\n".join(paragraphs) + "\n\n")
        file.truncate(megabytes * 1_000_000)


def prepare(path: Path, folder: Path) -> None:
    """Prepares a text in this process and prints its figures."""
    from wordlm.config import TextConfig
    from wordlm.corpus import prepare_corpus
    from wordlm.text import Texts
    from wordlm.tokenizer import Tokenizer

    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Shuffled with the rest, the lines that begin and end a book of Project Gutenberg mean nothing.
    config = TextConfig(keep_boilerplate=True)
    corpus = prepare_corpus(folder, Texts([path], config), Tokenizer(config))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tokens = len(corpus.train) + len(corpus.valid)
    size = path.stat().st_size / 1e6
    print(
        f"| {size:,.0f} MB | {tokens:,} | {len(corpus.vocabulary):,} | {seconds:.1f} s | {size / seconds:.1f} MB/s "
        f"| {peak / 1024:.0f} MB | {(peak - before) / 1024:.0f} MB |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000], help="in MB")
    parser.add_argument("--prepare", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.prepare:
        prepare(*map(Path, args.prepare))
        return
    if not PROSE.is_dir():
        sys.exit("needs the texts of ../shared/data")
    print("| text | tokens | words | time | speed | peak resident | above the start |\n|---|---|---|---|---|---|---|")
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            text = Path(folder) / "text.txt"
            make_text(text, size)
            subprocess.run([sys.executable, __file__, "--prepare", text, Path(folder) / "corpus"], check=True)


if __name__ == "__main__":
    main()
