"""Running programs: what is answered, what is the program's fault, what the machine's."""

import os
import re
import subprocess
import sys
import time

import pytest

from mlx_t2.errors import SandboxError
from mlx_t2.sandbox import Opaque, Program, pool, run_programs, start_programs, worker
from mlx_t2.sandbox.pool import Pool
from mlx_t2.sandbox.probe import sandbox_level
from mlx_t2.sandbox.worker import ServerLost, Worker


@pytest.fixture
def lone():
    """A worker of the best level, closed afterwards."""
    worker = Worker(sandbox_level())
    yield worker
    worker.close()


def test_calls_are_answered_in_order_with_builtin_values(run):
    source = (
        "from collections import Counter\ndef f(x): return [x, {'é': (2.5, 1j)}, None, True]"
    )
    outcome = run(
        source, "f(1)", "Counter('aab')", "{f(2)[0], -(3**99)}", "b'x'", "frozenset()"
    )
    assert outcome.values == (
        *([1, {"é": (2.5, 1j)}, None, True], {"a": 2, "b": 1}, {2, -(3**99)}, b"x"),
        frozenset(),
    )
    assert (outcome.fault, outcome.is_timeout) == (None, False)
    assert [type(value) for value in outcome.values] == [list, dict, set, bytes, frozenset]


def test_a_value_is_what_it_was_when_it_was_given(run):
    assert run("a = []", "a", "a.append(1)", "a").values == ([], None, [1])


@pytest.mark.parametrize(
    ("source", "calls", "values", "fault"),
    [
        (
            "def f(x): return 1 / x",
            ("f(1)", "f(0)", "f(2)"),
            (1.0,),
            "ZeroDivision.*",
        ),
        ("f = 1", ("g",), (), "NameError: name 'g' is not defined"),
        ("def f(:", ("f(1)",), (), "SyntaxError: invalid syntax .*"),
        ("f = 1", ("f +",), (), "SyntaxError: .*"),
        ("raise ValueError('a\\nb\\x1b[31m')", ("1",), (), r"ValueError: a b.*\[31m"),
        ("import os; os._exit(7)", ("1",), (), r"ended before it had answered \(exit 7\)"),
        ("import os; os.abort()", ("1",), (), r"ended before it had answered \(signal \d+\)"),
        ("x = bytearray(1 << 40)", ("x",), (), "MemoryError"),
        ("def f(): return f()", ("f()",), (), "RecursionError: .*"),
        ("import sys\nif __name__ == '__main__': sys.exit(1)", ("1",), (1,), None),
    ],
)
def test_a_fault_is_told_in_one_line_beside_what_was_answered(
    run, source, calls, values, fault
):
    outcome = run(source, *calls)
    assert outcome.values == values
    assert not outcome.is_timeout
    if fault is None:
        assert outcome.fault is None
    else:
        assert outcome.fault is not None
        assert outcome.fault.isprintable()
        assert re.fullmatch(fault, outcome.fault)


@pytest.mark.parametrize(
    ("source", "limits", "fault"),
    [
        ("while True: pass", {"cpu_s": 1}, "out of processor time (1 s)"),
        ("while True: pass", {"wall_s": 0.3}, "out of time (0.3 s)"),
        ("import time; time.sleep(60)", {"cpu_s": 1, "wall_s": 0.3}, "out of time (0.3 s)"),
    ],
)
def test_processor_time_and_the_clock_are_apart(run, source, limits, fault):
    outcome = run(source, "1", **limits)
    assert (outcome.values, outcome.fault, outcome.is_timeout) == ((), fault, True)


def test_one_that_ignores_the_end_of_its_processor_time_is_killed(run):
    source = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    outcome = run(source, "1", cpu_s=1, wall_s=30)
    assert (outcome.fault, outcome.is_timeout) == ("out of processor time (1 s)", True)


def test_an_own_kill_is_not_taken_for_the_clock(run):
    outcome = run("import os; os.kill(os.getpid(), 9)", "1")
    assert (outcome.fault, outcome.is_timeout) == (
        "ended before it had answered (signal 9)",
        False,
    )


def test_memory_is_counted_beside_the_interpreters_own(run):
    """The limit is larger than what the program needs, smaller than what it asks for next."""
    assert run("x = bytearray(60 << 20)", "len(x)", memory_mb=100).fault is None
    assert run("x = bytearray(140 << 20)", "len(x)", memory_mb=100).fault == "MemoryError"


def test_a_program_is_quiet_and_hears_nothing(run, capfd):
    outcome = run(
        "import sys; print('x' * 10**6); print('y', file=sys.stderr)", "sys.stdin.read()"
    )
    assert outcome.values == ("",)
    assert capfd.readouterr() == ("", "")


def test_what_is_not_a_builtin_equals_nothing(run):
    outcome = run("class A:\n    __eq__ = lambda *_: True", "A()", "[A()]", "(x for x in [])")
    first, second, third = outcome.values
    assert isinstance(first, Opaque)
    assert isinstance(second[0], Opaque)
    assert repr(third) == "<generator>"
    assert first != first
    assert second != [9]


def test_outcomes_are_in_the_order_of_the_programs():
    programs = [
        Program(f"import time; time.sleep({0.2 * (i == 0)})", (f"{i}",)) for i in range(9)
    ]
    assert [outcome.values for outcome in run_programs(programs)] == [(i,) for i in range(9)]


def test_programs_run_beside_what_the_caller_does():
    run_programs([Program("", ("1",))] * 2)  # servers are up
    pending = start_programs([Program("import time; time.sleep(0.5)", ("1",))])
    time.sleep(2)
    start = time.monotonic()
    assert pending.results()[0].values == (1,)
    assert time.monotonic() - start < 0.4


def test_no_programs_need_no_sandbox(monkeypatch):
    monkeypatch.setattr(pool, "sandbox_level", lambda: 1 / 0)
    assert run_programs([]) == []


def test_limits_alone_are_refused_unless_allowed(monkeypatch):
    monkeypatch.setattr(pool, "sandbox_level", lambda: "limits")
    with pytest.raises(SandboxError, match=r"got level 'limits', .* pass --allow-unsandboxed"):
        run_programs([Program("", ("1",))])
    assert run_programs([Program("", ("1",))], allow_limits=True)[0].level == "limits"


def test_limits_may_be_allowed_for_the_whole_process_and_the_level_is_remembered():
    """In a process of its own, where nothing has run yet."""
    script = (
        "from mlx_t2 import sandbox\n"
        "sandbox.pool.sandbox_level = lambda: 'limits'\n"
        "assert sandbox.level_used() is None\n"
        "sandbox.allow_limits_everywhere()\n"
        "print(sandbox.run_programs([sandbox.Program('', ('1',))])[0].values, end=' ')\n"
        "print(sandbox.level_used())\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("(1,) limits\n", "")


def test_a_lost_server_is_replaced_and_the_program_run_again(lone):
    assert lone.run(Program("", ("1",))).values == (1,)
    lone._process.kill()
    with pytest.raises(ServerLost):
        lone.run(Program("", ("2",)))
    assert lone.run(Program("", ("3",))).values == (3,)


def test_a_machine_without_a_working_server_gives_no_verdict(monkeypatch):
    lost = lambda *_: (_ for _ in ()).throw(ServerLost("gone"))  # noqa: E731
    monkeypatch.setattr(Worker, "run", lost)
    lonely = Pool(sandbox_level(), 1)
    with pytest.raises(SandboxError, match=r"was lost \(gone\), expected .* Is memory short"):
        lonely.start([Program("", ("1",))]).results()
    lonely.close()


def test_one_that_loses_two_servers_did_it_itself(monkeypatch):
    def run(self, program):
        if "evil" in program.source:
            raise ServerLost("gone")
        return real(self, program)

    real = Worker.run
    monkeypatch.setattr(Worker, "run", run)
    lonely = Pool(sandbox_level(), 1)
    outcomes = lonely.start([Program("evil", ("1",)), Program("", ("1",))]).results()
    assert [outcome.fault for outcome in outcomes] == ["ended what runs it (gone)", None]
    lonely.close()


def test_no_server_starts_where_the_interpreter_is_gone(monkeypatch, lone):
    monkeypatch.setattr(worker, "_INTERPRETER", ("/nowhere/python", "-c"))
    with pytest.raises(SandboxError, match=r"no server starts at level .*No such file"):
        lone.run(Program("", ("1",)))


def test_a_server_that_fails_says_why(monkeypatch, lone):
    monkeypatch.setattr(worker, "_BOOT", "raise OSError('no room')  # {!r}")
    with pytest.raises(SandboxError, match=r"the server ended, exit 1: OSError: no room"):
        lone.run(Program("", ("1",)))


def test_a_server_is_replaced_after_its_share_of_programs(monkeypatch, lone):
    monkeypatch.setattr(worker, "RESTART_AFTER", 2)
    servers = []
    for _ in range(4):
        lone.run(Program("", ("1",)))
        servers.append(lone._process.pid)
    assert servers[0] == servers[1] != servers[2] == servers[3]


@pytest.mark.parametrize("reply", [b"", b"\0", b"nonsense", b"N\0\0\0\0"])
def test_nonsense_from_a_server_is_no_verdict(monkeypatch, lone, reply):
    lone.run(Program("", ("1",)))
    monkeypatch.setattr(Worker, "_ask", lambda *_: reply)
    with pytest.raises(ServerLost):
        lone.run(Program("", ("1",)))


def test_servers_and_programs_end_with_us_even_where_we_are_killed():
    """A parent starts a program that sleeps, tells its server and is killed."""
    code = """
import time
from mlx_t2.sandbox import Program, sandbox_level
from mlx_t2.sandbox.pool import Pool
pool = Pool(sandbox_level(), 1)
pool.start([Program("", ("1",))]).results()
pool.start([Program("import time; time.sleep(600)", ("1",), wall_s=600)])
time.sleep(0.5)
print(pool._workers[0]._process.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    server = int(parent.stdout.readline())
    os.kill(server, 0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and is_alive(server):
        time.sleep(0.05)
    assert not is_alive(server)


def is_alive(pid):
    shown = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True)
    states = dict(line.split() for line in shown.stdout.splitlines())
    return states.get(str(pid), "Z")[0] != "Z"


def test_a_fork_of_ours_has_a_pool_of_its_own(monkeypatch):
    run_programs([Program("", ("1",))])
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert run_programs([Program("", ("2",))])[0].values == (2,)
    pool._pools.pop((sandbox_level(), -1)).close()
