"""Routers of a library: trained, found, extended, and honest about what they do not know."""

from dataclasses import replace

import mlx.core as mx
import pytest
from helpers import tiny_network, tiny_tokenizer

from mlx_t2.adaptation import (
    extend_router,
    find_router,
    name_unknown,
    place_of_router,
    plan_router,
    prepare_strategy,
)
from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.experts import Library
from mlx_t2.models import SVFModel
from mlx_t2.routing import examples

pytestmark = pytest.mark.whole_runs


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Examples enough for a tiny model."""
    monkeypatch.delenv("MLX_T2_DATA", raising=False)
    monkeypatch.setattr(examples, "_MOST", {"train": (12, 60, 0), "validation": (8, 50, 0)})


@pytest.fixture
def library(tmp_path, make_expert) -> Library:
    """Two experts, called other than their tasks."""
    make_expert("numbers", 0, task="largest-both").save(tmp_path / "numbers.safetensors")
    make_expert("things", 1, task="kind").save(tmp_path / "things.safetensors")
    return Library(tmp_path, bundled=None)


def test_a_router_knows_the_experts_of_the_library_by_name(tiny_model, library):
    training = plan_router(tiny_model, library)
    assert training.tasks == {"numbers": "largest-both", "things": "kind"}
    assert sum(training.read()) == training.total == 2 * (12 + 6) + 70 + 2 * (8 + 4) + 58
    router = training.finish()
    assert router.labels == ("numbers", "things", "other")
    assert router.metrics["recall"].keys() == {"numbers", "things"}
    assert router.metrics["ordinary"] == 58
    assert (router.base_model, router.tasks) == ("tiny", training.tasks)


def test_training_is_reproducible_and_needs_no_watching(tiny_model, library):
    first, second = (plan_router(tiny_model, library).finish() for _ in range(2))
    assert mx.array_equal(first.head.weight, second.head.weight)
    assert first.threshold == second.threshold
    other = plan_router(tiny_model, library, seed=1).finish()
    assert not mx.array_equal(first.head.weight, other.head.weight)


def test_extended_it_knows_an_expert_that_was_added(tiny_model, library, make_expert):
    _, path = extend_router(tiny_model, library)
    assert path == library.own / "router.safetensors"
    added = library.add(make_expert("x", 3, task="expression"), "formulas")
    assert added == library.own / "formulas.safetensors"
    preparation = prepare_strategy(tiny_model, library, adaptation="auto")
    (unknown,) = preparation.passed_over
    assert unknown.why == (
        "expert 'formulas': the router knows numbers, things, other. Wear it by name "
        "(--expert), or train a router that knows it: t2 router"
    )
    extended, again = extend_router(tiny_model, library)
    assert (extended.labels, again) == (("formulas", "numbers", "things", "other"), path)
    assert prepare_strategy(tiny_model, library, adaptation="auto").passed_over == ()


def test_a_router_is_found_with_its_file(tiny_model, library, tmp_path):
    router, path = extend_router(tiny_model, library)
    found, where = find_router(tiny_model, library)
    assert (found.labels, found.threshold, where) == (router.labels, router.threshold, path)
    router.save(tmp_path / "mine.safetensors")
    assert find_router(tiny_model, library, tmp_path / "mine.safetensors")[1].stem == "mine"


def test_routers_of_two_models_lie_side_by_side(tiny_model, library, make_expert):
    other = SVFModel("other", tiny_network(5), tiny_tokenizer())
    extend_router(tiny_model, library)
    for name in ("numbers", "things"):
        expert = library.find(name)
        theirs = replace(expert, base_model="other", base_fingerprint=other.fingerprint())
        theirs.save(library.own / f"their-{name}.safetensors")
    _, path = extend_router(other, library)
    assert path == library.own / f"router-{other.fingerprint()[:12]}.safetensors"
    for model, label in ((tiny_model, "numbers"), (other, "their-numbers")):
        assert label in find_router(model, library)[0].labels
        assert place_of_router(model, library) == find_router(model, library)[1]
    assert {e.name for e, _ in library.experts()} == {
        *("numbers", "things", "their-numbers", "their-things")
    }


def test_without_a_router_it_is_said_how_to_get_one(tiny_model, library):
    with pytest.raises(ExpertFileError, match=r"router\.safetensors: cannot be read \(no such"):
        find_router(tiny_model, library)
    other = SVFModel("other", tiny_network(5), tiny_tokenizer())
    extend_router(tiny_model, library)
    with pytest.raises(ExpertFileError, match="Train one for this model: t2 router"):
        find_router(other, library)


def test_what_cannot_be_told_apart_or_asked_is_passed_over_with_the_reason(
    tiny_model, library, make_expert
):
    make_expert("twin", 4, task="kind-shared").save(library.own / "twin.safetensors")
    make_expert("lost", 5, task="riddles").save(library.own / "lost.safetensors")
    make_expert("gone", 6, config={"task_file": "/nowhere/mine.yaml"}).save(
        library.own / "gone.safetensors"
    )
    (library.own / "burnt.safetensors").write_bytes(b"ashes")
    training = plan_router(tiny_model, library)
    why = {one.name: one.why for one in training.passed_over}
    assert training.tasks.keys() == {"numbers", "things"}
    assert why.keys() == {"twin", "lost", "gone", "burnt"}
    assert "the domain of 'things', expected one of its own" in why["twin"]
    assert "expert 'lost': task: unknown name 'riddles'" in why["lost"]
    assert "mine.yaml" in why["gone"]


def test_an_expert_that_was_trained_on_something_else_since_is_not_known(
    tiny_model, library, make_expert
):
    router = plan_router(tiny_model, library).finish()
    same = make_expert("things", 7, task="kind-both")
    changed = make_expert("numbers", 8, task="expression")
    (unknown,) = name_unknown(router, {"things": same, "numbers": changed})
    assert "the router knows it by the task largest-both, not expression" in unknown.why


def test_a_library_without_an_expert_of_the_model_has_no_router(library):
    with pytest.raises(ConfigError, match="no expert of other with a task that is at hand"):
        plan_router(SVFModel("other", tiny_network(5), tiny_tokenizer()), library)
