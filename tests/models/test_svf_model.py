import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from helpers import assert_close, random_scales, tiny_network, tiny_tokenizer

from mlx_t2 import folders
from mlx_t2.errors import ConfigError, FileError, ModelError, ShapeError
from mlx_t2.models import SVFModel, load
from mlx_t2.svf import Recipe, dense_weight, ones

TOKENS = mx.array([[3, 1, 4, 1, 5, 9, 2, 6]])


def decomposed(model: SVFModel, targets: str, rank: int | None = None) -> SVFModel:
    for _ in model.decompose(Recipe(targets=targets, rank=rank)):
        pass
    return model


def test_z_of_one_gives_the_base_models_logits_bit_for_bit(tiny_model):
    base = tiny_model.network(TOKENS)
    with tiny_model.using(ones(tiny_model.shapes)):
        assert mx.array_equal(tiny_model.network(TOKENS), base).item()


def test_scales_come_off_when_the_block_ends_even_by_an_error(tiny_model):
    base = tiny_model.network(TOKENS)
    with tiny_model.using(random_scales(tiny_model.shapes)):
        assert not mx.array_equal(tiny_model.network(TOKENS), base).item()
    with pytest.raises(ZeroDivisionError), tiny_model.using(random_scales(tiny_model.shapes)):
        1 / 0  # noqa: B018
    assert tiny_model.worn == {}
    assert mx.array_equal(tiny_model.network(TOKENS), base).item()


@pytest.mark.parametrize("targets", ["mlp", "attention", "all", r"layers\.0\..*down_proj"])
def test_folding_changes_nothing_and_is_undone_exactly(tiny_model, targets):
    model = decomposed(tiny_model, targets)
    base = model.network(TOKENS)
    scales = random_scales(model.shapes)
    with model.using(scales):
        live = model.network(TOKENS)
    with model.using(scales, form="folded"):
        folded = model.network(TOKENS)
    assert_close(folded, np.array(live))
    assert mx.array_equal(model.network(TOKENS), base).item()


def test_live_scales_are_numpys_svd_recomposed(tiny_model):
    scales = random_scales(tiny_model.shapes)
    with tiny_model.using(scales):
        live = tiny_model.network(TOKENS)
    modules = dict(tiny_model.network.named_modules())
    for path, z in scales.items():
        weight = modules[path].base.weight
        u, s, vt = np.linalg.svd(np.array(weight).astype(np.float64), full_matrices=False)
        modules[path].base.weight = mx.array(((u * (s * np.array(z))) @ vt).astype(np.float32))
    assert_close(tiny_model.network(TOKENS), np.array(live))


def test_mlp_and_attention_together_are_all(tiny_model):
    chosen = {t: set(decomposed(tiny_model, t).shapes) for t in ("mlp", "attention", "all")}
    assert chosen["mlp"] | chosen["attention"] == chosen["all"]
    assert not chosen["mlp"] & chosen["attention"]


def test_rank_shortens_z(tiny_model):
    assert set(decomposed(tiny_model, "mlp", rank=4).shapes.values()) == {(4,)}


def test_a_second_decomposition_reads_the_cache_and_finds_the_same(
    tiny_model, tmp_path, monkeypatch
):
    monkeypatch.setattr("mlx_t2.models.decomposition.cache_dir", lambda: tmp_path)
    first = [done.cached for done in tiny_model.decompose(Recipe(targets="all"))]
    scales = random_scales(tiny_model.shapes)
    with tiny_model.using(scales):
        logits = tiny_model.network(TOKENS)
    second = [done.cached for done in tiny_model.decompose(Recipe(targets="all"))]
    with tiny_model.using(scales):
        assert mx.array_equal(tiny_model.network(TOKENS), logits).item()
    assert (set(first), set(second)) == ({False}, {True})


def test_a_decomposition_that_stops_goes_on_where_it_was(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("mlx_t2.models.decomposition.cache_dir", lambda: tmp_path)
    running = tiny_model.decompose(Recipe(targets="all"))
    done = [next(running).path for _ in range(3)]
    running.close()
    assert tiny_model.shapes == {}
    again = {d.path: d.cached for d in tiny_model.decompose(Recipe(targets="all"))}
    assert all(again[path] for path in done)
    assert not all(again.values())


def test_a_truncated_basis_in_the_cache_is_computed_again(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("mlx_t2.models.decomposition.cache_dir", lambda: tmp_path)
    decomposed(tiny_model, "mlp")
    damaged = next((tmp_path / "bases").glob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    assert [d.cached for d in tiny_model.decompose()].count(False) == 1


def test_a_cache_that_cannot_be_written_is_one_clear_line(tiny_model, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("mlx_t2.models.decomposition.cache_dir", lambda: tmp_path / "file")
    with pytest.raises(FileError, match=r"cannot be written .* MLX_T2_CACHE"):
        decomposed(tiny_model, "mlp")
    assert tiny_model.shapes == {}


def test_a_quantised_model_wears_scales_over_untouched_weights(tiny_model):
    nn.quantize(tiny_model.network, group_size=32, bits=4)
    model = SVFModel("tiny-4bit", tiny_model.network, tiny_model.tokenizer)
    base = model.network(TOKENS)
    decomposed(model, "mlp")
    scales = random_scales(model.shapes)
    assert mx.array_equal(model.network(TOKENS), base).item()
    with model.using(scales):
        live = model.network(TOKENS)
    with model.using(scales, form="folded"):
        assert_close(model.network(TOKENS), np.array(live))
    assert mx.array_equal(model.network(TOKENS), base).item()
    layer = dict(model.network.named_modules())["model.layers.0.mlp.gate_proj"].base
    assert isinstance(layer, nn.QuantizedLinear)


def test_the_fingerprint_is_the_weights_and_only_theirs(tiny_model):
    before = tiny_model.fingerprint("mlp")
    assert decomposed(tiny_model, "all").fingerprint("mlp") == before
    assert tiny_model.fingerprint("attention") != before
    layer = dict(tiny_model.network.named_modules())["model.layers.1.mlp.up_proj"].base
    layer.weight = layer.weight * 1.001
    fresh = SVFModel("tiny", tiny_model.network, tiny_model.tokenizer)
    assert fresh.fingerprint("mlp") != before


def test_scales_that_do_not_fit_are_all_listed(tiny_model):
    wrong = {"nowhere": mx.ones((3,)), "model.layers.0.mlp.gate_proj": mx.ones((3,))}
    with pytest.raises(ShapeError) as caught, tiny_model.using(wrong):
        pass
    assert "nowhere: no such SVF layer" in str(caught.value)
    assert "gate_proj: got 3 singular-value scales, the layer has 32" in str(caught.value)


@pytest.mark.parametrize(
    ("targets", "message"), [("(", "expected mlp, attention"), ("xyz", "matches no linear")]
)
def test_targets_that_mean_nothing_are_refused(tiny_model, targets, message):
    with pytest.raises(ConfigError, match=message):
        decomposed(tiny_model, targets)


@pytest.mark.parametrize(
    "name", ["no-such-alias", "/no/such/folder", "./nowhere", "someone/never-published"]
)
def test_an_unknown_model_is_one_clear_error(name):
    with pytest.raises(ModelError, match=f"^{name}: "):
        load(name)


def test_a_folder_that_is_no_model_is_one_clear_error(tmp_path):
    with pytest.raises(ModelError, match="mlx-lm cannot load it"):
        load(str(tmp_path))


@pytest.fixture(scope="module")
def default_model():
    return load()


def test_the_default_models_basis_is_the_float64_svd(default_model):
    """The issue's bound, W′ − W against NumPy, on real weights of either side."""
    path, rng = "model.layers.7.mlp.up_proj", np.random.default_rng(0)
    for done in default_model.decompose(Recipe(targets=r"layers\.7\.mlp")):
        assert done.total == 3
    for path in default_model.shapes:
        layer = dict(default_model.network.named_modules())[path]
        weight = dense_weight(layer.base)
        z = rng.normal(1, 0.1, layer.shape).astype(np.float32)
        layer.wear(mx.array(z))
        got = np.array(layer.folded_weight()).astype(np.float64) - np.array(weight)
        layer.wear(None)
        u, s, vt = np.linalg.svd(np.array(weight).astype(np.float64), full_matrices=False)
        expected = (u * (s * (z.astype(np.float64) - 1))) @ vt
        # relative to W: the float32 subtraction of W itself leaves 1e-7 of W
        assert np.linalg.norm(got - expected) <= 1e-5 * np.linalg.norm(expected)


def test_the_default_models_logits_are_plain_mlx_lms(default_model):
    before = default_model.network(TOKENS)
    decomposed(default_model, "mlp")
    with default_model.using(ones(default_model.shapes)):
        assert mx.array_equal(default_model.network(TOKENS), before).item()
    assert folders.cache_dir().exists()


def test_precomputing_fills_the_cache_and_gives_each_weight_up(tmp_path, monkeypatch):
    monkeypatch.setattr("mlx_t2.models.decomposition.cache_dir", lambda: tmp_path)
    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    left = []
    for report in model.precompute(Recipe(targets="all")):
        left.append(report.seconds_left)
        layer = dict(model.network.named_modules())[report.path]
        assert "weight" not in layer
    assert len(left) == 14
    assert left[-1] == 0
    again = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    assert all(done.cached for done in again.decompose(Recipe(targets="all")))


def test_a_plan_is_what_the_decomposition_then_takes(tiny_model):
    recipe = Recipe(targets="all", rank=5)
    plan = tiny_model.plan(recipe)
    for _ in tiny_model.decompose(recipe):
        pass
    assert tiny_model.shapes == plan.shapes
    layers = dict(tiny_model.network.named_modules())
    assert plan.basis_bytes == sum(layers[path].basis_bytes for path in plan.shapes)


def test_a_weight_with_nan_is_named_and_nothing_is_installed(tiny_model):
    layer = dict(tiny_model.network.named_modules())["model.layers.1.mlp.up_proj"].base
    layer.weight[0, 0] = float("nan")
    fresh = SVFModel("tiny", tiny_model.network, tiny_model.tokenizer)
    with pytest.raises(ModelError, match=r"^model\.layers\.1\.mlp\.up_proj: .*NaN"):
        decomposed(fresh, "mlp")
    assert fresh.shapes == {}


def test_a_model_is_not_run_before_it_is_asked_to(monkeypatch):
    def read(*_, **__):
        raise AssertionError("the weights may be on disk still")

    network = tiny_network()
    monkeypatch.setattr(type(network), "__call__", read)
    model = SVFModel("tiny", network, tiny_tokenizer())
    assert model.plan().shapes
    assert len(list(model.precompute())) == 6


def test_a_model_knows_the_recipe_it_is_decomposed_by(tiny_model):
    assert tiny_model.recipe == Recipe()
    decomposed(tiny_model, "attention", rank=4)
    assert tiny_model.recipe == Recipe(targets="attention", rank=4)
    assert (tiny_model.targets, tiny_model.rank) == ("attention", 4)
    plain = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    assert plain.recipe is None
    assert (plain.targets, plain.rank) == (None, None)
