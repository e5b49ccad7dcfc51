"""The level is found by trying; what is installed and does nothing is not used."""

import sys

import pytest

from mlx_t2.errors import SandboxError
from mlx_t2.sandbox import CANNOT_STOP, REMEDIES, probe
from mlx_t2.sandbox.levels import NUMBERS, wrap
from mlx_t2.sandbox.probe import examine_sandbox, try_level
from mlx_t2.sandbox.worker import Worker


@pytest.fixture
def fresh(monkeypatch):
    """Nothing is remembered of this machine."""
    monkeypatch.setattr(probe, "examine_sandbox", examine_sandbox.__wrapped__)
    return monkeypatch


def test_the_level_of_this_machine_holds():
    found = examine_sandbox()
    assert try_level(found.level) is None
    assert all(NUMBERS[level] >= NUMBERS[found.level] for level in found.refused)
    assert set(CANNOT_STOP) == set(REMEDIES) == set(NUMBERS)


def test_memory_is_named_where_macos_does_not_limit_it():
    named = {level for level, words in CANNOT_STOP.items() if "memory" in words}
    assert named == {"seatbelt", "limits"}


def test_limits_alone_are_found_out_by_an_escape(monkeypatch):
    """A sandbox that does nothing passes for a better level until an escape is tried."""
    worker = Worker("limits")
    assert probe._escape(worker) == "reading a file outside was not refused"
    worker.close()


@pytest.mark.parametrize("fault", ["an escape was not refused", "exit 71: not permitted"])
def test_a_level_that_does_not_hold_is_passed_over_with_its_reason(fresh, fault):
    levels = probe._LEVELS.get(sys.platform, ("limits",))
    fresh.setattr(probe, "try_level", lambda level: None if level == "limits" else fault)
    found = probe.examine_sandbox()
    assert found.level == "limits"
    assert found.refused == dict.fromkeys(levels[:-1], fault)


def test_a_machine_where_nothing_runs_says_so(fresh):
    fresh.setattr(probe, "try_level", lambda level: "no memory")
    with pytest.raises(SandboxError, match=r"no program runs at any level \(no memory\)"):
        probe.examine_sandbox()


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(probe.shutil, "which", lambda name: None)
    assert try_level("bwrap") == "bwrap is not installed"


def test_a_wrapper_that_fails_is_a_reason_not_a_level(monkeypatch, tmp_path):
    """As sandbox-exec does inside another sandbox."""
    wrapper = tmp_path / "bwrap"
    wrapper.write_text("#!/bin/sh\necho 'apply: not permitted' >&2\nexit 71\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    fault = try_level("bwrap")
    assert fault is not None
    assert "exit 71: apply: not permitted" in fault


def test_a_wrapper_that_only_pretends_is_found_out(monkeypatch, tmp_path):
    """It starts the server and holds nothing; the filter of system calls is taken away too."""
    wrapper = tmp_path / "bwrap"
    wrapper.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert try_level("bwrap") == "reading a file outside was not refused"


def test_seatbelt_names_the_one_interpreter_and_its_folder():
    command = wrap("seatbelt", "/room", "/opt/python/bin/python3")
    assert command[0] == "/usr/bin/sandbox-exec"
    assert "PYTHON=/opt/python/bin/python3" in command
    assert '(allow process-exec (literal (param "PYTHON")))' in command[-1]
    assert "(deny default)" in command[-1]
    assert "mach-lookup" not in command[-1]
