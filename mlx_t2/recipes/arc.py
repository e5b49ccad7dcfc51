"""ARC by scored options: an expert of the default model, and what it is worth on questions that
it never saw.

Three seeds are trained on arc-easy's training part. Every seed is reported on the whole test
part of arc-easy and on the whole of arc-challenge, which no seed has seen, beside the base
model: as a chat, as they were trained, and behind a plain `Question: … Answer:`, which shows
how much of a gain is only the form of the prompt.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mlx_t2.adaptation import strategy_of
from mlx_t2.evaluation import evaluate, mcnemar, wilson
from mlx_t2.experts import BUNDLED, Expert
from mlx_t2.files import write_whole
from mlx_t2.models import SVFModel, decompose, load
from mlx_t2.sampling import score_options
from mlx_t2.tasks import ALL, Problem, Task, get_task, question_of
from mlx_t2.training import TrainConfig

from .bundle import MODEL
from .once import read_commit, train_once
from .parallel import run_in_parallel
from .provenance import describe_source
from .results_page import DATA, arc_section

TASK = "arc-easy"
SEEDS = (0, 1, 2)
CONFIG = TrainConfig(
    steps=60, prompts=16, lr=5e-3, eval_every=15, validation=200, test=0, probe=False
)
PARTS = {TASK: "test", "arc-challenge": ALL}
"""{task: the split that is reported}, both whole."""
NAMES = ("base", *(f"seed {seed}" for seed in SEEDS))
FORMS = {"chat": NAMES, "plain": NAMES[:1]}
"""{form of the prompt: who answers it}. chat: the question alone, in the chat template. plain:
without the template, as a base model is usually asked. Options are scored in both.
"""
_CLEAR = 0.01
"""p below which an expert is shipped, of every seed on arc-easy's test part."""
_BATCH = 64


def run_arc(runs: Path, workers: int = 2) -> Iterator[str]:
    """Train, measure, and ship the seed that is best on validation problems where all seeds are
    better than the base model; yields a line per finished job, and the table at the end. After
    an interruption it continues from `runs`.
    """
    yield from run_in_parallel(train_one, [(runs, seed) for seed in SEEDS], workers)
    jobs = [
        (runs, name, form, task)
        for form, names in FORMS.items()
        for name in names
        for task in PARTS
    ]
    yield from run_in_parallel(answer_one, jobs, workers)
    found = collect(runs)
    if found["holds"]:
        yield _ship(runs, found)
    write_whole(DATA / "arc.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    yield arc_section(found)


def _folder(runs: Path, seed: int) -> Path:
    return runs / f"{TASK}-{seed}"


def train_one(runs: Path, seed: int) -> str:
    """Train one expert, or finish its run."""
    out, config = _folder(runs, seed), replace(CONFIG, seed=seed)
    metrics = train_once(out, lambda: decompose(load(MODEL)), get_task(TASK), config).metrics
    before, after = metrics["base_validation"], metrics["best_validation"]
    return f"{TASK} seed {seed}: validation {before:.3f} → {after:.3f}"


def _expert(runs: Path, seed: int) -> Expert:
    return Expert.load(_folder(runs, seed) / "expert.safetensors")


# Answers: {id of a problem: whether it was answered rightly}

Answers = dict[str, bool]


def answer_one(runs: Path, name: str, form: str, task: str) -> str:
    """Answer all problems of a part, or read the answers."""
    path = _answers_path(runs, name, form, task)
    if not path.exists():
        model = load(MODEL)
        expert = None if name == "base" else _expert(runs, int(name.split()[1]))
        asked = get_task(task)
        problems = asked.problems(PARTS[task], asked.available(PARTS[task], 10**6))
        answer = _answer_plainly if form == "plain" else _answer_chat
        answers = answer(model, asked, problems, expert)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(answers))
    answers = _read(runs, name, form, task)
    return f"{name} on {task}, {form}: {sum(answers.values())}/{len(answers)}"


def _answers_path(runs: Path, name: str, form: str, task: str) -> Path:
    return runs / "answers" / f"{name.replace(' ', '-')}--{form}--{task}.json"


def _read(runs: Path, name: str, form: str, task: str) -> Answers:
    return json.loads(_answers_path(runs, name, form, task).read_text(encoding="utf-8"))


def _answer_chat(
    model: SVFModel, task: Task, problems: Sequence[Problem], expert: Expert | None
) -> Answers:
    """As `t2 eval` does."""
    strategy, split = strategy_of(model, expert), PARTS[task.name]
    items = evaluate(model, task, strategy, split, limit=len(problems), batch=_BATCH)
    return {item.id: item.is_right for item in items}


def _answer_plainly(
    model: SVFModel, task: Task, problems: Sequence[Problem], expert: Expert | None
) -> Answers:
    """The same rule without a chat template: `Question: …⏎Answer:`, then the option."""
    (adapted,) = strategy_of(model, expert).adapt([problems[0].messages])
    answers: Answers = {}
    with model.using(adapted.scales, acts_on=adapted.acts_on):
        for start in range(0, len(problems), _BATCH):
            part = problems[start : start + _BATCH]
            texts = [f"Question: {question_of(p)['content']}\nAnswer:" for p in part]
            prompts = [list(model.tokenizer.encode(text)) for text in texts]
            choices = score_options(model, prompts, [problem.options for problem in part])
            chosen = [choice.texts[choice.best] for choice in choices]
            grades = task.grade(list(zip(part, chosen, strict=True)))
            answers |= {p.id: g.is_right for p, g in zip(part, grades, strict=True)}
    return answers


# Results


def collect(runs: Path) -> dict[str, Any]:
    """`arc.json`, from the answers on disk."""
    rows = []
    for task, split in PARTS.items():
        base = {form: _read(runs, "base", form, task) for form in FORMS}
        rows += [_row(task, split, form, "base", answers) for form, answers in base.items()]
        for name in NAMES[1:]:
            answers = _read(runs, name, "chat", task)
            against = {form: _pair(before, answers) for form, before in base.items()}
            rows.append(_row(task, split, "chat", name, answers) | {"against": against})
    trained = [r for r in rows if (r["task"], r["form"]) == (TASK, "chat") and "against" in r]
    pairs = [row["against"]["chat"] for row in trained]
    metrics = {seed: _expert(runs, seed).metrics for seed in SEEDS}
    return {
        "model": MODEL,
        **describe_source("python -m mlx_t2_cli.recipes arc"),
        "trained": ", ".join(dict.fromkeys(_commit_of(runs, seed) for seed in SEEDS)),
        "sources": {task: get_task(task).source for task in PARTS},
        "settings": {
            key: getattr(CONFIG, key) for key in ("steps", "prompts", "lr", "targets")
        },
        "validation": {
            str(seed): [one[key] for key in ("base_validation", "best_validation")]
            for seed, one in metrics.items()
        },
        "n_validation": CONFIG.validation,
        "chosen": max(SEEDS, key=lambda seed: metrics[seed]["best_validation"]),
        "holds": all(p["p"] < _CLEAR and p["fixed"] > p["broken"] for p in pairs),
        "rows": rows,
    }


def _commit_of(runs: Path, seed: int) -> str:
    """The commit that finished the training."""
    return read_commit(_folder(runs, seed))


def _row(task: str, split: str, form: str, name: str, answers: Answers) -> dict[str, Any]:
    right = sum(answers.values())
    interval = [round(bound, 4) for bound in wilson(right, len(answers))]
    return {
        "task": task,
        "split": split,
        "form": form,
        "name": name,
        "correct": right,
        "n": len(answers),
        "interval": interval,
    }


def _pair(before: Answers, after: Answers) -> dict[str, Any]:
    return asdict(mcnemar([before[one] for one in before], [after[one] for one in before]))


def _ship(runs: Path, found: dict[str, Any]) -> str:
    """The chosen seed's expert, its test results among its metrics."""
    seed = found["chosen"]
    measured = {
        (row["task"], row["name"]): row for row in found["rows"] if row["form"] == "chat"
    }
    base, own = (measured[TASK, name] for name in ("base", f"seed {seed}"))
    result = {
        "base_accuracy": base["correct"] / base["n"],
        "final_accuracy": own["correct"] / own["n"],
        "n_eval": own["n"],
    }
    expert = _expert(runs, seed)
    path = BUNDLED / MODEL / f"{TASK}.safetensors"
    replace(expert, metrics=expert.metrics | result).save(path)
    return f"wrote {path}: seed {seed}"
