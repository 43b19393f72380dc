"""A model to question: what `wordlm.load` and `wordlm.from_keras` return."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wordlm import generation, mixing, questions, reading, writing
from wordlm.config import ModelConfig, SamplingConfig, TextConfig
from wordlm.engine import Engine
from wordlm.prompts import Prompt, read_prompt
from wordlm.rules import Rules, read_rules
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import Vocabulary

if TYPE_CHECKING:
    import keras

    from wordlm.evaluation import Evaluation
    from wordlm.keras_engine import KerasConfig, KerasEngine
    from wordlm.minimal_pairs import Comparison
    from wordlm.mixture import Mixture
    from wordlm.nbest import Hypothesis
    from wordlm.ngram import KneserNey
    from wordlm.novelty import CopyIndex
    from wordlm.pairs import Pair
    from wordlm.rescoring import RescoredHypothesis
    from wordlm.suggestions import Suggestion
    from wordlm.typed_words import TypedWord, WordScore

    Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
    Against = CopyIndex | Paths
    Progress = Callable[[int], None]


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
        make_ngram: Callable[[], KneserNey | None] = lambda: None,
    ) -> None:
        self.vocabulary, self.tokenizer = vocabulary, Tokenizer(text)
        self.config, self.path, self.metadata = config, path, metadata or {}
        self._make_engine, self._make_keras_model, self._make_ngram = make_engine, make_keras_model, make_ngram

    @cached_property
    def engine(self) -> Engine | KerasEngine:
        """The network in NumPy, or in Keras where only that runs it; the weights are read at the first use."""
        return self._make_engine()

    @cached_property
    def ngram(self) -> KneserNey | None:
        """The Kneser-Ney model that was saved with it, if there is one; read at the first use."""
        return self._make_ngram()

    @property
    def mixture(self) -> Mixture:
        """The shares of the mixture, as `tune_mixture` has found them; an OptionError if it has not."""
        return mixing.stored_mixture(self)

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
        return generation.generate(*writing.generation_parts(self, prompt, against, options), n=n)

    def stream(self, prompt: str = "", *, against: Against | None = None, **options: Any) -> Iterator[str]:
        """One new text in pieces, as its words are drawn; the rest as in `generate`.

        Example:
            >>> "".join(lm.stream("I don't", seed=1)) == lm.generate("I don't", seed=1)
            True
        """
        return generation.stream(*writing.generation_parts(self, prompt, against, options))

    def score(self, text: str, *, words: bool = False, **options: Any) -> list[WordScore] | list[TypedWord]:
        """How surprising each word of a text is.

        Args:
            text: the text itself.
            words: a row for each word as typed (`don't`), with its place in the text, rather than for each token.
            options: as in `score_files`.

        Returns:
            A row for each token, `<eos>` at the end of each paragraph included; surprisal and entropy in bits.

        Raises:
            TextError: there is no word in it.

        Example:
            >>> [row.token for row in lm.score("I don't see it.")]
            ['I', 'do', "n't", 'see', 'it', '.', '<eos>']
            >>> [lm.score("I don't see it.", words=True)[1].word]
            ["don't"]
        """
        return list(questions.score_text(self, text, words=words, **options))

    def score_files(
        self,
        paths: Paths,
        *,
        words: bool = False,
        reset: str = "document",
        entropy_reduction: bool = False,
        ngram: bool = False,
        mix: bool = False,
        vectors: str | None = None,
        train: Paths | KneserNey | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Iterator[WordScore] | Iterator[TypedWord]:
        """As `score`, of texts in files; row by row, so that they may be of any length.

        Args:
            paths: a path or several: files, folders, patterns, "-".
            words: a row for each word as typed.
            reset: where the model forgets what it has read: at each "sentence" (paragraph or line), at each
                "document" (the default), or "never".
            entropy_reduction: by how many bits each token made the next one surer.
            ngram: the surprisal under the Kneser-Ney model, too.
            mix: the mixture answers rather than the network alone.
            vectors: unknown words are read by their vectors out of this file or package, the one of the training.
            train: the training text, or its `fit_ngram`, for n-grams that were not saved with the model.
            progress: called with the number of tokens so far.
            options: fields of `TextConfig` that differ from those of the model's own text.
        """
        return questions.score(
            self,
            reading.texts_at(self, paths, options, places=words),
            words=words,
            reset=reset,
            entropy_reduction=entropy_reduction,
            ngram=ngram,
            mix=mix,
            vectors=vectors,
            train=train,
            progress=progress,
        )

    def evaluate(
        self,
        paths: Paths,
        *,
        reset: str = "document",
        mix: bool = False,
        vectors: str | None = None,
        train: Paths | KneserNey | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Evaluation:
        """How well the model predicts texts: perplexity, recall, keystrokes saved, and yardsticks beside them.

        Args:
            paths, reset, mix, vectors, train, progress, options: as in `score_files`.

        Raises:
            TextError: texts that cannot be read, or hold no word.

        Example:
            >>> lm.evaluate("README.md").tokens > 1000
            True
        """
        texts = reading.texts_at(self, paths, options)
        return questions.evaluate(self, texts, reset=reset, mix=mix, vectors=vectors, train=train, progress=progress)

    def tune_mixture(
        self,
        paths: Paths,
        *,
        train: Paths | KneserNey | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Mixture:
        """Finds the weights of network, n-grams and cache that make validation texts likeliest, and keeps them.

        They are written to the model's folder, if it is out of one.

        Args:
            paths, train, progress, options: as in `score_files`.
        """
        return mixing.tune_mixture(self, reading.texts_at(self, paths, options), train, progress)

    def fit_ngram(self, paths: Paths, *, progress: Progress | None = None, **options: Any) -> KneserNey:
        """A Kneser-Ney model of order 5 of some texts, with the model's own words; for `train`.

        Args:
            paths, progress, options: as in `score_files`.
        """
        return mixing.fit_ngram(self, reading.texts_at(self, paths, options, needs_field=False), progress)

    def suggest(
        self, context: str = "", *, k: int = 10, prefix: str = "", vectors: str | None = "auto"
    ) -> list[Suggestion]:
        """The likeliest next words.

        Args:
            context: what was written so far, in whole words.
            k: how many words, at most.
            prefix: what is typed of the next word; in any case.
            vectors: what unknown words are read by; "auto": by the packaged vectors, if the model learned with them;
                None: as `<unk>`.

        Example:
            >>> all(each.word.lower().startswith("t") for each in lm.suggest("I don't see", k=2, prefix="t"))
            True
        """
        return questions.suggest(self, context, k, prefix, vectors)

    def rescore(
        self,
        hypotheses: Iterable[Hypothesis],
        *,
        weight: float = 1.0,
        word_penalty: float = 0.0,
        unk_penalty: float = 0.0,
        vectors: str | None = None,
    ) -> Iterator[RescoredHypothesis]:
        """Ranks the lists of hypotheses of a recognizer or translator anew, by their scores and the model's.

        Args:
            hypotheses: those of a list in a row.
            weight, word_penalty, unk_penalty: as in `rescoring.rescore`.
            vectors: as in `score_files`.
        """
        return questions.rescore(
            self, hypotheses, vectors, weight=weight, word_penalty=word_penalty, unk_penalty=unk_penalty
        )

    def compare(
        self,
        pairs: Iterable[Pair],
        *,
        include_unknown: bool = False,
        vectors: str | None = None,
        progress: Progress | None = None,
    ) -> Comparison:
        """In how many minimal pairs the good sentence is likelier than the bad one, by group.

        Args:
            pairs: of sentences.
            include_unknown: count pairs with words that the model does not know, too.
            vectors, progress: as in `score_files`.
        """
        return questions.compare(self, pairs, include_unknown, vectors, progress)

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
            >>> index = lm.copy_index("README.md", max_copy=2)
            >>> next(lm.generate_many(against=index, seed=1)).longest_copy <= 2
            True
        """
        return writing.copy_index(self, reading.texts_at(self, texts, options), max_copy, progress)

    def keras_model(self) -> keras.Model:
        """The network as a Keras model: (batch, time) token ids -> probabilities. Loads Keras."""
        return self._make_keras_model()

    def __repr__(self) -> str:
        return f"<LanguageModel {str(self.path or 'from Keras')!r}: {len(self.vocabulary):,} words>"
