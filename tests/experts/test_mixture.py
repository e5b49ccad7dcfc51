"""A mixture that is kept as an expert: what it does, and what it says of itself."""

import mlx.core as mx
import pytest

from mlx_t2.errors import ConfigError
from mlx_t2.experts import coefficients_of, make_mixture, mix


def test_it_scales_as_the_mixture_does_and_names_what_was_mixed(make_expert, tmp_path):
    one, other = make_expert(0), make_expert(1, task="kind")
    mixed = make_mixture("both", [one, other], [0.6, -0.4])
    expected = mix([one, other], [0.6, -0.4])
    assert mixed.scales.keys() == expected.keys()
    assert all(mx.array_equal(z, expected[path]) for path, z in mixed.scales.items())
    assert coefficients_of(mixed) == {"expert-0": 0.6, "expert-1": -0.4}
    assert mixed.config["mixed"] == {"expert-0": one.digest, "expert-1": other.digest}
    assert (mixed.task, mixed.metrics) == ("largest + kind", {})
    mixed.save(tmp_path / "both.safetensors")
    assert type(mixed).load(tmp_path / "both.safetensors").digest == mixed.digest


def test_it_keeps_a_prompt_that_all_have(make_expert):
    prompt = [{"role": "system", "content": "Answer."}]
    alike = [make_expert(k, config={"prompt": prompt}) for k in range(2)]
    assert make_mixture("m", alike, [1, 1]).prompt == tuple(prompt)
    assert make_mixture("m", [alike[0], make_expert(1)], [1, 1]).prompt == ()


def test_it_acts_on_what_they_act_on(make_expert):
    alike = [make_expert(k, acts_on="answer") for k in range(2)]
    assert make_mixture("m", alike, [1, 1]).acts_on == "answer"


def test_experts_of_other_layers_cannot_be_kept_as_one(make_expert):
    z = {"model.layers.0.self_attn.q_proj": mx.array([0.5, 2.0])}
    attention = make_expert(1, scales=z, targets="attention", base_fingerprint="cd34")
    with pytest.raises(
        ConfigError,
        match=r"^mix: 'expert-0' is of mlp, 'expert-1' is of attention, expected .*--mix",
    ):
        make_mixture("m", [make_expert(0), attention], [1, 1])


@pytest.mark.parametrize("mixture", [None, 3, [], {"a": "b"}])
def test_what_is_not_a_mixture_has_no_coefficients(make_expert, mixture):
    assert coefficients_of(make_expert(config={"mixture": mixture})) == {}
