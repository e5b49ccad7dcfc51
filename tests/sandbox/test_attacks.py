"""The attacks, each at every level of this machine, and what they leave behind: nothing."""

import pytest
from attacks import ATTACKS, BAD, CALLS, EXPECTED, GOOD, REACHES

from mlx_t2.sandbox import Program
from mlx_t2.sandbox.levels import NUMBERS


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fails_and_harms_no_program_after_it(run, name):
    outcome = run(ATTACKS[name], *CALLS, cpu_s=1, wall_s=0.5, memory_mb=512)
    assert outcome.values != EXPECTED
    assert len(outcome.values) == 2 or outcome.fault
    good, bad = run(GOOD, *CALLS), run(BAD, *CALLS)
    assert (good.values, good.fault) == (EXPECTED, None)
    assert (bad.values, bad.fault) == ((1_000_006, 1_000_007), None)


def test_all_kinds_of_attacks_on_code_are_there():
    assert {int(name.split()[0]) for name in ATTACKS} == set(range(1, 27))


@pytest.mark.parametrize("name", REACHES)
def test_a_program_does_not_reach_out_where_files_and_network_are_held(
    pool, run, tmp_path, name
):
    if NUMBERS[pool.level] < 2:
        pytest.skip("the level limits does not promise it")
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    outcome = run(REACHES[name].format(secret=str(secret)), "reach()")
    assert outcome.values in (("refused",), ())
    assert outcome.fault is None or "Error" in outcome.fault
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert secret.read_text() == "hidden"
    assert run(GOOD, *CALLS).values == EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize(
    "storm",
    [
        "import os\nwhile True: os.fork()",
        "import threading, time\nfor _ in range(10_000):\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()",
        "for i in range(1_000_000): open(str(i), 'x')",
    ],
)
def test_a_storm_fails_and_harms_no_program_after_it(pool, run, storm):
    if NUMBERS[pool.level] < 2:
        pytest.skip("the level limits does not promise it")
    assert run(storm, "1", cpu_s=2, wall_s=10).values == ()
    assert run(GOOD, *CALLS).values == EXPECTED


def test_programs_that_follow_one_another_share_nothing(pool):
    """Each of them sees the modules, the random numbers and the files of the first."""
    source = """
import builtins, os, random, sys
before = (hasattr(builtins, "left"), "left" in sys.modules, random.random(), hash("a"))
builtins.left = sys.modules["left"] = os.environ["left"] = "left"
"""
    outcomes = pool.start([Program(source, ("before",))] * 3).results()
    assert outcomes[0].values[0][:2] == (False, False)
    assert outcomes == [outcomes[0]] * 3
