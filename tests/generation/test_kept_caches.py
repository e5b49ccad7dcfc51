"""A conversation costs its new tokens only, and says what it would say anew."""

from dataclasses import replace

import pytest
from architectures import tiny
from helpers import random_scales, tiny_tokenizer

from mlx_t2.adaptation import Adapted, Fixed
from mlx_t2.generation import AdaptiveGenerator, SideBySide
from mlx_t2.models import SVFModel, decompose
from mlx_t2.reading import KeptCaches
from mlx_t2.sampling import SamplingConfig
from mlx_t2.svf import BASE

GREEDY = SamplingConfig(temperature=0, max_tokens=8)


OWN = ({"role": "system", "content": "lists only"}, {"role": "user", "content": "of names"})
"""A prompt that an expert brings."""


def wearing(model, acts_on, seed=0, prompt=()):
    scales = random_scales(model.shapes, seed, spread=0.5)
    return Fixed(
        "expert:one", Adapted(scales, {"one": 1.0}, "one", prompt=prompt, acts_on=acts_on)
    )


def plain(model):
    return Fixed.base()


class Routed:
    """A first pass that looks at the base's state of the prompt, and always decides alike."""

    name, is_fixed = "routed", False

    def __init__(self, model, acts_on, label):
        self.acts_on = acts_on
        scales = random_scales(model.shapes, spread=0.5) if label == "one" else {}
        self.adapted = Adapted(scales, {}, label, {label: 0.9}, acts_on=acts_on)

    def adapt(self, conversations, read=()):
        for prompt in read:
            assert prompt.states().ndim == 1
        return [self.adapted]


def turns(model, strategy, questions, kept):
    """(answers, tokens read for each) of a conversation."""
    messages, answers = [], []
    for question in questions:
        messages.append({"role": "user", "content": question})
        generator = AdaptiveGenerator(model, strategy)
        request = generator.stream(list(messages), GREEDY, kept)
        for _ in request:
            pass
        answers.append(request.answer)
        messages.append({"role": "assistant", "content": request.answer.text})
    return answers


QUESTIONS = ["the length of a list", "and now?", "go on"]
MADE = {
    "the base": plain,
    "acts on all": lambda model: wearing(model, "all"),
    "acts on the answer": lambda model: wearing(model, "answer"),
    "chosen, acts on all": lambda model: Routed(model, "all", "one"),
    "chosen, acts on the answer": lambda model: Routed(model, "answer", "one"),
    "the base, chosen": lambda model: Routed(model, "all", "other"),
}


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        *(("llama", kind) for kind in MADE),
        *(("lfm2", kind) for kind in ("the base", "chosen, acts on all", "acts on the answer")),
        ("gemma3_text", "chosen, acts on the answer"),
    ],
)
def test_a_conversation_says_what_it_would_say_anew(architecture, kind):
    model = decompose(SVFModel(architecture, tiny(architecture), tiny_tokenizer()))
    strategy = MADE[kind](model)
    anew = turns(model, strategy, QUESTIONS, None)
    kept = turns(model, strategy, QUESTIONS, KeptCaches(model))
    assert [a.text for a in kept] == [a.text for a in anew]
    assert [a.prompt_tokens for a in kept] == [a.prompt_tokens for a in anew]
    assert kept[2].read_tokens < kept[2].prompt_tokens / 2


@pytest.mark.parametrize("kind", MADE)
def test_a_turn_costs_its_new_tokens(tiny_model, kind):
    answers = turns(tiny_model, MADE[kind](tiny_model), QUESTIONS, KeptCaches(tiny_model))
    first, second, _ = answers
    assert first.read_tokens == first.prompt_tokens
    new = second.prompt_tokens - first.prompt_tokens
    assert second.read_tokens <= new + 1  # the answer, the question, and the prompt's last one


@pytest.mark.parametrize("kind", MADE)
def test_what_the_first_pass_reads_is_counted(tiny_model, kind):
    strategy = MADE[kind](tiny_model)
    kept = turns(tiny_model, strategy, QUESTIONS, KeptCaches(tiny_model))
    anew = turns(tiny_model, strategy, QUESTIONS, None)
    if strategy.is_fixed:
        assert {answer.first_pass_tokens for answer in (*kept, *anew)} == {0}
        return
    assert [a.first_pass_tokens for a in anew] == [a.prompt_tokens for a in anew]
    assert kept[0].first_pass_tokens == anew[0].first_pass_tokens
    assert kept[2].first_pass_tokens < anew[2].first_pass_tokens


def test_an_answer_under_scales_that_act_on_all_is_not_read_again(tiny_model):
    kept = KeptCaches(tiny_model)
    answers = turns(tiny_model, wearing(tiny_model, "all"), QUESTIONS, kept)
    again = turns(tiny_model, wearing(tiny_model, "answer"), QUESTIONS, KeptCaches(tiny_model))
    assert answers[1].read_tokens < again[1].read_tokens


def test_a_change_of_scales_reads_anew_and_a_change_back_does_not(tiny_model):
    kept, messages = KeptCaches(tiny_model), [{"role": "user", "content": "hello"}]
    one, other = (wearing(tiny_model, "all", seed) for seed in range(2))
    read = []
    for strategy in (one, other, wearing(tiny_model, "all", 0), Fixed.base()):
        request = AdaptiveGenerator(tiny_model, strategy).stream(messages, GREEDY, kept)
        said = "".join(token.text for token in request)
        alone = AdaptiveGenerator(tiny_model, strategy).generate(messages, GREEDY)
        assert said == alone.text
        read.append(request.answer.read_tokens)
    whole = len(tiny_model.encode(messages))
    assert read == [whole, whole, 1, whole]


@pytest.mark.parametrize("after", range(4))
def test_a_turn_after_one_that_was_stopped_says_what_it_would_say_anew(tiny_model, after):
    kept, messages = KeptCaches(tiny_model), [{"role": "user", "content": "hello"}]
    generator = AdaptiveGenerator(tiny_model, wearing(tiny_model, "all"))
    request = generator.stream(messages, GREEDY, kept)
    for _ in range(after):
        next(request)
    request.close()
    said = request.answer.text if request.answer else ""
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "go on"}]
    kept_text = "".join(token.text for token in generator.stream(messages, GREEDY, kept))
    assert kept_text == generator.generate(messages, GREEDY).text


def test_what_was_taken_back_is_not_remembered(tiny_model):
    kept = KeptCaches(tiny_model)
    turns(tiny_model, Fixed.base(), QUESTIONS, kept)
    (again,) = turns(tiny_model, Fixed.base(), QUESTIONS[:1], kept)
    (other,) = turns(tiny_model, Fixed.base(), ["something else"], kept)
    for answer, question in ((again, QUESTIONS[0]), (other, "something else")):
        (anew,) = turns(tiny_model, Fixed.base(), [question], None)
        assert answer.text == anew.text
    assert again.read_tokens == 1


def test_a_question_behind_the_experts_prompt_leaves_what_is_kept_of_the_conversation(
    tiny_model,
):
    strategy = Routed(tiny_model, "answer", "one")
    strategy.adapted = replace(strategy.adapted, prompt=OWN)
    kept, messages = KeptCaches(tiny_model), [{"role": "user", "content": QUESTIONS[0]}]
    generator = AdaptiveGenerator(tiny_model, strategy)
    alone = AdaptiveGenerator(tiny_model, strategy).generate(messages, GREEDY).text
    for _ in range(2):
        said = "".join(token.text for token in generator.stream(messages, GREEDY, kept))
        assert said == alone
    tokens = tiny_model.encode(messages)
    begun = kept.take(tokens, BASE)
    assert begun is not None
    assert begun.count == len(tokens) - 1


# Side by side


@pytest.mark.parametrize("architecture", ["llama", "lfm2", "gemma2"])  # the last takes turns
def test_answers_side_by_side_are_those_of_each_alone(architecture):
    model = decompose(SVFModel(architecture, tiny(architecture), tiny_tokenizer()))
    strategies = [
        Fixed.base(),
        wearing(model, "all"),
        wearing(model, "answer", 4),
        wearing(model, "answer", 2, OWN),
    ]
    messages = [{"role": "user", "content": "the length of a list"}]
    both = SideBySide(model, strategies, messages, GREEDY)
    texts = [""] * 4
    for row, token in both:
        texts[row] += token.text
    alone = [AdaptiveGenerator(model, s).generate(messages, GREEDY) for s in strategies]
    assert texts == [answer.text for answer in alone] == [a.text for a in both.answers]
    assert len(set(texts)) == 4  # else nothing was tested
    assert [a.prompt_tokens for a in both.answers] == [a.prompt_tokens for a in alone]


def test_answers_side_by_side_can_be_stopped(tiny_model):
    messages = [{"role": "user", "content": "hello"}]
    both = SideBySide(tiny_model, [Fixed.base(), wearing(tiny_model, "all")], messages, GREEDY)
    assert both.answers == [None, None]
    next(both), next(both), next(both)
    both.close()
    assert [a.finish_reason for a in both.answers] == ["interrupted"] * 2
    assert [a.completion_tokens for a in both.answers] == [2, 1]
    assert tiny_model.worn == {}
