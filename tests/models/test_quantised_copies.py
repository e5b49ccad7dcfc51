"""The default model, quantised anew by mlx-lm to 4 and 8 bits: real weights on a real base."""

import mlx.core as mx
import mlx_lm
import pytest
from helpers import random_scales

from mlx_t2.errors import ExpertFileError
from mlx_t2.experts import Expert
from mlx_t2.models import SVFModel, bundled_model_path, load
from mlx_t2.svf import Recipe, ones

TARGETS = r"layers\.(0|17)\.mlp"
TOKENS = mx.array([[1, 504, 3575, 282, 4649, 314]])


@pytest.fixture(scope="module")
def copies(tmp_path_factory) -> dict[int, str]:
    folder = tmp_path_factory.mktemp("copies")
    dense = str(folder / "dense")
    mlx_lm.convert(str(bundled_model_path()), mlx_path=dense, dequantize=True)
    paths = {bits: str(folder / f"{bits}-bit") for bits in (4, 8)}
    for bits, path in paths.items():
        mlx_lm.convert(dense, mlx_path=path, quantize=True, q_bits=bits, q_group_size=64)
    return paths


@pytest.mark.parametrize("bits", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_z_of_one_is_the_quantised_model_bit_for_bit(copies, bits):
    network, tokenizer = mlx_lm.load(copies[bits])[:2]  # not widened, as on a GPU
    plain = network(TOKENS)
    model = SVFModel(f"{bits}-bit", network, tokenizer)
    for _ in model.decompose(Recipe(targets=TARGETS)):
        pass
    assert mx.array_equal(network(TOKENS), plain).item()
    with model.using(ones(model.shapes)):
        assert mx.array_equal(network(TOKENS), plain).item()
    with model.using(random_scales(model.shapes)):
        assert not mx.array_equal(network(TOKENS), plain).item()
    assert mx.array_equal(network(TOKENS), plain).item()


def test_an_expert_of_one_copy_is_refused_by_the_other_and_may_be_transferred(copies):
    models = {bits: load(path, lazy=True) for bits, path in copies.items()}
    shapes = models[4].plan(Recipe(targets=TARGETS)).shapes
    four = models[4].fingerprint(TARGETS)
    expert = Expert(
        *("four", random_scales(shapes), copies[4], four, TARGETS, None, "kind", 0),
        *({}, {}),
    )
    expert.check(copies[4], four, shapes)
    eight = models[8].fingerprint(TARGETS)
    with pytest.raises(ExpertFileError, match=r"was trained on .*4-bit.*model is .*8-bit"):
        expert.check(copies[8], eight, shapes)
    expert.check(copies[8], eight, shapes, allow_transfer=True)


def test_the_fingerprint_is_of_the_bytes_on_disk_however_they_are_loaded(copies):
    assert load(copies[4]).fingerprint(TARGETS) == load(copies[4], lazy=True).fingerprint(
        TARGETS
    )
