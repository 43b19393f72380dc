"""Options made of configs, what a flag means that is left out, and errors in the command line's words."""

import dataclasses

import click
import pytest
from click.testing import CliRunner

from wordlm.cli import main
from wordlm.cli_options import Group, given, options_of, set_kind
from wordlm.config import PRESETS, DataConfig, ModelConfig, SamplingConfig, TextConfig, TrainConfig, configure
from wordlm.errors import OptionError, WordlmError


def parse(verb, *arguments):
    """The parameters of a verb as its function gets them."""
    return main.commands[verb].make_context(verb, ["model", *arguments]).params


@pytest.mark.parametrize("config", [TextConfig, DataConfig, ModelConfig, TrainConfig, SamplingConfig])
def test_every_field_is_an_option_with_its_help_and_its_default(config):
    command = click.command()(options_of(config)(lambda **_: None))
    options = {param.name: param for param in command.params}
    assert list(options) == [f.name for f in dataclasses.fields(config)]
    for f in dataclasses.fields(config):
        assert options[f.name].help.startswith(f.metadata["help"])
        if f.default not in (None, False):
            shown = f"--{f.name.replace('_', '-')}" if f.default is True else f.default
            assert options[f.name].help.endswith(f"[default: {shown}]")


def test_some_fields_can_be_chosen_or_left_out():
    command = click.command()(options_of(SamplingConfig, only=["top_k", "top_p"], but=["top_k"])(lambda **_: None))
    assert [param.name for param in command.params] == ["top_p"]


def test_an_option_that_is_left_out_leaves_the_preset_alone():
    """A flag that is not given must not come as False and switch off what a preset has on."""
    left_out = parse("train")
    set_kind(left_out)
    for config in (TextConfig, DataConfig, ModelConfig, TrainConfig):
        for f in dataclasses.fields(config):
            assert left_out.get(f.name) is None, f.name
    assert given({name: left_out[name] for name in ("bidirectional", "unigram_bias", "units")}) == {}
    for preset in PRESETS:
        options = {name: left_out[name] for name in ("units", "unigram_bias", "dropout", "missing", "kind")}
        assert configure(preset, **given(options)) == configure(preset)
    assert all(parse("generate")[f.name] is None for f in dataclasses.fields(SamplingConfig))


@pytest.mark.parametrize(
    ("verb", "flag", "name", "value"),
    [
        ("generate", "--unk", "no_unk", False),
        ("generate", "--no-unk", "no_unk", True),
        ("train", "--unigram-bias", "unigram_bias", True),
        ("train", "--no-unigram-bias", "unigram_bias", False),
        ("train", "--bidirectional", "bidirectional", True),
    ],
)
def test_switches(verb, flag, name, value):
    assert parse(verb, flag)[name] is value


@pytest.mark.parametrize(("flags", "kind"), [([], None), (["--lines"], "lines"), (["--pretokenized"], "pretokenized")])
def test_the_kind_of_a_text(flags, kind):
    options = parse("train", *flags)
    set_kind(options)
    assert options["kind"] == kind


def test_two_kinds_at_once():
    with pytest.raises(OptionError, match="two kinds of text"):
        set_kind({"lines": True, "pretokenized": True})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            OptionError("`top_k` must be less than `top_p`,\n  but is 3"),
            "--top-k must be less than `top_p`",
        ),
        (WordlmError("wrong"), "Error: wrong\n"),
        (PermissionError(13, "Permission denied", "my.txt"), "Error: my.txt: Permission denied\n"),
        (OSError("no disk"), "Error: no disk\n"),
    ],
)
def test_errors_become_one_line_and_the_status_1(error, says):
    @click.group(cls=Group)
    def group():
        pass

    @group.group()
    def inner():
        pass

    @inner.command()
    @options_of(SamplingConfig, only=["top_k"])
    def verb(top_k):
        raise error

    result = CliRunner().invoke(group, ["inner", "verb"])
    assert result.exit_code == 1
    assert says in result.output
    assert result.output.count("\n") == 1


def test_what_is_no_fault_of_the_user_is_not_hidden():
    @click.group(cls=Group)
    def group():
        pass

    @group.command()
    def verb():
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(group, ["verb"]).exception, ZeroDivisionError)
