"""Models out of their folders, and out of Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wordlm.bundle import load_bundle
from wordlm.config import TextConfig
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.language_model import LanguageModel
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
    bundle = load_bundle(path)

    def keras_model() -> keras.Sequential:
        from wordlm.model import build_model, load_keras, set_weights

        load_keras()
        model = build_model(bundle.config)
        set_weights(model, bundle.weights)
        return model

    return LanguageModel(
        bundle.vocabulary,
        bundle.text,
        lambda: Engine(bundle.config, bundle.weights),
        keras_model,
        config=bundle.config,
        path=bundle.path,
        metadata=bundle.metadata,
        make_ngram=lambda: bundle.ngram if bundle.has_ngram else None,
    )


def from_keras(
    model: keras.Model, tokens: Sequence[str], text: TextConfig | None = None, context: int | None = None
) -> LanguageModel:
    """A language model out of a Keras model of your own, to generate from.

    Where NumPy knows its layers, they run there; anything else runs by calls of Keras, one a word, and a warning
    names the layer.

    Args:
        model: (batch, time) token ids -> probabilities, (batch, V) or (batch, time, V). 0 is padding.
        tokens: the V tokens by id; the first three are `<pad>`, `<unk>` and `<eos>`, which opens and ends a text.
        text: how its text was split; left out: as `wordlm train` splits prose.
        context: how many of the last words it reads; left out: what its layers say, or 50.

    Raises:
        OptionError: tokens that are no such vocabulary, or not as many as the model has; a model of another kind.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.model import build_model
        >>> tokens = ["<pad>", "<unk>", "<eos>", "It", "was", "dark", "."]
        >>> lm = from_keras(build_model(ModelConfig(vocab_size=7, embedding_dim=4, units=3, dense=0)), tokens)
        >>> len(lm.generate("It was", max_words=2, min_words=2, seed=1).split()) >= 3
        True
    """
    from wordlm.keras_engine import engine_of

    vocabulary = Vocabulary(tokens)
    engine = engine_of(model, context)
    if engine.config.vocab_size != len(vocabulary):
        raise OptionError(
            f"`tokens` must be as many as the model predicts, which are {engine.config.vocab_size:,}, but are "
            f"{len(vocabulary):,}"
        )
    return LanguageModel(vocabulary, text or TextConfig(), lambda: engine, lambda: model, config=engine.config)
