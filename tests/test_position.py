import dataclasses
import doctest
import json

from wordlm import position
from wordlm.position import Position


def test_examples():
    result = doctest.testmod(position)
    assert result.failed == 0 < result.attempted


def test_a_checkpoint_brings_it_back():
    """As JSON, which is what a checkpoint has."""
    there = Position(steps=7, epoch=2, step=3, seconds=1.5, best_loss=4.2, history=[{"epoch": 1}])
    assert Position(**json.loads(json.dumps(dataclasses.asdict(there)))) == there
