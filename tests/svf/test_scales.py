import mlx.core as mx
import pytest
from helpers import random_scales

from mlx_t2.errors import ShapeError
from mlx_t2.svf import check_scales, ones, same, stack_rows, take_rows

SHAPES = {"a": (3,), "b": (2, 3)}


def test_stacked_rows_are_taken_out_again_and_a_missing_path_is_ones():
    one, two = random_scales(SHAPES, seed=0), {"a": mx.array([4.0, 5.0, 6.0])}
    rows = stack_rows([one, two])
    check_scales(rows, SHAPES)
    for index, expected in enumerate((one, ones(SHAPES) | two)):
        taken = take_rows(rows, SHAPES, mx.array([index]))
        assert same({path: z[0] for path, z in taken.items()}, expected)


def test_what_all_rows_share_stays_whichever_rows_are_taken():
    scales = random_scales(SHAPES)
    assert same(take_rows(scales, SHAPES, mx.array([1, 0])), scales)


def test_every_path_and_shape_that_does_not_fit_is_named_at_once():
    scales = {"a": mx.ones((4,)), "b": mx.ones((2, 2, 3)), "c": mx.ones((3,))}
    with pytest.raises(ShapeError) as raised:
        check_scales(scales, SHAPES)
    assert str(raised.value).splitlines()[1:] == [
        "a: got 4 singular-value scales, the layer has 3",
        "c: no such SVF layer",
    ]
