"""What is timed; the timing itself needs the default model."""

from helpers import random_scales

from mlx_t2.adaptation import Adapted, Fixed
from mlx_t2.benchmarks.second_turn import (
    PlainSecondTurn,
    SecondTurn,
    UncachedSecondTurn,
    long_question,
)

FIRST = {"role": "user", "content": "the length of a list of names, and of ages"}


def test_a_question_is_made_as_long_as_is_asked_for(tiny_model):
    question = long_question(tiny_model, 300)
    assert 300 <= len(tiny_model.encode([question])) < 400


def test_every_run_reads_what_is_new_and_nothing_else(tiny_model):
    scales = random_scales(tiny_model.shapes)
    plain = PlainSecondTurn(tiny_model, FIRST)
    plain.run()
    for acts_on in ("all", "answer"):
        strategy = Fixed("one", Adapted(scales, {"one": 1.0}, "one", acts_on=acts_on))
        ours, read = SecondTurn(tiny_model, strategy, FIRST), []
        for _ in range(3):
            ours.run()
            read.append(ours.read_tokens)
        assert len(set(read)) == 1  # no run finds the question of another
        answer = 32 + len("assistant ")  # the tiny template names nobody before an answer
        assert plain.read_tokens <= read[0] <= plain.read_tokens + answer + 2
    plain.run()
    assert plain.length == len(tiny_model.encode([FIRST])) + 32


def test_an_expert_that_acts_on_the_answer_goes_on_from_what_the_base_has_read(tiny_model):
    base = SecondTurn(tiny_model, Fixed.base(), FIRST)
    scales = random_scales(tiny_model.shapes)
    strategy = Fixed("one", Adapted(scales, {"one": 1.0}, "one", acts_on="answer"))
    alone = SecondTurn(tiny_model, strategy, FIRST)
    ours = SecondTurn(tiny_model, strategy, FIRST, base.kept.copy())
    assert ours.before == alone.before
    for turn in (ours, alone, base):
        turn.run()
    assert ours.read_tokens == alone.read_tokens


def test_without_a_cache_all_is_read(tiny_model):
    uncached = UncachedSecondTurn(tiny_model, [FIRST, {"role": "assistant", "content": "a"}])
    uncached.run()
    assert uncached.read_tokens > len(tiny_model.encode([FIRST]))
