"""How soon `wordlm suggest` answers, and what a key costs while someone types.

    OPENBLAS_NUM_THREADS=1 python benchmarks/suggestions.py DIR [--runs 15] [--text ../shared/data/wikitext-2/valid.txt]

- Cold start: `wordlm suggest DIR "I grew up in" --prefix Por` as a process of its own, in turns with
  `python -c "import numpy"` and `python -c "import numpy, h5py, click"`; medians, and the least of each.
- A key: `TypingLine.press` and the drawing of 80 x 24 characters, for text that is typed letter by letter at the end
  of a paragraph of 2,000 words, and for picks and undos; medians and the 99th percentile.
- Keystrokes: `Keyboard.keys`, microseconds a word, on the model's predictions of the text; and the keys saved.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import wordlm
from wordlm.keystrokes import Keyboard
from wordlm.language_model import LanguageModel
from wordlm.suggestions import Suggester
from wordlm.typing_line import TypingLine
from wordlm.typing_screen import draw

TEXT = Path(__file__).parents[2] / "shared" / "data" / "wikitext-2" / "valid.txt"
WORDS = 6000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("--runs", type=int, default=15, help="of each process, in turns")
    parser.add_argument("--text", type=Path, default=TEXT, help="what is typed")
    arguments = parser.parse_args()
    cold_starts(arguments.model, arguments.runs)
    if not arguments.text.is_file():
        print(f"no text at {arguments.text}: nothing is typed; give one with --text")
        return
    lm = wordlm.load(arguments.model)
    tokens = arguments.text.read_text(encoding="utf-8").split()[:WORDS]
    keys(lm, lm.tokenizer.detokenize(tokens))
    keystrokes(lm, np.array([2, *lm.vocabulary.encode(tokens)]))


def cold_starts(model: str, runs: int) -> None:
    commands = {
        "wordlm suggest": [
            sys.executable, "-m", "wordlm.cli", "suggest", model, "I grew up in", "--prefix", "Por", "-k", "5",
        ],
        "import numpy": [sys.executable, "-c", "import numpy"],
        "import numpy, h5py, click": [sys.executable, "-c", "import numpy, h5py, click"],
    }  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - start)
    print(f"cold start, {runs} runs in turns\n{'':28}{'median':>9}{'least':>9}")
    for name, seconds in taken.items():
        # The first one reads from the disk.
        print(f"{name:28}{statistics.median(seconds[1:]):7.3f} s{min(seconds[1:]):7.3f} s")


def keys(lm: LanguageModel, text: str) -> None:
    line = TypingLine(Suggester(lm.engine, lm.tokenizer, lm.vocabulary), lm.tokenizer, lm.vocabulary)
    for key in text[:12_000]:
        line.press(key)
    draw(line, 80, 24)
    print(f"\na key behind {len(line.text.split()):,} words, milliseconds\n{'':28}{'median':>9}{'99 %':>9}")
    typed = text[12_000:13_000]
    for name, pressed in {"letters": typed, "picks": ["tab"] * 100, "undos": ["undo"] * 100}.items():
        taken = []
        for key in pressed:
            start = time.perf_counter()
            line.press(key)
            draw(line, 80, 24)
            taken.append(1e3 * (time.perf_counter() - start))
        print(f"{name:28}{np.median(taken):9.2f}{np.quantile(taken, 0.99):9.2f}")


def keystrokes(lm: LanguageModel, ids: np.ndarray, block: int = 500) -> None:
    keyboard, state, seconds, pressed = Keyboard(lm.vocabulary), None, [], []
    for start in range(0, len(ids) - block, block):
        logprobs, state = lm.engine.run(ids[np.newaxis, start : start + block], state)
        begin = time.perf_counter()
        pressed.append(keyboard.keys(logprobs[0], ids[start + 1 : start + 1 + block]))
        seconds.append((time.perf_counter() - begin) / block)
    found = np.concatenate(pressed)
    lengths = np.array([keyboard.length(token) for token in lm.vocabulary.decode(ids[1 : 1 + len(found)])])
    saved = 1 - found[found > 0].sum() / lengths[found > 0].sum()
    print(f"\nkeystrokes of {len(found):,} words: {1e6 * statistics.median(seconds):.0f} us a word, ", end="")
    print(f"{saved:.1%} of the keys saved with three suggestions")


if __name__ == "__main__":
    main()
