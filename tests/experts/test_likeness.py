"""Cosines of experts, and the picture of what they change."""

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

from mlx_t2.errors import ShapeError
from mlx_t2.experts import Expert, cosines, draw_deviations, largest_deviations, norm
from mlx_t2.experts.likeness import deviation_map


def expert(**z):
    scales = {path: mx.array(values) for path, values in z.items()}
    return Expert("e", scales, "tiny", "ab12", "up|down", None, "t", 0, {}, {})


def test_cosines_are_of_the_whole_deviation():
    one = expert(up=[2.0, 1.0], down=[1.0, 3.0])  # δ = (1, 0, 0, 2)
    other = expert(down=[1.0, 0.0])  # (0, 0, 0, -1)
    nothing = expert(up=[1.0, 1.0])
    expected = [[1, -2 / 5**0.5, 0], [-2 / 5**0.5, 1, 0], [0, 0, 0]]
    assert np.allclose(cosines([one, other, nothing]), expected)
    assert norm(one) == pytest.approx(5**0.5)


def test_neighbours_and_order_change_nothing(make_expert):
    experts = [make_expert(seed) for seed in range(4)]
    whole = cosines(experts)
    assert np.allclose(np.diag(whole), 1)
    assert np.allclose(cosines(experts[::-1]), whole[::-1, ::-1])
    assert np.allclose(cosines(experts[1:3]), whole[1:3, 1:3])


def test_the_largest_deviation_of_a_layer_is_that_of_any_of_its_matrices(make_expert):
    scales = make_expert(1).scales
    found = largest_deviations(scales)
    layers = dict.fromkeys(".".join(path.split(".")[:3]) for path in sorted(scales))
    assert [layer for layer, *_ in found] == list(layers)
    for layer, matrix, size in found:
        of_layer = [np.array(z) for path, z in scales.items() if path.startswith(f"{layer}.")]
        assert size == pytest.approx(max(np.abs(z - 1).max() for z in of_layer))
        assert size == pytest.approx(np.abs(np.array(scales[f"{layer}.{matrix}"]) - 1).max())
    assert largest_deviations({"lm_head": mx.array([0.5])}) == [("lm_head", "", 0.5)]
    assert largest_deviations({}) == []


def test_experts_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="compare: expected scales of the same shapes"):
        cosines([expert(up=[1.0]), expert(up=[1.0, 1.0])])


def test_rows_of_a_picture_are_in_the_order_of_the_layers():
    z = {f"layers.{i}.up": [1.0 + i, 2.0] for i in (0, 10, 2)} | {"layers.1.up": [2.0]}
    drawn = deviation_map(expert(**z), "up")
    assert drawn[:, 0].tolist() == [0, 1, 2, 10]
    assert np.isnan(drawn[1, 1])


def test_a_picture_is_written_whole(tmp_path, make_expert):
    pytest.importorskip("matplotlib")
    experts = [make_expert(0), replace(make_expert(1), name="$x_1$")]
    draw_deviations(experts, tmp_path / "z.png")
    assert (tmp_path / "z.png").read_bytes().startswith(b"\x89PNG")
