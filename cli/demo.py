"""`t2 demo`: the whole of Transformer² on a real model, in minutes."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from .ask import routed
from .eval import evaluate_with_bar
from .options import DEFAULT_MODEL, Json, Seed
from .render import emit, interval, note, percent, say, sparkline, table
from .session import decomposed, experts_for, opened, router_for
from .training_display import TrainingDisplay

DOMAINS = ("largest", "expression", "kind")


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
    model = opened(DEFAULT_MODEL)
    reports = decomposed(model)
    numbers = sum(math.prod(shape) for shape in model.shapes.values())
    note(
        f"   {len(reports)} weights in {reports[-1].seconds:.1f} s; "
        f"an expert is {numbers:,} numbers"
    )
    note(f"2. it learns {chosen.name} ({chosen.description}) from a reward alone")
    result: dict[str, Any] = {"live": _live(model, chosen, steps, limit, seed)}
    if not json:
        _show_live(result["live"])
    note("3. three experts that were trained before, on one prompt for all: who answers what?")
    strategies = _strategies(model)
    result["domains"] = _measured(model, strategies, limit)
    result["questions"] = [
        _asked(strategies, get_task(f"{d}-shared"), i) for d in DOMAINS for i in (0, 1)
    ]
    result["questions"].append(_asked_bare(strategies, "What is the capital of France?"))
    if json:
        emit(result)
    else:
        _show_adaptive(result)


def _live(model: Any, task: Any, steps: int, limit: int, seed: int) -> dict:
    """Train in a folder that goes away; accuracy on test problems before and after."""
    from mlx_t2.evaluation import wilson
    from mlx_t2.experts import Expert
    from mlx_t2.training import TrainConfig, train

    rewards, samples = [], []
    config = TrainConfig(steps=steps, seed=seed, test=limit)
    with TemporaryDirectory() as folder, TrainingDisplay(f"{task.name}, live") as display:
        out = Path(folder) / task.name
        for report in train(model, task, config, out):
            rewards.append(report.reward)
            samples.append(report.example)
            display.show(report)
        metrics = Expert.load(out / "expert.safetensors").metrics
    outcome = {"task": task.name, "steps": steps, "rewards": rewards, "n": limit}
    for when, key in (("before", "base_accuracy"), ("after", "final_accuracy")):
        outcome[when] = {
            "accuracy": metrics[key],
            "interval": wilson(round(metrics[key] * limit), limit),
        }
    return outcome | {"first_sample": samples[0], "last_sample": samples[-1]}


def _strategies(model: Any) -> dict[str, Any]:
    """{what: strategy} of the base model, each expert and self-adaptation; and two generators
    to ask.
    """
    from mlx_t2.adaptation import ClassifierStrategy, Named, NoAdaptation
    from mlx_t2.generation import AdaptiveGenerator

    experts = {name: e for name, e in experts_for(model, None).items() if name in DOMAINS}
    adaptive = ClassifierStrategy(experts, router_for(model, None))
    named = {name: Named({name: e}, {name: 1.0}) for name, e in experts.items()}
    prompts = {name: e.prompt for name, e in experts.items()}
    generators = (
        AdaptiveGenerator(model, NoAdaptation()),
        AdaptiveGenerator(model, adaptive, prompts),
    )
    return {"base": NoAdaptation(), **named, "adaptive": adaptive, "generators": generators}


def _measured(model: Any, strategies: dict[str, Any], limit: int) -> list[dict]:
    from mlx_t2.evaluation import confusion
    from mlx_t2.tasks import get_task

    rows = []
    for domain in DOMAINS:
        task, row = get_task(f"{domain}-shared"), {"domain": domain, "n": limit}
        for what, strategy in (("base", "base"), ("expert", domain), ("adaptive", "adaptive")):
            title = f"{domain}, {what}"
            items, report = evaluate_with_bar(
                model, task, strategies[strategy], "test", limit, title=title
            )
            row[what] = {"accuracy": report.accuracy, "interval": report.interval}
        row["chosen"] = confusion((domain, item.label or "other") for item in items)[domain]
        rows.append(row)
    return rows


def _asked(strategies: dict[str, Any], task: Any, index: int) -> dict:
    """A test problem, answered by the base model and in two passes."""
    problem = task.problems("test", 8, seed=1)[index]
    return _answered_twice(strategies, list(problem.messages), problem.answer)


def _asked_bare(strategies: dict[str, Any], question: str) -> dict:
    return _answered_twice(strategies, [{"role": "user", "content": question}], "")


def _answered_twice(strategies: dict[str, Any], messages: list, expected: str) -> dict:
    from mlx_t2.sampling import SamplingConfig

    config = SamplingConfig(temperature=0.0, max_tokens=24)
    before, after = (g.generate(messages, config) for g in strategies["generators"])
    return {
        "question": messages[-1]["content"],
        "expected": expected,
        "before": before.text,
        "after": after.text,
        "route": routed(after),
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
    def cell(share: dict) -> str:
        return f"{percent(share['accuracy'])} ({interval(share['interval'])})"

    columns = ("test problems", "base", "its expert", "self-adaptive")
    rows = [
        (row["domain"], *[cell(row[what]) for what in ("base", "expert", "adaptive")])
        for row in result["domains"]
    ]
    n = result["domains"][0]["n"]
    table(
        f"accuracy, {n} problems each, one prompt for all domains (95 % interval)",
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
    say("\nnext: t2 chat, or t2 train --help")
