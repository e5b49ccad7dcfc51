"""A generated domain as a task, behind one prompt or several.

Behind its own prompt a domain shows how it wants to be answered. The shared prompt is one for
all domains, so that nothing but the question tells the domain: what a model does with it has to
come from the expert. A *bare* question has nothing before it, as people ask.

A `-both` task asks half of its problems, and every other step, behind the shared prompt. A
`-curriculum` task goes from the own prompt by way of its system message alone to the bare
question: a model that has learnt nothing, or to answer behind examples alone, never answers a
bare question in the asked form.

Does not know how a domain asks or grades, nor what a model is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from random import Random

from mlx_t2.grading import Attempt, Grade

from ..balance import kinds_in_turn, shuffled_blocks
from ..task import SPLITS, Message, Problem, Question, ask, check_count, check_split
from .domain import Domain
from .expression import EXPRESSION
from .kind import KIND
from .largest import LARGEST
from .prompts import own_prompt, shared_prompt

Prompt = tuple[Message, ...]


@dataclass(frozen=True, kw_only=True)
class GeneratedTask:
    """A generated domain asked behind one prompt, or behind several in turn."""

    name: str
    asker: Domain
    """The domain that asks and grades."""
    description: str
    prompts: tuple[Prompt, ...]
    """Those of held-out problems, each before an equal share of them."""
    stages: tuple[tuple[Prompt, ...], ...]
    """Those of training problems, per part of a training."""
    splits: tuple[str, ...] = SPLITS
    source: str = "generated; by a hash, 60 % train, 15 % validation, 25 % test"
    file: str = ""

    @property
    def domain(self) -> str:
        return self.asker.name

    @property
    def max_tokens(self) -> int:
        return self.asker.max_tokens

    @property
    def prompt(self) -> Prompt:
        """The last one."""
        return self.prompts[-1]

    @property
    def rule(self) -> str:
        return self.asker.grader.rule

    @property
    def worst_reward(self) -> float:
        return self.asker.grader.worst_reward

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        check_split(self.name, split)
        questions = self._draw(split, n, seed)
        check_count(self.name, split, n, len(questions))
        return [
            ask(question, self.prompts[i * len(self.prompts) // n], self.domain)
            for i, question in enumerate(questions)
        ]

    def available(self, split: str, n: int) -> int:
        check_split(self.name, split)
        return len(self._draw(split, n, 0))

    def step(
        self, n: int, seed: int, balanced: bool = True, progress: float = 0.0
    ) -> list[Problem]:
        """The kinds in turn, starting at kind number `seed`: what n leaves out changes with it.
        Unbalanced: kinds and questions drawn at random.

        One prompt per step, in turn: problems that begin alike are read together.
        """
        prompts = self.stages[min(int(progress * len(self.stages)), len(self.stages) - 1)]
        kinds, rng = self.asker.kinds, Random(f"{self.asker.salt}/step/{seed}")
        if balanced:
            questions = self.asker.draw_step(kinds_in_turn(kinds, n, seed), rng)
        else:
            by_chance = iter(lambda: rng.choice(kinds), None)
            questions = list(islice(self.asker.draw("train", by_chance, rng), n))
        check_count(self.name, "train", n, len(questions))
        prompt = prompts[seed % len(prompts)]
        return [ask(question, prompt, self.domain) for question in questions]

    def choice(self, problem: Problem, completion: str) -> str:
        return self.asker.choose(problem, completion)

    def grade(self, attempts: Sequence[tuple[Problem, str]]) -> list[Grade]:
        return self.asker.grader.grade([Attempt(p.id, p.answer, c, p.row) for p, c in attempts])

    def _draw(self, split: str, n: int, seed: int) -> list[Question]:
        where = f"{self.asker.salt}/{split}/{seed}"
        kinds = shuffled_blocks(self.asker.kinds, Random(f"{where}/kinds"))
        return list(islice(self.asker.draw(split, kinds, Random(where)), n))


_ENDINGS = {
    "": (("own",),),
    "-shared": (("shared",),),
    "-bare": (("bare",),),
    "-both": (("own", "shared"),),
    "-curriculum": (("own",), ("own", "told"), ("told", "bare"), ("bare",)),
}
"""{ending of a task's name: the prompts of each part of a training}; held-out problems have the
last part's.
"""


def generated_tasks() -> dict[str, Callable[[], GeneratedTask]]:
    """{name: how to make the task} of every domain behind every choice of prompts."""
    return {
        f"{domain.name}{ending}": partial(_make, domain, ending)
        for ending in _ENDINGS
        for domain in (LARGEST, EXPRESSION, KIND)
    }


def _make(domain: Domain, ending: str) -> GeneratedTask:
    own = own_prompt(domain)
    messages = {"own": own, "told": own[:1], "shared": shared_prompt(), "bare": ()}
    words = {
        "own": "own prompt",
        "told": "its system message alone",
        "shared": "prompt shared by all domains",
        "bare": "the bare question",
    }
    stages = _ENDINGS[ending]
    return GeneratedTask(
        name=f"{domain.name}{ending}",
        asker=domain,
        description=f"{domain.description}; {', '.join(words[which] for which in stages[-1])}",
        prompts=tuple(messages[which] for which in stages[-1]),
        stages=tuple(tuple(messages[which] for which in stage) for stage in stages),
    )
