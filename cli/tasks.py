"""`t2 tasks`: what can be trained on and measured, and whether a task grades as it should."""

import json as json_text
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    AllowUnsandboxed,
    GraderName,
    Json,
    LongestAnswer,
    Reward,
    Seed,
    TaskExperts,
    TaskName,
    refuse_options_before,
)
from .render import emit, facts, note, say, table
from .task_choice import open_task

if TYPE_CHECKING:
    from mlx_t2.tasks import GradedExample, Problem, Task, Verification

app = typer.Typer(
    help="List the tasks, show or check one, or try its grader.", invoke_without_command=True
)


@app.callback()
def tasks(context: typer.Context, json: Json = False) -> None:
    """List the tasks, show or check one, or try its grader."""
    if context.invoked_subcommand:
        refuse_options_before(context, json)
        return
    from mlx_t2.tasks import get_task, task_names

    known = [_summarise(get_task(name)) for name in task_names()]
    known.append(_summarise_cls())
    if json:
        emit({"tasks": known})
        return
    rows = [(t["name"], t["description"], t["source"]) for t in known]
    table("tasks", ("name", "what", "rows"), rows)


def _summarise(task: "Task") -> dict[str, Any]:
    return {
        "name": task.name,
        "kind": task.domain,
        "splits": list(task.splits),
        "description": task.description,
        "source": task.source,
    }


def _summarise_cls() -> dict[str, Any]:
    """`cls` depends on a library, which is not opened for a list."""
    from mlx_t2.tasks import CLS, SPLITS

    return {
        "name": CLS,
        "kind": CLS,
        "splits": list(SPLITS),
        "description": "which expert of a library, or other, a question belongs to",
        "source": "training problems of the tasks of the experts in --experts DIR",
    }


@app.command()
def show(
    name: TaskName,
    split: Annotated[
        str, typer.Option(help="Which split to show problems of; the first by default.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many problems.")] = 5,
    seed: Seed = 0,
    grader: GraderName = None,
    reward: Reward = None,
    allow_unsandboxed: AllowUnsandboxed = False,
    max_tokens: LongestAnswer = None,
    experts: TaskExperts = None,
    json: Json = False,
) -> None:
    """Show a task's prompt, some of its problems, and how they are graded."""
    task = open_task(name, grader, reward, max_tokens, experts)
    split = split or task.splits[0]
    problems = task.problems(split, min(limit, max(1, task.available(split, limit))), seed)
    if json:
        emit(
            {
                **_summarise(task),
                "rule": task.rule,
                "worst_reward": task.worst_reward,
                "max_tokens": task.max_tokens,
                "prompt": list(task.prompt),
                "split": split,
                "problems": [_describe(problem) for problem in problems],
            }
        )
        return
    say(f"{task.name}: {task.description}", style="bold")
    say(task.source)
    say(f"the reward is {task.rule}")
    say(
        f"a completion that does not end within {task.max_tokens} tokens is wrong and earns "
        f"{task.worst_reward:g}\n"
    )
    facts("prompt", [(m["role"], m["content"]) for m in problems[0].messages[:-1]])
    table(
        f"problems of its {split} split",
        ("question", "answer", "kind"),
        [(p.messages[-1]["content"], p.answer, p.kind) for p in problems],
    )


def _describe(problem: "Problem") -> dict[str, Any]:
    """A problem as JSON values, without the row that graders read."""
    return {
        "id": problem.id,
        "messages": list(problem.messages),
        "answer": problem.answer,
        "kind": problem.kind,
        "domain": problem.domain,
        "options": list(problem.options),
        "cluster": problem.cluster,
    }


@app.command()
def check(
    name: TaskName,
    grader: GraderName = None,
    reward: Reward = None,
    allow_unsandboxed: AllowUnsandboxed = False,
    max_tokens: LongestAnswer = None,
    experts: TaskExperts = None,
    json: Json = False,
) -> None:
    """Check every row of a file of your own, and grade completions of one problem."""
    from mlx_t2.errors import TaskDataError
    from mlx_t2.tasks import grade_examples, verify_all

    task = open_task(name, grader, reward, max_tokens, experts)
    examples = grade_examples(task)
    has_answers = examples[0].what == "the right answer"
    verified = verify_all(task) if has_answers else None
    faults = verified.faults if verified else []
    if faults:
        raise TaskDataError(
            f"{name}: {len(faults)} right answers are graded wrong: {_list(faults)}. Choose "
            "another --grader or --reward, or mend the answers"
        )
    if json:
        emit(_summarise_check(task, examples, verified))
        return
    _show_check(task, examples, verified)


def _summarise_check(
    task: "Task", examples: "list[GradedExample]", verified: "Verification | None"
) -> dict[str, Any]:
    return {
        **_summarise(task),
        "rule": task.rule,
        "max_tokens": task.max_tokens,
        "counts": {split: task.available(split, 10**9) for split in task.splits},
        "n": verified.n if verified else 0,
        "right": verified.n - len(verified.faults) if verified else 0,
        "examples": [
            {
                "what": example.what,
                "question": example.problem.messages[-1]["content"],
                "answer": example.problem.answer,
                "completion": example.completion,
                "reward": example.grade.reward,
                "is_right": example.grade.is_right,
                "reason": example.grade.reason,
            }
            for example in examples
        ],
    }


def _show_check(
    task: "Task", examples: "list[GradedExample]", verified: "Verification | None"
) -> None:
    say(f"{task.name}: {task.description}", style="bold")
    say(task.source)
    say(f"the reward is {task.rule}; longest completion {task.max_tokens} tokens")
    if verified:
        say(f"all {verified.n} right answers are graded right\n")
    else:
        say("its rows have no right completion to compare the reward with\n")
    problem = examples[0].problem
    shown = [(turn["role"], turn["content"]) for turn in problem.messages]
    facts("one problem", [*shown, *([("answer", problem.answer)] if problem.answer else [])])
    table(
        "graded",
        ("completion", "text", "reward", "right", "why"),
        [
            (
                e.what,
                e.completion,
                f"{e.grade.reward:g}",
                _yes(e.grade.is_right),
                e.grade.reason,
            )
            for e in examples
        ],
    )
    if any(e.grade.is_right for e in examples if e.what != "the right answer"):
        note("a wrong completion is graded right: the reward can be had without the answer")


def _yes(is_right: bool) -> str:
    return "yes" if is_right else "no"


@app.command()
def verify(
    name: TaskName,
    split: Annotated[
        str, typer.Option(help="Which split; the whole published test part by default.")
    ] = "",
    grader: GraderName = None,
    experts: TaskExperts = None,
    allow_unsandboxed: AllowUnsandboxed = False,
    json: Json = False,
) -> None:
    """Grade every reference solution of a task: all should be right."""
    from mlx_t2.tasks import verify_references

    task = open_task(name, grader, experts=experts)
    found = verify_references(task, split or None)
    right = found.n - len(found.faults)
    if json:
        emit(
            {
                "task": task.name,
                "source": task.source,
                "split": found.split,
                "n": found.n,
                "right": right,
                "wrong_ids": [identity for identity, _ in found.faults],
                "reasons": dict(found.faults),
                "seconds": round(found.seconds, 3),
            }
        )
        return
    say(
        f"{task.name}, {found.split}: {right} of {found.n} references are right, "
        f"{found.seconds:.1f} s"
    )
    say(task.source)
    if found.faults:
        table("not right", ("problem", "why"), found.faults)


@app.command()
def grade(
    name: Annotated[
        str,
        typer.Argument(metavar="TASK", help="A task's name or file, or the name of a grader."),
    ],
    answer: Annotated[str, typer.Option(help="The right answer.")],
    completion: Annotated[str, typer.Option(help="What to grade; - reads standard input.")],
    row: Annotated[
        str, typer.Option(help="The row as a JSON object, for graders that need more.")
    ] = "{}",
    grader: GraderName = None,
    reward: Reward = None,
    allow_unsandboxed: AllowUnsandboxed = False,
    json: Json = False,
) -> None:
    """Grade one completion: the way to try a grader."""
    from mlx_t2.tasks import grade_one

    text = sys.stdin.read() if completion == "-" else completion
    given = _read_row(row)
    task = None if _is_grader(name) else open_task(name, grader, reward)
    got = grade_one(task or name, answer, text, given)
    if json:
        emit(
            {
                "reward": got.reward,
                "is_right": got.is_right,
                "reason": got.reason,
                "is_strict": got.is_strict,
                "is_lenient": got.is_lenient,
            }
        )
        return
    say(f"{'right' if got.is_right else 'wrong'}, reward {got.reward:g}: {got.reason}")


def _is_grader(name: str) -> bool:
    from mlx_t2.grading import GRADER_NAMES
    from mlx_t2.tasks import task_names

    return name in GRADER_NAMES and name not in task_names() and not Path(name).exists()


def _read_row(text: str) -> dict[str, Any]:
    try:
        row = json_text.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"--row: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise typer.BadParameter("--row: expected a JSON object")
    return row


def _list(faults: Iterable[tuple[str, str]]) -> str:
    told = list(faults)
    shown = "; ".join(f"{identity}: {reason}" for identity, reason in told[:3])
    return shown + (f"; and {len(told) - 3} more" if len(told) > 3 else "")
