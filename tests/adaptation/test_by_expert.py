"""Strategies made of a library: by the expert that classifies, by prompt, and all at once."""

from dataclasses import replace

import mlx.core as mx
import pytest

from mlx_t2.adaptation import prepare_strategy
from mlx_t2.errors import ConfigError
from mlx_t2.experts import Library, add, mix

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
