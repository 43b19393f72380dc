"""Names and shapes of the weights, and the check of them."""

import doctest
import itertools

import numpy as np
import pytest

from wordlm import layout
from wordlm.cells import CELLS
from wordlm.config import ModelConfig
from wordlm.errors import BundleError
from wordlm.layout import checked, prefixes, weight_shapes

SMALL = ModelConfig(vocab_size=30, embedding_dim=5, units=6, dense=8)
LARGEST = np.finfo(np.float32).max


def ones(config=SMALL):
    return {name: np.ones(shape, np.float32) for name, shape in weight_shapes(config).items()}


def test_examples():
    result = doctest.testmod(layout)
    assert result.failed == 0
    assert result.attempted > 0


def test_shapes_of_a_model_with_everything():
    config = ModelConfig(
        vocab_size=30, embedding_dim=5, cell="gru", units=6, layers=2, context=4, bidirectional=True, dense=8
    )
    assert weight_shapes(config) == {
        "embedding": (30, 5),
        "recurrent_1/forward/kernel": (5, 18),
        "recurrent_1/forward/recurrent_kernel": (6, 18),
        "recurrent_1/forward/bias": (2, 18),
        "recurrent_1/backward/kernel": (5, 18),
        "recurrent_1/backward/recurrent_kernel": (6, 18),
        "recurrent_1/backward/bias": (2, 18),
        "recurrent_2/forward/kernel": (12, 18),
        "recurrent_2/forward/recurrent_kernel": (6, 18),
        "recurrent_2/forward/bias": (2, 18),
        "recurrent_2/backward/kernel": (12, 18),
        "recurrent_2/backward/recurrent_kernel": (6, 18),
        "recurrent_2/backward/bias": (2, 18),
        "dense/kernel": (12, 8),
        "dense/bias": (8,),
        "output/kernel": (8, 30),
        "output/bias": (30,),
    }
    assert prefixes(SMALL, 3) == ["recurrent_3"]


@pytest.mark.parametrize("cell", CELLS)
def test_shapes_are_those_of_keras(cell):
    pytest.importorskip("keras")
    from wordlm.model import build_model, get_weights

    feeds = ({"context": 0}, {"context": 4}, {"context": 4, "bidirectional": True})
    for layers, dense, feed in itertools.product((1, 2), (0, 8), feeds):
        config = SMALL.replace(cell=cell, layers=layers, dense=dense, **feed)
        weights = get_weights(build_model(config))
        assert {name: array.shape for name, array in weights.items()} == weight_shapes(config)


def test_wrong_weights_are_named():
    weights = ones()
    missing = {name: array for name, array in weights.items() if name != "output/bias"}
    with pytest.raises(BundleError, match=r"`output/bias` of shape \(30,\) is missing"):
        checked(SMALL, missing)
    with pytest.raises(BundleError, match=r"`recurrent_1/kernel` must have the shape \(5, 24\), but has \(5, 18\)"):
        checked(SMALL, weights | {"recurrent_1/kernel": np.zeros((5, 18))})
    with pytest.raises(BundleError, match="no weight `recurrent_2/kernel`"):
        checked(SMALL, weights | {"recurrent_2/kernel": np.zeros((6, 24))})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("name", weight_shapes(SMALL))
def test_numbers_that_float32_does_not_hold_are_refused(name, bad):
    for place in (0, -1):
        weight = np.ones(weight_shapes(SMALL)[name])
        weight.flat[place] = bad
        with pytest.raises(BundleError, match=f"`{name}` must hold finite numbers"):
            checked(SMALL, ones() | {name: weight})


def test_infinities_do_not_make_up_for_each_other():
    weights = ones()
    weights["output/bias"][:2] = np.inf, -np.inf
    with pytest.raises(BundleError, match="`output/bias` must hold finite numbers"):
        checked(SMALL, weights)


def test_huge_finite_numbers_pass():
    # An output bias that rules words out, for example: the sum of all overflows, which is no fault of theirs.
    weights = ones()
    weights["output/bias"][:20] = -LARGEST
    weights["embedding"][:] = LARGEST
    np.testing.assert_array_equal(checked(SMALL, weights)["output/bias"], weights["output/bias"])


def test_float32_arrays_are_used_where_they_are():
    weights = ones()
    arrays = checked(SMALL, weights)
    assert all(arrays[name] is weights[name] for name in weights)


def test_other_arrays_become_float32_in_one_piece():
    weights = ones() | {
        "dense/kernel": np.ones((6, 8)),
        "dense/bias": np.ones(8, np.float16),
        "output/kernel": np.ones((30, 8), np.float32).T,
    }
    arrays = checked(SMALL, weights)
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in arrays.values())
