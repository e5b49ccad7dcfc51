"""The time that a training still takes, from reports and a clock that is set by hand."""

from dataclasses import dataclass, field

import pytest
from mlx_t2_cli.training_time import TimeLeft

from mlx_t2.training import Phase, TrainConfig

CONFIG = TrainConfig(steps=10, prompts=2, group=2, eval_every=5, validation=30, test=40)


@dataclass
class Step:
    """As much of a report as is read."""

    step: int
    example: dict = field(default_factory=dict)
    sampling_seconds: float = 4.0
    gradient_seconds: float = 6.0


class Clock:
    """Goes on when it is told to."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def seen():
    """Times after a first validation of half a second per problem and one step of ten."""
    clock = Clock()
    left = TimeLeft(CONFIG, clock)
    left.see_phase(Phase("validation before", 0, 30))
    clock.now = 15.0
    left.see_phase(Phase("validation before", 30, 30))
    assert left.seconds() is None
    left.see_step(Step(1))
    return left, clock


def test_validations_and_the_test_are_counted(seen):
    assert seen[0].seconds() == 9 * 10 + (2 * 30 + 2 * 40) * 0.5


def test_it_falls_while_problems_are_answered(seen):
    left, clock = seen
    left.see_step(Step(10))
    found = []
    for name, total in (("test before", 40), ("test after", 40)):
        for done in range(0, total + 1, 10):
            left.see_phase(Phase(name, done, total))
            found.append(left.seconds())
            clock.now += 5.0
    assert found == [40.0, 35.0, 30.0, 25.0, 20.0, 20.0, 15.0, 10.0, 5.0, 0.0]


def test_a_validation_within_a_step_is_not_counted_twice(seen):
    left, _ = seen
    left.see_phase(Phase("validation", 10, 30, step=5))
    assert left.seconds() == 6 * 10 + (20 + 30 + 80) * 0.5


def test_a_resumed_run_counts_from_its_first_step():
    left = TimeLeft(CONFIG, Clock())
    left.see_phase(Phase("sampling", step=8))
    assert left.seconds() is None
    left.see_step(Step(8))
    assert left.seconds() == 2 * 10 + (30 + 80) * 1.0  # at the pace of sampling


def test_a_resumed_run_that_was_finished_has_only_its_test_ahead():
    clock = Clock()
    left = TimeLeft(CONFIG, clock)
    left.see_phase(Phase("test before", 0, 40))
    clock.now = 8.0
    left.see_phase(Phase("test before", 20, 40))
    assert left.seconds() == 60 * 0.4
