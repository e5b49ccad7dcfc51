"""Evaluation in batches against one problem after another."""

import mlx.core as mx
import pytest
from even_length import ByQuestion, EvenLength, Everywhere, OfItsOwn

from mlx_t2.adaptation import Fixed
from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import evaluate
from mlx_t2.grading import Grade
from mlx_t2.sampling import SamplingConfig, sample


def strategies(model):
    return [
        Fixed.base(),
        Everywhere(model),
        ByQuestion(model, 2),
        ByQuestion(model, 3),
        Everywhere(model, "answer"),
        ByQuestion(model, 3, "answer"),
        OfItsOwn(model),
    ]


def one_by_one(model, strategy, problems):
    """The plain way: adapt, wear, decode, one problem after another."""
    for problem in problems:
        (adapted,) = strategy.adapt([problem.messages])
        with model.using(adapted.scales, acts_on=strategy.acts_on):
            config = SamplingConfig(temperature=0, max_tokens=EvenLength.max_tokens)
            yield adapted, sample(model, [model.encode(problem.messages)], config)[0][0]


@pytest.mark.whole_runs
@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("batch", [1, 8])
def test_batches_answer_what_each_problem_alone_would_get(tiny_model, index, batch):
    strategy, task = strategies(tiny_model)[index], EvenLength()
    items = list(evaluate(tiny_model, task, strategy, limit=12, batch=batch))
    problems = task.problems("test", 12)
    expected = list(one_by_one(tiny_model, strategy, problems))
    assert [item.id for item in items] == [problem.id for problem in problems]
    assert [item.kind for item in items] == [problem.kind for problem in problems]
    for item, (adapted, completion) in zip(items, expected, strict=True):
        assert item.completion == completion.text
        assert (item.label, item.coefficients) == (adapted.label, adapted.coefficients)
        assert item.is_finished == completion.is_finished
        is_right = len(completion.text) % 2 == 0 and completion.is_finished
        assert (item.reward, item.is_right) == (float(is_right), is_right)
        fault = "odd" if completion.is_finished else "cut off at 6 tokens"
        assert (item.answer, item.reason) == ("aa", "right" if is_right else fault)
    assert tiny_model.worn == {}


@pytest.mark.parametrize("acts_on", ["all", "answer"])
def test_folding_for_many_problems_changes_no_answer(tiny_model, acts_on):
    """40 problems are answered folded, 12 live."""
    strategy = Everywhere(tiny_model, acts_on)
    many = list(evaluate(tiny_model, EvenLength(), strategy, limit=40))
    few = list(evaluate(tiny_model, EvenLength(), strategy, limit=12))
    assert many[:12] == few


@pytest.mark.parametrize("limit", [12, 40])
def test_leaving_early_gives_the_model_back(tiny_model, limit):
    tokens = mx.array([[5, 6, 7]])
    before = tiny_model.network(tokens)
    items = evaluate(tiny_model, EvenLength(), Everywhere(tiny_model), limit=limit, batch=4)
    next(items)
    assert not mx.array_equal(tiny_model.network(tokens), before)
    items.close()
    assert mx.array_equal(tiny_model.network(tokens), before)


def test_the_question_is_the_last_message_only(tiny_model):
    (item,) = evaluate(tiny_model, EvenLength(), Fixed.base(), limit=1, seed=3)
    assert (item.id, item.question) == ("even/3-0", " question 0 of test")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"limit": 0}, "got limit 0, batch 64 and samples 1, expected 1 or more"),
        ({"samples": 0}, "and samples 0, expected 1 or more"),
        (
            {"samples": 2},
            "got 2 samples at temperature 0, expected more than 0: greedy",
        ),
    ],
)
def test_nothing_to_do_is_an_error(tiny_model, settings, fault):
    with pytest.raises(ConfigError, match=fault):
        next(evaluate(tiny_model, EvenLength(), Fixed.base(), **settings))


@pytest.mark.whole_runs
@pytest.mark.parametrize("index", range(7))
def test_each_sample_is_the_one_that_its_problem_alone_would_get(tiny_model, index):
    strategy, task = strategies(tiny_model)[index], EvenLength()
    asked = {"limit": 7, "samples": 3, "temperature": 1.0, "seed": 5}
    items = list(evaluate(tiny_model, task, strategy, batch=4, **asked))
    assert [(item.id, item.sample) for item in items] == [
        (problem.id, k) for problem in task.problems("test", 7, 5) for k in range(3)
    ]
    config = SamplingConfig(temperature=1.0, max_tokens=task.max_tokens, seed=5)
    for place, problem in enumerate(task.problems("test", 7, 5)):
        (adapted,) = strategy.adapt([problem.messages])
        with tiny_model.using(adapted.scales, acts_on=strategy.acts_on):
            prompt = tiny_model.encode(problem.messages)
            (alone,) = sample(tiny_model, [prompt], config, 3, [place])
        texts = [item.completion for item in items[3 * place : 3 * place + 3]]
        assert texts == [completion.text for completion in alone]


def test_an_item_says_what_it_was_made_by(tiny_model):
    (item,) = evaluate(
        tiny_model, EvenLength(), Everywhere(tiny_model), split="validation", limit=1, seed=3
    )
    assert (item.task, item.split, item.seed) == ("even", "validation", 3)
    assert (item.model, item.strategy) == (tiny_model.name, "everywhere")
    assert (item.samples, item.temperature, item.max_tokens) == (1, 0.0, 6)
    assert item.prompt == EvenLength().problems("validation", 1, 3)[0].messages


def test_verdicts_are_those_of_the_grade(tiny_model):
    class Loose(EvenLength):
        def grade(self, attempts):
            return [Grade(0.5, True, "loose", is_strict=False) for _ in attempts]

    items = list(evaluate(tiny_model, Loose(), Fixed.base(), limit=6))
    for item in items:
        assert item.is_strict is False
        assert item.is_right == item.is_finished
        assert item.is_lenient is True  # even where the limit cut it off


def test_no_more_answers_are_decoded_at_a_time_than_the_batch_has_room_for(
    tiny_model, monkeypatch
):
    from mlx_t2.sampling.rows import Decoder

    most, join = [], Decoder.join

    def watch(self, *args):
        join(self, *args)
        most.append(self.count)

    monkeypatch.setattr(Decoder, "join", watch)
    items = list(evaluate(tiny_model, EvenLength(), Fixed.base(), limit=30, batch=4))
    assert len(items) == 30
    assert max(most) == 4
