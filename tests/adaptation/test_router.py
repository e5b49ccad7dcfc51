"""The router on a tiny model's states, and its file."""

import json

import mlx.core as mx
import pytest
from helpers import assert_close

from mlx_t2.adaptation import ClassifierStrategy, Router
from mlx_t2.adaptation.router import hidden_states
from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.tasks import Problem

QUESTIONS = {
    "largest": "{0}1, {0}7, {1}4",
    "expression": "the item {0} of the list x{1}",
    "kind": "my old plum {0} {1}",
    "other": "Who wrote book {0}{1}?",
}


def problems(each=10):
    """Questions that differ most where the router looks least: at their beginning."""
    return [
        Problem(
            id=f"{domain}/{i}",
            messages=({"role": "user", "content": form.format(i, i * 7 % 10)},),
            answer="",
            kind="",
            domain=domain,
        )
        for domain, form in QUESTIONS.items()
        for i in range(each)
    ]


@pytest.fixture
def router(tiny_model) -> Router:
    return Router.train(tiny_model, problems())


@pytest.fixture
def saved(router, tmp_path):
    router.save(tmp_path / "router.safetensors")
    return tmp_path / "router.safetensors"


def rewritten(path, tensors=None, metadata=None):
    """The file with some tensors and metadata replaced; None takes one away."""
    old_tensors, old_metadata = mx.load(str(path), return_metadata=True)
    tensors, metadata = old_tensors | (tensors or {}), old_metadata | (metadata or {})
    mx.save_safetensors(
        str(path),
        {key: value for key, value in tensors.items() if value is not None},
        {key: value for key, value in metadata.items() if value is not None},
    )


def test_labels_are_the_domains_and_other_comes_last(router):
    assert router.labels == ("expression", "largest", "kind", "other")
    assert (router.metrics["examples"], router.metrics["held_out"]) == (32, 8)
    assert 0 <= router.metrics["held_out_accuracy"] <= 1


def test_training_is_reproducible(tiny_model, router):
    again = Router.train(tiny_model, problems())
    assert mx.array_equal(again.head.weight, router.head.weight)
    assert again.metrics == router.metrics


def test_states_come_from_the_base_weights(tiny_model, experts):
    chats = [problem.messages for problem in problems(1)]
    plain = hidden_states(tiny_model, chats)
    with tiny_model.using(experts["expression"].scales):
        assert mx.array_equal(hidden_states(tiny_model, chats), plain)


def test_states_come_in_the_order_of_the_conversations(tiny_model):
    chats = [problem.messages for problem in problems(12)]  # more than one batch
    for row, chat in zip(hidden_states(tiny_model, chats), chats, strict=True):
        state = tiny_model.hidden(mx.array([tiny_model.encode(chat)]))[0, -1]
        assert_close(row, state)


def test_training_needs_questions_of_other(tiny_model):
    specific = [problem for problem in problems(2) if problem.domain != "other"]
    with pytest.raises(ConfigError, match="got examples of code, largest, kind"):
        Router.train(tiny_model, specific)


def test_the_posterior_sums_to_one(router):
    hidden = mx.random.normal((5, router.head.mean.size), key=mx.random.key(1))
    assert router.posterior(hidden).sum(axis=-1).tolist() == pytest.approx([1.0] * 5, abs=1e-6)


def test_the_classifier_wears_the_most_probable_expert(tiny_model, experts, router):
    strategy = ClassifierStrategy(experts, router)
    examples = problems()
    chats = [problem.messages for problem in examples]
    for adapted in strategy.adapt(tiny_model, chats):
        assert adapted.label == max(adapted.scores, key=adapted.scores.__getitem__)
        assert sum(adapted.scores.values()) == pytest.approx(1)
        known = adapted.label in experts
        assert adapted.scales is experts[adapted.label].scales if known else not adapted.scales


def test_an_expert_that_the_router_does_not_know_is_refused(experts, router):
    with pytest.raises(ConfigError, match="Train a router that knows cooking"):
        ClassifierStrategy(experts | {"cooking": experts["expression"]}, router)


def test_a_router_comes_back_from_its_file(router, saved):
    loaded = Router.load(saved)
    for name, tensor in vars(router.head).items():
        assert mx.array_equal(getattr(loaded.head, name), tensor)
    for name in ("labels", "base_model", "base_fingerprint", "seed", "metrics"):
        assert getattr(loaded, name) == getattr(router, name)
    assert [path.name for path in saved.parent.iterdir()] == ["router.safetensors"]


def test_a_router_that_cannot_be_written_leaves_nothing_behind(router, tmp_path):
    (tmp_path / "router.safetensors").mkdir()
    with pytest.raises(ExpertFileError, match=r"router\.safetensors: .* cannot be written"):
        router.save(tmp_path / "router.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["router.safetensors"]


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ExpertFileError, match=r"router\.safetensors: cannot be read \("):
        Router.load(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ExpertFileError, match=r"gone\.safetensors: .* \(no such file\)"):
        Router.load(tmp_path / "gone.safetensors")


def test_an_expert_file_is_not_a_router(tmp_path, experts):
    experts["expression"].save(tmp_path / "code.safetensors")
    with pytest.raises(ExpertFileError, match="got format 'mlx-t2-expert' version '1'"):
        Router.load(tmp_path / "code.safetensors")


def test_everything_wrong_with_a_file_comes_in_one_error(saved):
    rewritten(
        saved,
        {
            "weight": mx.zeros((2, 3)),
            "bias": mx.full((4,), mx.nan),
            "scale": None,
            "z": mx.ones(1),
        },
        {
            "labels": json.dumps(["expression", "expression", "other", "x"]),
            "seed": "first",
            "metrics": None,
        },
    )
    rewritten(saved, {"mean": mx.zeros((5,))})
    with pytest.raises(ExpertFileError) as refusal:
        Router.load(saved)
    for fault in (
        "labels: got ['code', 'code', 'other', 'x'], expected a list of different names",
        "seed: got 'first', expected a whole number",
        "metrics: got None",
        "bias: got mlx.core.float32, expected finite",
        "scale: missing",
        "z: unknown tensor",
    ):
        assert fault in str(refusal.value)


def test_shapes_have_to_fit_the_labels(saved):
    rewritten(saved, {"weight": mx.zeros((2, 3))})
    with pytest.raises(
        ExpertFileError, match=r"weight: got shape \(2, 3\), expected \(4, 32\)"
    ):
        Router.load(saved)


def test_the_router_of_another_model_is_refused(tiny_model, experts, saved):
    rewritten(saved, metadata={"base_model": "stranger", "base_fingerprint": "0" * 64})
    strategy = ClassifierStrategy(experts, Router.load(saved))
    with pytest.raises(ExpertFileError, match="it was trained on 'stranger'"):
        strategy.adapt(tiny_model, [problems(1)[0].messages])
