"""Two processes under MLX's own launcher, on loopback."""

import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from mlx_t2.errors import TrainingError
from mlx_t2.training.checkpoint import load_state
from mlx_t2.training.ranks import Ranks

_PROGRAM = """
import os, signal, sys; sys.path.insert(0, sys.argv[1])
import mlx_t2  # before MLX, for its BLAS
from dataclasses import dataclass, replace
from pathlib import Path
from toy_task import CONFIG, StartHigh, toy_model
from mlx_t2.errors import T2Error
from mlx_t2.training import Ranks, train
out, how = Path(sys.argv[2]), sys.argv[3]

@dataclass(frozen=True)
class Failing(StartHigh):
    graded = []
    def grade(self, attempts):
        self.graded.append(attempts)
        if len(self.graded) == 4 and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if len(self.graded) == 4 and how == "raise":
            raise ValueError("a broken grader")
        return super().grade(attempts)

task = Failing() if Ranks().rank == 1 else StartHigh()
config = replace(CONFIG, steps=5, prompts=5, lr=2e-3, eval_every=2, validation=2, test=2)
try:
    for report in train(toy_model(), task, config, out, resume=(out / "config.json").exists()):
        print("step", report.step, flush=True)
except (T2Error, ValueError) as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(1)
"""


def launched(out: Path, ranks: int, how: str = "well") -> str:
    """What the ranks print."""
    launcher = [str(Path(sys.executable).parent / "mlx.launch"), "-n", str(ranks), "--"]
    program = [sys.executable, "-c", _PROGRAM, str(Path(__file__).parents[1]), str(out), how]
    done = subprocess.run(
        [*(launcher if ranks > 1 else []), *program],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout + done.stderr


def last_state(out: Path):
    return load_state(max((out / "checkpoint").glob("*.safetensors")))


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """A run of one rank."""
    out = tmp_path_factory.mktemp("ranks") / "one"
    launched(out, 1)
    return out


def assert_same_run(out: Path, one: Path) -> None:
    """Two ranks add up the same gradient in another order."""
    state, expected = last_state(out), last_state(one)
    assert state.step == expected.step == 5
    assert state.best_validation == expected.best_validation
    for path, z in expected.parameters.items():
        assert mx.abs(z - state.parameters[path]).max().item() < 1e-6
    samples = [(run / "samples.jsonl").read_text() for run in (one, out)]
    assert samples[0] == samples[1]
    assert len(samples[0].splitlines()) == 25


def fail_and_go_on(out: Path, how: str, *said: str) -> None:
    """Two ranks of which one fails, then two that finish the run."""
    output = launched(out, 2, how)
    assert [text for text in said if text not in output] == []
    assert 0 < last_state(out).step < 5
    assert "step 5" in launched(out, 2)


def test_two_ranks_of_which_one_failed_go_on_to_what_one_trains(one, tmp_path):
    said = ("ValueError a broken grader", "1 of 2 ranks failed and say why")
    fail_and_go_on(tmp_path / "failed", "raise", *said)
    assert_same_run(tmp_path / "failed", one)


@pytest.mark.slow
def test_a_rank_that_is_killed_or_fails_goes_on_to_the_bits_of_an_undisturbed_run(
    one, tmp_path
):
    launched(tmp_path / "whole", 2)
    assert_same_run(tmp_path / "whole", one)
    for how, said in (("kill", "rank 1 exited with code -9"), ("raise", "a broken grader")):
        fail_and_go_on(tmp_path / how, how, said)
        for path, z in last_state(tmp_path / "whole").parameters.items():
            assert mx.array_equal(z, last_state(tmp_path / how).parameters[path]).item()


def test_a_lost_connection_is_one_clear_error():
    def lost(*_: object, **__: object):
        raise RuntimeError("[ring] connection to a peer was lost")

    with pytest.raises(TrainingError, match=r"rank 0: another rank is gone .* --resume"):
        Ranks()._exchange(lost, mx.array(1))


def test_one_machine_is_everybody():
    ranks = Ranks()
    assert (ranks.size, ranks.is_first) == (1, True)
    assert ranks.mine([1, 2, 3]) == ranks.gather([1, 2, 3]) == [1, 2, 3]
    assert ranks.from_first(dict, a=1) == ranks.on_first(dict, a=1) == {"a": 1}
    assert (ranks.gather_all(3), ranks.total(3)) == ([3], 3)
    assert ranks.broadcast(b"x") == b"x"
    with pytest.raises(ZeroDivisionError):
        ranks.on_all(lambda: 1 // 0)
