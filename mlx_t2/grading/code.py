"""Code, graded by its tests.

    {"tests": ["assert f(2) == 4", …], "hidden_tests": […], "setup": "", "entry_point": "f"}

is the row of a question: `tests` decide the reward, `hidden_tests` decide with them what is
right. The program of a completion runs in the sandbox; the expected values do not (see
`asserts`), but are compared here, by Python's equality of plain values: 2 == 2.0, 1 == True,
NaN equals nothing, and there is no tolerance but what an assert has. Tests that do not split
run in a sandbox of their own and call the program through a pipe.

A program that passes what is shown and fails what is hidden knows the shown inputs alone: it
is rewarded, as training must not see the hidden tests, and is not right.

Does not know where rows are from.
"""

import ast
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from mlx_t2.errors import ConfigError, TaskDataError
from mlx_t2.sandbox import Opaque, Outcome, Program, start_programs

from .asserts import Check, Checks, find_entry_point, read_tests, split_tests
from .code_block import CodeBlock, find_program
from .grade import Attempt, Grade, Grader, describe, mismatch, wrong

HIDDEN_FAILED = "shown pass, hidden fail"
"""How the reason begins of a grade that is rewarded and not right."""

_TEXTS = ("setup", "entry_point", "beginning")
_WALL = 6
"""Time on the clock [× processor time]: a busy machine fails no program, sleeping does."""
_LONGEST_CALL = 60
"""Longest call quoted in a reason [characters]."""


def make_code_grader(tests: str = "tests", allow_unsandboxed: bool = False) -> Grader:
    """The grader of programs by the tests of their row.

    tests: the column with the tests: a list of asserts, or a text. Other columns that are read
        where a row has them: `hidden_tests`; `setup`, executed between program and tests;
        `entry_point`, the function that is tested, else the first that the tests call;
        `beginning`, a program that the completion goes on with; `cpu_s`, processor time [s].
    allow_unsandboxed: run programs also where nothing but limits holds them.

    Raises: ConfigError where a setting is of another kind.
    """
    if not isinstance(tests, str):
        raise ConfigError(f"grader code: got tests {describe(tests)}, expected a column's name")
    if not isinstance(allow_unsandboxed, bool):
        got = describe(allow_unsandboxed)
        raise ConfigError(f"grader code: got allow_unsandboxed {got}, expected true or false")
    grader = _CodeGrader(tests, allow_unsandboxed)
    return Grader(
        grade=lambda attempts: grader.begin(attempts)(),
        rule="1 for a program that passes the tests, else 0",
        begin=grader.begin,
        check=lambda answer, row, where: _check_row(row, tests, where),
    )


@dataclass(frozen=True)
class _Plan:
    """What all programs of one row are graded by."""

    entry_point: str
    beginning: str
    setup: str
    cpu_s: float
    shown: str
    """The tests as text."""
    hidden: str
    checks: Checks | None
    """Shown and hidden tests in halves, in order; None where some do not split."""
    n_shown: int
    """How many of the faults that are looked for are in shown tests."""


class _CodeGrader:
    """Starts programs and grades what they gave. Remembers the expected values of tests."""

    def __init__(self, tests: str, allow_limits: bool):
        self._tests = tests
        self._allow_limits = allow_limits
        self._expected: dict[Program, list[Any]] = {}

    def begin(self, attempts: Sequence[Attempt]) -> Callable[[], list[Grade]]:
        """Start all programs, each once; the result waits for their grades."""
        plans = [_read_row(attempt.row, self._tests) for attempt in attempts]
        jobs = [
            (plan, find_program(attempt.completion, plan.entry_point, plan.beginning))
            for attempt, plan in zip(attempts, plans, strict=True)
        ]
        programs = {one: None for plan, block in jobs for one in _programs(plan, block)}
        questions = {_expected_program(plan.checks): None for plan in plans if plan.checks}
        asked = self._start([program for program in questions if not self._recall(program)])
        running = self._start(list(programs))

        def finish() -> list[Grade]:
            for program, outcome in asked():
                self._expected[program] = _read_expected(program, outcome)
            outcomes = dict(running())
            return [self._grade(plan, block, outcomes) for plan, block in jobs]

        return finish

    def _start(
        self, programs: Sequence[Program]
    ) -> Callable[[], list[tuple[Program, Outcome]]]:
        pending = start_programs(programs, allow_limits=self._allow_limits)
        return lambda: list(zip(programs, pending.results(), strict=True))

    def _recall(self, program: Program) -> bool:
        """Whether the expected values are known already, or can be read without running."""
        if program not in self._expected:
            try:
                values = [ast.literal_eval(source) for source in program.calls]
            except (ValueError, TypeError, SyntaxError):
                return False
            self._expected[program] = values
        return True

    def _grade(
        self, plan: _Plan, block: CodeBlock, outcomes: Mapping[Program, Outcome]
    ) -> Grade:
        if not block.source:
            return wrong(block.fault)
        found = [outcomes[program] for program in _programs(plan, block)]
        if plan.checks is None:
            faults = [None if one.values else _ending(one, plan) for one in found]
            return _judge(faults, plan.n_shown, "passed its tests", block)
        expected = self._expected[_expected_program(plan.checks)]
        pairs = list(zip(plan.checks.checks, expected, strict=True))
        faults = [_find_fault(*pair, i, found[0], plan) for i, pair in enumerate(pairs)]
        return _judge(faults, plan.n_shown, f"passed {len(pairs)} of {len(pairs)}", block)


def _judge(faults: Sequence[str | None], n_shown: int, passed: str, block: CodeBlock) -> Grade:
    """The grade by what is wrong with each test, those that are shown first."""
    for i, fault in enumerate(faults):
        if fault is not None:
            is_shown = i < n_shown
            return wrong(fault) if is_shown else Grade(1.0, False, f"{HIDDEN_FAILED}: {fault}")
    return Grade(1.0, True, passed, is_strict=block.is_plain)


def _ending(outcome: Outcome, plan: _Plan) -> str:
    """Why a program ended before it had passed."""
    is_late = outcome.is_timeout
    return f"timeout after {plan.cpu_s:g} s" if is_late else outcome.fault or "gave no value"


def _find_fault(
    check: Check, expected: Any, i: int, outcome: Outcome, plan: _Plan
) -> str | None:
    """Why a program fails its test number i; None where it passes."""
    if i >= len(outcome.values):
        return _ending(outcome, plan)
    got = outcome.values[i]
    try:
        agrees = not isinstance(got, Opaque) and check.agrees(got, expected)
    except Exception:  # plain values that do not compare, of any kind
        agrees = False
    return None if agrees else f"{_shorten(check.call)}: {mismatch(_show(got), check.wanted)}"


def _show(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _shorten(call: str) -> str:
    return call if len(call) <= _LONGEST_CALL else f"{call[: _LONGEST_CALL - 1]}…"


def _programs(plan: _Plan, block: CodeBlock) -> list[Program]:
    """What is run for one completion: the program with the calls of all tests and none of what
    they expect, or beside the shown and the hidden tests as a whole.
    """
    if not block.source:
        return []
    limited = Program(block.source, cpu_s=plan.cpu_s, wall_s=_WALL * plan.cpu_s)
    if plan.checks is None:
        tests = [f"{plan.setup}\n{part}" for part in (plan.shown, plan.hidden) if part]
        return [replace(limited, tests=part) for part in tests]
    calls = tuple(check.call for check in plan.checks.checks)
    parts = (block.source, plan.setup, plan.checks.imports)
    return [replace(limited, source="\n".join(filter(None, parts)), calls=calls)]


def _expected_program(checks: Checks) -> Program:
    """A program that gives what tests expect. No candidate is near it."""
    return Program(checks.imports, tuple(check.expected for check in checks.checks))


def _read_expected(program: Program, outcome: Outcome) -> list[Any]:
    values, n = list(outcome.values), len(program.calls)
    if len(values) < n:
        source = _shorten(program.calls[len(values)])
        raise TaskDataError(f"tests: {source} gave {outcome.fault}, expected a value")
    for source, value in zip(program.calls, values, strict=True):
        if isinstance(value, Opaque):
            raise TaskDataError(
                f"tests: {_shorten(source)} is {value!r}, expected a plain value such as a "
                "number, a text or a list"
            )
    return values


def _check_row(row: Mapping[str, Any], column: str, where: str) -> None:
    try:
        _read_row(row, column)
    except TaskDataError as error:
        raise TaskDataError(f"{where}: {error}") from error


def _read_row(row: Mapping[str, Any], column: str) -> _Plan:
    """The plan of a row.

    Raises: TaskDataError where a column is not what it should be.
    """
    for name in _TEXTS:
        if not isinstance(text := row.get(name, ""), str):
            raise TaskDataError(f"{name}: got {describe(text)}, expected a text")
    cpu_s = row.get("cpu_s", 2)
    if isinstance(cpu_s, bool) or not isinstance(cpu_s, int | float) or not 0 < cpu_s <= 600:
        raise TaskDataError(f"cpu_s: got {describe(cpu_s)}, expected seconds, at most 600")
    if column not in row:
        names = ", ".join(map(str, row)) or "none"
        raise TaskDataError(
            f"got the columns {names}, expected {column!r} with the tests of a program"
        )
    shown = read_tests(row[column])
    hidden = read_tests(row["hidden_tests"]) if row.get("hidden_tests") else ""
    setup, entry_point, beginning = (row.get(name, "") for name in _TEXTS)
    return _make_plan(shown, hidden, setup.replace("\r\n", "\n"), entry_point, beginning, cpu_s)


@lru_cache(maxsize=4096)
def _make_plan(
    shown: str, hidden: str, setup: str, entry_point: str, beginning: str, cpu_s: float
) -> _Plan:
    entry_point = entry_point or find_entry_point(shown)
    first = split_tests(shown, entry_point, setup)
    both = split_tests(shown + hidden, entry_point, setup) if first else None
    n_shown = len(first.checks) if first and both else 1
    return _Plan(entry_point, beginning, setup, cpu_s, shown, hidden, both, n_shown)
