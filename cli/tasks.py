"""`t2 tasks`: what can be trained on and measured."""

from typing import Annotated

import typer

from .options import Json, Seed, refuse_options_before
from .render import emit, facts, say, table

app = typer.Typer(help="List the tasks, or show one.", invoke_without_command=True)


@app.callback()
def tasks(context: typer.Context, json: Json = False) -> None:
    """List the tasks, or show one."""
    if context.invoked_subcommand:
        refuse_options_before(context, json)
        return
    from mlx_t2.tasks import get_task, task_names

    known = [get_task(name) for name in task_names()]
    if json:
        emit(
            {
                "tasks": [
                    {"name": t.name, "kind": t.domain, "splits": list(t.splits)} for t in known
                ]
            }
        )
        return
    table(
        "tasks",
        ("name", "splits", "what"),
        [(t.name, ", ".join(t.splits), t.description) for t in known],
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A task's name.")],
    split: Annotated[str, typer.Option(help="Which split to show problems of.")] = "train",
    limit: Annotated[int, typer.Option(min=1, help="How many problems.")] = 5,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Show a task's prompt, some of its problems, and how they are graded."""
    from mlx_t2.tasks import get_task

    task = get_task(name)
    problems = task.problems(split, limit, seed)
    if json:
        emit(
            {
                "name": task.name,
                "problems": [vars(p) | {"messages": list(p.messages)} for p in problems],
            }
        )
        return
    say(f"{task.name}: {task.description}", style="bold")
    say(f"the reward is {task.rule}")
    say(
        f"a completion that does not end within {task.max_tokens} tokens is wrong and earns "
        f"{task.worst_reward:g}\n"
    )
    facts("prompt", [(m["role"], m["content"]) for m in problems[0].messages[:-1]])
    table(
        "problems",
        ("question", "answer", "kind"),
        [(p.messages[-1]["content"], p.answer, p.kind) for p in problems],
    )
