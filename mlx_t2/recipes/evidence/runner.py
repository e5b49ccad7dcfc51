"""Does the jobs of the evidence, as many at a time as there are workers, until all are finished
or the time is over; what was stopped goes on in the next run.
"""

import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlx_t2.errors import ConfigError, T2Error
from mlx_t2.files import write_whole

from ..parallel import run_in_parallel
from .answers import answer_set, time_passes, train_router
from .collection import collect_evidence
from .plan import Job, describe_plan, list_jobs, list_parts
from .section import EVIDENCE
from .stints import COMMAND, is_finished, record_stint, state_of
from .trainings import run_training


@dataclass(frozen=True)
class Extent:
    """How much is done."""

    hours: float | None = None
    """None: until all is finished."""
    problems: int | None = None
    """Most problems of each set, to try things out."""
    steps: int | None = None
    """Most steps of each training, likewise."""

    @property
    def is_trial(self) -> bool:
        """Whether what comes out is no result."""
        return self.problems is not None or self.steps is not None


def measure_evidence(
    runs: Path, folder: str, parts: Collection[str], extent: Extent, workers: int = 2
) -> Iterator[str]:
    """Do what is left of these parts, or of all, and write `evidence.json`: to the results; a
    trial has a folder of its own for each extent, and its file there. Yields a line per job.

    folder: of the base model.
    Raises: ConfigError for a part that there is not.
    """
    runs = runs / f"trial-{extent.problems}-{extent.steps}" if extent.is_trial else runs
    jobs = choose_jobs(parts)
    end = None if extent.hours is None else time.time() + 3600 * extent.hours

    def is_ready(call: tuple) -> bool:
        _, _, job, *_ = call
        is_late = end is not None and time.time() > end
        return not is_late and all(is_finished(runs, key) for key in job.needs)

    left = [(runs, folder, job, extent, end) for job in jobs if not is_finished(runs, job.key)]
    yield from run_in_parallel(do_job, left, workers, is_ready)
    found = collect_evidence(runs)
    path = runs / EVIDENCE.name if extent.is_trial else EVIDENCE
    write_whole(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    yield f"wrote {path}: {len(list_jobs()) - len(found['missing'])} jobs are finished"


def choose_jobs(parts: Collection[str]) -> list[Job]:
    """The jobs of these parts, or all, in order. Raises ConfigError for an unknown part."""
    unknown = [part for part in parts if part not in list_parts()]
    if unknown:
        raise ConfigError(
            f"part: got {', '.join(map(repr, unknown))}, expected some of "
            f"{', '.join(list_parts())}"
        )
    return [job for job in list_jobs() if not parts or job.part in parts]


def show_plan(runs: Path, parts: Collection[str], workers: int) -> Iterator[str]:
    """The jobs as lines, and how far each is."""
    jobs = choose_jobs(parts)
    yield from describe_plan(jobs, [state_of(runs, job.key) for job in jobs], workers)


def do_job(runs: Path, folder: str, job: Job, extent: Extent, end: float | None) -> str:
    """Do the job, or go on with it, until it is finished or it is `end` [s since the epoch]; a
    line of what was done.

    A job that fails by what it is given is left; the others go on.
    """
    began, is_done, why = time.perf_counter(), True, ""
    try:
        for _ in _steps(runs, folder, job, extent):
            if end is not None and time.time() > end:
                is_done = False
                break
    except T2Error as error:
        is_done, why = False, f": {error}"
    seconds = time.perf_counter() - began
    record_stint(runs, job.key, _command(extent), seconds, is_done)
    return f"{job.key}: {'finished' if is_done else 'stopped'} after {seconds:.0f} s{why}"


def _command(extent: Extent) -> str:
    given = (("problems", extent.problems), ("steps", extent.steps))
    return " ".join([COMMAND, *(f"--{name} {n}" for name, n in given if n is not None)])


def _steps(runs: Path, folder: str, job: Job, extent: Extent) -> Iterator[None]:
    """The job's work; it may be left after each."""
    if job.work == "train":
        yield from run_training(runs, folder, job.name, extent.steps)
    elif job.work == "answer":
        yield from answer_set(runs, folder, job.name, job.on, job.form, extent.problems)
    elif job.work == "router":
        train_router(runs, folder)
    else:
        time_passes(runs, folder, job.name, job.on, extent.problems)
