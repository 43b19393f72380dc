"""The reports are plain data: what counts is that a history can be written as JSON."""

import dataclasses
import json

import pytest

from wordlm.reports import Epoch, Step


def test_an_epoch_is_json():
    epoch = Epoch(1, 5.0, 150.0, 0.2, 0.004, 60.0, 1000.0, "A sample.")
    assert Epoch(**json.loads(json.dumps(dataclasses.asdict(epoch)))) == epoch


def test_reports_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Step(1, 2, 3, 4.0, 5.0, 0.5, 6.0).epoch = 2
