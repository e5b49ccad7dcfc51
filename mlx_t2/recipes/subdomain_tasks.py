"""Twelve small domains in three families: what becomes of experts when there are many.

`the smallest of 84, 17, 74`, `the plural of saw`, `the length of the list xs`: the questions
are those of the generated domains in other words, split as they are, each behind three worked
examples of its sub-domain.
"""

from collections.abc import Callable, Sequence
from functools import partial

from mlx_t2.grading import Attempt, Grade, Grader, grade_text
from mlx_t2.tasks import (
    DatasetTask,
    Problem,
    Question,
    Row,
    get_task,
    grade_expressions,
    question_of,
)

_DRAWN = 900
"""Most questions of a generated domain that a split is made from."""

_NUMBERS: dict[str, Callable[[list[str]], str]] = {
    "largest": lambda numbers: max(numbers, key=int),
    "smallest": lambda numbers: min(numbers, key=int),
    "first": lambda numbers: numbers[0],
    "last": lambda numbers: numbers[-1],
}
_WORDS: dict[str, tuple[str, Callable[[str, str], str]]] = {
    "kind": ("the kind of {}", lambda _, kind: kind),
    "plural": ("the plural of {}", lambda noun, _: f"{noun}s"),
    "capitals": ("{} in capitals", lambda noun, _: noun.upper()),
    "article": ("{} with its article", lambda noun, _: f"{_article(noun)} {noun}"),
}
_SHOWN = 3
"""Worked examples in a prompt; training questions that are not asked."""

_EXPRESSIONS = {
    "arithmetic": ("plus", "minus", "times", "square", "remainder"),
    "strings": ("upper", "lower", "characters", "repeat"),
    "items": ("index", "first items", "last item", "last items"),
    "lists": ("sum", "length", "sorted", "reversed"),
}
"""Sub-domain → kinds of expression."""


def make_subdomains() -> list[DatasetTask]:
    """The twelve tasks, the families in turn."""
    exact = Grader(grade=_grade, rule="1 for the answer and nothing else, else 0")
    expression = get_task("expression")
    runs = Grader(grade=grade_expressions, rule=expression.rule)
    families = (
        [_make("numbers", name, _numbers, 6, exact) for name in _NUMBERS],
        [_make("words", name, _words, 6, exact) for name in _WORDS],
        [
            _make("expressions", name, _expressions, expression.max_tokens, runs)
            for name in _EXPRESSIONS
        ],
    )
    return [task for four in zip(*families, strict=True) for task in four]


def family_of(name: str) -> str:
    """The family of a sub-domain.

    >>> family_of("numbers-first")
    'numbers'
    """
    return name.partition("-")[0]


def _drawn(domain: str, split: str) -> list[tuple[Problem, str]]:
    """Problems of a generated domain, and their questions."""
    task = get_task(domain)
    problems = task.problems(split, task.available(split, _DRAWN))
    return [(problem, question_of(problem)["content"]) for problem in problems]


def _numbers(name: str, split: str) -> list[Row]:
    """kind: the position of the answer."""
    rows = []
    for _, text in _drawn("largest", split):
        numbers = text.split(", ")
        answer = _NUMBERS[name](numbers)
        kind = str(numbers.index(answer))
        rows.append({"text": f"the {name} of {text}", "answer": answer, "kind": kind})
    return rows


def _words(name: str, split: str) -> list[Row]:
    wording, answer = _WORDS[name]
    kinds = {text.split()[-1]: problem.answer for problem, text in _drawn("kind", split)}
    return [
        {"text": wording.format(noun), "answer": answer(noun, kind), "kind": kind}
        for noun, kind in kinds.items()
        if _is_regular(noun)
    ]


def _expressions(name: str, split: str) -> list[Row]:
    return [
        {"text": text, "answer": problem.answer, "kind": problem.kind}
        for problem, text in _drawn("expression", split)
        if problem.kind in _EXPRESSIONS[name]
    ]


def _make(
    family: str,
    name: str,
    draw: Callable[[str, str], list[Row]],
    max_tokens: int,
    grader: Grader,
) -> DatasetTask:
    """The sub-domain behind worked examples of its own, one of each of its first kinds."""
    drawn = draw(name, "train")
    kinds = sorted({row["kind"] for row in drawn})[:_SHOWN]
    shown = [next(row for row in drawn if row["kind"] == kind) for kind in kinds]

    def rows(split: str) -> list[Row]:
        return [row for row in draw(name, split) if row not in shown]

    return DatasetTask(
        name=f"{family}-{name}",
        domain=f"{family}-{name}",
        description=f"sub-domain {name} of {family}",
        rows=rows,
        source="questions of a generated domain in other words, split as they are",
        template=partial(_ask, f"{family}-{name}"),
        grader=grader,
        max_tokens=max_tokens,
        prompt=(
            {"role": "system", "content": "Answer as before."},
            *(
                {"role": role, "content": row[part]}
                for row in shown
                for role, part in (("user", "text"), ("assistant", "answer"))
            ),
        ),
    )


def _ask(name: str, row: Row) -> Question:
    text = row["text"]
    return Question(f"{name}/{text}", text, row["answer"], row["kind"])


def _grade(attempts: Sequence[Attempt]) -> list[Grade]:
    return [grade_text(a.completion.strip().removesuffix("."), a.answer) for a in attempts]


def _is_regular(noun: str) -> bool:
    """Whether the plural is the noun and an s."""
    irregular = ("mouse", "sheep", "deer", "moose", "fish", "popcorn", "underwear")
    return noun not in irregular and not noun.endswith(
        ("s", "x", "z", "ch", "sh", "y", "f", "fe", "o", "ey")
    )


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeio" else "a"
