"""Shared fixtures, and the switch of the slow tests."""

import os
from pathlib import Path

import pytest
from trained import book, text, trained  # noqa: F401 (fixtures for all)

# Keras reads this once, before its first import: the tests speak of TensorFlow's numbers.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real texts; tests that need it are skipped where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the texts of ../shared/data")
    return folder
