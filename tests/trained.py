"""A small model, trained once for all test files that need one."""

import functools
import random
import tempfile
from pathlib import Path

import pytest

TINY = {"units": 6, "dense": 4, "trained_dim": 3, "batch_size": 4, "sequence_length": 10, "samples": 0, "epochs": 1}


def story(paragraphs: int = 60) -> str:
    """A text of a few words, with dialogue."""
    rng = random.Random(1)
    people, things = ["Holmes", "Watson", "she", "he"], ["the dog", "a lamp", "the door", "it"]
    lines = []
    for _ in range(paragraphs):
        person, thing, mark = rng.choice(people), rng.choice(things), rng.choice(".!?")
        lines.append(f'"I don\'t see {thing}{mark}" said {person}. Then {rng.choice(people)} took {thing}.')
    return "\n\n".join(lines) + "\n"


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    import wordlm

    folder = tempfile.TemporaryDirectory()
    (Path(folder.name) / "story.txt").write_text(story())
    wordlm.train(Path(folder.name) / "story.txt", Path(folder.name) / "model", **TINY)
    return folder


@pytest.fixture(scope="session")
def trained() -> Path:
    """The folder of a trained model; beside it lies its text, story.txt."""
    return Path(_folder().name) / "model"


@pytest.fixture
def book(tmp_path) -> Path:
    """The same text, to train on anew."""
    path = tmp_path / "book.txt"
    path.write_text(story())
    return path


@pytest.fixture
def text(tmp_path) -> Path:
    """Some paragraphs of it, to ask the model about."""
    path = tmp_path / "text.txt"
    path.write_text(story(8))
    return path
