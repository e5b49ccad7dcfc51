"""The programs of the suite `programs`, with and without the public data."""

import json

import pytest

from mlx_t2.benchmarks import programs
from mlx_t2.errors import SandboxError, TaskDataError
from mlx_t2.sandbox import Program


def test_both_sides_run_programs_of_our_own(monkeypatch):
    monkeypatch.delenv("MLX_T2_DATA", raising=False)
    monkeypatch.setattr(programs, "_COUNT", 8)
    (row,) = programs.measure(1)
    assert row.name == "8 programs"
    assert row.ratio is not None
    assert row.ratio > 0


def test_references_are_solution_setup_tests(monkeypatch, tmp_path):
    mbpp = {"code": "x = 1", "test_setup_code": "x = 2", "test_list": ["assert x == 2"] * 3}
    humaneval = {"prompt": "def f():\n", "canonical_solution": "    return 1\n"}
    humaneval |= {"test": "def check(c): assert c() == 1", "entry_point": "f"}
    for name, row in ((programs._MBPP, mbpp), (programs._HUMANEVAL, humaneval)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(json.dumps(row) + "\n")
    monkeypatch.setenv("MLX_T2_DATA", str(tmp_path))
    (row,) = programs.measure(1)
    assert row.name == "2 programs"


def test_data_that_is_gone_or_damaged_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("MLX_T2_DATA", str(tmp_path))
    with pytest.raises(TaskDataError, match=r"test\.jsonl: .*No such file"):
        programs.read_references()


def test_a_program_that_fails_is_not_timed():
    with pytest.raises(SandboxError, match=r"1 failed \(AssertionError\), expected none"):
        programs._run_in_pool([Program("assert False", ("True",)), Program("", ("True",))])
    with pytest.raises(SandboxError, match="1 failed, expected none"):
        programs._run_fresh(["assert False", ""])
