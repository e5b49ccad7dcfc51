"""The sandbox: what it stops at every level, and what each level promises."""

import random
import shutil
import socket
import subprocess
import sys
import time

import pytest

from mlx_t2.errors import SandboxError
from mlx_t2.sandbox import run_python, sandbox_level
from mlx_t2.sandbox.run import OUTPUT_CAP

IS_CLOSED = sandbox_level() in ("seatbelt", "bwrap")


def run(source, *, stdin="", timeout_s=10, memory_mb=512):
    return run_python(source, stdin=stdin, timeout_s=timeout_s, memory_mb=memory_mb)


def test_a_program_reads_its_input_and_says_its_output():
    result = run("import sys; print(sys.stdin.read().upper(), end='')", stdin="héllo\n")
    assert (result.stdout, result.stderr, result.returncode) == ("HÉLLO\n", "", 0)
    assert not result.is_timeout
    assert result.level == sandbox_level()


def test_a_program_is_main_and_may_fail():
    result = run("if __name__ == '__main__': raise ValueError('no')")
    assert result.returncode == 1
    assert "ValueError: no" in result.stderr


def test_text_that_is_not_unicode_does_no_harm():
    assert run("print('\ud800')", stdin="\ud800").stdout == "?\n"


def test_an_endless_loop_ends_at_the_wall_clock():
    start = time.monotonic()
    result = run("while True: pass", timeout_s=0.5)
    assert result.is_timeout
    assert time.monotonic() - start < 8  # a loaded machine starts slowly


def test_a_program_that_ignores_signals_ends_too():
    source = "import signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
    assert run(source + "time.sleep(60)", timeout_s=0.5).is_timeout


def test_memory_is_capped():
    """It sleeps while it holds too much, for systems that look from outside now and then."""
    source = "import time; b = bytearray(400 << 20); time.sleep(3); print('done')"
    result = run(source, memory_mb=256)
    assert result.stdout == ""
    assert result.returncode != 0
    assert not result.is_timeout


def test_output_is_capped():
    result = run("while True: print('x' * 1000)")
    assert len(result.stdout) == OUTPUT_CAP
    assert "too large" in result.stderr
    assert not result.is_timeout


def test_the_environment_is_empty(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "1")
    assert run("import os; print(dict(os.environ))").stdout == "{}\n"


def test_it_starts_in_a_private_folder_that_is_deleted():
    source = "import os; open('a', 'w').write('b'); print(os.getcwd(), os.listdir('.'))"
    first, second = run(source).stdout, run(source).stdout
    folder = first.split(" [")[0]
    assert first != second
    assert "'a'" in first
    assert subprocess.run(["ls", folder], capture_output=True).returncode != 0


def test_it_sees_no_package_of_ours():
    source = "try:\n    import mlx_t2\nexcept ImportError:\n    print('none')"
    assert run(source).stdout == "none\n"


@pytest.mark.parametrize("ending", ["os._exit(0)", "time.sleep(60)"])
def test_a_child_process_does_not_outlive_the_program(ending):
    """Root may start one at the level rlimits. Its memory limit tells it from others."""
    memory_mb = random.randint(300, 30_000)
    source = f"import os, time\nif os.fork() == 0: time.sleep(60)\n{ending}"
    run(source, timeout_s=0.5, memory_mb=memory_mb)
    shown = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True)
    assert f'"memory_mb": {memory_mb},' not in shown.stdout


@pytest.mark.skipif(not IS_CLOSED, reason="the level rlimits does not promise it")
def test_it_cannot_read_the_users_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    assert "hidden" not in run(f"print(open({str(secret)!r}).read())").stdout


@pytest.mark.skipif(not IS_CLOSED, reason="the level rlimits does not promise it")
def test_it_cannot_write_outside_of_its_folder(tmp_path):
    run(f"open({str(tmp_path / 'new')!r}, 'w').write('x')")
    assert not (tmp_path / "new").exists()


def can_cut_network():
    """Whether this process may leave the network: always so where the level promises it."""
    if IS_CLOSED:
        return True
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-rn", "true"]).returncode == 0


@pytest.mark.skipif(not can_cut_network(), reason="the level rlimits does not promise it")
def test_it_cannot_reach_the_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = (
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('in')"
        )
        result = run(source)
    assert "in\n" not in result.stdout
    assert "Error" in result.stderr


def test_the_level_is_one_that_this_system_can_have():
    levels = {"darwin": {"seatbelt", "rlimits"}, "linux": {"bwrap", "rlimits"}}
    assert sandbox_level() in levels[sys.platform]
    assert shutil.which("bwrap") or sandbox_level() != "bwrap"


def test_a_machine_that_cannot_start_a_program_gives_no_result(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no processes left")

    monkeypatch.setattr("mlx_t2.sandbox.run.subprocess.Popen", refuse)
    with pytest.raises(SandboxError, match=r"sandbox: cannot start a program \(no processes"):
        run("print(1)")
