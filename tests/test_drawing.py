"""Frequencies of draws, and that they do not depend on rounding or on the batch."""

import numpy as np

from wordlm.drawing import draw


def test_only_what_is_possible_is_drawn():
    row = np.log(np.array([[1e-30, 0.5, 1e-30, 0.5]], np.float32))
    rng = np.random.default_rng(0)
    assert {draw(row, [rng])[0] for _ in range(100)} == {1, 3}
