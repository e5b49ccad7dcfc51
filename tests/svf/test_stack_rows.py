"""Scales of several conversations as rows of one batch."""

import mlx.core as mx

from mlx_t2.svf import stack_rows


def test_rows_are_the_scales_of_each_conversation_and_ones_where_it_has_none():
    z, w, v = mx.array([0.5, 2.0]), mx.array([3.0, 0.25]), mx.ones((3, 2)) * 2
    rows = stack_rows([{"a": z, "b": v}, {}, {"a": w}])
    assert rows.keys() == {"a", "b"}
    assert mx.array_equal(rows["a"], mx.stack([z, mx.ones(2), w]))
    assert mx.array_equal(rows["b"], mx.stack([v, mx.ones((3, 2)), mx.ones((3, 2))]))
    assert stack_rows([{}, {}]) == {}
