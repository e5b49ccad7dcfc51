"""SVF on tiny random models of mlx-lm's architectures, every linear layer targeted."""

import importlib

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from architectures import ARCHITECTURES, some, tiny
from helpers import assert_close, random_scales

from mlx_t2.errors import ConfigError, ModelError
from mlx_t2.svf import (
    REFUSED,
    UNTRAINABLE,
    Targets,
    base_layers,
    check_trainable,
    decompose_weight,
    dense_weight,
    fold_layers,
    install_layers,
    ones,
    unfold_layers,
    uninstall_layers,
    with_weight,
)
from mlx_t2.svf.layer import SVFSwitchLinear

TOKENS = mx.random.randint(3, 60, (3, 12), key=mx.random.key(5))
WEARABLE = sorted(set(ARCHITECTURES) - set(REFUSED))
WITHOUT_MLP_OR_ATTENTION = {"mamba", "mamba2"}
SWITCHED = ("mixtral", "qwen3_moe", "gpt_oss", "olmoe", "phixtral", "deepseek_v3")


def wearing(network: nn.Module, targets: str = "all"):
    """(layers, {path: the base layer's weight}) of a network made to wear scales."""
    chosen = Targets(targets).select(network)
    weights = {path: dense_weight(layer) for path, layer in chosen.items()}
    return install_layers(
        network, {p: decompose_weight(w) for p, w in weights.items()}
    ), weights


def wear(layers, scales) -> None:
    for path, layer in layers.items():
        layer.wear(scales.get(path))


def shapes_of(layers):
    return {path: layer.shape for path, layer in layers.items()}


def recomposed(weight: mx.array, z: mx.array) -> mx.array:
    """U diag(s ⊙ z) Vᵀ of NumPy's float64 SVD, matrix by matrix of a stack: the definition."""
    u, s, vt = np.linalg.svd(np.array(weight).astype(np.float64), full_matrices=False)
    scaled = s * np.array(z).astype(np.float64)
    return mx.array(((u * scaled[..., None, :]) @ vt).astype(np.float32))


def assert_same_logits(architecture: str, got: mx.array, expected: mx.array) -> None:
    """In every row; in most rows where a model chooses tokens, since a rounding can tip a
    choice, and then the tokens that see it.
    """
    rows = [mx.abs(g - e).max() / mx.abs(e).max() for g, e in zip(got, expected, strict=True)]
    wrong = sum(gap.item() > 1e-4 for gap in rows)
    assert wrong <= (len(rows) // 3 if architecture in UNTRAINABLE else 0)


def test_there_are_enough_of_them():
    assert len(WEARABLE) >= 60


@pytest.mark.parametrize("architecture", some(WEARABLE))
def test_z_of_one_is_the_model_and_any_z_is_the_recomposed_weights(architecture):
    network = tiny(architecture)
    base = network(TOKENS)
    layers, weights = wearing(network)
    assert mx.array_equal(network(TOKENS), base).item()
    wear(layers, ones(shapes_of(layers)))
    assert mx.array_equal(network(TOKENS), base).item()
    scales = random_scales(shapes_of(layers), spread=0.1)
    wear(layers, scales)
    live = network(TOKENS)
    assert mx.abs(live - base).max().item() > 1e-3 * mx.abs(base).max().item()
    bases = fold_layers(layers.values())
    assert_close(network(TOKENS), np.array(live), tolerance=1e-4)  # a dozen layers' rounding
    unfold_layers(layers.values(), bases)
    assert mx.array_equal(network(TOKENS), base).item()
    for path, layer in layers.items():
        layer.base = with_weight(layer.base, recomposed(weights[path], scales[path]))
    assert_same_logits(architecture, live, network(TOKENS))
    unfold_layers(layers.values(), bases)
    uninstall_layers(network)
    assert base_layers(network).keys() >= layers.keys()
    assert mx.array_equal(network(TOKENS), base).item()


@pytest.mark.parametrize("architecture", some(set(WEARABLE) - set(UNTRAINABLE)))
def test_gradient_reaches_every_z(architecture):
    network = tiny(architecture)
    layers, _ = wearing(network)

    def loss(scales):
        wear(layers, scales)
        return nn.log_softmax(network(TOKENS).astype(mx.float32))[..., 7].sum()

    gradients = mx.grad(loss)(random_scales(shapes_of(layers), spread=0.1))
    dead = [p for p, g in gradients.items() if not mx.any(g != 0).item()]
    broken = [p for p, g in gradients.items() if not mx.all(mx.isfinite(g)).item()]
    assert (dead, broken) == ([], [])


@pytest.mark.parametrize("architecture", sorted(set(WEARABLE) - WITHOUT_MLP_OR_ATTENTION))
def test_mlp_and_attention_are_found_and_apart(architecture):
    network = tiny(architecture)
    mlp, attention, everything = (
        set(Targets(name).select(network)) for name in ("mlp", "attention", "all")
    )
    assert not mlp & attention
    assert mlp | attention <= everything


def test_a_model_without_such_layers_says_what_it_has():
    with pytest.raises(
        ConfigError, match=r"'mlp' matches no .* has backbone\.layers\.0\.mixer"
    ):
        Targets("mlp").select(tiny("mamba"))


@pytest.mark.parametrize("architecture", sorted(REFUSED))
def test_an_architecture_that_cannot_wear_scales_is_refused_by_name(architecture, tiny_model):
    importlib.import_module(f"mlx_lm.models.{architecture}")  # the name is mlx-lm's
    Model = type("Model", (type(tiny_model.network),), {})
    Model.__module__ = f"mlx_lm.models.{architecture}"
    tiny_model.network.__class__ = Model
    with pytest.raises(ModelError, match=f"^{architecture}: cannot wear .*: its"):
        Targets().survey(tiny_model.network)
    with pytest.raises(ModelError, match=f"^{architecture}: cannot wear"):
        install_layers(tiny_model.network, {})


@pytest.mark.parametrize("architecture", sorted(UNTRAINABLE))
def test_an_architecture_without_gradient_is_refused_for_training_by_name(architecture):
    with pytest.raises(ModelError, match=f"^{architecture}: cannot be trained"):
        check_trainable(tiny(architecture))


def test_every_layer_with_a_matrix_is_targeted_or_skipped_for_a_reason():
    for architecture in WEARABLE:
        network = tiny(architecture)
        survey = Targets("all").survey(network)
        with_matrix = {
            path
            for path, module in network.named_modules()
            if isinstance(module.get("weight"), mx.array) and module.weight.ndim >= 2
        }
        assert survey.targeted.keys() | survey.skipped.keys() == with_matrix
        assert not survey.targeted.keys() & survey.skipped.keys()
        assert all(survey.skipped.values())
        routers = [p for p in survey.targeted if p.endswith((".gate", ".router", "lm_head"))]
        assert routers == []


def test_a_fused_projection_is_one_basis_and_said_to_be():
    survey = Targets("all").survey(tiny("phi3"))
    assert survey.fused["model.layers.0.self_attn.qkv_proj"] == "queries, keys and values"
    assert survey.fused["model.layers.0.mlp.gate_up_proj"] == "gate and up"
    assert Targets("all").survey(tiny("llama")).fused == {}


@pytest.mark.parametrize("tokens", [1, 4, 40], ids=["decoding", "unsorted", "sorted"])
@pytest.mark.parametrize("architecture", SWITCHED)
def test_rows_of_a_mixture_of_experts_keep_their_scales_through_the_sort(architecture, tokens):
    network = tiny(architecture)
    layers, _ = wearing(network)
    assert any(isinstance(layer, SVFSwitchLinear) for layer in layers.values())
    prompt = mx.random.randint(3, 60, (3, tokens), key=mx.random.key(1))
    rows = random_scales(shapes_of(layers), spread=0.3, rows=3)
    wear(layers, rows)
    together = network(prompt)
    for row in range(3):
        wear(layers, {path: z[row] for path, z in rows.items()})
        alone = network(prompt[row : row + 1])[0]
        assert_close(together[row], np.array(alone), tolerance=1e-4)


def test_a_block_that_sorts_in_its_own_way_is_reported_not_mixed():
    network = tiny("mixtral")
    layers, _ = wearing(network)
    path, layer = next(
        (p, layer) for p, layer in layers.items() if isinstance(layer, SVFSwitchLinear)
    )
    layer.wear(random_scales({path: layer.shape}, rows=2)[path])
    x = mx.random.normal((6, 1, layer.base.input_dims), key=mx.random.key(0))
    with pytest.raises(ModelError, match="Give all rows the same scales"):
        layer(x, mx.array([0, 0, 1, 1, 2, 3]), sorted_indices=True)


@pytest.mark.parametrize("architecture", ["llama", "qwen3_moe", "deepseek_v3", "mamba2"])
@pytest.mark.parametrize(
    ("bits", "mode"), [(4, "affine"), (8, "affine"), (4, "mxfp4"), (4, "nvfp4"), (8, "mxfp8")]
)
def test_a_quantised_model_is_untouched_by_ones_and_scaled_by_z(architecture, bits, mode):
    network = tiny(architecture)
    group = {"affine": 32, "nvfp4": 16}.get(mode, 32)

    def fits(path, module):
        return hasattr(module, "to_quantized") and module.weight.shape[-1] % group == 0

    nn.quantize(network, group, bits, mode=mode, class_predicate=fits)
    base = network(TOKENS)
    layers, weights = wearing(network)
    wear(layers, ones(shapes_of(layers)))
    assert mx.array_equal(network(TOKENS), base).item()
    scales = random_scales(shapes_of(layers), spread=0.1)
    wear(layers, scales)
    live = network(TOKENS)
    for path, layer in layers.items():
        layer.wear(None)
        layer.base = with_weight(layer.base, recomposed(weights[path], scales[path]))
    expected = np.array(network(TOKENS).astype(mx.float32))
    # mxfp weights compute in bfloat16
    assert_close(live.astype(mx.float32), expected, 5e-2 if mode[0] in "mn" else 1e-4)
