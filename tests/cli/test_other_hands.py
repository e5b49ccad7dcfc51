"""Situations that people were in with programs like this one: each ends in one clear line, or
works. Those that are about descriptors, encodings and variables have a process each.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from hands import files, models, shell, training

CASES = [*shell.CASES, *models.CASES, *files.CASES, *training.CASES]


def marked() -> list:
    """All cases. A process takes over a second: every second one of a kind is slow."""
    processes, found = Counter(), []
    for case in CASES:
        processes[case.kind] += case.is_of_the_process
        is_slow = case.is_of_the_process and processes[case.kind] % 2 == 0
        found.append(pytest.param(case, marks=[pytest.mark.slow] * is_slow))
    return found


@pytest.mark.parametrize("case", marked(), ids=lambda case: f"{case.kind}: {case.words}"[:90])
def test_it_ends_as_a_person_can_understand(case, t2, place, experts, tmp_path, monkeypatch):
    folder = tmp_path / "place"
    shutil.copytree(place, folder)
    if case.prepare:
        case.prepare(folder)
    if case.is_of_the_process:
        code, printed, said = run_process(case, folder, tmp_path)
    else:
        monkeypatch.setenv("MLX_T2_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        ran = t2(case.words, case.stdin, folder=folder)
        code, printed, said = ran.code, ran.stdout, ran.stderr
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", said).split())
    assert code == case.code, said
    assert "Traceback" not in said
    assert case.said in said
    assert case.printed in printed


def run_process(case, folder, tmp_path) -> tuple[int, str, str]:
    environment = os.environ | {
        "MLX_T2_CACHE": str(tmp_path / "cache"),
        "MLX_T2_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "200",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "mlx_t2_cli", *shlex.split(case.words)],
        input=case.stdin,
        cwd=folder,
        env=environment | case.environment,
        capture_output=True,
        timeout=120,
        preexec_fn=(lambda: os.close(0)) if case.stdin is None else None,
    )
    printed, said = (text.decode(errors="replace") for text in (ran.stdout, ran.stderr))
    return ran.returncode, printed, said


def test_every_kind_has_three_members():
    kinds = [case.kind for case in CASES]
    assert {kind for kind in kinds if kinds.count(kind) < 3} == set()
