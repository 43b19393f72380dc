"""wordlm: a text file in, a word-level language model out.

>>> import wordlm
>>> lm = wordlm.train("book.txt", out="models/book")    # doctest: +SKIP
>>> lm = wordlm.load("models/book")                     # doctest: +SKIP
>>> lm.generate("It was a dark", max_words=40, seed=1)  # doctest: +SKIP

The names below are resolved at their first use: `import wordlm` loads neither Keras nor gensim.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wordlm.config import DataConfig, ModelConfig, SamplingConfig, TextConfig, TrainConfig
    from wordlm.errors import WordlmError
    from wordlm.language_model import LanguageModel
    from wordlm.loading import from_keras, load
    from wordlm.nbest import Hypothesis
    from wordlm.pairs import Pair
    from wordlm.pipeline import resume, train

__version__ = "0.1.0"

_HOMES = {
    "train": "wordlm.pipeline",
    "resume": "wordlm.pipeline",
    "load": "wordlm.loading",
    "from_keras": "wordlm.loading",
    "LanguageModel": "wordlm.language_model",
    "TextConfig": "wordlm.config",
    "DataConfig": "wordlm.config",
    "ModelConfig": "wordlm.config",
    "TrainConfig": "wordlm.config",
    "SamplingConfig": "wordlm.config",
    "Hypothesis": "wordlm.nbest",
    "Pair": "wordlm.pairs",
    "WordlmError": "wordlm.errors",
}

__all__ = [
    "DataConfig",
    "Hypothesis",
    "LanguageModel",
    "ModelConfig",
    "Pair",
    "SamplingConfig",
    "TextConfig",
    "TrainConfig",
    "WordlmError",
    "from_keras",
    "load",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'wordlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
