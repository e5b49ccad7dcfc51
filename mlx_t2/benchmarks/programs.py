"""Reference programs in the sandbox's pool, beside a fresh interpreter for each.

With `MLX_T2_DATA`: the 664 reference solutions of MBPP's and HumanEval's test parts, each with
its own tests, which must all run through. Without it: as many small ones of our own. Both sides
run two or more at a time, one per core.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlx_t2.errors import SandboxError, TaskDataError
from mlx_t2.sandbox import Program, run_programs

from .measurement import Measurement, interleave

_MBPP = "google-research-datasets--mbpp/test.jsonl"
_HUMANEVAL = "openai--openai_humaneval/test.jsonl"
_COUNT = 664
_INTERPRETER = [sys.executable, "-I", "-S", "-B", "-"]


def measure(runs: int) -> Iterator[Measurement]:
    """Seconds for all programs, both ways."""
    sources = read_references() or make_programs()
    programs = [Program(source, ("True",), cpu_s=20, wall_s=60) for source in sources]
    ours, other = interleave(lambda: _run_in_pool(programs), lambda: _run_fresh(sources), runs)
    yield Measurement(
        f"{len(sources)} programs",
        ours,
        other,
        against="a fresh interpreter each, with nothing to hold it",
        target=">= 2",
    )


def read_references() -> list[str]:
    """The solutions with their tests, in the folder that MLX_T2_DATA names; else none.

    MBPP's setup code goes between a solution and its tests: in front, it breaks one of them.
    """
    folder = os.environ.get("MLX_T2_DATA")
    if not folder:
        return []
    mbpp = [
        "\n".join([row["code"], row["test_setup_code"], *row["test_list"]])
        for row in _read(Path(folder) / _MBPP)
    ]
    humaneval = [
        f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})"
        for row in _read(Path(folder) / _HUMANEVAL)
    ]
    return mbpp + humaneval


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise TaskDataError(f"{path}: {error}, expected one JSON object per line") from error


def make_programs() -> list[str]:
    """Small programs with a test, all unlike."""
    return [
        f"import math, re\ndef f(xs): return sorted(xs)[{i % 7}] + {i}\n"
        f"assert f([9, 8, 7, 6, 5, 4, 3]) == {3 + i % 7 + i}"
        for i in range(_COUNT)
    ]


def _run_in_pool(programs: Sequence[Program]) -> None:
    outcomes = run_programs(programs, allow_limits=True)
    faults = [outcome.fault for outcome in outcomes if outcome.fault]
    if faults:
        raise SandboxError(f"bench programs: {len(faults)} failed ({faults[0]}), expected none")


def _run_fresh(sources: Sequence[str]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        codes = list(threads.map(_run_one, sources))
    if any(codes):
        raise SandboxError(f"bench programs: {sum(map(bool, codes))} failed, expected none")


def _run_one(source: str) -> int:
    return subprocess.run(_INTERPRETER, input=source.encode(), capture_output=True).returncode
