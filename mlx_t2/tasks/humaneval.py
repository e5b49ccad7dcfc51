"""Python functions to complete: HumanEval (Chen et al. 2021). 164 test problems, no training.

One row, as the hub has it (openai/openai_humaneval):

    {"task_id": "HumanEval/0", "prompt": "def double(n: int) -> int:\\n    'Twice n.'\\n",
     "canonical_solution": "    return 2 * n\\n", "entry_point": "double",
     "test": "def check(candidate):\\n    assert candidate(2) == 4\\n"}

Three rows have weak tests, which are kept as published: number 33 compares the function with
itself in three of its seven asserts (`sort_third` is the entry point), 38 and 50 make their
inputs by a function of the prompt, which a whole program may have rewritten.

Does not know how code is run or graded.
"""

from collections.abc import Mapping
from typing import Any

from mlx_t2.grading import make_code_grader

from .dataset import DatasetTask
from .splitting import PublicSet
from .task import Question

_CPU_S = 10.0


def make_humaneval() -> DatasetTask:
    """The task `humaneval`: to measure on, not to train on."""
    rows = PublicSet(
        hub_id="openai/openai_humaneval",
        config=None,
        question=lambda row: row["prompt"],
        columns=dict.fromkeys(
            ("task_id", "prompt", "canonical_solution", "entry_point", "test"), str
        ),
        published=("test",),
        splits=("test",),
    )
    return DatasetTask(
        name="humaneval",
        domain="humaneval",
        description="Python functions to complete",
        rows=rows.rows,
        source=rows.source(),
        template=ask_humaneval,
        grader=make_code_grader(),
        max_tokens=512,
        splits=("test",),
        has_all=True,
    )


def ask_humaneval(row: Mapping[str, Any]) -> Question:
    """A row as a question. The answer is the whole program; its body alone would do."""
    beginning, name = row["prompt"].replace("\r\n", "\n"), row["entry_point"]
    return Question(
        id=row["task_id"],
        text=f"Complete this Python function.\n```python\n{beginning.strip()}\n```\n"
        "Answer with the Python code alone.",
        answer=beginning + row["canonical_solution"].replace("\r\n", "\n"),
        kind="program",
        row={
            "tests": f"{row['test']}\ncheck({name})\n",
            "entry_point": name,
            "beginning": beginning,
            "cpu_s": _CPU_S,
        },
    )
