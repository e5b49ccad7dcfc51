"""An expert as low-rank terms, against a float64 SVD of what it changes."""

import json

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest
from any_layer import worn_as_defined

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ConfigError
from mlx_t2.exporting import to_lora
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.sampling import SamplingConfig
from mlx_t2.svf import dense_weight


def read(done):
    config = json.loads((done.path / "adapter_config.json").read_text())
    return config, mx.load(str(done.path / "adapters.safetensors"))


def changes_by_svd(model, adapted) -> dict[str, np.ndarray]:
    """U diag(σ (z − 1)) Vᵀ of every layer in float64."""
    modules = dict(model.network.named_modules())
    weights = {path: dense_weight(modules[path].base) for path in adapted.scales}
    return {
        path: worn_as_defined(weight, adapted.scales[path]) - np.array(weight).astype(float)
        for path, weight in weights.items()
    }


def best_terms(changes: dict[str, np.ndarray], budget: float):
    """{path: the best change} under the budget: the singular values of all changes in one
    list, each by what it costs.
    """
    parts = {
        path: np.linalg.svd(change, full_matrices=False) for path, change in changes.items()
    }
    cost = {path: sum(change.shape) for path, change in changes.items()}
    ranked = sorted(
        ((s**2 / cost[path], path) for path, (_, every, _) in parts.items() for s in every),
        reverse=True,
    )
    ranks = dict.fromkeys(changes, 0)
    for _, path in ranked:
        if sum(ranks[p] * cost[p] for p in ranks) + cost[path] > budget:
            break
        ranks[path] += 1
    best = {}
    for path, (u, s, vt) in parts.items():
        k = ranks[path]
        best[path] = (u[:, :k] * s[:k]) @ vt[:k]
    return best, ranks


@pytest.mark.parametrize("targets", ["mlp", "all"])  # all: bases on either side, unlike shapes
@pytest.mark.parametrize("rank", [1.5, 8, 20])
def test_the_terms_are_the_best_of_all_matrices_together(
    make_model, draw, tmp_path, rank, targets
):
    model = make_model(targets=targets)
    adapted = draw(model)
    changes = changes_by_svd(model, adapted)
    budget = rank * sum(sum(change.shape) for change in changes.values())
    expected, ranks = best_terms(changes, budget)
    done = to_lora(model, adapted, tmp_path / "out", rank=rank, force=True)
    config, tensors = read(done)
    assert config["rank_pattern"] == {path: k for path, k in ranks.items() if k}
    assert config["lora_parameters"]["rank"] == config["r"] == max(ranks.values())
    for path, best in expected.items():
        if not ranks[path]:
            assert f"{path}.lora_a" not in tensors
            continue
        got = np.array((tensors[f"{path}.lora_a"] @ tensors[f"{path}.lora_b"]).T)
        assert np.abs(got - best).max() <= 1e-4 * np.abs(changes[path]).max()
    kept = sum((best**2).sum() for best in expected.values())
    total = sum((change**2).sum() for change in changes.values())
    assert done.verified.weights.share == pytest.approx(kept / total, abs=1e-4)
    assert done.verified.weights.correlation == pytest.approx(np.sqrt(kept / total), abs=1e-4)
    assert done.details["average_rank"] <= rank


def test_both_files_say_the_same(make_model, draw, tmp_path):
    model = make_model()
    done = to_lora(model, draw(model), tmp_path / "out", rank=12, force=True)
    config, tensors = read(done)
    peft = mx.load(str(done.path / "adapter_model.safetensors"))
    assert len(set(config["rank_pattern"].values())) > 1  # or nothing is shown
    assert config["target_modules"] == config["lora_parameters"]["keys"]
    for path, rank in config["rank_pattern"].items():
        a, b = (peft.pop(f"base_model.model.{path}.lora_{x}.weight") for x in "AB")
        assert (a.shape[0], b.shape[1]) == (rank, rank)
        change = config["lora_alpha"] / rank * (b @ a)
        own = (tensors[f"{path}.lora_a"] @ tensors[f"{path}.lora_b"]).T
        assert np.allclose(np.array(change), np.array(own), atol=1e-6)
    assert peft == {}


def test_without_a_budget_98_percent_are_kept(make_model, draw, tmp_path):
    model = make_model()
    done = to_lora(model, draw(model), tmp_path / "out")
    assert 0.98 <= done.verified.weights.share < 0.99
    assert done.verified.least >= 0.9


def test_a_size_is_not_exceeded(make_model, draw, tmp_path):
    model = make_model()
    done = to_lora(model, draw(model), tmp_path / "out", size_mb=0.03, force=True)
    assert 0.02e6 < (done.path / "adapter_model.safetensors").stat().st_size <= 0.03e6


@pytest.mark.parametrize(("architecture", "bits"), [("llama", 4), ("phi3", None)])
def test_mlx_lm_writes_what_the_live_expert_writes(
    make_model, draw, tmp_path, architecture, bits
):
    model = make_model(architecture, bits, targets="all")
    adapted = draw(model)
    done = to_lora(model, adapted, tmp_path / "out", rank=32)  # of 32: nothing is lost
    assert done.verified.least > 0.9999
    assert done.notes == ()
    network, tokenizer = mlx_lm.load(model.source, adapter_path=str(done.path))
    ids = model.encode([{"role": "user", "content": "3, 8, 5"}])
    text = mlx_lm.generate(network, tokenizer, ids, max_tokens=12)
    config = SamplingConfig(temperature=0, max_tokens=12)
    live = AdaptiveGenerator(model, Fixed("drawn", adapted)).ask("3, 8, 5", config)
    assert text == live.text


def test_stacks_of_experts_are_for_mlx_lm_alone(make_model, draw, tmp_path):
    model = make_model("qwen3_moe")
    adapted = draw(model)
    done = to_lora(model, adapted, tmp_path / "out", rank=20, force=True)
    (said,) = done.notes
    assert said.startswith("for mlx-lm alone, not PEFT or llama.cpp: model.layers.0.mlp.switch")
    config, tensors = read(done)
    assert "peft_type" not in config
    assert not (done.path / "adapter_model.safetensors").exists()
    path = "model.layers.1.mlp.switch_mlp.down_proj"
    got = tensors[f"{path}.lora_b"] @ tensors[f"{path}.lora_a"]
    change = changes_by_svd(model, adapted)[path]
    ranks = [np.linalg.matrix_rank(np.array(one), tol=1e-4) for one in got]
    assert len(set(ranks)) > 1
    for one, whole, rank in zip(got, change, ranks, strict=True):
        u, s, vt = np.linalg.svd(whole, full_matrices=False)
        best = (u[:, :rank] * s[:rank]) @ vt[:rank]
        assert np.abs(np.array(one) - best).max() <= 1e-4 * np.abs(whole).max()


def test_heads_of_attention_are_refused_by_name(make_model, draw, tmp_path, heads_wear_scales):
    model = make_model("deepseek_v3", targets="attention")
    with pytest.raises(ConfigError, match=r"lora: model\.layers\.0\.self_attn\.embed_q and 3 "):
        to_lora(model, draw(model), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_architecture_of_other_names_is_for_mlx_lm_alone(make_model, draw, tmp_path):
    model = make_model("gpt2", targets="all")
    done = to_lora(model, draw(model), tmp_path / "out")
    assert done.notes[0].endswith("gpt2: its layers are not known to be called there as here")


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"rank": 0}, "lora: rank: got 0, expected a number above 0"),
        ({"rank": float("nan")}, "lora: rank: got nan"),
        ({"size_mb": -1.0}, "lora: size: got -1.0"),
        ({"rank": 4, "size_mb": 1}, "got a rank and a size, expected one of them"),
        ({"size_mb": 1e-6}, "got a budget below one term, expected more"),
        ({"rank": 2}, r"lora: got share .*of an average rank of \d+ keep 0.98 of"),
    ],
)
def test_a_budget_that_is_none_is_refused(make_model, draw, tmp_path, budget, said):
    model = make_model()
    with pytest.raises(ConfigError, match=said):
        to_lora(model, draw(model), tmp_path / "out", **budget)
    assert not (tmp_path / "out").exists()
