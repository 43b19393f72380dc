"""Minimal pairs through the command line: accuracy by group, time and peak memory.

    python benchmarks/minimal_pairs.py DIR [PAIRS] [--columns GROUP,GOOD,BAD] [--include-unknown]

Without PAIRS: the 158,084 pairs of Marvin and Linzen, "Targeted syntactic evaluation of language models" (2018), in
../shared/data. They are lower case and without a mark at the end, and taken as they stand.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PAIRS = Path(__file__).parents[2] / "shared" / "data" / "probes" / "marvin_linzen.tsv.gz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="DIR")
    parser.add_argument("pairs", nargs="?", default=str(PAIRS))
    parser.add_argument("--columns", default="test,grammatical,ungrammatical")
    parser.add_argument("--include-unknown", action="store_true")
    args = parser.parse_args()
    if not Path(args.pairs).is_file():
        sys.exit(f"there is no file {args.pairs}")
    command = [
        sys.executable,
        "-m",
        "wordlm.cli",
        "compare",
        args.model,
        args.pairs,
        "--columns",
        args.columns,
        "--json",
    ]
    command += ["--include-unknown"] if args.include_unknown else []
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        sys.exit("wordlm compare has failed")
    found = json.loads(out)
    print("| group | accuracy | 95 % interval | pairs | left out |\n|---|---|---|---|---|")
    for group in found["groups"]:
        print(row(group["group"], group))
    print(row("all pairs", found))
    print(f"| mean of the groups | {percent(found['mean_accuracy'])} | | | |\n")
    print("unknown words, with their pairs:", ", ".join(f"{one['word']} {one['pairs']:,}" for one in found["unknown"]))
    sentences = 2 * found["pairs"]
    print(
        f"{seconds:.1f} s, start and reading included ({usage.ru_utime + usage.ru_stime:.1f} s of all processors); "
        f"{sentences:,} sentences compared, {sentences / seconds:,.0f} a second; "
        f"{usage.ru_maxrss / 1024:,.0f} MB at the peak"
    )


def row(name: str, found: dict) -> str:
    interval = f"{percent(found['low'])} - {percent(found['high'])}" if found["pairs"] else ""
    return f"| {name} | {percent(found['accuracy'])} | {interval} | {found['pairs']:,} | {found['left_out']:,} |"


def percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    main()
