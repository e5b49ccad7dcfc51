"""What the forms and widths of an expert are worth: accuracy of each bundled expert in each,
what each keeps of the change over a 4-bit base, and experts trained on bases of fewer bits.

A run that was stopped goes on; all numbers go to `results/forms.json` at its end.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.adaptation import prepare_experts
from mlx_t2.benchmarks import (
    BIG,
    WAYS,
    count_bytes,
    count_quantised,
    load_unwidened,
    measure_kept,
    open_copy,
)
from mlx_t2.evaluation import wilson
from mlx_t2.experts import Expert, Library
from mlx_t2.files import write_whole
from mlx_t2.models import SVFModel, load
from mlx_t2.sampling import SamplingConfig, rollouts
from mlx_t2.svf import Form, Recipe, Scales, describe_form
from mlx_t2.tasks import get_task
from mlx_t2.training import TrainConfig, train

from .bundle import DOMAINS
from .forms_page import FORMS_DATA, draw_forms
from .provenance import describe_source

MODEL = "smollm2-135m"
COMPARED: tuple[tuple[Form, int, int], ...] = (
    ("live", 16, 32),
    ("live", 16, 16),
    ("live", 16, 8),
    ("live", 16, 4),
    ("beside", 16, 32),
    ("beside", 8, 32),
    ("beside", 4, 32),
    ("folded", 16, 32),
    ("folded", 8, 32),
)
"""(form, bits of what is beside or folded, bits of q)."""
_TRAINED_TASK = "kind"


def measure_forms(out: Path, problems: int = 200, steps: int = 20) -> Iterator[str]:
    """Measure what is not measured yet; one line for each number.

    problems: of each test split.
    steps: of the trainings on bases of fewer bits.
    """
    command = f"python -m mlx_t2_cli.recipes forms --problems {problems} --steps {steps}"
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"measured-{problems}-{steps}.json"
    begun: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found = begun | {name: begun.get(name, {}) for name in ("accuracy", "trained", "kept")}

    def keep(part: str, key: str, value: Any) -> str:
        found[part][key] = value
        write_whole(path, json.dumps(found, indent=1) + "\n")
        return f"{part}, {key}: {value}"

    if len(found["kept"]) < len(WAYS):
        yield from (keep("kept", key, value) for key, value in _measure_kept())
    for form, bits, basis in COMPARED:
        for name in DOMAINS:
            if (key := f"{name}|{name_way(form, bits, basis)}") not in found["accuracy"]:
                row = _answer_bundled(name, form, bits, basis, problems)
                yield keep("accuracy", key, row)
    for basis in (32, 16, 8, 4):
        if str(basis) not in found["trained"]:
            row = _train(out / f"q{basis}-{steps}", basis, problems, steps)
            yield keep("trained", str(basis), row)
    write_whole(FORMS_DATA, json.dumps(describe_source(command) | found, indent=1) + "\n")
    yield f"wrote {FORMS_DATA}"
    yield f"drew {draw_forms(out / 'forms.png')}"


def name_way(form: Form, bits: int, basis: int) -> str:
    """A way to wear an expert, as a person reads it.

    >>> name_way("live", 16, 8), name_way("beside", 4, 32)
    ('live, q in 8 bits', 'beside, 4 bits')
    """
    return f"live, q in {basis} bits" if form == "live" else describe_form(form, bits)


def _decompose(basis: int) -> SVFModel:
    model = load(MODEL)
    for _ in model.decompose(Recipe(bits=basis)):
        pass
    return model


def _answer_bundled(
    name: str, form: Form, bits: int, basis: int, problems: int
) -> dict[str, Any]:
    model = _decompose(basis)
    expert = Library().find(name)
    strategy = prepare_experts(model, {name: expert}, {name: 1.0}, basis_bits=basis).finish()
    (adapted,) = strategy.adapt([[]])
    return _answer(model, adapted.scales, expert, f"{name}-bare", (form, bits), problems)


def _answer(
    model: SVFModel,
    scales: Scales,
    expert: Expert,
    task_name: str,
    way: tuple[Form, int],
    problems: int,
) -> dict[str, Any]:
    """Right answers to the first test problems, greedily, and their interval."""
    task = get_task(task_name)
    config = SamplingConfig(temperature=0, max_tokens=task.max_tokens, max_rows=64)
    with model.wearing(model.make_outfit(scales, *way), expert.acts_on):
        done = rollouts(model, task, task.problems("test", problems), 1, config)
    right = sum(rollout.grades[0].is_right for rollout in done)
    interval = [round(bound, 4) for bound in wilson(right, problems)]
    return {"task": task_name, "correct": right, "n": problems, "interval": interval}


def _train(out: Path, basis: int, problems: int, steps: int) -> dict[str, Any]:
    """An expert trained and worn on a basis of these bits."""
    model = _decompose(basis)
    config = TrainConfig(steps=steps, prompts=7, lr=5e-3, validation=56, test=0, probe=False)
    resume = (out / "config.json").exists()
    for _ in train(model, get_task(_TRAINED_TASK), config, out, resume=resume):
        pass
    expert = Expert.load(out / "expert.safetensors")
    row = _answer(model, expert.scales, expert, _TRAINED_TASK, ("live", 16), problems)
    return row | {"steps": steps, "seed": config.seed}


def _measure_kept() -> Iterator[tuple[str, dict[str, Any]]]:
    """What each way keeps of the bundled experts' changes on a 4-bit copy, and what a token
    step reads for a 4096 × 14336 weight.
    """
    base = count_quantised(BIG.entries, 4)
    with open_copy(MODEL) as folder:
        model = load_unwidened(folder)
        for _ in model.decompose(Recipe(bits=32)):
            pass
        scales = {name: Library().find(name).scales for name in DOMAINS}
        mx.eval(scales)
        measured = {name: measure_kept(model, worn, WAYS) for name, worn in scales.items()}
    for index, (form, bits) in enumerate(WAYS):
        each = [kept[index] for kept in measured.values()]
        means = {
            part: round(sum(getattr(one, part) for one in each) / len(each), 4)
            for part in ("correlation", "share", "error")
        }
        read = round(count_bytes(BIG, form, bits) / base, 3)
        yield f"{form}, {bits} bits", {"form": form, "bits": bits, "read": read, **means}
