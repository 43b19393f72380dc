"""wordlm: a text file in, a word-level language model out."""

__version__ = "0.1.0"
