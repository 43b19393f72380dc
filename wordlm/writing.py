"""What the generation of texts wants of a model: an engine, perhaps with a cache, and what is not to be copied."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from wordlm.config import SamplingConfig
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.tokenizer import Tokenizer

if TYPE_CHECKING:
    from wordlm.language_model import LanguageModel
    from wordlm.novelty import CopyIndex
    from wordlm.text import Texts

    Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def generation_parts(
    lm: LanguageModel, prompt: str, against: CopyIndex | Paths | None, options: dict[str, Any]
) -> tuple[Any, ...]:
    """What `generation.generate` and `stream` want of a model."""
    config = SamplingConfig.from_dict(options)
    engine: Any = lm.engine
    if config.cache:
        from wordlm.cache import CachedEngine

        if not isinstance(engine, Engine):
            raise OptionError("`cache` needs a model that NumPy runs, but Keras runs this one; leave it out")
        engine = CachedEngine(engine, config.cache, config.cache_theta, config.cache_lambda)
    index = None if against is None else _index(lm, against, config, "max_copy" in options)
    return engine, lm.tokenizer, lm.vocabulary, prompt, config, index


def _index(lm: LanguageModel, against: CopyIndex | Paths, config: SamplingConfig, is_limited: bool) -> CopyIndex:
    """The index itself, if it was given and is this model's, or one of the texts."""
    from wordlm.novelty import CopyIndex

    if not isinstance(against, CopyIndex):
        return lm.copy_index(against, config.max_copy)
    if is_limited and config.max_copy != against.max_copy:
        raise OptionError(
            f"`max_copy` must be the index's, which is {against.max_copy}, but is {config.max_copy}; leave it out, "
            "or make an index anew"
        )
    if against.vocab_size != len(lm.vocabulary):
        raise OptionError(
            f"`against` must be an index of this model's {len(lm.vocabulary):,} words, but has "
            f"{against.vocab_size:,}; make it with this model's `copy_index`"
        )
    return against


def copy_index(lm: LanguageModel, texts: Texts, max_copy: int, progress: Callable[[int], None] | None) -> CopyIndex:
    """As `LanguageModel.copy_index`."""
    from wordlm.novelty import CopyIndex

    # Its words are compared with the model's, so they are folded as the model's are.
    tokenizer = Tokenizer(texts.config.replace(lowercase=lm.tokenizer.config.lowercase))
    return CopyIndex.from_texts(texts, tokenizer, lm.vocabulary, max_copy, progress)
