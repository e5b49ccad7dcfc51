"""`evidence.json`, from what is on disk; what is not there is named.

Knows answers, trainings and statistics; runs nothing.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from mlx_t2.evaluation import Comparison, GradedItem, compare, holm, wilson
from mlx_t2.files import read_lines

from ..provenance import describe_source
from .answers import BASE, EXPERTS, SEARCHED, read_answers, read_search, times_path
from .plan import UNSEEN, Job, list_jobs
from .sets import SIZES, SPLIT, find_task, number_problems
from .stints import COMMAND, is_finished, read_stints
from .trainings import TRAININGS, choose_seed, folder_of, load_trained
from .vectors import describe_scales

_LISTED = 20
"""Fixed and broken problems of each that a person reads."""
_CONTROLS = ("arc-random-0", "arc-lora-0", "arc-lora-slow-0")


def collect_evidence(runs: Path) -> dict[str, Any]:
    """All that is finished."""
    jobs = list_jobs()
    done = [job for job in jobs if is_finished(runs, job.key)]
    answered = [job for job in done if job.work == "answer"]
    trained = [job for job in done if job.work == "train"]
    used = dict.fromkeys(job.on for job in answered)
    return {
        **describe_source(COMMAND),
        "machines": _machines(runs, done),
        "model": _model_of(runs, answered),
        "missing": [job.key for job in jobs if job not in done],
        "seconds": round(sum(_seconds(runs, job) for job in done)),
        "sets": {on: find_task(on).source for on in used},
        "chosen": _chosen(runs, trained),
        "rows": _adjust([_row(runs, job) for job in answered]),
        "controls": list(_compare_controls(runs, done)),
        "trainings": [_training(runs, job) for job in trained],
        "searches": {job.on: _search(runs, job.on) for job in answered if job.name == SEARCHED},
        "times": [_times(runs, job) for job in done if job.work == "time"],
        "vectors": _vectors(runs, trained),
        "samples": list(list_samples(runs, _chosen_names(runs, trained))),
    }


def _machines(runs: Path, done: Sequence[Job]) -> dict[str, list[str]]:
    """{machine: the jobs that it has worked on}, the busiest first."""
    jobs: dict[str, list[str]] = {}
    for job in done:
        for machine in dict.fromkeys(stint["machine"] for stint in read_stints(runs, job.key)):
            jobs.setdefault(machine, []).append(job.key)
    return dict(sorted(jobs.items(), key=lambda one: -len(one[1])))


def _model_of(runs: Path, answered: Sequence[Job]) -> str | None:
    """What the model is called in the answers."""
    return read_answers(runs, *_place(answered[0]))[0].model if answered else None


def _place(job: Job) -> tuple[str, str, str]:
    return job.name, job.on, job.form


def _seconds(runs: Path, job: Job) -> float:
    """Seconds of its stints; a training's are those of its steps, which a stint that was
    killed has left, too.
    """
    if job.work == "train":
        steps = read_lines(folder_of(runs, job.name) / "metrics.jsonl")
        return sum(step["seconds"] for step in steps)
    return sum(stint["seconds"] for stint in read_stints(runs, job.key))


def _chosen(runs: Path, trained: Sequence[Job]) -> int | None:
    """The seed of arc-easy that is best on validation, once all are trained."""
    seeds = [job for job in trained if _kind(job.name) == "arc-easy"]
    return choose_seed(runs, "arc-easy") if len(seeds) == len(_seeds()) else None


def _seeds() -> list[Job]:
    return [job for job in list_jobs() if job.work == "train" and _kind(job.name) == "arc-easy"]


def _kind(name: str) -> str:
    return name.rpartition("-")[0]


# Answers


def _row(runs: Path, job: Job) -> tuple[dict[str, Any], Comparison | None]:
    """One evaluation, and what it is beside the base model; for another form, beside the set's
    own.
    """
    items = read_answers(runs, *_place(job))
    n, right = len(items), sum(item.is_right for item in items)
    shares = {
        "strict": sum(bool(item.is_strict) for item in items),
        "lenient": sum(bool(item.is_lenient) for item in items),
        "truncated": sum(not item.is_finished for item in items),
    }
    stints = read_stints(runs, job.key)
    row = {
        "part": job.part,
        "name": job.name,
        "set": job.on,
        "form": job.form,
        "table": _table_of(job),
        "correct": right,
        "n": n,
        "interval": [round(bound, 4) for bound in wilson(right, n)],
        **shares,
        "max_tokens": items[0].max_tokens,
        "abstained": sum(item.label == "other" for item in items),
        "seconds": round(sum(stint["seconds"] for stint in stints)),
        "commit": stints[-1]["commit"],
        "command": stints[-1]["command"],
    }
    is_first = job.name == BASE and not job.form
    return row, None if is_first else _compare_with_base(runs, job.on, items)


def _compare_with_base(runs: Path, on: str, items: Sequence[GradedItem]) -> Comparison | None:
    """Paired on the problems that both have answered; None before the base model has."""
    if not is_finished(runs, f"answer--{BASE}--{on}"):
        return None
    return _pair(read_answers(runs, BASE, on), items)


def _pair(before: Sequence[GradedItem], after: Sequence[GradedItem]) -> Comparison:
    ids = {item.id for item in after}
    return compare([item for item in before if item.id in ids], after)


def _table_of(job: Job) -> str:
    """The table that a row is in: p is adjusted for the number of its rows."""
    if job.form or job.name == BASE:
        return "base"
    return "unseen" if job.on in UNSEEN else "trained"


def _adjust(
    rows: Sequence[tuple[dict[str, Any], Comparison | None]],
) -> list[dict[str, Any]]:
    """The rows with their comparisons, p adjusted within each table (Holm)."""
    adjusted: list[dict[str, Any]] = [row for row, _ in rows]
    for table in dict.fromkeys(row["table"] for row in adjusted):
        paired = [(row, found) for row, found in rows if found and row["table"] == table]
        for (row, found), p in zip(
            paired, holm([found.paired.p for _, found in paired]), strict=True
        ):
            row["against"] = _to_json(replace(found, p_adjusted=p))
    return adjusted


def _to_json(found: Comparison) -> dict[str, Any]:
    """Counts, without the problems' identities."""
    kept = ("n", "before", "after", "fixed", "broken", "p", "p_adjusted", "interval")
    whole = found.to_json()
    return {name: _round(whole[name]) for name in (*kept, "smallest_difference")}


def _round(value: Any) -> Any:
    if isinstance(value, list):
        return [_round(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _compare_controls(runs: Path, done: Sequence[Job]) -> Iterator[dict[str, Any]]:
    """The chosen expert of arc-easy beside each control, on the same problems."""
    keys = {job.key for job in done}
    seed = _chosen(runs, [job for job in done if job.work == "train"])
    found = [
        (control, on, _pair(read_answers(runs, control, on), read_answers(runs, own, on)))
        for control in _CONTROLS
        for on in ("arc-easy", "arc-challenge")
        if (own := f"arc-easy-{seed}")
        and {f"answer--{control}--{on}", f"answer--{own}--{on}"} <= keys
    ]
    adjusted = holm([one.paired.p for *_, one in found])
    for (control, on, one), p in zip(found, adjusted, strict=True):
        yield {"control": control, "set": on} | _to_json(replace(one, p_adjusted=p))


# Trainings


def _training(runs: Path, job: Job) -> dict[str, Any]:
    kind, _, seed = job.name.rpartition("-")
    out, expert = folder_of(runs, job.name), load_trained(runs, job.name)
    steps = read_lines(out / "metrics.jsonl")
    config = {name: expert.config[name] for name in ("steps", "prompts", "group", "lr")}
    stint = read_stints(runs, job.key)[-1]
    return {
        "name": kind,
        "seed": int(seed),
        "is_lora": TRAININGS[kind].is_lora,
        "task": expert.task,
        "acts_on": expert.acts_on,
        **config,
        "numbers": sum(z.size for z in expert.scales.values()),
        "validation": [expert.metrics["base_validation"], expert.metrics["best_validation"]],
        "n_validation": expert.metrics["n_validation"],
        "skipped": expert.metrics["skipped_steps"],
        "rewards": [round(float(step["reward"]), 4) for step in steps],
        **{
            part: round(median(step[part] for step in steps), 1)
            for part in ("sampling_seconds", "gradient_seconds")
        },
        "seconds": round(_seconds(runs, job)),
        "commit": stint["commit"],
        "command": stint["command"],
    }


def _vectors(runs: Path, trained: Sequence[Job]) -> dict[str, Any] | None:
    """What z learnt, of the experts that have as many scales."""
    names = [
        job.name
        for job in trained
        if not TRAININGS[_kind(job.name)].is_lora and _kind(job.name) != "cls"
    ]
    experts = [replace(load_trained(runs, name), name=name) for name in names]
    return describe_scales(experts) if experts else None


# Searches and times


def _search(runs: Path, on: str) -> dict[str, Any]:
    found = read_search(runs, on)
    return {name: found[name] for name in ("coefficients", "rank", "settings")}


def _times(runs: Path, job: Job) -> dict[str, Any]:
    found = json.loads(times_path(runs, job.name, job.on).read_text(encoding="utf-8"))
    return {"name": job.name, "on": job.on} | found


# For a person to read


def _chosen_names(runs: Path, trained: Sequence[Job]) -> set[str]:
    """The experts that strategies choose from, as their answers are called."""
    return {*EXPERTS.values(), f"arc-easy-{_chosen(runs, trained)}"}


def list_samples(runs: Path, names: Collection[str] = ()) -> Iterator[str]:
    """For each expert and set, twenty problems that it fixes and twenty that it breaks: the
    split's name and the place in it, from 0. Their texts are in the files of answers.

    names: of the experts; all where there are none.
    """
    for job in list_jobs():
        is_expert = job.work == "answer" and _kind(job.name) in TRAININGS
        if names and job.name not in names:
            continue
        if not (is_expert and is_finished(runs, job.key)):
            continue
        found = _compare_with_base(runs, job.on, read_answers(runs, *_place(job)))
        if found is None:
            continue
        places = number_problems(job.on)
        for what, ids in (("fixed", found.fixed), ("broken", found.broken)):
            listed = ", ".join(str(places.get(one, one)) for one in ids[:_LISTED])
            yield (
                f"{job.name}, {job.on} ({SPLIT}, {SIZES[job.on]} by hash), {what} "
                f"{len(ids)}: {listed or 'none'}"
            )
