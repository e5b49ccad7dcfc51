"""What holds for every weight, whatever its shape, type, quantisation and kind."""

import re

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from helpers import assert_close, random_scales, tiny_network, tiny_tokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mlx_lm.models.mla import MultiLinear
from mlx_lm.models.switch_layers import SwitchGLU, SwitchLinear

from mlx_t2 import blas
from mlx_t2.errors import ConfigError, ModelError, ShapeError
from mlx_t2.models import SVFModel
from mlx_t2.svf import (
    BasisCache,
    SVFLayer,
    SVFLinear,
    SVFMultiLinear,
    SVFSwitchLinear,
    Targets,
    Vectors,
    decompose_layers,
    decompose_weight,
    dense_weight,
    fold,
    folded_layer,
    realised,
    unfold,
)

KINDS = ("linear", "switch", "multi")
MODES = [
    *(("affine", bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)),
    *(("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)),
]
ROUNDING = {mx.float32: 2**-24, mx.bfloat16: 2**-8, mx.float16: 2**-11}
"""Half a unit in the last place, relative."""
TOKENS = mx.array([[3, 1, 4, 1, 5, 9, 2, 6]])

properties = settings(max_examples=40, deadline=None, derandomize=True)
sides, seeds, stacks = st.integers(1, 70), st.integers(0, 999), st.integers(1, 3)
ranks = st.none() | st.integers(1, 80)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As when a model is decomposed: on a busy machine threads wait for one another, 80 times
    as long as a 256 × 256 weight takes.
    """
    with blas.threads(1):
        yield


def layer_of(kind: str, weight: np.ndarray, dtype: mx.Dtype = mx.float32, bias: bool = False):
    """A base layer with that weight; the biases of a stack are not zeros, as mlx-lm's are."""
    out = weight.shape[-2]
    if kind == "linear":
        base = nn.Linear(1, out, bias=bias)
    elif kind == "switch":
        base = SwitchLinear(1, out, weight.shape[0], bias=bias)
    else:
        base = MultiLinear(1, out, weight.shape[0])
    base.weight = mx.array(weight.astype(np.float32)).astype(dtype)
    if "bias" in base:
        base.bias = mx.random.normal(base.bias.shape, key=mx.random.key(9)).astype(dtype)
    return base


def wearing(base, rank: int | None = None, bits: int | None = None) -> SVFLayer:
    """The SVF layer of any base."""
    basis = decompose_weight(dense_weight(base), rank=rank)
    if isinstance(base, nn.Linear | nn.QuantizedLinear):
        return SVFLinear(base, basis, bits)
    if "Switch" in type(base).__name__:
        return SVFSwitchLinear(base, basis, bits)
    return SVFMultiLinear(base, basis, bits)


def random_weight(kind: str, stack: int, out: int, inner: int, seed: int) -> np.ndarray:
    shape = (out, inner) if kind == "linear" else (stack, out, inner)
    return np.random.default_rng(seed).normal(size=shape)


def random_z(layer: SVFLayer, seed: int) -> mx.array:
    return random_scales({"": layer.shape}, seed)[""]


def worn_as_defined(weight: mx.array, z: mx.array) -> np.ndarray:
    """U diag(s ⊙ z) Vᵀ by NumPy's float64 SVD; singular values beyond z are left alone."""
    w = np.array(weight.astype(mx.float32)).astype(np.float64)
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    s[..., : z.shape[-1]] *= np.array(z)
    return (u * s[..., None, :]) @ vt


def assert_is_weight(got, weight: mx.array, expected: np.ndarray, slack: float = 0.0) -> None:
    """1e-5 of W or W', the larger: a z near 0 leaves of W what rounding W has left."""
    got, weight = (np.array(a.astype(mx.float32)).astype(np.float64) for a in (got, weight))
    scale = max(np.linalg.norm(weight), np.linalg.norm(expected))
    assert got.shape == expected.shape
    assert np.linalg.norm(got - expected) <= 1e-5 * scale + slack


def inputs_of(layer: SVFLayer, kind: str, form: str, seed: int, dtype=mx.float32) -> list:
    """Arguments of one call; the forms are those that mlx-lm's blocks have."""
    *stack, out, inner = dense_weight(layer.base).shape
    keys = mx.random.split(mx.random.key(seed))

    def draw(*shape):
        return mx.random.normal(shape, key=keys[0]).astype(dtype)

    if kind == "linear":
        return [draw(*{"plain": (2, 3), "broadcast": (), "sorted": (5,)}[form], inner)]
    if kind == "multi":
        return [draw(2, *stack, 3, inner)] if form == "plain" else [draw(*stack, 2, out), False]
    shape = (70,) if form == "sorted" else (2, 3)
    indices = mx.random.randint(0, stack[0], shape, key=keys[1])
    if form == "sorted":
        return [draw(70, 1, inner), mx.sort(indices), True]
    return [draw(*((2, 1) if form == "broadcast" else (2, 3)), 1, inner), indices]


def output_by_definition(layer: SVFLayer, kind: str, w: np.ndarray, arguments: list):
    x = np.array(arguments[0]).astype(np.float64)
    if kind == "multi":
        return x @ (w if len(arguments) == 2 else w.swapaxes(-1, -2))
    bias = np.array(layer.base.bias) if "bias" in layer.base else np.zeros(w.shape[:-1])
    if kind == "linear":
        return x @ w.T + bias
    indices = np.array(arguments[1])
    return x @ w[indices].swapaxes(-1, -2) + bias[indices][..., None, :]


def assert_is_output(got, layer, kind, weight, expected, arguments) -> None:
    """As above: what cancels where z is near 0 is the base's."""
    shown, unworn = (
        output_by_definition(layer, kind, np.array(w), arguments) for w in (expected, weight)
    )
    assert got.shape == shown.shape
    gap, scale = np.abs(np.array(got) - shown).max(), np.abs(unworn).max()
    assert gap <= 1e-5 * max(scale, np.abs(shown).max())


def arrays_of(base) -> dict[str, mx.array]:
    names = ("weight", "scales", "biases", "global_scale", "bias")
    return {name: base[name] for name in names if base.get(name) is not None}


def bytes_of(base) -> dict[str, bytes]:
    return {n: np.array(a.view(mx.uint8)).tobytes() for n, a in arrays_of(base).items()}


# MLX's CPU backend has no half-precision product for SwitchLinear itself.
COMPUTED = [
    (kind, dtype)
    for kind in KINDS
    for dtype in ROUNDING
    if kind != "switch" or dtype == mx.float32 or mx.default_device() != mx.cpu
]
FORMS = ("plain", "broadcast", "sorted")
"""Of what a layer is called with; see `inputs_of`."""


# Any weight


@settings(properties, max_examples=6)
@given(stacks, sides, sides, ranks, seeds, st.booleans())
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_is_numpys_svd_with_the_first_singular_values_scaled(
    kind, form, stack, out, inner, rank, seed, bias
):
    layer = wearing(
        layer_of(kind, random_weight(kind, stack, out, inner, seed), bias=bias), rank
    )
    weight, n = layer.base.weight, min(out, inner)
    assert layer.shape[-1] == (n if rank is None else min(rank, n))
    layer.wear(z := random_z(layer, seed))
    expected = worn_as_defined(weight, z)
    assert_is_weight(layer.folded_weight(), weight, expected)
    arguments = inputs_of(layer, kind, form, seed)
    assert_is_output(layer(*arguments), layer, kind, weight, expected, arguments)


@settings(properties, max_examples=20)
@given(sides, sides, ranks, seeds)
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16], ids=["bfloat16", "float16"])
def test_a_half_precision_weight_is_scaled_as_exactly_as_its_vectors_are_kept(
    dtype, out, inner, rank, seed
):
    layer = wearing(
        layer_of("linear", random_weight("linear", 1, out, inner, seed), dtype), rank
    )
    layer.wear(z := random_z(layer, seed))
    weight = layer.base.weight
    # q is rounded by δ with |δ| ≤ u |q| entry by entry, so ‖δ‖ ≤ u √rank (q has unit columns);
    # to first order W' moves by δ diag(z−1) qᵀ W + q diag(z−1) δᵀ W ≤ 2 ‖δ‖ max|z−1| ‖W‖₂. The
    # term of second order is u √rank / 2 of that.
    rounded = ROUNDING[dtype] * z.size**0.5
    spectral = np.linalg.norm(np.array(weight.astype(mx.float32)), 2)
    change = mx.abs(z - 1).max().item()
    slack = 2 * rounded * (1 + rounded / 2) * change * spectral
    assert_is_weight(layer.folded_weight(), weight, worn_as_defined(weight, z), slack)


@settings(properties, max_examples=6)
@given(stacks, sides, sides, ranks, seeds, st.booleans(), st.sampled_from([None, 32, 16, 8]))
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "dtype"), COMPUTED, ids=str)
def test_without_z_and_with_ones_every_layer_is_its_base_bit_for_bit(
    kind, dtype, form, stack, out, inner, rank, seed, bias, bits
):
    weight = random_weight(kind, stack, out, inner, seed)
    layer = wearing(layer_of(kind, weight, dtype, bias), rank, bits)
    arguments = inputs_of(layer, kind, form, seed, dtype)
    expected = layer.base(*arguments)
    for z in (None, mx.ones(layer.shape)):
        layer.wear(z)
        got = layer(*arguments)
        assert got.dtype == expected.dtype
        if kind == "switch" and layer.side == "right" and z is not None:
            assert_close(got, expected)  # the next test's
        else:
            assert mx.array_equal(got, expected).item()


@pytest.mark.parametrize(
    ("hidden", "inside", "tokens"),
    [
        (32, 64, 3),
        pytest.param(64, 32, 3, id="narrow experts"),
        pytest.param(32, 64, 40, id="sorted"),
    ],
)
def test_a_block_of_experts_with_ones_is_the_base_bit_for_bit(hidden, inside, tokens):
    block = SwitchGLU(hidden, inside, 4)
    for index, name in enumerate(("gate_proj", "up_proj", "down_proj")):
        shape = block[name].weight.shape
        block[name].weight = mx.random.normal(shape, key=mx.random.key(index))
    x = mx.random.normal((1, tokens, hidden), key=mx.random.key(8))
    indices = mx.random.randint(0, 4, (1, tokens, 2), key=mx.random.key(9))
    expected = block(x, indices)
    for name in ("gate_proj", "up_proj", "down_proj"):
        block[name] = wearing(block[name])
        block[name].wear(mx.ones(block[name].shape))
    assert mx.array_equal(block(x, indices), expected).item()


@settings(properties, max_examples=3)  # for each of 63
@given(st.integers(1, 2), st.integers(1, 48), st.integers(1, 2), seeds, st.booleans())
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(map(str, mode)))
def test_a_quantised_base_is_untouched_by_ones_and_by_z_and_its_dense_weight_is_scaled(
    mode, kind, stack, out, groups, seed, bias
):
    name, bits, group = mode
    weight = random_weight(kind, stack, out, max(group, 32 * groups), seed)
    base = layer_of(kind, weight, bias=bias).to_quantized(group, bits, name)
    before, dense = bytes_of(base), dense_weight(base)
    layer = wearing(base, bits=32)  # of q: the scales of mxfp4 and its like say bfloat16
    inputs = [inputs_of(layer, kind, form, seed) for form in FORMS]
    layer.wear(mx.ones(layer.shape))
    assert all(mx.array_equal(layer(*x), base(*x)).item() for x in inputs)
    layer.wear(z := random_z(layer, seed))
    expected = worn_as_defined(dense, z)
    assert_is_weight(layer.folded_weight(), dense, expected)
    for arguments in inputs:
        assert_is_output(layer(*arguments), layer, kind, dense, expected, arguments)
    assert bytes_of(base) == before


@pytest.mark.parametrize("bits", [32, 16, 8, None])
def test_quantised_experts_wear_scales_in_half_precision_wherever_they_run(bits):
    base = layer_of("switch", random_weight("switch", 3, 32, 64, 0), mx.bfloat16)
    base = base.to_quantized(32, 4)
    layer = wearing(base, bits=bits)
    arguments = inputs_of(layer, "switch", "plain", 0, mx.bfloat16)
    mx.eval(base(*arguments))
    layer.wear(z := random_z(layer, 0))
    w = worn_as_defined(dense_weight(base), z)
    arguments_32 = [arguments[0].astype(mx.float32), arguments[1]]
    assert_close(layer(*arguments), output_by_definition(layer, "switch", w, arguments_32))


@pytest.mark.parametrize("rows_and_indices", [(3, 2), (3, 4), (2, 3)])
def test_experts_refuse_a_batch_of_which_not_every_row_has_its_scales(rows_and_indices):
    rows, entries = rows_and_indices
    layer = wearing(layer_of("switch", random_weight("switch", 2, 8, 8, 0)))
    layer.wear(random_scales({"": layer.shape}, rows=rows)[""])
    with pytest.raises(ModelError, match="wear their own scales"):
        layer(mx.ones((1, entries, 1, 8)), mx.zeros((1, entries), dtype=mx.int32))


# Singular vectors as they are stored


@settings(properties, max_examples=15)
@given(sides, st.integers(1, 140), seeds)
@example(70, 128, 0)
@example(70, 96, 0)
@example(3, 32, 0)
@pytest.mark.parametrize("stack", [(), (1,), (3,)])
@pytest.mark.parametrize("bits", [32, 16, 8])
def test_stored_vectors_give_the_products_of_the_dense_ones(bits, stack, n, rank, seed):
    rng = np.random.default_rng(seed)
    q = (rng.normal(size=(*stack, n, rank)) / n**0.5).astype(np.float32)
    stored = Vectors((mx.array(q),)).stored(bits)
    assert (stored.rank, stored.stack) == (rank, stack)
    packed = bits == 8 and rank % 32 == 0
    # 16 bits round an entry by u of itself; 8 bits by no more than one of 255 steps between a
    # group's extremes. A product moves by no more than |h| times the rounding's norm.
    rounding = np.linalg.norm(q, axis=(-2, -1)).max() * ROUNDING[mx.bfloat16]
    if packed:
        rounding = (n * rank) ** 0.5 * 2 * np.abs(q).max() / 255
    elif bits == 32:
        rounding = 0.0
    assert np.linalg.norm(np.array(stored.dense()) - q, axis=(-2, -1)).max() <= rounding + 1e-6
    for product, width, matrix in (
        (stored.into, n, q),
        (stored.back, rank, q.swapaxes(-1, -2)),
    ):
        h = rng.normal(size=(*stack, 2, width)).astype(np.float32)
        cases = [(product(mx.array(h)), h @ matrix, h)]
        if stack:
            h = rng.normal(size=(2, 5, 1, width)).astype(np.float32)
            at = rng.integers(0, stack[0], size=(2, 5))
            cases.append((product(mx.array(h), mx.array(at)), h @ matrix[at], h))
        for got, expected, h in cases:
            assert got.shape == expected.shape
            slack = (rounding + 1e-5) * np.linalg.norm(h, axis=-1).max()
            assert np.linalg.norm(np.array(got) - expected, axis=-1).max() <= slack


@properties
@given(st.sampled_from([(), (2,)]), sides, st.integers(1, 140))
@example((), 70, 128)
@example((2,), 7, 32)
def test_fewer_bits_take_fewer_bytes_and_storing_again_changes_nothing(stack, n, rank):
    q = Vectors((mx.ones((*stack, n, rank)),))
    sizes = {bits: q.stored(bits).nbytes for bits in (32, 16, 8)}
    assert sizes[32] == q.nbytes == 2 * sizes[16]
    # scale and bias of a group of 32 are 8 bytes more
    assert sizes[8] <= (1.25 / 4 if rank % 32 == 0 else 1 / 2) * sizes[32]
    for bits in sizes:
        once = q.stored(bits)
        twice = once.stored(bits)
        assert all(
            mx.array_equal(a, b).item() and a.dtype == b.dtype
            for a, b in zip(once.parts, twice.parts, strict=True)
        )


# Targets

NETWORK = tiny_network()
MATRICES = {
    path
    for path, module in NETWORK.named_modules()
    if isinstance(module.get("weight"), mx.array) and module.weight.ndim >= 2
}
PATTERNS = [
    *("", ".", "mlp", "attention", "all", "MLP", "(?i)MLP", "(?i:mlp)", "$^", "^$", "(", ")"),
    *("*", "+", "?", "[", "]", "[]", "[^]", "{", "a{2,1}", "\\", "\\8", "(?P<a>x)(?P=b)"),
    *(
        "(?<=a+)b",
        "x(?i)",
        "(?L)",
        "\x00",
        "\ud800",
        "\n",
        "(?!)",
        "layers\\.[0-1]",
        "x" * 9999,
    ),
    *("(" * 300, "(" * 50 + ")" * 50, "(?#", "(?x) mlp # c", "\\N{nothing}", "(a)(?(1)y|z)"),
]


@settings(properties, max_examples=150)
@given(
    st.sampled_from(PATTERNS)
    | st.text(max_size=12)
    | st.text("()[]{}*+?|^$\\.,:=!<>P#iLx019-almproj_", max_size=12)
)
@pytest.mark.filterwarnings("ignore:Possible (nested|set):FutureWarning")  # Python's advice
def test_any_pattern_is_refused_or_parts_the_layers_that_have_matrices(pattern):
    try:
        targets = Targets(pattern)
    except ConfigError as error:
        assert repr(pattern) in str(error)  # noqa: PT017  most are fine
        return
    survey = targets.survey(NETWORK)
    assert survey.targeted.keys() | survey.skipped.keys() == MATRICES
    assert not survey.targeted.keys() & survey.skipped.keys()
    assert survey.fused.keys() <= survey.targeted.keys()
    assert all(survey.skipped.values())
    if not survey.targeted:
        with pytest.raises(ConfigError, match="matches no linear layer"):
            targets.select(NETWORK)


@pytest.mark.parametrize("pattern", ["(?a)(?u)x", "x{99999999999999999999}", "(" * 3000])
def test_patterns_that_python_refuses_in_other_ways_are_refused_too(pattern):
    with pytest.raises(ConfigError, match="expected mlp, attention, all"):
        Targets(pattern)


# Weights with nothing to hold on to

rng = np.random.default_rng(0)
LEFT, RIGHT = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (24, 36))


def of_spectrum(s) -> np.ndarray:
    return (LEFT * np.asarray(s)) @ RIGHT[:, :24].T


NORMAL = rng.normal(size=(24, 36))
DEGENERATE = {
    "zero": np.zeros((24, 36)),
    "a zero row": NORMAL * (np.arange(24) != 3)[:, None],
    "rank 1": np.outer(NORMAL[:, 0], NORMAL[0]),
    "rank 5": NORMAL[:, :5] @ NORMAL[:5],
    "one row": NORMAL[:1],
    "one column": NORMAL[:, :1],
    "one number": NORMAL[:1, :1],
    "one number, zero": np.zeros((1, 1)),
    "around 1e-30": 1e-30 * NORMAL,
    "around 1e30": 1e30 * NORMAL,
    "one entry of 1e30": np.where(np.arange(24 * 36).reshape(24, 36) == 100, 1e30, NORMAL),
    "ill-conditioned, 1e8": of_spectrum(np.geomspace(1, 1e-8, 24)),
    "ill-conditioned, 1e20": of_spectrum(np.geomspace(1, 1e-20, 24)),
    "identity": np.eye(24, 36),
    "three values, each often": of_spectrum([3.0] * 8 + [2.0] * 8 + [1.0] * 8),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_weight_has_a_basis_and_is_scaled_as_defined(name, transposed, kind):
    w = DEGENERATE[name].T if transposed else DEGENERATE[name]
    stack = np.stack([np.random.default_rng(1).normal(size=w.shape), w])
    layer = wearing(layer_of(kind, w if kind == "linear" else stack))
    weight = layer.base.weight
    basis = decompose_weight(weight)
    q, s = np.array(basis.q.dense()).astype(np.float64), np.array(basis.s)
    rank = q.shape[-1]
    # the root of what float64 leaves of a square: 1e-8 of the largest
    exact = np.linalg.svd(np.array(weight).astype(np.float64), compute_uv=False)
    assert np.all(np.abs(s - exact) <= 1e-6 * exact.max(axis=-1, keepdims=True))
    assert np.all(np.diff(s, axis=-1) <= 0)
    assert np.abs(q.swapaxes(-1, -2) @ q - np.eye(rank)).max() <= 1e-5
    # Vectors of equal singular values are any of their plane: W' is defined where z is the same
    # for all of them.
    equal = {"identity": 24, "three values, each often": 8}.get(name, 1)
    z = mx.repeat(random_z(layer, 0)[..., ::equal], equal, axis=-1)
    layer.wear(z)
    got, expected = layer.folded_weight(), worn_as_defined(weight, z)
    if kind == "linear":
        assert_is_weight(got, weight, expected)
    else:  # each on its own scale
        for index in range(2):
            assert_is_weight(got[index], weight[index], expected[index])
    layer.wear(mx.ones(layer.shape))
    assert mx.array_equal(layer.folded_weight(), weight).item()


@pytest.mark.parametrize("entry", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("path", ["model.layers.0.mlp.up_proj", "model.layers.1.mlp.down_proj"])
def test_a_model_with_a_weight_that_is_not_finite_is_refused_by_its_path(
    entry, path, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLX_T2_CACHE", str(tmp_path))
    network = tiny_network()
    base = dict(network.named_modules())[path]
    base.weight[5, 7] = entry
    model = SVFModel("tiny", network, tiny_tokenizer())
    with pytest.raises(ModelError, match=f"^{re.escape(path)}: the weight has NaN"):
        list(model.decompose())
    assert (model.shapes, model.worn, model.targets) == ({}, {}, None)
    base.weight[5, 7] = 0.1
    model = SVFModel("tiny", network, tiny_tokenizer())
    assert len(list(model.decompose())) == 6


@pytest.mark.parametrize("kind", ["switch", "multi"])
def test_a_stack_with_one_matrix_that_is_not_finite_is_refused_by_its_path(kind, tmp_path):
    base = layer_of(kind, random_weight(kind, 3, 5, 6, 0))
    base.weight[2, 1, 1] = float("inf")
    fine = layer_of("linear", random_weight("linear", 1, 5, 6, 0))
    found = decompose_layers(
        {"a.fine": fine, "b.stack": base}, "{}-key".format, BasisCache(tmp_path)
    )
    with pytest.raises(ModelError, match=r"^b\.stack: the weight has NaN or infinite"):
        list(found)


# Folding

INSIDE = {"plain": None, "quantised": ("affine", 4, 32), "mxfp4": ("mxfp4", 4, 32)}


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [16, 8])
def test_folding_keeps_the_weight_and_unfolding_restores_the_very_same_arrays(
    kind, inside, bits
):
    base = layer_of(kind, random_weight(kind, 3, 40, 64, 0), bias=True)
    if INSIDE[inside]:
        name, into, group = INSIDE[inside]
        base = base.to_quantized(group, into, name)
    layer = wearing(base, bits=32)
    arrays, before = arrays_of(base), bytes_of(base)
    layer.wear(z := random_z(layer, 0))
    expected, arguments = layer.folded_weight(), inputs_of(layer, kind, "plain", 0)
    live, plain = layer(*arguments), base(*arguments)
    bases = fold([layer], bits)
    assert layer.z is None
    assert (layer.base is base, bases[0] is base) == (False, True)
    folded = dense_weight(layer.base)
    # 8 bits: a step is 1/255 of what a group of 64 spans, some 5 standard deviations;
    # mxfp4 computes in bfloat16
    assert_close(folded, np.array(expected), 2e-2)
    tolerance = 1e-5 if (bits, inside) in ((16, "plain"), (16, "quantised")) else 3e-2
    assert_close(layer(*arguments), np.array(live), tolerance)
    unfold([layer], bases)
    assert layer.base is base
    assert all(layer.base[name] is array for name, array in arrays.items())
    assert bytes_of(base) == before
    assert mx.array_equal(layer(*arguments), plain).item()
    layer.wear(z)
    assert mx.array_equal(layer(*arguments), live).item()


@pytest.mark.parametrize("bits", [6, 5, 4, 3, 2])
def test_bits_that_lose_the_expert_have_to_be_forced(bits):
    layer = wearing(layer_of("linear", random_weight("linear", 1, 32, 64, 0)))
    layer.wear(random_z(layer, 0))
    with pytest.raises(ConfigError, match=f"^bits: got {bits}, expected 16 or 8: rounding"):
        folded_layer(layer, bits)
    forced = folded_layer(layer, bits, force=True)
    assert (forced.bits, forced.weight.shape) == (bits, (32, 64 * bits // 32))


@pytest.mark.parametrize("bits", [0, 1, 7, 32, -8])
@pytest.mark.parametrize("force", [False, True])
def test_bits_that_mlx_does_not_have_are_refused_even_by_force(bits, force):
    layer = wearing(layer_of("linear", random_weight("linear", 1, 32, 64, 0)))
    with pytest.raises(ConfigError, match=f"^bits: got {bits}, expected 16 or 8"):
        folded_layer(layer, bits, force)


def test_eight_bits_realise_an_expert_and_four_do_not():
    base = layer_of("linear", random_weight("linear", 1, 256, 256, 0))
    for inside in (base, base.to_quantized(64, 4, "affine")):
        layer = wearing(inside, bits=32)
        layer.wear(random_scales({"": (256,)}, spread=0.03)[""])
        sixteen, eight, four = (
            realised(layer, folded_layer(layer, bits, force=True)) for bits in (16, 8, 4)
        )
        assert min(sixteen.share, sixteen.correlation) > 0.999
        assert min(eight.share, eight.correlation) > 0.9
        # From an unrounded base the change is all there, under rounding some twice its size;
        # from a base of 4 bits most of it rounds back to where it was.
        assert four.correlation < 0.6
        if inside is not base:
            assert four.share < 0.5


def test_nothing_realised_of_no_change_is_all_of_it():
    layer = wearing(layer_of("linear", random_weight("linear", 1, 32, 32, 0)))
    assert realised(layer, folded_layer(layer)).share == 1


@pytest.mark.parametrize("place", range(3))
def test_a_fold_that_fails_leaves_every_layer_as_it_was(place):
    inputs = [64, 64, 64]
    inputs[place] = 63  # no multiple of 32
    layers = [wearing(layer_of("linear", random_weight("linear", 1, 40, n, 0))) for n in inputs]
    for layer in layers:
        layer.wear(random_z(layer, 0))
    before = [(layer.base, layer.base.weight, layer.z) for layer in layers]
    with pytest.raises(ConfigError, match="got a weight of 63 inputs, expected a multiple"):
        fold(layers, bits=8)
    for layer, (base, weight, z) in zip(layers, before, strict=True):
        assert layer.base is base
        assert layer.base.weight is weight
        assert layer.z is z


# One block of scales inside another


@pytest.mark.parametrize("inner", ["live", "folded"])
@pytest.mark.parametrize(("outer", "bits"), [("live", 16), ("folded", 16), ("folded", 8)])
def test_a_block_inside_another_is_as_if_alone_and_the_outer_one_comes_back(
    tiny_model, inner, outer, bits
):
    model = tiny_model
    a, b = (random_scales(model.shapes, seed) for seed in (1, 2))
    base = model.network(TOKENS)
    with model.using(a, form=inner):
        a_alone = model.network(TOKENS)
    with model.using(b, form=outer, bits=bits):
        b_alone = model.network(TOKENS)
    assert not mx.array_equal(a_alone, b_alone).item()
    with model.using(b, form=outer, bits=bits):
        with model.using(a, form=inner):
            assert mx.array_equal(model.network(TOKENS), a_alone).item()
            with model.using({}):
                assert mx.array_equal(model.network(TOKENS), base).item()
            assert mx.array_equal(model.network(TOKENS), a_alone).item()
        assert mx.array_equal(model.network(TOKENS), b_alone).item()
        with pytest.raises(ZeroDivisionError), model.using(a, form=inner):
            1 / 0  # noqa: B018
        assert mx.array_equal(model.network(TOKENS), b_alone).item()
    assert mx.array_equal(model.network(TOKENS), base).item()


def test_a_block_that_cannot_begin_leaves_the_folded_one_around_it(tiny_model):
    model = tiny_model
    a, b = (random_scales(model.shapes, seed) for seed in (1, 2))
    base = model.network(TOKENS)
    with model.using(b, form="folded", bits=8):
        folded = model.network(TOKENS)
        for scales, settings_ in (
            (a, {"form": "folded", "bits": 4}),
            (a, {"form": "folded", "bits": 7}),
            ({"nowhere": mx.ones((3,))}, {}),
            (random_scales(model.shapes, rows=2), {"form": "folded"}),
        ):
            with pytest.raises((ConfigError, ShapeError)), model.using(scales, **settings_):
                raise AssertionError("the block began")
            assert mx.array_equal(model.network(TOKENS), folded).item()
    assert mx.array_equal(model.network(TOKENS), base).item()


def test_scales_on_some_layers_fold_those_and_leave_the_rest_to_the_base(tiny_model):
    model = tiny_model
    path, shape = next(iter(model.shapes.items()))
    modules = dict(model.network.named_modules())
    bases = {path: modules[path].base for path in model.shapes}
    with model.using(random_scales({path: shape}), form="folded"):
        kept = {p for p, base in bases.items() if modules[p].base is base}
        assert kept == set(bases) - {path}
    assert all(modules[p].base is base for p, base in bases.items())
