"""The command line as tests call it: within their process, or as one of its own."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from wordlm.cli import main

ROOT = Path(__file__).parents[1]


def run(*arguments, input=None, status=0):
    """stdout and stderr of a verb, which must end with `status`."""
    try:
        runner = CliRunner(mix_stderr=False)
    except TypeError:  # from click 8.2 on, they are apart
        runner = CliRunner()
    result = runner.invoke(main, list(map(str, arguments)), input=input)
    assert result.exit_code == status, (result.output, result.exception)
    return result.stdout, result.stderr


def fault(*arguments):
    """The one line with which a verb refuses."""
    out, err = run(*arguments, status=1)
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("Error: ")
    return err[7:-1]


def process(*arguments, **settings):
    """A running process; Ctrl-C and a hang-up reach it even where the tests themselves are deaf to them."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "getattr(signal, 'SIGHUP', None) and signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from wordlm.cli import main; sys.exit(main())"
    )
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT} | settings
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], **settings)


def read_screen(terminal):
    """All that was written to the other side of a pseudo-terminal, until that is closed."""
    screen = b""
    while True:
        try:
            screen += os.read(terminal, 4096)
        except OSError:
            return screen
