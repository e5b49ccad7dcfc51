"""An expert against a model: what fits, and what the error says where it does not."""

import mlx.core as mx
import pytest

from mlx_t2.errors import ExpertFileError

SHAPES = {f"model.layers.0.mlp.{name}": (n,) for name, n in (("up_proj", 5), ("down_proj", 7))}
SHAPES |= {"model.layers.0.mlp.switch": (3, 4), "model.layers.1.mlp.up_proj": (5,)}
FINGERPRINT = "ab12" * 16


def test_an_expert_fits_the_model_it_was_trained_on(make_expert):
    make_expert().check("tiny", FINGERPRINT, SHAPES)


def test_a_model_by_another_name_fits_where_its_weights_are_the_same(make_expert):
    make_expert().check("/models/tiny-copy", FINGERPRINT, SHAPES)


def test_one_error_names_both_models_and_every_tensor_that_does_not_fit(make_expert):
    shapes = {"model.layers.0.mlp.up_proj": (6,), "model.layers.0.mlp.switch": (3, 4)}
    with pytest.raises(ExpertFileError) as caught:
        make_expert(name="maths").check("big", "cd34" * 16, shapes)
    assert str(caught.value).splitlines() == [
        "expert 'maths' (targets 'mlp', rank full): was trained on 'tiny' (fingerprint "
        "ab12ab12ab12…), the model is 'big' (cd34cd34cd34…). Load the model it was trained on, "
        "or allow the transfer to another of the same shapes (--allow-transfer)",
        "model.layers.0.mlp.up_proj: got 5 singular-value scales, the layer has 6",
        "model.layers.0.mlp.down_proj: no such SVF layer",
    ]


def test_transfer_passes_another_model_but_no_other_shape(make_expert):
    make_expert().check("big", "cd34", SHAPES, allow_transfer=True)
    shorter = SHAPES | {"model.layers.0.mlp.up_proj": (6,)}
    with pytest.raises(ExpertFileError, match=r"got 5 .*, the layer has 6") as caught:
        make_expert().check("big", "cd34", shorter, allow_transfer=True)
    assert "trained on" not in str(caught.value)


def test_the_digest_is_of_the_scales_alone_in_any_order(make_expert):
    expert = make_expert(1)
    turned = dict(reversed(expert.scales.items()))
    assert make_expert(1, name="other", scales=turned, task="code").digest == expert.digest


def test_the_digest_tells_apart_values_paths_and_shapes(make_expert):
    forms = [
        {"a": mx.array([1.0, 2.0])},
        {"a": mx.array([1.0, 2.5])},
        {"b": mx.array([1.0, 2.0])},
        {"a": mx.array([[1.0, 2.0]])},
        {},
    ]
    assert len({make_expert(scales=scales).digest for scales in forms}) == len(forms)
