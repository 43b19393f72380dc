"""Options: their ranges, types and choices, what an error says, and the presets."""

import dataclasses
import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import config
from wordlm.config import (
    PRESETS,
    DataConfig,
    ModelConfig,
    SamplingConfig,
    TextConfig,
    TrainConfig,
    configure,
)
from wordlm.errors import OptionError, WordlmError

CONFIGS = (TextConfig, DataConfig, ModelConfig, TrainConfig, SamplingConfig)
FIELDS = [pytest.param(kind, f, id=f"{kind.__name__}.{f.name}") for kind in CONFIGS for f in dataclasses.fields(kind)]
NUMBERS = [param for param in FIELDS if param.values[1].metadata["low"] is not None]
REQUIRED = [param for param in FIELDS if param.values[1].default is not None]
OPTIONAL = [param for param in FIELDS if param.values[1].default is None]


def others(kind, name):
    """What a field needs from others to stand by itself."""
    cached = {"cache": 500}
    needs = {"bidirectional": {"context": 5}, "min_words": {"max_words": 10**9}}
    needs |= {"cache_theta": cached, "cache_lambda": cached}
    return needs.get(name, {})


def refused(kind, /, **values):
    """The one line that refuses the values."""
    with pytest.raises(OptionError) as caught:
        kind(**values)
    assert isinstance(caught.value, WordlmError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def is_whole(f):
    return not isinstance(f.default, float) and "float" not in f.type


def is_words(f):
    return f.type == "tuple[str, ...]"


def test_examples():
    result = doctest.testmod(config)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("kind", CONFIGS)
def test_defaults_are_in_range_and_frozen(kind):
    default = kind()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(default, dataclasses.fields(kind)[0].name, None)
    assert default == kind()
    assert hash(default) == hash(kind())


@pytest.mark.parametrize(("kind", "f"), FIELDS)
def test_every_option_is_explained(kind, f):
    assert f.metadata["help"]
    assert f.metadata["help"] == f.metadata["help"].strip().removesuffix(".")
    low, high = f.metadata["low"], f.metadata["high"]
    assert high is None or low < high
    assert not f.metadata["choices"] or f.default in f.metadata["choices"]


def test_the_same_name_means_the_same_wherever_it_stands():
    """`configure` gives a value to each config that has the name: only the sizes that the text decides are shared."""
    names = [f.name for kind in (TextConfig, DataConfig, ModelConfig, TrainConfig) for f in dataclasses.fields(kind)]
    assert sorted({name for name in names if names.count(name) > 1}) == ["embedding_dim", "vocab_size"]


@pytest.mark.parametrize(("kind", "f"), NUMBERS)
def test_ranges(kind, f):
    low, high, more = f.metadata["low"], f.metadata["high"], others(kind, f.name)
    below = low - 1 if is_whole(f) else low - 1e-6 - abs(low) / 10
    assert getattr(kind(**more, **{f.name: low}), f.name) == low
    message = refused(kind, **{f.name: below})
    assert f"`{f.name}` must be" in message
    assert message.endswith(f"but is {below!r}")
    if high is None:
        assert f"at least {low}" in message
        assert getattr(kind(**more, **{f.name: 10**9}), f.name) == 10**9
    else:
        assert getattr(kind(**more, **{f.name: high}), f.name) == high
        above = high + 1 if is_whole(f) else high + 0.01
        assert f"between {low} and {high}, but is {above!r}" in refused(kind, **{f.name: above})


@pytest.mark.parametrize(("kind", "f"), REQUIRED)
def test_types(kind, f):
    low, more = f.metadata["low"], others(kind, f.name)
    if f.metadata["choices"]:
        for choice in f.metadata["choices"]:
            assert getattr(kind(**{f.name: choice}), f.name) == choice
        rule, wrong = f"one of {', '.join(f.metadata['choices'])}", ["Klingon", ""]
    elif isinstance(f.default, bool):
        assert getattr(kind(**more, **{f.name: True}), f.name) is True
        rule, wrong = "of type bool", [1, "yes", None]
    elif is_words(f):
        rule, wrong = "words, in a tuple or list", [5, None, b"bytes", {"dog"}, ("dog", None), {"dog": 1}]
    elif low is None:
        rule, wrong = "of type str", [5, None, b"bytes"]
    elif is_whole(f):
        rule, wrong = "of type int", [2.0, "7", True, [1], None]
    else:
        whole = f.metadata["high"] or max(1, int(low))
        assert getattr(kind(**more, **{f.name: whole}), f.name) == whole  # 1 is as good as 1.0
        rule, wrong = "a number", ["0.5", True, [0.5], None]
    for value in wrong:
        assert refused(kind, **more, **{f.name: value}) == f"`{f.name}` must be {rule}, but is {value!r}"
    if low is not None and not is_whole(f):
        assert refused(kind, **{f.name: float("nan")}).endswith("but is nan")


@pytest.mark.parametrize(("kind", "f"), OPTIONAL)
def test_what_is_left_out_is_none(kind, f):
    assert f.type.endswith(" | None")
    assert getattr(kind(), f.name) is None
    assert getattr(kind(**{f.name: None}), f.name) is None


@pytest.mark.parametrize(("kind", "f"), OPTIONAL)
def test_types_of_what_may_be_left_out(kind, f):
    rules = {
        "str": ("of type str", [5, True]),
        "int": ("of type int", [2.5, "7", True, [1]]),
        "float": ("a number", ["7", True, [1]]),
    }
    rule, wrong = rules[f.type.removesuffix(" | None")]
    for value in wrong:
        assert refused(kind, **{f.name: value}) == f"`{f.name}` must be {rule}, but is {value!r}"


def test_bidirectional_needs_a_window():
    message = refused(ModelConfig, bidirectional=True)
    assert "`bidirectional`" in message
    assert "give `context`" in message
    assert ModelConfig(bidirectional=True, context=50).bidirectional


@pytest.mark.parametrize("name", ["stop", "include", "ban"])
def test_words_are_given_in_several_ways(name):
    assert getattr(SamplingConfig(**{name: "very dark"}), name) == ("very dark",)
    assert getattr(SamplingConfig(**{name: ["very", "dark night"]}), name) == ("very", "dark night")
    assert getattr(SamplingConfig(**{name: []}), name) == ()
    for empty in ("", " ", ["dog", "\t"]):
        assert refused(SamplingConfig, **{name: empty}) == f"`{name}` must be words, but one is empty; leave it out"


def test_options_of_a_text_that_contradict_each_other():
    assert SamplingConfig(min_words=3, max_words=3).min_words == 3
    assert refused(SamplingConfig, min_words=4, max_words=3) == (
        "`min_words` must be at most `max_words`, but is 4 with 3; change one"
    )
    assert refused(SamplingConfig, no_repeat_ngram=1).startswith("`no_repeat_ngram` must be 0 or at least 2, but is 1")
    assert SamplingConfig(no_repeat_ngram=2).no_repeat_ngram == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0.7), ("temperature", 1.1), ("top_k", 5), ("top_p", 0.9), ("min_p", 0.1), ("typical", 0.9)],
)
def test_a_search_draws_nothing(name, value):
    message = refused(SamplingConfig, beams=3, **{name: value})
    assert "`beams`" in message
    assert f"leave out `{name}`, which is {value}, or `beams`" in message
    assert SamplingConfig(beams=3, repetition_penalty=1.2, no_repeat_ngram=3, ban="dog").beams == 3


@pytest.mark.parametrize("temperature", [0, 0.8, 1, 1.0])
def test_a_search_goes_with_a_temperature_that_asks_for_no_draw_or_changes_nothing(temperature):
    assert SamplingConfig(beams=3, temperature=temperature).beams == 3


def test_replace_checks_too():
    assert ModelConfig().replace(units=3).units == 3
    assert ModelConfig().replace(units=3).layers == ModelConfig().layers
    with pytest.raises(OptionError, match="`units` must be at least 1, but is 0"):
        ModelConfig().replace(units=0)


@given(st.data(), st.sampled_from(CONFIGS))
def test_dict_round_trip(data, kind):
    """Any values in range, through JSON, as a bundle keeps them."""
    values = {}
    for f in dataclasses.fields(kind):
        low, high, choices = f.metadata["low"], f.metadata["high"], f.metadata["choices"]
        if choices:
            drawn = st.sampled_from(choices)
        elif isinstance(f.default, bool):
            drawn = st.booleans()
        elif is_words(f):
            drawn = st.lists(st.text(max_size=5).filter(str.strip), max_size=3).map(tuple)
        elif low is None:
            drawn = st.text(max_size=5)
        elif is_whole(f):
            drawn = st.integers(low, high if high is not None else 10**6)
        else:
            drawn = st.floats(low, high if high is not None else 1e6)
        values[f.name] = data.draw(drawn if f.default is not None else st.none() | drawn)
    if values.get("bidirectional"):
        values["context"] = max(1, values["context"])
    if kind is SamplingConfig:
        values["min_words"] = min(values["min_words"], values["max_words"])
        values["no_repeat_ngram"] += values["no_repeat_ngram"] == 1
        values["cache"] += 1
        values["beams"] = 0  # goes with none of the filters
    made = kind(**values)
    assert made.to_dict() == values
    assert kind.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize("kind", CONFIGS)
def test_from_dict(kind):
    assert kind.from_dict({}) == kind()
    first, second, *_ = kind().to_dict()
    part = {second: kind().to_dict()[second]}
    assert kind.from_dict(part) == kind()
    with pytest.raises(OptionError) as caught:
        kind.from_dict(part | {"b_nonsense": 1, "a_nonsense": 2})
    assert str(caught.value) == f"{kind.__name__} has no option 'a_nonsense', 'b_nonsense'"
    assert first in kind().to_dict()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_configure(preset):
    options = configure(preset)
    for name, value in PRESETS[preset].items():
        homes = [part for part in (options.data, options.model, options.train) if name in part.to_dict()]
        assert [getattr(home, name) for home in homes] == [value]
    # What a preset does not name is the default.
    for part in (options.text, options.data, options.model, options.train):
        for f in dataclasses.fields(part):
            if f.name not in PRESETS[preset]:
                assert getattr(part, f.name) == f.default
    assert dataclasses.is_dataclass(options)


def test_the_default_preset_is_small():
    assert configure() == configure("small")
    assert configure().model == ModelConfig(**PRESETS["small"])
    assert configure().train == TrainConfig()


def test_the_config_of_an_earlier_version_has_what_it_had():
    """It says nothing of what came later, and its network has none of that."""
    config = ModelConfig.from_dict({"vocab_size": 10, "embedding_dim": 4, "units": 3, "dense": 2})
    assert (config.trained_dim, config.tied, config.activation) == (0, False, "relu")


def test_seed_is_the_classic_recipe():
    options = configure("seed")
    model, train = options.model, options.train
    assert (model.cell, model.units, model.layers, model.bidirectional) == ("lstm", 64, 1, False)
    assert (model.context, model.masking, model.trainable_embedding, model.dense) == (50, True, False, 64)
    assert (model.dropout, model.input_dropout, model.recurrent_dropout) == (0.5, 0.1, 0.1)
    assert options.data.missing == "zero"  # a word without a vector is what the Masking layer skips
    # Adam as Keras has it, and the full cross-entropy.
    assert (train.learning_rate, train.beta_1, train.beta_2) == (0.001, 0.9, 0.999)
    assert (train.clip_norm, train.samples, train.unigram_bias) == (0.0, 0, False)


def test_presets_grow():
    sizes = [configure(preset).model for preset in ("small", "medium", "large")]
    assert [model.units for model in sizes] == sorted({model.units for model in sizes})
    assert all(model.context == 0 and not model.masking for model in sizes)


def test_options_are_laid_over_a_preset():
    options = configure("seed", units=8, kind="lines", epochs=2, vectors=None, missing="mean", seed=5)
    assert (options.model.units, options.model.context) == (8, 50)
    assert options.text.kind == "lines"
    assert (options.train.epochs, options.train.seed) == (2, 5)
    assert options.data.vectors == DataConfig().vectors  # None is as if it were left out
    assert options.data.missing == "mean"
    assert configure("seed").model.units == 64  # the preset itself stays as it is
    # A value that only switches something off counts too.
    assert configure("seed", masking=False, dense=0, context=0).model.context == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "tiny"}, "`preset` must be one of seed, small, medium, large, but is 'tiny'"),
        ({"unit": 3, "layer": 2}, "there is no option 'layer', 'unit'"),
        ({"units": 0}, "`units` must be at least 1, but is 0"),
        ({"preset": "seed", "cell": "transformer"}, "`cell` must be one of lstm, gru, rnn, but is 'transformer'"),
        ({"temperature": 1.0}, "there is no option 'temperature'"),
    ],
)
def test_configure_refuses(arguments, message):
    with pytest.raises(OptionError) as caught:
        configure(**arguments)
    assert str(caught.value) == message


def test_a_cache_that_is_off_has_no_options():
    message = refused(SamplingConfig, cache_theta=3.0)
    assert message == (
        "`cache_theta` is about the neural cache, which is off: give `cache`, 500 for example, or leave it out"
    )
    assert SamplingConfig(cache=5, cache_lambda=0.2).cache_lambda == 0.2
