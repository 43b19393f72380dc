"""How well words to include are placed, and what it costs: searched texts beside drawn ones with the words pasted in.

    OPENBLAS_NUM_THREADS=1 python benchmarks/search.py MODEL WORD... [--texts 10] [--max-words 30]

For each word, and for all of them together, texts are made that hold it. The same texts without it are drawn, and the
word inserted at a random place. The mean log-probability under the model (natural, before any filter) of all words, of
the placed ones and of the words behind them tells how fluent that is; the seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import wordlm
from wordlm.language_model import LanguageModel
from wordlm.vocab import EOS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("words", nargs="+", help="words to include")
    parser.add_argument("--texts", type=int, default=10, help="for each word")
    parser.add_argument("--max-words", type=int, default=30)
    arguments = parser.parse_args()
    lm = wordlm.load(arguments.model)
    sets = [[word] for word in arguments.words]
    if len(sets) > 1:
        sets.append(arguments.words)
    print(f"{'include':34}{'texts':26}{'all words':>10}{'placed':>8}{'behind':>8}{'s a text':>10}")
    for words in sets:
        length = {"max_words": arguments.max_words}
        drawn = [ids_of(lm, seed, **length) for seed in range(arguments.texts)]
        start = time.process_time()
        searched = [ids_of(lm, seed, include=words, **length) for seed in range(arguments.texts)]
        seconds = (time.process_time() - start) / arguments.texts
        rng = np.random.default_rng(0)
        pasted = [paste(ids, lm.vocabulary.encode(words), rng) for ids in drawn]
        for name, texts in (("searched for", searched), ("drawn, and words pasted in", pasted), ("drawn", drawn)):
            figures = fluency(lm, texts, set(lm.vocabulary.encode(words)))
            row = "".join("       -" if np.isnan(figure) else f"{figure:8.2f}" for figure in figures)
            print(f"{' '.join(words):34}{name:26}  {row}{f'{seconds:10.2f}' if texts is searched else ''}", flush=True)


def ids_of(lm: LanguageModel, seed: int, **options: object) -> list[int]:
    (text,) = lm.generate_many(n=1, seed=seed, **options)
    return lm.vocabulary.encode(word.word for word in text.words)


def paste(ids: list[int], words: list[int], rng: np.random.Generator) -> list[int]:
    ids = list(ids)
    for word in words:
        ids.insert(int(rng.integers(len(ids) + 1)), word)
    return ids


def fluency(lm: LanguageModel, texts: list[list[int]], placed: set[int]) -> list[float]:
    """Mean log-probabilities of all words, of the placed ones, and of those behind them; nan where there are none."""
    found: list[list[float]] = [[], [], []]
    for ids in texts:
        logprobs, _ = lm.engine.run(np.array([[EOS, *ids[:-1]]]))
        of_words = logprobs[0, np.arange(len(ids)), ids].tolist()
        found[0] += of_words
        found[1] += [p for id, p in zip(ids, of_words, strict=True) if id in placed]
        found[2] += [p for id, p in zip(ids, of_words[1:], strict=False) if id in placed]
    return [float(np.mean(values)) if values else float("nan") for values in found]


if __name__ == "__main__":
    main()
