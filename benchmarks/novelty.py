"""What it costs to keep a model from copying its text: memory and time of the index, and time of a word.

    OPENBLAS_NUM_THREADS=1 python benchmarks/novelty.py MODEL [TEXT...] [--max-copy 12] [--words 2000] [--runs 3]

Without a text, that of WikiText-2 in ../shared/data. It is read as the model's own text was.

The index is built in a process of its own, whose resident memory is told above what it had before: the model's
vocabulary and the packages. Of what is freed, the C library may keep some megabytes for later use. Texts are then
generated with the index and without it, in turns of 50 words, so that both meet the same machine; with it, each word
costs `forbidden`, the bans and `add`. The text's own words are the hardest case: their runs end at unknown words only.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

import wordlm
from wordlm.config import SamplingConfig
from wordlm.drawing import choose
from wordlm.language_model import LanguageModel
from wordlm.novelty import CopyIndex
from wordlm.text import Texts
from wordlm.vocab import EOS, PAD, UNK

WIKI = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2" / "train.txt"
TEMPERATURES = (0.8, 0.3)
TURN = 50  # words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("texts", nargs="*", default=[str(WIKI)], help="what it shall not copy")
    parser.add_argument("--max-copy", type=int, default=12)
    parser.add_argument("--words", type=int, default=2000, help="in each text that is generated")
    parser.add_argument("--runs", type=int, default=3, help="texts with the index, and as many without")
    parser.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model = wordlm.load(arguments.model)
    if arguments.build:
        report_build(model, arguments.texts, arguments.max_copy)
        return
    print(
        f"numpy {np.__version__}, BLAS threads: {os.environ.get('OPENBLAS_NUM_THREADS', 'as many as cores')}",
        flush=True,
    )
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--build"], check=True)
    index = build(model, arguments.texts, arguments.max_copy)
    words = model.vocabulary.encode(next_words(model, arguments.texts, 50_000))
    print(f"\n{'words':28}{'add µs':>8}{'99.9%':>8}{'most':>8}{'forbidden µs':>14}{'longest run':>13}")
    report_words("the text's own", index, words)
    report_words("the same in random order", index, np.random.default_rng(0).permutation(words).tolist())
    rows = []
    for temperature in TEMPERATURES:
        seconds, texts = generate_in_turns(model, temperature, index, arguments.words, arguments.runs)
        report_words(f"generated, temperature {temperature}", index, list(chain.from_iterable(texts[0])))
        without, used = (1e6 * float(np.median(times)) for times in seconds)
        ratio = float(np.median(np.divide(seconds[1], seconds[0])))
        rows.append(
            (temperature, without, used, ratio, *(max(longest_run(index, ids) for ids in kind) for kind in texts))
        )
    print(f"\n{'temperature':>11}{'µs a word':>11}{'with index':>12}{'ratio':>8}{'longest run':>13}{'with index':>12}")
    for row in rows:
        print("{:11}{:11.0f}{:12.0f}{:8.3f}{:13}{:12}".format(*row))


def build(model: LanguageModel, paths: list[str], max_copy: int) -> CopyIndex:
    texts = Texts(paths, model.tokenizer.config)
    return CopyIndex.from_texts(texts, model.tokenizer, model.vocabulary, max_copy)


def report_build(model: LanguageModel, paths: list[str], max_copy: int) -> None:
    vocab_size = len(model.vocabulary.ids)  # the first time, this makes a dictionary
    before, began = resident(), time.perf_counter()
    index = build(model, paths, max_copy)
    seconds, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    after = resident()
    words = sum(len(model.tokenizer.tokenize(paragraph.text)) for paragraph in Texts(paths, model.tokenizer.config))
    print(
        f"{words:,} words, vocabulary {vocab_size:,}, max_copy {index.max_copy}: built in {seconds:.1f} s, "
        f"peak {peak - before:.0f} MB above the start, {after - before:.0f} MB after",
        flush=True,
    )


def resident() -> float:
    """MB of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def next_words(model: LanguageModel, paths: list[str], count: int) -> list[str]:
    """The first words of the texts."""
    words: list[str] = []
    for paragraph in Texts(paths, model.tokenizer.config):
        words += model.tokenizer.tokenize(paragraph.text)
        if len(words) >= count:
            break
    return words[:count]


def longest_run(index: CopyIndex, ids: list[int]) -> int:
    tracker = index.start()
    for id in ids:
        tracker.add(id)
    return tracker.longest


def report_words(name: str, index: CopyIndex, ids: list[int]) -> None:
    """Processor time of each call while a tracker follows the words, whether they are forbidden or not."""
    tracker, adding, forbidding = index.start(), [], []
    for id in ids:
        start = time.thread_time_ns()
        tracker.forbidden()
        middle = time.thread_time_ns()
        tracker.add(id)
        end = time.thread_time_ns()
        forbidding.append(middle - start)
        adding.append(end - middle)
    adding = np.array(adding) / 1000
    print(
        f"{name:28}{adding.mean():8.1f}{np.quantile(adding, 0.999):8.0f}{adding.max():8.0f}"
        f"{np.mean(forbidding) / 1000:14.2f}{tracker.longest:13}"
    )


def generate_in_turns(
    model: LanguageModel, temperature: float, index: CopyIndex, words: int, runs: int
) -> tuple[list[list[float]], list[list[list[int]]]]:
    """Texts without the index and with it, some words of the one, then of the other: seconds a word, and the ids."""
    config = SamplingConfig(temperature=temperature)
    seconds: list[list[float]] = [[], []]
    texts: list[list[list[int]]] = [[], []]
    for seed in range(runs):
        pair = [generate(model, config, used, seed) for used in (None, index)]
        for kind in texts:
            kind.append([])
        for _ in range(words // TURN):
            for ids, times, text in zip(pair, seconds, texts, strict=True):
                start = time.perf_counter()
                text[-1] += islice(ids, TURN)
                times.append((time.perf_counter() - start) / TURN)
    return seconds, texts


def generate(model: LanguageModel, config: SamplingConfig, index: CopyIndex | None, seed: int) -> Iterator[int]:
    """The ids of a text that goes on over the ends of its paragraphs, for ever."""
    engine, rng = model.engine, np.random.default_rng(seed)
    tracker = index.start() if index else None
    state, id = engine.initial_state(1), EOS
    while True:
        logprobs, state = engine.step([id], state)
        logprobs[:, [PAD, UNK]] = -np.inf
        if tracker and (banned := tracker.forbidden()):
            logprobs[:, banned] = -np.inf
        id = int(choose(logprobs, config, [rng])[0])
        if tracker:
            tracker.add(id)
        yield id


if __name__ == "__main__":
    main()
