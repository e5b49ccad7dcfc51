"""Evaluation in batches against one problem after another."""

import mlx.core as mx
import pytest
from helpers import random_scales

from mlx_t2.adaptation import Adapted, Fixed
from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import evaluate
from mlx_t2.grading import RIGHT, wrong
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.tasks import Problem


class EvenLength:
    """Right is an answer of an even number of characters."""

    name = domain = "even"
    splits = ("test",)
    max_tokens = 6
    description = "answers of even length"
    prompt = ()
    rule = "1 for an even number of characters, else 0"
    worst_reward = 0.0

    def problems(self, split, n, seed=0):
        return [
            Problem(
                id=f"even/{seed}-{i}",
                messages=(
                    {"role": "user", "content": "example"},
                    {"role": "assistant", "content": "ok"},
                    {"role": "user", "content": f"{'x' * (i % 5)} question {i * 7} of {split}"},
                ),
                answer="aa",
                kind="abc"[i % 3],
                domain="even",
            )
            for i in range(n)
        ]

    def choice(self, problem, completion):
        return completion

    def step(self, n, seed, balanced=True, progress=0.0):
        return self.problems("train", n, seed)

    def grade(self, attempts):
        return [wrong("odd") if len(text) % 2 else RIGHT for _, text in attempts]


class ByQuestion:
    """Scales by the length of the question: the base model's, or one of a few experts'."""

    name = "by question"
    is_fixed = False

    def __init__(self, model, distinct, acts_on="all"):
        self.acts_on = acts_on
        self.model = model
        self.experts = [
            {},
            *(random_scales(model.shapes, seed, spread=0.5) for seed in range(1, distinct)),
        ]

    def adapt(self, conversations):
        indices = [len(chat[-1]["content"]) % len(self.experts) for chat in conversations]
        return [Adapted(self.experts[i], {str(i): 1.0} if i else {}, str(i)) for i in indices]


class OfItsOwn:
    """A mixture: new arrays for each conversation."""

    name = "of its own"
    is_fixed = False
    acts_on = "all"

    def __init__(self, model):
        self.shapes = model.shapes

    def adapt(self, conversations):
        return [
            Adapted(random_scales(self.shapes, len(chat[-1]["content"])), {"x": 0.5})
            for chat in conversations
        ]


class Everywhere:
    """The same scales for all."""

    name = "everywhere"
    is_fixed = True

    def __init__(self, model, acts_on="all"):
        self.acts_on = acts_on
        self.scales = random_scales(model.shapes, 1, spread=0.5)

    def adapt(self, conversations):
        return [Adapted(self.scales, {"x": 1.0}, "x")] * len(conversations)


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


def test_nothing_to_do_is_an_error(tiny_model):
    with pytest.raises(ConfigError, match="got limit 0 and batch 64"):
        next(evaluate(tiny_model, EvenLength(), Fixed.base(), limit=0))
