"""Three generated domains that need no download, each asked in two forms.

The own form has the domain's system message and two example turns. The shared form is one
prompt for all domains, so that nothing but the question tells the domain: what a model does
with it has to come from the expert. A `-both` task asks half of its problems, and every other
step, in the shared form.

Worked examples stand as chat turns since a small model then answers in the bare form at once;
written inside the user message they do not help it.

Does not know how a domain asks or grades, nor what a model is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from mlx_t2.errors import TaskDataError

from .code import Code
from .domain import Domain, Question, check_split, shuffled_blocks
from .mathematics import Mathematics
from .reasoning import Reasoning
from .task import SPLITS, Message, Problem

Form = Callable[[Domain], tuple[Message, ...]]
"""What stands before the question."""

DOMAINS: tuple[Domain, ...] = (Mathematics(), Code(), Reasoning())


def own_prompt(domain: Domain) -> tuple[Message, ...]:
    """The domain's system message and its example turns."""
    return _prompt(domain.system, domain.examples)


def shared_prompt() -> tuple[Message, ...]:
    """One system message and one example turn of each domain, mathematics last.

    Mathematics is last since a small model that sees `animal` last repeats it.
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
class EmbeddedTask:
    """A generated domain asked in one form, or in several in turn."""

    name: str
    source: Domain
    forms: tuple[Form, ...]
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
        where = f"{self.domain}/{split}/{seed}"
        kinds = shuffled_blocks(self.source.kinds, Random(f"{where}/kinds"))
        questions = list(islice(self.source.draw(split, kinds, Random(where)), n))
        if len(questions) < n:
            raise TaskDataError(
                f"{self.name}: {n} problems asked for, the {split} split has {len(questions)}"
            )
        return [self._problem(q, i * len(self.forms) // n) for i, q in enumerate(questions)]

    def step(self, n: int, seed: int) -> list[Problem]:
        """The kinds in turn, starting at kind number `seed`: the short ones change with it.

        One form a step, in turn: problems that begin alike are read together.
        """
        block = len(self.source.kinds)
        kinds = [self.source.kinds[(seed + i) % block] for i in range(n)]
        questions = self.source.step(kinds, Random(f"{self.domain}/step/{seed}"))
        return [self._problem(q, seed % len(self.forms)) for q in questions]

    def grade(self, attempts: Sequence[tuple[Problem, str]]) -> list[float]:
        return self.source.grade([(p.id, p.answer, completion) for p, completion in attempts])

    def _problem(self, question: Question, form: int) -> Problem:
        asked = {"role": "user", "content": question.text}
        messages = (*self.forms[form](self.source), asked)
        return Problem(question.id, messages, question.answer, question.kind, self.domain)


def embedded_tasks() -> list[EmbeddedTask]:
    """Every domain in its own form, in the shared form, and in both."""
    forms = {"": (own_prompt,), "-shared": (_shared,), "-both": (own_prompt, _shared)}
    return [
        EmbeddedTask(f"{domain.name}{ending}", domain, used)
        for ending, used in forms.items()
        for domain in DOMAINS
    ]
