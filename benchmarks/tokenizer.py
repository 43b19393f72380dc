"""Speed of the tokenizer and the detokenizer, and how often a text comes back as it was.

    python benchmarks/tokenizer.py [FILE...] [--failures N]

Without files: the texts of ../shared/data/prose and ../shared/data/languages. MB are of UTF-8, on one core. The round
trip is `detokenize(tokenize(s)) == s` with white space folded, over sentences and over paragraphs. A paragraph lies
between blank lines (in a file without any: a line); a sentence ends at a . ! or ? with the quotes and brackets that
close behind it, where white space and then a capital, a digit or an opening mark follow, and not after a title (Mr.)
or an initial.
"""

from __future__ import annotations

import argparse
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import regex

from wordlm.tokenizer import Tokenizer

SENTENCE_END = regex.compile(
    r"""(?<!\b(?:Mrs?|Ms|Dr|St|Messrs|Prof|Capt|Col|Rev|[A-Z])\.)(?<=[.!?…।]["'”’)\]_»]*)\s+(?=["'“‘(\[_«]*[\p{Lu}\p{Lo}\d])"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--failures", type=int, default=0, help="show up to N sentences of each text that differ")
    arguments = parser.parse_args()
    data = Path(__file__).parents[2] / "shared" / "data"
    files = arguments.files or [*sorted(data.glob("prose/*.txt")), *sorted(data.glob("languages/*.txt"))]
    print(f"{'text':20} {'MB':>6} {'tokens':>9} | {'tokenize':>8} {'anew':>6} {'detok.':>6} MB/s", end="")
    print(f" | {'sentences':>9} {'same':>6} | {'paragraphs':>10} {'same':>6}")
    for file in files:
        report(file, arguments.failures)


def report(file: Path, failures: int) -> None:
    """One row of the table."""
    paragraphs = read_paragraphs(file)
    sentences = [sentence for paragraph in paragraphs for sentence in SENTENCE_END.split(paragraph)]
    megabytes = sum(len(paragraph.encode()) for paragraph in paragraphs) / 1e6
    tokenizer = Tokenizer()
    anew = seconds(lambda: list(map(Tokenizer().tokenize, paragraphs)))  # no stretch of text met before
    warm = seconds(lambda: list(map(tokenizer.tokenize, paragraphs)))
    tokens = [tokenizer.tokenize(paragraph) for paragraph in paragraphs]
    back = seconds(lambda: list(map(tokenizer.detokenize, tokens)))
    different = [(s, d) for s in sentences if (d := tokenizer.detokenize(tokenizer.tokenize(s))) != s]
    same_paragraphs = sum(tokenizer.detokenize(t) == p for p, t in zip(paragraphs, tokens, strict=True))
    print(
        f"{file.stem[:20]:20} {megabytes:6.2f} {sum(map(len, tokens)):9,} | "
        f"{megabytes / warm:8.1f} {megabytes / anew:6.1f} {megabytes / back:6.1f}      | "
        f"{len(sentences):9,} {1 - len(different) / len(sentences):6.1%} | "
        f"{len(paragraphs):10,} {same_paragraphs / len(paragraphs):6.1%}"
    )
    for sentence, text in different[:failures]:
        print(f"  - {sentence}\n  + {text}")


def read_paragraphs(file: Path) -> list[str]:
    """The paragraphs of a file, white space folded, without the header and licence of Project Gutenberg."""
    text = unicodedata.normalize("NFC", file.read_text(encoding="utf-8-sig"))
    start = regex.search(r"^\*\*\* ?START OF.*$", text, regex.MULTILINE)
    end = regex.search(r"^\*\*\* ?END OF.*$|^End of (?:the )?Project Gutenberg.*$", text, regex.MULTILINE)
    text = text[start.end() if start else 0 : end.start() if end else None]
    separator = r"\n\s*\n" if "\n\n" in text else r"\n"
    return [" ".join(paragraph.split()) for paragraph in regex.split(separator, text) if paragraph.strip()]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of the fastest of three runs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
