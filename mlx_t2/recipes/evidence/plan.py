"""What there is to do for the evidence, in order of worth, and about how long each job takes.

Knows names and numbers; does nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .answers import BASE, CHOOSING, EXPERTS, ROUTED, SEARCHED, TIMED
from .sets import SHORT, SHORT_SIZE, SIZES
from .trainings import BEST, LABELS, SEEDS, TRAININGS

Work = Literal["train", "router", "answer", "time"]

UNSEEN = {"arc-challenge": "arc-easy", "humaneval": "mbpp", "math": "gsm8k"}
"""{set that no expert was trained on: the label that is meant}."""
GENERATED = ("gsm8k", "mbpp", "humaneval", "math")
RANKS = (64, 256)
"""How many of the 896 scales of a weight are kept."""

LOAD_S = 15.0
"""Seconds until a model is ready."""
ANSWER_S = {
    **dict.fromkeys(("arc-easy", "arc-challenge"), 1.0),
    **dict.fromkeys(("arc-easy-letter", "arc-challenge-letter"), 1.6),
    "gsm8k": 8.0,
    "math": 12.0,
    "mbpp": 4.0,
    "humaneval": 5.0,
}
"""{set: seconds per problem}, by the base model on one of two cores."""
WORN = 1.2
"""How many times as long it takes under scales."""
STEP_S = {
    **dict.fromkeys(("arc-easy", "arc-random", "arc-lora", "arc-lora-slow"), 60.0),
    "arc-easy-all": 120.0,
    "arc-easy-letter": 70.0,
    "gsm8k": 2500.0,
    "mbpp": 900.0,
    "cls": 60.0,
}
"""{training: seconds per step}, likewise."""
CHOICE_S = 1.5
"""Seconds per problem of a first pass."""
ROUTER_S = 2000.0
SEARCH_S = 900.0


@dataclass(frozen=True)
class Job:
    """One thing to do, in a process of its own."""

    part: str
    work: Work
    name: str
    """What the training is called with its seed, or who answers."""
    on: str = ""
    """The set."""
    form: str = ""
    seconds: float = 0.0
    """About how long it takes on one core."""
    needs: tuple[str, ...] = ()
    """Keys of the jobs that have to be finished first."""

    @property
    def key(self) -> str:
        """What its files are called by."""
        return "--".join(filter(None, (self.work, self.name, self.on, self.form)))


def list_jobs() -> list[Job]:
    """All jobs; those that answer most first."""
    return [
        *(_answer("base", BASE, on) for on in SIZES if on.startswith("arc-")),
        *(_answer("base", BASE, on) for on in GENERATED),
        *_train_and_answer("arc", [f"arc-easy-{seed}" for seed in SEEDS]),
        *_train_and_answer("controls", ["arc-random-0", "arc-lora-0", "arc-lora-slow-0"]),
        *_train_and_answer("code", ["mbpp-0"], ("mbpp", "humaneval")),
        *_train_and_answer("mathematics", ["gsm8k-0"], ("gsm8k", "math")),
        *_adapt(),
        *(_answer("rank", f"arc-easy-{BEST}@{rank}", "arc-easy") for rank in RANKS),
        *(_answer("forms", BASE, on, SHORT) for on in GENERATED),
        *_train_and_answer(
            "letters", ["arc-easy-letter-0"], ("arc-easy-letter", "arc-challenge-letter")
        ),
        *_train_and_answer("all", ["arc-easy-all-0"]),
        *_train_and_answer("cls", ["cls-0"], ()),
        *(_answer("cls", "cls", on) for on in UNSEEN),
        *(_time("cls", "cls", on) for on in UNSEEN),
    ]


def list_parts() -> list[str]:
    """The names of the parts, in order."""
    return list(dict.fromkeys(job.part for job in list_jobs()))


def _train_and_answer(
    part: str, names: Sequence[str], sets: Sequence[str] = ("arc-easy", "arc-challenge")
) -> Iterator[Job]:
    """Trainings, each before what it answers."""
    for name in names:
        yield _train(part, name)
        yield from (_answer(part, name, on) for on in sets)


def _adapt() -> Iterator[Job]:
    """Self-adaptation on what no expert saw: the experts' answers that other parts have not,
    and then set by set, every strategy.
    """
    for on, meant in UNSEEN.items():
        others = (EXPERTS[label] for label in LABELS if label != meant)
        yield from (_answer("unseen", name, on) for name in others)
    strategies = [name for name in ROUTED if name != "cls"]
    needs = tuple(f"train--{name}" for name in _find_trained())
    yield Job("unseen", "router", "router", seconds=LOAD_S + ROUTER_S, needs=needs)
    for on in UNSEEN:
        yield from (_answer("unseen", name, on) for name in ("classifier", SEARCHED, "prompt"))
    yield from (_answer("unseen", "mixture", on) for on in UNSEEN)
    yield from (_time("unseen", name, on) for on in UNSEEN for name in strategies)


def _find_trained() -> list[str]:
    """The trainings behind LABELS."""
    return [f"{e}-{seed}" for e in LABELS for seed in (SEEDS if e == "arc-easy" else SEEDS[:1])]


def _train(part: str, name: str) -> Job:
    kind = name.rpartition("-")[0]
    config = TRAININGS[kind].config(0)
    validations = config.steps // config.eval_every + 1
    answered = validations * config.validation * ANSWER_S.get(kind, ANSWER_S["arc-easy"])
    seconds = LOAD_S + config.steps * STEP_S[kind] + WORN * answered
    return Job(part, "train", name, seconds=seconds)


def _answer(part: str, name: str, on: str, form: str = "") -> Job:
    size = min(SIZES[on], SHORT_SIZE) if form else SIZES[on]
    each = CHOICE_S if name in CHOOSING else ANSWER_S[on] * (1 if name == BASE else WORN)
    seconds = LOAD_S + size * each + (SEARCH_S if name == SEARCHED else 0)
    needs = (*_needs(name), *(_needed_answers(on) if name in CHOOSING else ()))
    return Job(part, "answer", name, on, form, seconds, needs)


def _needed_answers(on: str) -> Iterator[str]:
    """What a strategy that chooses finds its answers in."""
    yield f"answer--{BASE}--{on}"
    for label, name in EXPERTS.items():
        seeds = SEEDS if (on, label) == ("arc-challenge", "arc-easy") else ()
        names = [f"{label}-{seed}" for seed in seeds] or [name]
        yield from (f"answer--{one}--{on}" for one in names)


def _time(part: str, name: str, on: str) -> Job:
    seconds = LOAD_S + TIMED * ANSWER_S[on] * 4  # one by one
    return Job(part, "time", name, on, "", seconds, _needs(name))


def _needs(name: str) -> tuple[str, ...]:
    """What has to be there before `name` can answer."""
    if name == BASE:
        return ()
    if name in ROUTED or name == SEARCHED:
        return ("router--router", *(("train--cls-0",) if name == "cls" else ()))
    trained, _, _ = name.partition("@")
    kind, _, seed = trained.rpartition("-")
    if seed != BEST:
        return (f"train--{trained}",)
    return tuple(f"train--{one}" for one in _find_trained() if one.rpartition("-")[0] == kind)


def describe_plan(jobs: Sequence[Job], states: Sequence[str], workers: int) -> Iterator[str]:
    """A line for each job: state, about how long, and the hours up to its end with as many
    workers.
    """
    total = 0.0
    for job, state in zip(jobs, states, strict=True):
        total += 0 if state == "finished" else job.seconds
        hours = total / 3600 / workers
        yield f"{job.part:12} {job.key:44} {state:9} {job.seconds / 60:5.0f} min {hours:6.1f} h"
