"""The kinds of errors that a user can cause."""

import inspect

import pytest

from wordlm import errors
from wordlm.errors import OptionError, WordlmError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_caught_by_the_base(kind):
    with pytest.raises(WordlmError, match=r"^one line$"):
        raise kind("one line")
    assert kind.__doc__
    assert not issubclass(kind, SystemExit | OSError)


def test_a_wrong_option_is_a_value_error():
    """So that it passes for one in a program that knows nothing of wordlm."""
    assert issubclass(OptionError, ValueError)
    assert [kind for kind in KINDS if issubclass(kind, ValueError)] == [OptionError]
