"""Grades that are begun while others are drawn are those that are given at the end."""

from dataclasses import dataclass, field

from toy_task import StartHigh, toy_model

from mlx_t2.sampling import SamplingConfig, rollouts


@dataclass(frozen=True)
class Begun(StartHigh):
    """Notes what was begun, and what had been when the first grade was asked for."""

    begun: list = field(default_factory=list)
    before: list = field(default_factory=list)

    def begin(self, attempts):
        self.begun.extend(text for _, text in attempts)

        def wait():
            self.before.append(len(self.begun))
            return self.grade(attempts)

        return wait


@dataclass(frozen=True)
class Unable(StartHigh):
    """Its grader cannot begin."""

    def begin(self, attempts):
        return None


def draw(task, max_rows=None):
    model = toy_model()
    config = SamplingConfig(
        temperature=1, max_tokens=task.max_tokens, max_rows=max_rows, seed=3
    )
    return rollouts(model, task, task.step(5, 0), 4, config)


def test_early_grades_are_those_of_the_end():
    plain = [rollout.grades for rollout in draw(StartHigh())]
    for max_rows in (None, 3):
        assert [rollout.grades for rollout in draw(Begun(), max_rows)] == plain
    assert [rollout.grades for rollout in draw(Unable())] == plain


def test_every_text_is_begun_once_and_before_any_grade_is_waited_for():
    task = Begun()
    found = draw(task, max_rows=3)
    asked = {(r.problem.id, c.text) for r in found for c in r.completions}
    assert len(task.begun) == len(asked)
    assert set(task.before) == {len(asked)}


def test_grading_begins_while_others_are_still_drawn(monkeypatch):
    drawn = []

    class Watching(Begun):
        def begin(self, attempts):
            drawn.append(steps[0])
            return super().begin(attempts)

    from mlx_t2.sampling.rows import Decoder

    steps, plain = [0], Decoder.step

    def step(self):
        steps[0] += 1
        return plain(self)

    monkeypatch.setattr(Decoder, "step", step)
    draw(Watching(), max_rows=3)
    assert drawn[0] < steps[0] / 2
