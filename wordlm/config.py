"""Frozen dataclasses of options: the only home of defaults, ranges, help texts and presets.

The command line makes its options out of the fields below, and the Python names take them as keyword
arguments, so that a default, a range or an explanation is written once.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from wordlm.errors import OptionError


def option(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A dataclass field with its help text and its range: low <= value <= high, or one of choices."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


class _Checked:
    """Checks every field against its range when a config is made."""

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if value is None and f.default is None:
                continue
            if f.type == "tuple[str, ...]":
                _check_words(f.name, value)
                continue
            kind = f.type.removesuffix(" | None")
            kinds = {"bool": bool, "int": int, "float": (int, float), "str": str}[kind]
            if not isinstance(value, kinds) or (isinstance(value, bool) and kind != "bool"):
                wanted = "a number" if kind == "float" else f"of type {kind}"
                raise OptionError(f"`{f.name}` must be {wanted}, but is {value!r}")
            if kind == "float" and not math.isfinite(value):
                raise OptionError(f"`{f.name}` must be finite, but is {value!r}")
            low, high, choices = f.metadata["low"], f.metadata["high"], f.metadata["choices"]
            if choices and value not in choices:
                raise OptionError(f"`{f.name}` must be one of {', '.join(choices)}, but is {value!r}")
            if low is not None and not low <= value <= (high if high is not None else float("inf")):
                rule = f"at least {low}" if high is None else f"between {low} and {high}"
                raise OptionError(f"`{f.name}` must be {rule}, but is {value!r}")

    def replace(self, **changes: Any) -> Any:
        """The same config with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as JSON knows them."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Any:
        """The config out of `to_dict`'s form; fields that it does not name keep their defaults.

        Raises:
            OptionError: a name that is not a field, or a value out of its range.
        """
        unknown = set(values) - {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        if unknown:
            raise OptionError(f"{cls.__name__} has no option {', '.join(map(repr, sorted(unknown)))}")
        return cls(**values)


def _check_words(name: str, value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
        raise OptionError(f"`{name}` must be words, in a tuple or list, but is {value!r}")
    if not all(map(str.strip, value)):
        raise OptionError(f"`{name}` must be words, but one is empty; leave it out")


@dataclass(frozen=True)
class TextConfig(_Checked):
    """How files become paragraphs, and paragraphs tokens. Saved with a model, as its tokenizer's config."""

    kind: str = option(
        "prose",
        "prose: paragraphs apart by blank lines; lines: each line is one example; pretokenized: lines of tokens "
        "apart by white space",
        choices=("prose", "lines", "pretokenized"),
    )
    lowercase: bool = option(False, "fold every word to lower case")
    encoding: str | None = option(None, "encoding of the files; left out: UTF-8, or what the byte-order mark says")
    field: str | None = option(None, "name of the field that holds the text in .jsonl and .csv files")
    keep_boilerplate: bool = option(False, "keep the header and licence of Project Gutenberg files")


# What of it is about the files alone, not about what their text is.
FILE_FIELDS = ("encoding", "field", "keep_boilerplate")


@dataclass(frozen=True)
class DataConfig(_Checked):
    """What is made of the text: its vocabulary, its held-out part, and the vectors of its words."""

    vocab_size: int = option(30_000, "words kept, the three special ones counted; 0 keeps all", low=0)
    min_count: int = option(1, "rarer words become <unk>", low=1)
    valid_fraction: float = option(0.05, "share of the text held out for validation", low=0.001, high=0.5)
    vectors: str = option(
        "glove-6b-50d",
        "word vectors: glove-6b-50d (comes with wordlm), a file (GloVe, word2vec, fastText), a folder made by "
        "`wordlm vectors convert`, corpus (trained on the text itself) or none (trained with the model)",
    )
    missing: str = option(
        "random",
        "vector of a word that has none: random, mean, zero, or subword (fastText .bin)",
        choices=("random", "mean", "zero", "subword"),
    )
    embedding_dim: int = option(100, "size of the vectors that `corpus` and `none` make", low=1)
    trust_pickle: bool = option(False, "open a gensim .kv file, which can run code that its maker put in")


@dataclass(frozen=True)
class ModelConfig(_Checked):
    """The shape of the network. `vocab_size` and `embedding_dim` follow from the text and the vectors."""

    vocab_size: int = option(30_000, "words in the vocabulary, the special tokens counted", low=3)
    embedding_dim: int = option(50, "size of the word vectors", low=1)
    trainable_embedding: bool = option(False, "train the word vectors too (only without pretrained ones)")
    trained_dim: int = option(0, "numbers of each word that are trained, beside those of its frozen vector", low=0)
    tied: bool = option(False, "the output shares the trained numbers of a word; its others begin as the frozen ones")
    masking: bool = option(False, "skip words whose vector is zero (preset seed)")
    cell: str = option("lstm", "recurrent cell", choices=("lstm", "gru", "rnn"))
    units: int = option(320, "units of each recurrent layer", low=1)
    layers: int = option(1, "recurrent layers", low=1, high=16)
    bidirectional: bool = option(False, "read the known words both ways (needs a context window)")
    context: int = option(0, "window of N known words for each predicted word; 0: streams, state carried", low=0)
    dense: int = option(200, "units of the dense layer before the output; 0 leaves it out", low=0)
    activation: str = option("relu", "activation of the dense layer", choices=("relu", "linear", "tanh"))
    dropout: float = option(0.4, "share of units dropped before the output", low=0, high=0.95)
    input_dropout: float = option(0.0, "share of units dropped at the input of each recurrent layer", low=0, high=0.95)
    recurrent_dropout: float = option(
        0.0, "share of the recurrent state dropped, the same units at every step", low=0, high=0.95
    )

    @property
    def frozen_dim(self) -> int:
        """Numbers of each word's vector that are not trained; they come first."""
        return 0 if self.trainable_embedding else self.embedding_dim - self.trained_dim

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional and not self.context:
            raise OptionError(
                "`bidirectional` reads a window of known words both ways, and needs one: give `context`, 50 for example"
            )


@dataclass(frozen=True)
class TrainConfig(_Checked):
    """How the network learns."""

    epochs: int | None = option(
        None, "passes over the text, at most (default: 6, or 12 below 50,000 words, or what the minutes allow)", low=1
    )
    minutes: float | None = option(None, "wall-time budget; the learning-rate schedule ends when it does", low=0.01)
    batch_size: int = option(32, "streams (or windows) in a batch", low=1)
    sequence_length: int = option(35, "steps of truncated back-propagation through time", low=1)
    learning_rate: float = option(0.008, "peak learning rate of Adam", low=1e-9, high=10)
    beta_1: float = option(0.0, "share of the gradient's running average that Adam keeps in a step", low=0, high=0.9999)
    beta_2: float = option(0.98, "the same of the gradient's square", low=0.1, high=0.99999)
    clip_norm: float = option(1.0, "largest norm of the gradient; 0 leaves it as it is", low=0)
    samples: int = option(2048, "words in the sampled softmax; 0: the full softmax always", low=0)
    unigram_bias: bool = option(True, "start the output bias at the log frequency of each word")
    unknown: float = option(
        0.5,
        "share of the epochs in which a word that stands once in the text is <unk>, to learn what that is",
        low=0,
        high=1,
    )
    patience: int = option(3, "epochs without a better validation loss before stopping", low=1)
    seed: int = option(0, "seed of everything random", low=0, high=2**32 - 1)


@dataclass(frozen=True)
class SamplingConfig(_Checked):
    """How a text is made: where it ends, what it must and must not hold, and how the next word is drawn."""

    max_words: int = option(100, "words in a text, at most", low=1)
    min_words: int = option(0, "words in a text, at least", low=0)
    sentences: int = option(0, "end after N sentences; 0: at the end of the paragraph", low=0)
    stop: tuple[str, ...] = option((), "end before one of these words")
    start_with: str = option("", "the first words; unlike a prompt, they are words of the text")
    end_with: str = option("", "the last words; searched for, not drawn")
    include: tuple[str, ...] = option((), "words or phrases that each text holds, where they fit best")
    ban: tuple[str, ...] = option(
        (), "words or phrases that no text holds; a lower-case word bans its capitalized form"
    )
    no_unk: bool = option(True, "never generate <unk>")
    temperature: float = option(0.8, "below 1 safer, above 1 bolder; 0 takes the likeliest word", low=0)
    top_k: int = option(0, "draw from the k likeliest words; 0: from all", low=0)
    top_p: float = option(1.0, "draw from the likeliest words that hold this much probability; 1: all", low=0, high=1)
    min_p: float = option(
        0.0, "leave out words below this share of the likeliest one's probability; 0: none", low=0, high=1
    )
    typical: float = option(
        1.0, "draw from the words of the most typical surprisal that hold this much probability; 1: all", low=0, high=1
    )
    repetition_penalty: float = option(1.0, "above 1: words among the last 64 become less likely; 1: off", low=1)
    no_repeat_ngram: int = option(0, "no N words in a row come twice in a text; 0: they may", low=0)
    max_copy: int = option(12, "with against: words in a row that may be copied, at most", low=1)
    beams: int = option(0, "search the likeliest text with N beams instead of drawing one; 0: draw", low=0)
    cache: int = option(
        0, "recent words that the neural cache remembers and makes likelier, 500 for example; 0: no cache", low=0
    )
    cache_theta: float = option(12.0, "how much the cache prefers words that came in a like context", low=0)
    cache_lambda: float = option(0.3, "the cache's share of the probability, at most", low=0, high=0.99)
    seed: int | None = option(None, "seed of the draws; left out: another text each time", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        # What is one word or phrase, and what JSON has as a list, means the tuple.
        for name in ("stop", "include", "ban"):
            value = getattr(self, name)
            if isinstance(value, str | list):
                object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        super().__post_init__()
        if self.min_words > self.max_words:
            raise OptionError(
                f"`min_words` must be at most `max_words`, but is {self.min_words} with {self.max_words}; change one"
            )
        if self.no_repeat_ngram == 1:
            raise OptionError(
                "`no_repeat_ngram` must be 0 or at least 2, but is 1: no word could come twice; a `repetition_penalty` "
                "makes words rarer"
            )
        idle = [name for name in ("cache_theta", "cache_lambda") if getattr(self, name) != getattr(type(self), name)]
        if idle and not self.cache:
            raise OptionError(
                f"`{idle[0]}` is about the neural cache, which is off: give `cache`, 500 for example, or leave it out"
            )
        if self.beams:
            # The default temperature means that none was asked for.
            filters = {"temperature": (0.8, 0, 1), "top_k": (0,), "top_p": (1,), "min_p": (0,), "typical": (1,)}
            wrong = [name for name, off in filters.items() if getattr(self, name) not in off]
            if wrong:
                raise OptionError(
                    f"`beams` looks for the likeliest text and draws nothing: leave out `{wrong[0]}`, which is "
                    f"{getattr(self, wrong[0])}, or `beams`"
                )


OURS: dict[str, Any] = {"tied": True, "activation": "tanh", "input_dropout": 0.3, "recurrent_dropout": 0.3}
# As they stand, larger networks are for texts that are read eight times and more; `--minutes` drops less of long ones.
LARGER = OURS | {"dropout": 0.5, "input_dropout": 0.4, "recurrent_dropout": 0.5, "learning_rate": 0.004}
# The classic recipe, to the letter; `small` and up are ours, chosen by the benchmarks.
PRESETS: dict[str, dict[str, Any]] = {
    "seed": {
        "masking": True, "cell": "lstm", "units": 64, "layers": 1, "context": 50, "dense": 64, "dropout": 0.5,
        "input_dropout": 0.1, "recurrent_dropout": 0.1, "batch_size": 128, "learning_rate": 0.001, "beta_1": 0.9,
        "beta_2": 0.999, "clip_norm": 0.0, "samples": 0, "unigram_bias": False, "unknown": 0.0, "missing": "zero",
    },
    "small": OURS | {"trained_dim": 150},
    "medium": LARGER | {"trained_dim": 250, "units": 512, "dense": 300},
    "large": LARGER | {"trained_dim": 350, "units": 1024, "dense": 400},
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """All that decides a training, of one preset with some options laid over it."""

    text: TextConfig
    data: DataConfig
    model: ModelConfig
    """Without the sizes that the text decides."""
    train: TrainConfig


def configure(preset: str = "small", **overrides: Any) -> Options:
    """The options of a preset, with those that are not None laid over it.

    Raises:
        OptionError: an unknown preset or option, or a value out of its range.

    Example:
        >>> options = configure("seed", epochs=2)
        >>> options.model.units, options.model.context, options.train.epochs
        (64, 50, 2)
    """
    if preset not in PRESETS:
        raise OptionError(f"`preset` must be one of {', '.join(PRESETS)}, but is {preset!r}")
    values = PRESETS[preset] | {name: value for name, value in overrides.items() if value is not None}
    configs: dict[str, Any] = {}
    # In this order: `vocab_size` and `embedding_dim` are asked for as data, and the model follows.
    for name, kind in (("text", TextConfig), ("data", DataConfig), ("model", ModelConfig), ("train", TrainConfig)):
        fields = {f.name for f in dataclasses.fields(kind)}
        configs[name] = kind(**{key: values.pop(key) for key in list(values) if key in fields})
    if values:
        raise OptionError(f"there is no option {', '.join(map(repr, sorted(values)))}")
    return Options(**configs)
