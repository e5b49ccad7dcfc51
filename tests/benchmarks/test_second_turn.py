"""What is timed; the timing itself needs the default model."""

from helpers import random_scales

from mlx_t2.adaptation import Adapted, Fixed
from mlx_t2.benchmarks.second_turn import PlainSecondTurn, SecondTurn, long_question

FIRST = {"role": "user", "content": "the length of a list of names, and of ages"}


def test_a_question_is_made_as_long_as_is_asked_for(tiny_model):
    question = long_question(tiny_model, 300)
    assert 300 <= len(tiny_model.encode([question])) < 400


def test_every_run_reads_what_is_new_and_nothing_else(tiny_model):
    scales = random_scales(tiny_model.shapes)
    plain = PlainSecondTurn(tiny_model, FIRST)
    for acts_on in ("all", "answer"):
        strategy = Fixed("one", Adapted(scales, {"one": 1.0}, "one", acts_on=acts_on))
        ours = SecondTurn(tiny_model, strategy, FIRST)
        # what a model of random weights says may be other tokens once it is text
        said = len(tiny_model.encode([ours.answered])) + 4
        for _ in range(3):
            plain.run()
            ours.run()
            assert ours.read_tokens <= plain.read_tokens + said
        assert plain.length == len(tiny_model.encode([FIRST])) + 32
