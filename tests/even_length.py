"""A task that is graded in no time, and strategies that give questions scales of their own."""

from helpers import random_scales

from mlx_t2.adaptation import Adapted
from mlx_t2.grading import RIGHT, wrong
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
    source = "made up"
    file = ""

    def available(self, split, n):
        return n

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
        self.model, self.acts_on = model, acts_on
        self.experts = [
            {},
            *(random_scales(model.shapes, seed, spread=0.5) for seed in range(1, distinct)),
        ]

    def adapt(self, conversations, read=()):
        indices = [len(chat[-1]["content"]) % len(self.experts) for chat in conversations]
        return [
            Adapted(self.experts[i], {str(i): 1.0} if i else {}, str(i), acts_on=self.acts_on)
            for i in indices
        ]


class OfItsOwn:
    """A mixture: new arrays for each conversation."""

    name = "of its own"
    is_fixed = False
    acts_on = "all"

    def __init__(self, model):
        self.shapes = model.shapes

    def adapt(self, conversations, read=()):
        return [
            Adapted(random_scales(self.shapes, len(chat[-1]["content"])), {"x": 0.5})
            for chat in conversations
        ]


class Everywhere:
    """The same scales for all."""

    name = "everywhere"
    is_fixed = True

    def __init__(self, model, acts_on="all"):
        self.scales, self.acts_on = random_scales(model.shapes, 1, spread=0.5), acts_on

    def adapt(self, conversations, read=()):
        adapted = Adapted(self.scales, {"x": 1.0}, "x", acts_on=self.acts_on)
        return [adapted] * len(conversations)
