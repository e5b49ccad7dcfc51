"""What PyTorch makes of exports: transformers of a fused folder, PEFT of a low-rank one."""

import mlx.core as mx
import numpy as np
import pytest
from architectures import settings_of, tiny

from mlx_t2.exporting import to_fused, to_lora
from mlx_t2.exporting.hf_names import ALIKE
from mlx_t2.svf import Targets, weight_shape

torch = pytest.importorskip("torch", reason="needs the extra export-check: torch, peft")
peft = pytest.importorskip("peft", reason="needs the extra export-check: torch, peft")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
IDS = ([1, 5, 9], [7, 3, 22, 11, 40, 2, 63, 8, 19, 30, 31, 32])


def live_logits(model, adapted) -> list[np.ndarray]:
    with model.using(adapted.scales):
        return [
            np.array(model.logits_at(mx.array([ids]), None, mx.arange(len(ids)))) for ids in IDS
        ]


def torch_logits(network) -> list[np.ndarray]:
    with torch.no_grad():
        return [network(torch.tensor([ids])).logits[0].float().numpy() for ids in IDS]


def load_torch(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def largest_gap(got, expected) -> float:
    gap = max(np.abs(a - b).max() for a, b in zip(got, expected, strict=True))
    return float(gap / max(np.abs(b).max() for b in expected))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "phi3", "starcoder2"])
def test_transformers_and_peft_predict_what_the_live_expert_does(
    make_model, draw, tmp_path, architecture
):
    model = make_model(architecture, targets="all")
    adapted = draw(model)
    live = live_logits(model, adapted)
    fused = to_fused(model, adapted, tmp_path / "fused", bits=32)
    whole = largest_gap(torch_logits(load_torch(fused.path)), live)
    lora = to_lora(model, adapted, tmp_path / "lora", rank=31)
    base = load_torch(model.source)
    unworn = largest_gap(torch_logits(base), live)
    low_rank = largest_gap(
        torch_logits(peft.PeftModel.from_pretrained(base, str(lora.path)).eval()), live
    )
    ours = lora.verified.largest_gap / max(np.abs(one).max() for one in live)
    print(  # noqa: T201
        f"{architecture}: of the largest logit, base {unworn:.2g}, fused {whole:.2g}, PEFT "
        f"{low_rank:.2g} (mlx-lm {ours:.2g})"
    )
    assert whole < 1e-3 < 0.05 < unworn
    assert low_rank < 0.02


@pytest.mark.parametrize("architecture", sorted(ALIKE))
def test_the_linear_layers_have_the_names_and_shapes_of_transformers(architecture):
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = settings_of(architecture)
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):
        theirs = dict(AutoModelForCausalLM.from_config(config).named_parameters())
    ours = Targets("all").select(tiny(architecture))
    for path, layer in ours.items():
        assert tuple(theirs[f"{path}.weight"].shape) == weight_shape(layer)
