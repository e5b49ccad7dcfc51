"""Three generated domains that need no download, each asked in two forms.

The own form has the domain's system message and two example turns. The shared form is one
prompt for all domains, so that nothing but the question tells the domain: what a model does
with it has to come from the expert. A `-both` task asks half of its problems, and every other
step, in the shared form; a `-curriculum` task does so in the second half of a training, after a
first half in the own form.

Worked examples stand as chat turns since a small model then answers in the bare form at once;
written inside the user message they do not help it.

Does not know how a domain asks or grades, nor what a model is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from mlx_t2.errors import TaskDataError

from ..task import SPLITS, Message, Problem
from .domain import Domain, Question, check_split, shuffled_blocks
from .expression import Expression
from .kind import Kind
from .largest import Largest

Form = Callable[[Domain], tuple[Message, ...]]
"""What stands before the question."""

DOMAINS: tuple[Domain, ...] = (Largest(), Expression(), Kind())


def own_prompt(domain: Domain) -> tuple[Message, ...]:
    """The domain's system message and its example turns."""
    return _prompt(domain.system, domain.examples)


def shared_prompt() -> tuple[Message, ...]:
    """One system message and one example turn of each domain, `largest` last.

    `largest` is last since a small model that sees `animal` last repeats it.
    """
    return _prompt(
        "Answer.",
        (("the first item of the list q", "q[0]"), ("a tiny ant", "animal"), ("3, 8, 5", "8")),
    )


def _shared(_: Domain) -> tuple[Message, ...]:
    return shared_prompt()


def _prompt(system: str, examples: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    turns = [
        {"role": role, "content": content}
        for example in examples
        for role, content in zip(("user", "assistant"), example, strict=True)
    ]
    return ({"role": "system", "content": system}, *turns)


@dataclass(frozen=True)
class GeneratedTask:
    """A generated domain asked in one form, or in several in turn."""

    name: str
    source: Domain
    forms: tuple[Form, ...]
    """How held-out problems are asked, an equal share in each."""
    stages: tuple[tuple[Form, ...], ...] = ()
    """How training problems are asked in each part of a training; as above when empty."""
    splits: tuple[str, ...] = SPLITS

    @property
    def domain(self) -> str:
        return self.source.name

    @property
    def max_tokens(self) -> int:
        return self.source.max_tokens

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The last form's."""
        return self.forms[-1](self.source)

    @property
    def description(self) -> str:
        forms = {own_prompt: "own prompt", _shared: "prompt shared by all domains"}
        return f"{self.source.description}; {', '.join(forms[form] for form in self.forms)}"

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        check_split(self.name, split)
        where = f"{self.source.salt}/{split}/{seed}"
        kinds = shuffled_blocks(self.source.kinds, Random(f"{where}/kinds"))
        questions = list(islice(self.source.draw(split, kinds, Random(where)), n))
        if len(questions) < n:
            raise TaskDataError(
                f"{self.name}: {n} problems asked for, the {split} split has {len(questions)}"
            )
        return [
            self._problem(q, self.forms[i * len(self.forms) // n])
            for i, q in enumerate(questions)
        ]

    def step(
        self, n: int, seed: int, balanced: bool = True, progress: float = 0.0
    ) -> list[Problem]:
        """The kinds in turn, starting at kind number `seed`: the short ones change with it.
        Unbalanced: kinds and questions as chance has them.

        One form a step, in turn: problems that begin alike are read together.
        """
        stages = self.stages or (self.forms,)
        forms = stages[min(int(progress * len(stages)), len(stages) - 1)]
        kinds, rng = self.source.kinds, Random(f"{self.source.salt}/step/{seed}")
        if balanced:
            in_turn = [kinds[(seed + i) % len(kinds)] for i in range(n)]
            questions = self.source.step(in_turn, rng)
        else:
            by_chance = iter(lambda: rng.choice(kinds), None)
            questions = list(islice(self.source.draw("train", by_chance, rng), n))
        return [self._problem(q, forms[seed % len(forms)]) for q in questions]

    def choice(self, problem: Problem, completion: str) -> str:
        return self.source.choice(problem.id, completion)

    def grade(self, attempts: Sequence[tuple[Problem, str]]) -> list[float]:
        return self.source.grade([(p.id, p.answer, completion) for p, completion in attempts])

    def _problem(self, question: Question, form: Form) -> Problem:
        asked = {"role": "user", "content": question.text}
        messages = (*form(self.source), asked)
        return Problem(question.id, messages, question.answer, question.kind, self.domain)


def generated_tasks() -> list[GeneratedTask]:
    """Every domain in its own form, in the shared form, in both, and in one after the other."""
    own, both = (own_prompt,), (own_prompt, _shared)
    forms = {
        "": (own, ()),
        "-shared": ((_shared,), ()),
        "-both": (both, ()),
        "-curriculum": (both, (own, both)),
    }
    return [
        GeneratedTask(f"{domain.name}{ending}", domain, *used)
        for ending, used in forms.items()
        for domain in DOMAINS
    ]
