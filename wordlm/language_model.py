"""A model to question: what `wordlm.load` and `wordlm.from_keras` return."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wordlm import generation
from wordlm.bundle import load_bundle
from wordlm.config import ModelConfig, SamplingConfig, TextConfig
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.prompts import Prompt, read_prompt
from wordlm.rules import Rules, read_rules
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import Vocabulary

if TYPE_CHECKING:
    import keras

    from wordlm.keras_engine import KerasConfig, KerasEngine
    from wordlm.novelty import CopyIndex

    Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
    Against = CopyIndex | Paths


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


class LanguageModel:
    """A trained model with its vocabulary and tokenizer, as `load` and `from_keras` make it.

    Attributes:
        path: its folder; None if it is not out of one.
        config: the shape of the network.
        vocabulary: its words.
        tokenizer: how its text was split.
        metadata: where it comes from: figures, history, versions, hashes; empty if it is not out of a folder.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        text: TextConfig,
        make_engine: Callable[[], Engine | KerasEngine],
        make_keras_model: Callable[[], keras.Model],
        *,
        config: ModelConfig | KerasConfig,
        path: Path | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.vocabulary, self.tokenizer = vocabulary, Tokenizer(text)
        self.config, self.path, self.metadata = config, path, metadata or {}
        self._make_engine, self._make_keras_model = make_engine, make_keras_model

    @cached_property
    def engine(self) -> Engine | KerasEngine:
        """The network in NumPy, or in Keras where only that runs it; the weights are read at the first use."""
        return self._make_engine()

    def generate(self, prompt: str = "", *, against: Against | None = None, **options: Any) -> str:
        """One new text, the prompt at its head.

        Args:
            prompt: what it goes on from; empty for a new paragraph.
            against: texts that it must not copy more than `max_copy` words in a row from: paths, or what
                `copy_index` has made of them, which saves the time to read them again.
            options: fields of `SamplingConfig`, `max_words`, `temperature`, `top_p`, `include`, `seed` and so on.

        Raises:
            OptionError: an option that there is not, a value out of its range, or options that contradict each other.
            WordlmError: there is no text with the words to include.

        Example:
            >>> text = lm.generate("I don't", max_words=5, seed=1)
            >>> text.startswith("I don't")
            True
        """
        return next(self.generate_many(prompt, 1, against=against, **options)).text

    def generate_many(
        self, prompt: str = "", n: int = 10, *, against: Against | None = None, **options: Any
    ) -> Iterator[generation.GeneratedText]:
        """`n` new texts with their words, probabilities and reasons to end; the rest as in `generate`.

        Example:
            >>> [len(text.words) for text in lm.generate_many(n=2, max_words=1, seed=1)]
            [1, 1]
        """
        return generation.generate(*self._parts(against, options, prompt), n=n)

    def stream(self, prompt: str = "", *, against: Against | None = None, **options: Any) -> Iterator[str]:
        """One new text in pieces, as its words are drawn; the rest as in `generate`.

        Example:
            >>> "".join(lm.stream("I don't", seed=1)) == lm.generate("I don't", seed=1)
            True
        """
        return generation.stream(*self._parts(against, options, prompt))

    def read_prompt(self, prompt: str) -> Prompt:
        """The prompt's tokens and ids, and the words in it that the model does not know."""
        return read_prompt(prompt, self.tokenizer, self.vocabulary)

    def rules(self, config: SamplingConfig) -> Rules:
        """The words of a config as ids, checked against the vocabulary."""
        return read_rules(config, self.tokenizer, self.vocabulary)

    def copy_index(
        self, texts: Paths, max_copy: int = 12, *, progress: Callable[[int], None] | None = None, **options: Any
    ) -> CopyIndex:
        """The words of some texts, of which new texts are to copy no more than `max_copy` in a row.

        Args:
            texts: a path or several: files, folders, patterns.
            max_copy: words in a row, at most.
            progress: called with the number of words read so far.
            options: fields of `TextConfig` that differ from those of the model's own text.

        Raises:
            TextError: texts that cannot be read, or hold no word that the model knows.

        Example:
            >>> import tempfile
            >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            ...     _ = file.write("I don't see him.")
            ...     file.flush()
            ...     index = lm.copy_index(file.name, max_copy=2)
            >>> next(lm.generate_many(against=index, seed=1)).longest_copy <= 2
            True
        """
        from wordlm.novelty import CopyIndex
        from wordlm.text import Texts

        paths = [texts] if isinstance(texts, str | os.PathLike) else list(texts)
        config = self.tokenizer.config.replace(**options)
        # Its words are compared with the model's, so they are folded as the model's are.
        tokenizer = Tokenizer(config.replace(lowercase=self.tokenizer.config.lowercase))
        return CopyIndex.from_texts(Texts(paths, config), tokenizer, self.vocabulary, max_copy, progress)

    def _parts(self, against: Against | None, options: dict[str, Any], prompt: str) -> tuple[Any, ...]:
        config = SamplingConfig.from_dict(options)
        engine: Any = self.engine
        if config.cache:
            from wordlm.cache import CachedEngine

            if not isinstance(engine, Engine):
                raise OptionError("`cache` needs a model that NumPy runs, but Keras runs this one; leave it out")
            engine = CachedEngine(engine, config.cache, config.cache_theta, config.cache_lambda)
        index = None if against is None else self._index(against, config, "max_copy" in options)
        return engine, self.tokenizer, self.vocabulary, prompt, config, index

    def _index(self, against: Against, config: SamplingConfig, is_limited: bool) -> CopyIndex:
        """The index itself, if it was given and is this model's, or one of the texts."""
        from wordlm.novelty import CopyIndex

        if not isinstance(against, CopyIndex):
            return self.copy_index(against, config.max_copy)
        if is_limited and config.max_copy != against.max_copy:
            raise OptionError(
                f"`max_copy` must be the index's, which is {against.max_copy}, but is {config.max_copy}; leave it out, "
                "or make an index anew"
            )
        if against.vocab_size != len(self.vocabulary):
            raise OptionError(
                f"`against` must be an index of this model's {len(self.vocabulary):,} words, but has "
                f"{against.vocab_size:,}; make it with this model's `copy_index`"
            )
        return against

    def keras_model(self) -> keras.Model:
        """The network as a Keras model: (batch, time) token ids -> probabilities. Loads Keras."""
        return self._make_keras_model()

    def __repr__(self) -> str:
        return f"<LanguageModel {str(self.path or 'from Keras')!r}: {len(self.vocabulary):,} words>"
