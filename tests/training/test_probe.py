"""Whether there is anything to learn."""

import math
from dataclasses import dataclass, replace

import pytest
from toy_task import CONFIG, StartHigh, files

from mlx_t2.experts import Expert
from mlx_t2.grading import RIGHT, Grade, wrong
from mlx_t2.training import Phase, train, watch_training
from mlx_t2.training.probe import Signal, watch_probe
from mlx_t2.training.ranks import Ranks
from mlx_t2.training.row_limits import RowLimits

pytestmark = pytest.mark.whole_runs

SHORT = replace(CONFIG, steps=2)


@dataclass(frozen=True)
class Graded(StartHigh):
    """Every completion earns what the function says."""

    earn: object = None

    def grade(self, attempts):
        return [self.earn(i) for i, _ in enumerate(attempts)]


@dataclass(frozen=True)
class OneOfTwo(StartHigh):
    """Choose between two options, of which the first is right."""

    def _problem(self, text):
        return replace(super()._problem(text), answer="a", options=("a", "b c"))

    def grade(self, attempts):
        return [RIGHT if text == "a" else wrong("b") for _, text in attempts]


def probe(model, task, config=CONFIG):
    work = watch_probe(model, {}, task, config, Ranks(), RowLimits(8, 32))
    found = []
    while True:
        try:
            found.append(next(work))
        except StopIteration as end:
            return end.value, found


@pytest.mark.parametrize(
    ("earn", "one", "eight", "varied", "verdict"),
    [
        (lambda i: wrong("no"), 0, 0, 0, "no signal"),
        (lambda i: RIGHT, 1, 1, 0, "solved"),
        (lambda i: RIGHT if i % 8 == 3 else wrong("no"), 1 / 8, 1, 1, "signal"),
        # right for every 64th completion: one in eight problems
        (lambda i: RIGHT if i % 64 == 3 else wrong("no"), 1 / 64, 1 / 8, 1 / 8, "signal"),
        # never right, but some tries earn more than others
        (lambda i: Grade(0.1 * (i % 2), False, "form"), 0, 0, 1, "signal"),
    ],
)
def test_the_chances_are_those_of_the_completions(model, earn, one, eight, varied, verdict):
    signal, phases = probe(model, Graded(earn=earn, max_tokens=400))
    found = (signal.problems, signal.pass_1, signal.pass_8, signal.varied)
    assert found == (32, pytest.approx(one), pytest.approx(eight), pytest.approx(varied))
    assert signal.verdict == verdict
    assert phases[-1].found == signal.describe()
    assert phases[-1].found.startswith(f"{verdict}: on 32 training problems")


def test_fewer_training_problems_are_all_asked(model):
    class Few(StartHigh):
        def available(self, split, n):
            return min(n, 5)

    assert probe(model, Few())[0].problems == 5


@pytest.mark.parametrize(
    ("one", "eight", "verdict"),
    [
        (0.0, 0.019, "no signal"),
        (0.0, 0.02, "signal"),
        (0.9, 1.0, "signal"),
        (0.91, 1, "solved"),
    ],
)
def test_verdicts_have_their_bounds(one, eight, verdict):
    assert Signal(32, one, eight, 0.0).verdict == verdict


def test_it_changes_nothing_but_what_is_said(model, tmp_path):
    list(train(model, StartHigh(), SHORT, tmp_path / "with"))
    list(train(model, StartHigh(), replace(SHORT, probe=False), tmp_path / "without"))
    steps = [files(tmp_path / name)[:2] for name in ("with", "without")]
    assert steps[0] == steps[1]
    experts = [
        Expert.load(tmp_path / name / "expert.safetensors") for name in ("with", "without")
    ]
    for path, z in experts[0].scales.items():
        assert z.tolist() == experts[1].scales[path].tolist()
    assert experts[0].metrics["signal"]["problems"] == 32
    assert "signal" not in experts[1].metrics


def test_a_resumed_run_is_not_probed_again_and_keeps_what_was_found(model, tmp_path):
    whole, stopped = tmp_path / "a" / "run", tmp_path / "b" / "run"
    list(train(model, StartHigh(), SHORT, whole))
    steps = train(model, StartHigh(), SHORT, stopped)
    next(steps)
    steps.close()
    events = watch_training(model, StartHigh(), SHORT, stopped, resume=True)
    assert not any(isinstance(e, Phase) and e.found for e in events)
    assert files(stopped) == files(whole)


def test_of_options_the_chance_is_exact():
    """π of the right one of two options, from their scores; over eight tries 1 − (1 − π)⁸."""
    from mlx_t2.sampling import Completion, Rollout
    from mlx_t2.training import probe as room

    problem = OneOfTwo().step(1, 0)[0]
    texts = tuple(Completion((1,), text, True) for text in ("a", "b c"))
    rollout = Rollout(problem, (1,), texts, (RIGHT, wrong("b")), scores=(-1.0, -2.0))
    chance = 1 / (1 + math.exp(-1))
    one, eight, varied = room._chances(rollout, 1.0)
    assert (one, eight, varied) == (
        pytest.approx(chance),
        pytest.approx(1 - (1 - chance) ** 8),
        True,
    )
    halved, _, _ = room._chances(rollout, 2.0)
    assert halved == pytest.approx(1 / (1 + math.exp(-0.5)))
