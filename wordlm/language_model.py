"""A saved model, opened: what `wordlm.load` returns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wordlm import generation
from wordlm.bundle import Bundle, load_bundle
from wordlm.config import ModelConfig, SamplingConfig
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import Vocabulary

if TYPE_CHECKING:
    import keras


def load(path: str | os.PathLike[str]) -> LanguageModel:
    """Opens the model that a training has saved at `path`; Keras is not loaded.

    Args:
        path: the folder.

    Raises:
        BundleError: there is no model, or it is damaged, or of a newer format.

    Example:
        >>> load("nowhere")
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: there is no model at nowhere: give the folder that `wordlm train --out` has made
    """
    return LanguageModel(load_bundle(path))


class LanguageModel:
    """A trained model with its vocabulary and tokenizer.

    Attributes:
        path: its folder.
        config: the shape of the network.
        vocabulary: its words.
        tokenizer: how its text was split.
        metadata: where it comes from: figures, history, versions, hashes.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.path: Path = bundle.path
        self.config: ModelConfig = bundle.config
        self.vocabulary: Vocabulary = bundle.vocabulary
        self.tokenizer = Tokenizer(bundle.text)
        self.metadata: dict[str, Any] = bundle.metadata

    @cached_property
    def engine(self) -> Engine:
        """The network in NumPy; the weights are read at the first use."""
        return Engine(self.config, self._bundle.weights)

    def generate(self, prompt: str = "", **options: Any) -> str:
        """One new text, the prompt at its head.

        Args:
            prompt: what it goes on from; empty for a new paragraph.
            options: fields of `SamplingConfig`: `max_words`, `sentences`, `temperature`, `top_k`, `top_p`,
                `min_p`, `no_unk`, `seed`.

        Raises:
            OptionError: an option that there is not, or a value out of its range.

        Example:
            >>> text = lm.generate("I don't", max_words=5, seed=1)
            >>> text.startswith("I don't")
            True
        """
        return next(self.generate_many(prompt, 1, **options)).text

    def generate_many(self, prompt: str = "", n: int = 10, **options: Any) -> Iterator[generation.GeneratedText]:
        """`n` new texts with their words, probabilities and reasons to end; options as in `generate`.

        Example:
            >>> [len(text.words) for text in lm.generate_many(n=2, max_words=1, seed=1)]
            [1, 1]
        """
        if n < 1:
            raise OptionError(f"`n` must be at least 1, but is {n}")
        config = SamplingConfig.from_dict(options)
        return generation.generate(self.engine, self.vocabulary, self.tokenizer, prompt, n, config)

    def stream(self, prompt: str = "", **options: Any) -> Iterator[str]:
        """One new text in pieces, as its words are drawn; options as in `generate`.

        Example:
            >>> "".join(lm.stream("I don't", seed=1)) == lm.generate("I don't", seed=1)
            True
        """
        config = SamplingConfig.from_dict(options)
        return generation.stream(self.engine, self.vocabulary, self.tokenizer, prompt, config)

    def read_prompt(self, prompt: str) -> generation.Prompt:
        """The prompt's tokens and ids, and the words in it that the model does not know."""
        return generation.read_prompt(prompt, self.tokenizer, self.vocabulary)

    def keras_model(self) -> keras.Sequential:
        """The network as a `keras.Sequential`: (batch, time) token ids -> probabilities. Loads Keras."""
        from wordlm.model import build_model, load_keras, set_weights

        load_keras()
        model = build_model(self.config)
        set_weights(model, self._bundle.weights)
        return model

    def __repr__(self) -> str:
        return f"<LanguageModel {str(self.path)!r}: {len(self.vocabulary):,} words, {self.config.cell}>"
