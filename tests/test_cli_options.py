"""Options made of configs, what a flag means that is left out, and errors in the command line's words."""

import dataclasses
import io
import json
import re

import click
import pytest
from click.testing import CliRunner

from wordlm.cli import main
from wordlm.cli_options import Command, Group, Many, given, options_of, set_kind, to_json
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
        default = PRESETS["small"].get(f.name, f.default)
        if default not in (None, False, "", ()):
            shown = f"--{f.name.replace('_', '-')}" if default is True else default
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
    left_out = parse("generate")
    assert given({f.name: left_out[f.name] for f in dataclasses.fields(SamplingConfig)}) == {}


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
        (
            UnicodeEncodeError("cp1252", "a€Ⅷ", 2, 3, "no"),
            r"Error: cp1252, the encoding of the output, has no '\u2167'",
        ),
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


@pytest.mark.parametrize(
    ("arguments", "ban", "stop"),
    [
        ("model --ban a", "a", ""),
        ("model --ban a b c", "a b c", ""),
        ("model --ban a b --seed 1", "a b", ""),
        ("--seed 1 model --ban a b", "a b", ""),
        ("--ban a model", "a", ""),
        ("--ban a --ban b model", "a b", ""),
        ("--ban a model --ban b c", "a b c", ""),
        ("--ban=a model", "a", ""),
        ("model --ban=a", "a", ""),
        ("model --ban=a b", "a b", ""),
        ("model --ban a --ban b", "a b", ""),
        ("model --ban a b --ban c d", "a b c d", ""),
        ("model --ban a b -n 3 --ban c", "a b c", ""),
        ("model --ban a -n3 --ban c", "a c", ""),
        ("model --ban a --unk --stop b c", "a", "b c"),
        ("model --stop b c --no-unk --ban a", "a", "b c"),
        ("model --ban a b --json", "a b", ""),
        ("-n 3 --ban a --json model --stop b c --ban d e", "a d e", "b c"),
        ("--prompt a model --ban b c", "b c", ""),
        ("--ban a -- model", "a", ""),
        ("model --ban - --stop b", "-", "b"),
        ("model --ban -- --stop b", "--", "b"),
        ("model --ban=-- --stop=-x", "--", "-x"),
        ("model --ban -x y", "-x y", ""),
        ("model --ban model", "model", ""),
        ("model --seed 1 --ban a 2", "a 2", ""),
    ],
)
def test_options_that_take_several_words(arguments, ban, stop):
    params = main.commands["generate"].make_context("generate", arguments.split()).params
    assert (params["model"], params["ban"], params["stop"]) == ("model", tuple(ban.split()), tuple(stop.split()))


def test_phrases_and_values_that_look_like_options():
    params = parse("generate", "--ban", "of course", "very", "--include", "a b", "c d")
    assert (params["ban"], params["include"]) == (("of course", "very"), ("a b", "c d"))
    assert parse("generate", "--prompt", "--ban", "--ban", "x")["prompt"] == "--ban"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--ban a b model", "--ban takes several words only behind DIR: DIR --ban WORD..."),
        ("--ban a model b", "--ban takes several words only behind DIR"),
        ("model --ban --seed 1", "Option '--ban' requires an argument."),
        ("model --ban --unk", "Option '--ban' requires an argument."),
        ("model --ban --help", "Option '--ban' requires an argument."),
        ("model --ban", "Option '--ban' requires an argument."),
        ("model --ban a -- b", "Got unexpected extra argument (b)"),
        ("model --ban a -x", "No such option"),
        ("--ban a", "Missing argument 'DIR'."),
    ],
)
def test_several_words_in_a_wrong_place(arguments, says):
    with pytest.raises(click.UsageError) as error:
        main.commands["generate"].make_context("generate", arguments.split())
    assert says in error.value.format_message()


@pytest.mark.parametrize(
    ("arguments", "texts", "ban"),
    [
        ("a b --ban c d", ("a", "b"), ("c", "d")),
        ("--ban c a b", ("a", "b"), ("c",)),
        ("a --ban c d -- b", ("a", "b"), ("c", "d")),
        ("", (), ()),
    ],
)
def test_several_words_beside_any_number_of_arguments(arguments, texts, ban):
    command = Command("verb", params=[click.Argument(["texts"], nargs=-1), Many(["--ban"])])
    assert command.make_context("verb", arguments.split()).params == {"texts": texts, "ban": ban}


def test_headings_in_the_help():
    options = [click.Option([f"--{name}"], help=f"about {name}") for name in ("early", "middle", "late")]
    argument = click.Argument(["text"])
    plain = Command("verb", params=[argument, *options])
    assert re.findall(r"^(\S.*):$", CliRunner().invoke(plain, ["--help"]).output, re.MULTILINE) == ["Options"]
    command = Command("verb", params=[argument, *options], sections={"middle": "Heading", "late": "Other"})
    out = CliRunner().invoke(command, ["--help"]).output
    names = re.findall(r"^(\S.*:)$|^  (--\w+)", out, re.MULTILINE)
    assert ["".join(name) for name in names] == [
        "Options:",
        "--early",
        "--help",
        "Heading:",
        "--middle",
        "Other:",
        "--late",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf_8"])
def test_json_is_as_it_is_in_utf_8(monkeypatch, encoding):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    assert to_json({"é": "世"}) == '{"é": "世"}'
    # Half of a surrogate pair has no bytes.
    assert json.loads(to_json({"é": "\ud800"}).encode()) == {"é": "\ud800"}


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-16"])
def test_json_is_ascii_in_other_encodings(monkeypatch, encoding):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding))
    assert to_json({"é": "世"}) == '{"\\u00e9": "\\u4e16"}'
