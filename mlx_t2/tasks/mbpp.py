"""Short Python functions by their tests: MBPP (Austin et al. 2021).

One row, as the hub has it (google-research-datasets/mbpp, configuration full):

    {"task_id": 1, "text": "Write a function that doubles a number.",
     "code": "def double(n):\\r\\n    return 2 * n", "test_setup_code": "",
     "test_list": ["assert double(2) == 4", "assert double(0) == 0", "assert double(7) == 14"]}

Of the three asserts of a row one is held out: it is in neither prompt nor reward, and has to be
passed to be right. Which one is fixed by a hash of the row, among those that leave two expected
values in the prompt, so that no constant answer is rewarded; an assert that is there twice is
never held out, and where that leaves none (4 rows), all are shown. In 7 rows all three expect
one value: there a constant is right, as the data set has it. Numbers are therefore not those of
papers, whose prompts show all three.

A program has 2 seconds in training, where one that hangs holds up the step, and 10 where it is
measured: a reference program of the test split needs 4.

Does not know how code is run or graded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

from mlx_t2.grading import find_entry_point, make_code_grader

from .dataset import DatasetTask
from .splitting import PublicSet, Row
from .task import Question

_CPU_S_TRAINING, _CPU_S = 2.0, 10.0
_RULE = "1 for a program that passes the tests that its prompt shows, else 0"


def make_mbpp() -> DatasetTask:
    """The task, asked in a chat without worked examples."""
    rows = PublicSet(
        hub_id="google-research-datasets/mbpp",
        config="full",
        question=lambda row: row["text"],
        columns={
            "task_id": int,
            "text": str,
            "code": str,
            "test_setup_code": str,
            "test_list": list,
        },
        published=("train", "validation", "test"),
    )
    return DatasetTask(
        name="mbpp",
        domain="mbpp",
        description="Short Python functions, by their tests",
        rows=partial(_read, rows),
        source=rows.source(),
        template=ask_mbpp,
        grader=replace(make_code_grader(), rule=_RULE),
        max_tokens=384,
        has_all=True,
    )


def _read(rows: PublicSet, split: str) -> list[Row]:
    """The rows of a split, with the processor time [s] that a program has."""
    cpu_s = _CPU_S_TRAINING if split == "train" else _CPU_S
    return [{**row, "cpu_s": cpu_s} for row in rows.rows(split)]


def ask_mbpp(row: Mapping[str, Any]) -> Question:
    """A row as a question: the task and the asserts that are shown."""
    tests = [_clean(test) for test in row["test_list"]]
    shown, hidden = hold_out(tests, key=f"mbpp/{row['task_id']}")
    setup = _clean(row["test_setup_code"])
    code = "\n".join([setup, *shown]) if setup else "\n".join(shown)
    return Question(
        id=f"mbpp/{row['task_id']}",
        text=f"{row['text'].strip()}\nYour code should pass these tests:\n"
        f"```python\n{code}\n```\nAnswer with the Python code alone.",
        answer=_clean(row["code"]),
        kind="program",
        row={
            "tests": shown,
            "hidden_tests": hidden,
            "setup": setup,
            "entry_point": find_entry_point("\n".join(tests)),
            "cpu_s": row.get("cpu_s", _CPU_S),
        },
    )


def hold_out(tests: Sequence[str], key: str) -> tuple[list[str], list[str]]:
    """(shown, hidden) tests: one is hidden, the same for one key on every machine. None is
    where none differs from all others, where there is one test, and where without it all others
    would expect one value, which they do not with it.

    >>> hold_out(["assert f(1) == 0", "assert f(2) == 0", "assert f(3) == 1"], key="4")[1]
    ['assert f(1) == 0']
    """
    single = [test for test in tests if tests.count(test) == 1]
    if not single or len(tests) < 2:
        return list(tests), []
    varied = [t for t in single if len({_expected(o) for o in tests if o != t}) > 1]
    if not varied and len({_expected(test) for test in tests}) > 1:
        return list(tests), []
    number = int.from_bytes(sha256("\n".join([key, *tests]).encode()).digest()[:8], "big")
    hidden = (varied or single)[number % len(varied or single)]
    return [test for test in tests if test != hidden], [hidden]


def _expected(test: str) -> str:
    return test.rpartition("==")[2].strip()


def _clean(source: str) -> str:
    """Source without the carriage returns that some rows have."""
    return source.replace("\r\n", "\n").strip("\n")
