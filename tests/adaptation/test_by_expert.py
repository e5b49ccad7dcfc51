"""Strategies made of a library: by the expert that classifies, by prompt, and all at once."""

from dataclasses import replace

import mlx.core as mx
import pytest

from mlx_t2.adaptation import calibrate_judge, prepare_strategy
from mlx_t2.errors import ConfigError
from mlx_t2.experts import Expert, Library, add, mix
from mlx_t2.models import decompose
from mlx_t2.routing import ClsRouter
from mlx_t2.tasks import get_task, make_cls

CHATS = [[{"role": "user", "content": text}] for text in ("7, 4", "my old plum")]
OPTIONS = {"options": ["expression", "kind", "largest", "other"]}


@pytest.fixture
def library(tmp_path, experts, make_expert):
    """Three experts, and one that was trained to tell them apart."""
    for name, expert in experts.items():
        expert.save(tmp_path / f"{name}.safetensors")
    judge = make_expert("judge", 9, task="cls", config=OPTIONS, acts_on="answer")
    judge.save(tmp_path / "judge.safetensors")
    return Library(tmp_path, bundled=None)


def test_the_expert_that_classifies_chooses_and_is_not_chosen_from(tiny_model, library):
    strategy = prepare_strategy(tiny_model, library, adaptation="cls").finish()
    assert strategy.name == "cls"
    for adapted in strategy.adapt(CHATS):
        assert adapted.scores.keys() == set(OPTIONS["options"])
        assert sum(adapted.scores.values()) == pytest.approx(1, abs=1e-5)
        assert adapted.label in OPTIONS["options"]
    prepared = prepare_strategy(tiny_model, library, adaptation="sum").finish()
    assert prepared.adapt(CHATS)[0].coefficients.keys() == {"largest", "expression", "kind"}


def test_experts_that_it_does_not_know_are_passed_over(tiny_model, library, experts):
    replace(experts["kind"], task="riddles").save(library.own / "riddles.safetensors")
    preparation = prepare_strategy(tiny_model, library, adaptation="cls")
    (one,) = preparation.passed_over
    assert one.name == "riddles"
    assert "the expert 'judge' knows expression, kind, largest, other" in one.why


@pytest.mark.parametrize(("kept", "used"), [(0.97, 0.97), (7, 0.5), ("x", 0.5), (None, 0.5)])
def test_it_is_believed_above_the_threshold_in_its_file(tiny_model, library, kept, used):
    path = library.own / "judge.safetensors"
    replace(Expert.load(path), metrics={"threshold": kept}).save(path)
    strategy = prepare_strategy(tiny_model, library, adaptation="cls").finish()
    assert strategy.threshold == used
    for adapted in strategy.adapt(CHATS):
        if 1 - adapted.scores["other"] < used:
            assert adapted.label == "other"
            assert adapted.scales == {}


def test_calibrated_it_lets_no_ordinary_request_of_the_validation_part_through(
    tiny_model, make_expert
):
    decompose(tiny_model)
    judge = make_expert("judge", 9, task="cls", config=OPTIONS, acts_on="answer")
    tasks = {name: get_task(name) for name in OPTIONS["options"] if name != "other"}
    task = make_cls(tasks)
    small = replace(task, rows=lambda split: [*task.rows(split)[:20], *task.rows(split)[-150:]])
    calibrated = calibrate_judge(tiny_model, judge, small)
    assert calibrated.scales is judge.scales
    problems = [p for p in small.problems("validation", 170) if p.answer == "other"]
    assert len(problems) == 150
    router = ClsRouter(tiny_model, OPTIONS["options"], judge.scales)
    meant = 1 - router.posterior([p.messages for p in problems])[:, -1]
    assert calibrated.metrics["threshold"] > max(0.5, mx.max(meant).item())


def test_without_one_the_error_says_how_to_get_it(tiny_model, library):
    (library.own / "judge.safetensors").unlink()
    with pytest.raises(ConfigError, match="trained to classify, expected one"):
        prepare_strategy(tiny_model, library, adaptation="cls")


@pytest.mark.parametrize(
    ("name", "combine"),
    [
        ("sum", add),
        ("average", lambda e: mix(e, [1 / 3] * 3)),
    ],
)
def test_all_at_once_is_the_algebra_of_experts(tiny_model, library, experts, name, combine):
    strategy = prepare_strategy(tiny_model, library, adaptation=name).finish()
    expected = combine([experts[label] for label in sorted(experts)])
    (adapted,) = strategy.adapt(CHATS[:1])
    assert strategy.is_fixed
    assert adapted.scales.keys() == expected.keys()
    assert all(mx.array_equal(z, expected[path]) for path, z in adapted.scales.items())


def test_a_category_is_what_the_experts_file_says(tiny_model, library, experts):
    told = replace(experts["kind"], description="things", examples=("my old plum",))
    told.save(library.own / "kind.safetensors")
    prepared = prepare_strategy(tiny_model, library, adaptation="prompt").finish()
    (library.own / "kind.safetensors").unlink()
    experts["kind"].save(library.own / "kind.safetensors")
    silent = prepare_strategy(tiny_model, library, adaptation="prompt").finish()
    one, other = (strategy.adapt(CHATS)[0].scores for strategy in (prepared, silent))
    assert one.keys() == other.keys() == set(OPTIONS["options"])
    assert one["kind"] != other["kind"]
