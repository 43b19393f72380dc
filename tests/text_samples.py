"""Texts written to files and read again, as several test files do it."""

import pytest

from wordlm.config import TextConfig
from wordlm.errors import TextError
from wordlm.text import Texts


def write(folder, content, name="text.txt"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(*paths, **options):
    return [paragraph.text for paragraph in Texts(paths, TextConfig(**options))]


def refusal(*paths, **options):
    """The one-line message with which the paths are refused."""
    with pytest.raises(TextError) as info:
        read(*paths, **options)
    message = str(info.value)
    assert "\n" not in message
    return message
