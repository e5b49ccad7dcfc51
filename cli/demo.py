"""`t2 demo`: the whole of Transformer² on a real model, in minutes."""

import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .eval import evaluate_with_bar
from .generate import describe_route
from .options import DEFAULT_MODEL, Json, Seed
from .render import emit, interval, note, percent, say, sparkline, table
from .session import decompose_with_bar, open_model, open_strategy
from .training_display import TrainingDisplay

if TYPE_CHECKING:
    from mlx_t2.adaptation import Strategy
    from mlx_t2.models import SVFModel
    from mlx_t2.tasks import Task

DOMAINS = ("largest", "expression", "kind")
PUBLIC = "arc-easy"
"""A bundled expert on a public set, whose questions do not come with the program."""
_PUBLIC_LIMIT = 100


@dataclass(frozen=True)
class Strategies:
    """What the bundled experts are compared by."""

    base: "Strategy"
    experts: "dict[str, Strategy]"
    """{domain: its expert, for everything}."""
    adaptive: "Strategy"


def demo(
    task: Annotated[str, typer.Option(help="What to learn live.")] = "largest",
    steps: Annotated[int, typer.Option(min=1, help="Updates of the live training.")] = 20,
    limit: Annotated[int, typer.Option(min=1, help="Test problems of each measurement.")] = 200,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Decompose a model, train an expert, and answer in two passes with the bundled ones."""
    from mlx_t2.tasks import get_task

    chosen = get_task(task)
    note("1. a real model, decomposed: every MLP weight's singular vectors")
    model = open_model(DEFAULT_MODEL)
    reports = decompose_with_bar(model)
    numbers = sum(math.prod(shape) for shape in model.shapes.values())
    note(
        f"   {len(reports)} weights in {reports[-1].seconds:.1f} s; "
        f"an expert is {numbers:,} numbers"
    )
    note(f"2. it learns {chosen.name} ({chosen.description}) from a reward alone")
    result: dict[str, Any] = {"live": _train_live(model, chosen, steps, limit, seed)}
    if not json:
        _show_live(result["live"])
    note("3. three experts that were trained before, asked bare questions: who answers what?")
    strategies = _open_strategies(model)
    result["domains"] = [_measure(model, domain, strategies, limit) for domain in DOMAINS]
    result["questions"] = _ask_examples(model, strategies)
    note(f"4. an expert on a public set, {PUBLIC}: options are scored, and the best one chosen")
    result["public"] = _measure_public(model, min(limit, _PUBLIC_LIMIT))
    if json:
        emit(result)
    else:
        _show_adaptive(result)


def _train_live(
    model: "SVFModel", task: "Task", steps: int, limit: int, seed: int
) -> dict[str, Any]:
    """Train in a folder that goes away; accuracy on test problems before and after."""
    from mlx_t2.evaluation import wilson
    from mlx_t2.experts import Expert
    from mlx_t2.training import TrainConfig, watch_training

    rewards, samples = [], []
    config = TrainConfig(steps=steps, seed=seed, test=limit, probe=False)
    display = TrainingDisplay(f"{task.name}, live", config)
    with TemporaryDirectory() as folder, display:
        out = Path(folder) / task.name
        for report in display.watch(watch_training(model, task, config, out)):
            rewards.append(report.reward)
            samples.append(report.example)
        metrics = Expert.load(out / "expert.safetensors").metrics
    outcome = {"task": task.name, "steps": steps, "rewards": rewards, "n": limit}
    for when, key in (("before", "base_accuracy"), ("after", "final_accuracy")):
        outcome[when] = {
            "accuracy": metrics[key],
            "interval": wilson(round(metrics[key] * limit), limit),
        }
    return outcome | {"first_sample": samples[0], "last_sample": samples[-1]}


def _open_strategies(model: "SVFModel") -> Strategies:
    """The base model, each bundled expert, and the bundled router's choice among them."""
    from mlx_t2.adaptation import Fixed
    from mlx_t2.experts import BUNDLED

    folder = BUNDLED / model.name
    return Strategies(
        Fixed.base(),
        {domain: open_strategy(model, expert=domain, folder=folder) for domain in DOMAINS},
        open_strategy(model, adapt="classifier", folder=folder),
    )


def _measure(
    model: "SVFModel", domain: str, strategies: Strategies, limit: int
) -> dict[str, Any]:
    """Accuracy on one domain's test problems, and what was chosen for them."""
    from mlx_t2.evaluation import confusion
    from mlx_t2.tasks import OTHER, get_task

    task, row = get_task(f"{domain}-bare"), {"domain": domain, "n": limit}
    for what, strategy in (
        ("base", strategies.base),
        ("expert", strategies.experts[domain]),
        ("adaptive", strategies.adaptive),
    ):
        title = f"{domain}, {what}"
        items, report = evaluate_with_bar(model, task, strategy, "test", limit, title=title)
        row[what] = {"accuracy": report.accuracy, "interval": report.interval}
        if strategy is strategies.adaptive:
            row["chosen"] = confusion((domain, i.label or OTHER) for i in items)[domain]
    return row


def _measure_public(model: "SVFModel", limit: int) -> dict[str, Any] | None:
    """Base beside expert on questions that it was not trained on; None where the data set is
    not at hand.
    """
    from mlx_t2.adaptation import Fixed
    from mlx_t2.errors import TaskDataError
    from mlx_t2.experts import BUNDLED
    from mlx_t2.tasks import get_task

    task = get_task(PUBLIC)
    try:
        limit = task.available("test", limit)
    except TaskDataError as error:
        note(f"   passed over: {error}")
        return None
    row: dict[str, Any] = {"task": task.name, "n": limit, "source": task.source}
    expert = open_strategy(model, expert=PUBLIC, folder=BUNDLED / model.name)
    for what, strategy in (("base", Fixed.base()), ("expert", expert)):
        title = f"{task.name}, {what}"
        _, report = evaluate_with_bar(model, task, strategy, "test", limit, title=title)
        row[what] = {"accuracy": report.accuracy, "interval": report.interval}
    return row


def _ask_examples(model: "SVFModel", strategies: Strategies) -> list[dict[str, Any]]:
    """Two test problems per domain and one ordinary question, answered by the base model and
    in two passes.
    """
    from mlx_t2.tasks import get_task

    asked = []
    for domain in DOMAINS:
        for problem in get_task(f"{domain}-bare").problems("test", 8, seed=1)[:2]:
            asked.append((list(problem.messages), problem.answer))
    asked.append(([{"role": "user", "content": "What is the capital of France?"}], ""))
    return [_answer_twice(model, strategies, *one) for one in asked]


def _answer_twice(
    model: "SVFModel", strategies: Strategies, messages: list[dict[str, str]], expected: str
) -> dict[str, Any]:
    from mlx_t2.generation import AdaptiveGenerator
    from mlx_t2.sampling import SamplingConfig

    config = SamplingConfig(temperature=0.0, max_tokens=24)
    before, after = (
        AdaptiveGenerator(model, strategy).generate(messages, config)
        for strategy in (strategies.base, strategies.adaptive)
    )
    return {
        "question": messages[-1]["content"],
        "expected": expected,
        "before": before.text,
        "after": after.text,
        "route": describe_route(after),
        "label": after.route.label,
    }


def _show_live(live: dict) -> None:
    rows = [
        (when, percent(live[when]["accuracy"]), interval(live[when]["interval"]))
        for when in ("before", "after")
    ]
    say(f"\nreward {sparkline(live['rewards'])}")
    table(
        f"{live['task']}, {live['n']} test problems never seen",
        ("", "accuracy", "95 % interval"),
        rows,
    )


def _show_adaptive(result: dict) -> None:
    columns = ("test problems", "base", "its expert", "self-adaptive")
    rows = [
        (row["domain"], *[_share_cell(row[what]) for what in ("base", "expert", "adaptive")])
        for row in result["domains"]
    ]
    n = result["domains"][0]["n"]
    table(
        f"accuracy, {n} bare questions each (95 % interval)",
        columns,
        rows,
    )
    labels = (*DOMAINS, "other")
    confused = [
        (row["domain"], *[str(row["chosen"].get(label, 0)) for label in labels])
        for row in result["domains"]
    ]
    table("what the first pass chose", ("question of", *labels), confused)
    for asked in result["questions"]:
        expected = f"   (right: {asked['expected']})" if asked["expected"] else ""
        say(f"\n{asked['question']}{expected}", style="bold")
        say(f"  base      {asked['before']!r}")
        say(f"  adaptive  {asked['after']!r}")
        say(f"            {asked['route']}", style="dim")
    if public := result["public"]:
        table(
            f"{public['task']}, {public['n']} test problems never seen (95 % interval)",
            ("base", "its expert"),
            [(_share_cell(public["base"]), _share_cell(public["expert"]))],
        )
        say(public["source"], style="dim")
    say("\nnext: t2 chat, or t2 train --help")


def _share_cell(share: dict) -> str:
    return f"{percent(share['accuracy'])} ({interval(share['interval'])})"
