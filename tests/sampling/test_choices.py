"""The policy over options: scores, probabilities, and what is drawn from it."""

import math
from collections import Counter

import mlx.core as mx
import numpy as np
import pytest
from helpers import assert_close, random_scales, tiny_network, tiny_tokenizer
from mlx_lm.tokenizer_utils import TokenizerWrapper
from option_task import PickZ
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mlx_t2.errors import ScoresError, TaskDataError
from mlx_t2.models import SVFModel
from mlx_t2.sampling import (
    SamplingConfig,
    count_right,
    encode_options,
    enumerate_rollouts,
    rollouts,
    score_options,
    weigh,
)
from mlx_t2.svf import take_rows

TEXTS = ("iron", "a", "wood and stone", "iron ore")
QUESTIONS = ("which is a metal?", "b?", "and of these?", "what is not? " * 4)
OPTIONS = [TEXTS, TEXTS[:1], TEXTS[1:3], TEXTS[::-1]]


def prompts_of(model):
    return [model.encode([{"role": "user", "content": text}]) for text in QUESTIONS]


def score_alone(model, prompt, option):
    """One option in one plain forward pass: the mean of its tokens' log-probabilities."""
    (tokens,) = encode_options(model, prompt, [option])
    logits = model.network(mx.array([[*prompt, *tokens]]))[0, len(prompt) - 1 : -1]
    logs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return float(mx.take_along_axis(logs, mx.array(tokens)[:, None], axis=-1).mean())


@pytest.mark.parametrize("max_rows", [None, 1, 3])
def test_a_score_is_the_mean_log_probability_of_the_option_read_alone(tiny_model, max_rows):
    prompts = prompts_of(tiny_model)
    with tiny_model.using(random_scales(tiny_model.shapes)):
        choices = score_options(tiny_model, prompts, OPTIONS, max_rows=max_rows)
        alone = [
            [score_alone(tiny_model, prompt, text) for text in texts]
            for prompt, texts in zip(prompts, OPTIONS, strict=True)
        ]
    assert [choice.texts for choice in choices] == OPTIONS
    for choice, expected in zip(choices, alone, strict=True):
        assert_close(np.array(choice.scores), np.array(expected))


def test_where_scales_have_rows_each_prompt_is_read_under_its_own(tiny_model):
    prompts = prompts_of(tiny_model)
    scales = random_scales(tiny_model.shapes, rows=len(prompts))
    with tiny_model.using(scales):
        together = score_options(tiny_model, prompts, OPTIONS)
    for row, (prompt, texts) in enumerate(zip(prompts, OPTIONS, strict=True)):
        one = take_rows(scales, tiny_model.shapes, mx.array([row]))
        with tiny_model.using({path: z[0] for path, z in one.items()}):
            (alone,) = score_options(tiny_model, [prompt], [texts])
        assert_close(np.array(together[row].scores), np.array(alone.scores))


def test_rows_of_scales_stay_with_their_problems_where_only_some_have_options(tiny_model):
    task = PickZ(free=2)
    problems = task.problems("test", 5)
    scales = random_scales(tiny_model.shapes, spread=2.0, rows=5)
    greedy = SamplingConfig(temperature=0, max_tokens=12)
    with tiny_model.using(scales):
        done = rollouts(tiny_model, task, problems, 1, greedy)
    for row, (problem, together) in enumerate(zip(problems, done, strict=True)):
        with tiny_model.using({path: z[row] for path, z in scales.items()}):
            (alone,) = rollouts(tiny_model, task, [problem], 1, greedy)
        assert together.completions == alone.completions


# Tokens


def test_an_option_has_the_tokens_of_its_text_behind_the_template(tiny_model):
    prompt = tiny_model.encode([{"role": "user", "content": "which?"}])
    (tokens,) = encode_options(tiny_model, prompt, ["iron"])
    assert tiny_model.decode(tokens) == "iron"
    assert not set(tokens) & tiny_model.eos_ids


@pytest.mark.parametrize(
    ("prompt", "expected"), [("answer:", " iron"), ("answer: ", "iron"), ("answer:\n", "iron")]
)
def test_a_space_comes_first_in_the_middle_of_a_line(prompt, expected):
    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    ids = model.tokenizer.encode(prompt, add_special_tokens=False)
    (tokens,) = encode_options(model, ids, ["iron"])
    assert model.decode(tokens) == expected


def test_an_option_is_encoded_as_a_part_of_the_whole():
    """A tokenizer that puts a mark in front of whatever it is given, as SentencePiece does: on
    its own the option would begin with a mark too many.
    """
    words = ["<unk>", "<s>", "▁answer:", "\n", "▁iron", "iron", "▁ore"]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="first"),
            pre_tokenizers.Split("\n", "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="<s>"
    )
    model = SVFModel("tiny", tiny_network(), TokenizerWrapper(fast, eos_token_ids={1}))
    assert fast.encode("iron", add_special_tokens=False) == [4]
    assert encode_options(model, [1, 2, 3], ["iron", "iron ore"]) == [(5,), (5, 6)]
    assert encode_options(model, [1, 2], ["iron", "iron ore"]) == [(4,), (4, 6)]


def test_an_option_without_tokens_is_refused_with_its_problem(tiny_model):
    with pytest.raises(TaskDataError, match=r"^q/7: got option '', expected a text"):
        score_options(tiny_model, [[5, 6]], [("a", "")], ["q/7"])


def test_scores_that_are_no_numbers_are_an_error(tiny_model):
    scales = {path: mx.full(shape, math.nan) for path, shape in tiny_model.shapes.items()}
    with tiny_model.using(scales), pytest.raises(ScoresError, match="scales"):
        score_options(tiny_model, [[5, 6]], [("a", "b")])


# The policy


def test_options_of_one_text_are_one_option(tiny_model):
    (choice,) = score_options(tiny_model, [[5, 6]], [("a", "b", "a")])
    assert choice.texts == ("a", "b")
    assert len(weigh(choice.scores)) == 2


def test_a_single_option_is_certain(tiny_model):
    (choice,) = score_options(tiny_model, [[5, 6]], [("abc",)])
    assert weigh(choice.scores) == [1.0]


@pytest.mark.parametrize("scores", [(-1.0, -2.0, -5.0), (-900.0, -1.0), (0.0, 0.0, 0.0, 0.0)])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_probabilities_are_the_softmax_of_the_scores(scores, temperature):
    x = np.array(scores) / temperature
    expected = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    np.testing.assert_allclose(weigh(scores, temperature), expected, rtol=1e-12)


def test_the_greedy_answer_is_the_most_probable_option_the_first_of_several(tiny_model):
    task = PickZ()
    problems = task.problems("test", 8)
    greedy = SamplingConfig(temperature=0)
    every = enumerate_rollouts(tiny_model, task, problems, 1, greedy)
    done = rollouts(tiny_model, task, problems, 2, greedy)
    for all_options, answered in zip(every, done, strict=True):
        best = all_options.completions[np.argmax(all_options.scores)]
        assert answered.completions == (best, best)
        assert answered.scores is None
    right = sum(answered.grades[0].is_right for answered in done)
    assert count_right(tiny_model, task, problems) == right
    (tied,) = score_options(tiny_model, [[5, 6]], [("a", "b")])
    assert type(tied)(tied.texts, tied.tokens, (-1.0, -1.0)).best == 0


def test_all_options_are_graded_once_each_and_none_is_cut_off(tiny_model):
    task = PickZ()
    problems = task.problems("test", 6)
    config = SamplingConfig(max_tokens=1)
    for problem, rollout in zip(
        problems, enumerate_rollouts(tiny_model, task, problems, 8, config), strict=True
    ):
        assert tuple(c.text for c in rollout.completions) == problem.options
        assert all(c.is_finished for c in rollout.completions)
        assert rollout.rewards == tuple(float("z" in text) for text in problem.options)
        assert rollout.scores is not None


def test_options_are_drawn_as_often_as_they_are_probable(tiny_model):
    """4000 draws: a share is off by more than 4.5 of its standard deviations once in 10^5."""
    task = PickZ()
    problems = task.problems("test", 1)
    (rollout,) = enumerate_rollouts(tiny_model, task, problems, 1, SamplingConfig())
    (drawn,) = rollouts(tiny_model, task, problems, 4000, SamplingConfig(seed=3))
    counts = Counter(completion.text for completion in drawn.completions)
    for text, p in zip(problems[0].options, weigh(rollout.scores), strict=True):
        assert abs(counts[text] / 4000 - p) < 4.5 * math.sqrt(p * (1 - p) / 4000)


def test_what_is_drawn_depends_on_seed_and_number_alone(tiny_model):
    task = PickZ(free=3)
    problems, config = task.problems("test", 7), SamplingConfig(seed=5, max_tokens=4)
    together = rollouts(tiny_model, task, problems, 6, config)
    for number, (problem, rollout) in enumerate(zip(problems, together, strict=True)):
        (alone,) = rollouts(tiny_model, task, [problem], 6, config, [number])
        assert alone.completions == rollout.completions
    others = rollouts(tiny_model, task, problems, 6, SamplingConfig(seed=6, max_tokens=4))
    assert [r.completions for r in others] != [r.completions for r in together]
