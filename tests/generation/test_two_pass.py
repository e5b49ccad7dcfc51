"""Two passes against plain greedy decoding under the same scales."""

import contextlib
import json

import pytest
from helpers import random_scales

from mlx_t2.adaptation import Adapted, NoAdaptation
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.sampling import SamplingConfig, sample

CHAT = [{"role": "user", "content": "the length of the list ages"}]
GREEDY = SamplingConfig(temperature=0, max_tokens=12)


class Alternating:
    """A first pass that decides for one random expert, then for the next."""

    name = "alternating"
    is_fixed = False

    def __init__(self, model):
        self.scales = [random_scales(model.shapes, seed, spread=0.5) for seed in range(2)]
        self.asked = 0

    def adapt(self, model, conversations):
        self.asked += 1
        label = "first" if self.asked % 2 else "second"
        scales = self.scales[label == "second"]
        return [Adapted(scales, {label: 1.0}, label, {label: 0.9}) for _ in conversations]


def greedy(model, scales):
    with model.using(scales):
        return sample(model, [model.encode(CHAT)], GREEDY)[0][0]


def test_without_adaptation_it_is_plain_greedy_decoding(tiny_model):
    generator = AdaptiveGenerator(tiny_model, NoAdaptation())
    tokens = [token.id for token in generator.stream(CHAT, GREEDY)]
    plain = greedy(tiny_model, {})
    assert tokens == list(plain.tokens)
    assert generator.answer.text == plain.text
    assert generator.answer.route.first_pass_ms == 0


EARLIER = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
PROMPT = [{"role": "system", "content": "answer"}]


class Watching(NoAdaptation):
    """Notes what the first pass was shown; always chooses `first`, or nobody."""

    def __init__(self, weight):
        self.weight, self.shown = weight, None

    def adapt(self, model, conversations):
        (self.shown,) = conversations
        return [Adapted({}, {"first": self.weight})]


@pytest.mark.parametrize(
    ("weight", "messages", "shown", "read"),
    [
        (1.0, [*EARLIER, *CHAT], CHAT, [*PROMPT, *CHAT]),
        (0.2, [*EARLIER, *CHAT], CHAT, [*EARLIER, *CHAT]),
        (
            1.0,
            [*PROMPT, *EARLIER, *CHAT],
            [*PROMPT, *EARLIER, *CHAT],
            [*PROMPT, *EARLIER, *CHAT],
        ),
    ],
)
def test_an_expert_answers_the_question_alone_behind_its_prompt(
    tiny_model, weight, messages, shown, read
):
    strategy = Watching(weight)
    generator = AdaptiveGenerator(tiny_model, strategy, {"first": PROMPT})
    tokens = tuple(token.id for token in generator.stream(messages, GREEDY))
    assert list(strategy.shown) == shown
    assert tokens == sample(tiny_model, [tiny_model.encode(read)], GREEDY)[0][0].tokens
    assert generator.answer.prompt_tokens == len(tiny_model.encode(read))


def test_a_bare_question_is_a_conversation_of_one_message(tiny_model):
    generator = AdaptiveGenerator(tiny_model, NoAdaptation())
    answer = generator.ask(CHAT[0]["content"], GREEDY)
    assert answer.text == greedy(tiny_model, {}).text


def test_each_request_is_read_anew_under_its_own_scales(tiny_model):
    strategy = Alternating(tiny_model)
    generator = AdaptiveGenerator(tiny_model, strategy)
    answers = [generator.generate(CHAT, GREEDY) for _ in range(4)]
    expected = [greedy(tiny_model, scales).text for scales in strategy.scales]
    assert expected[0] != expected[1]  # else nothing was tested
    assert [answer.text for answer in answers] == expected * 2
    assert [answer.route.label for answer in answers] == ["first", "second"] * 2


def test_the_route_says_what_was_decided_and_how_long_it_took(tiny_model):
    answer = AdaptiveGenerator(tiny_model, Alternating(tiny_model)).generate(CHAT, GREEDY)
    route = answer.route
    assert (route.strategy, route.label) == ("alternating", "first")
    assert (route.weights, route.scores) == ({"first": 1.0}, {"first": 0.9})
    assert 0 < route.first_pass_ms < route.first_token_ms
    assert route.first_token_ms <= route.first_pass_ms + route.second_pass_ms


def test_the_answer_has_the_keys_that_scripts_rely_on(tiny_model):
    answer = AdaptiveGenerator(tiny_model, Alternating(tiny_model)).generate(CHAT, GREEDY)
    read = json.loads(json.dumps(answer.to_json()))
    assert list(read) == [
        "text",
        "prompt_tokens",
        "completion_tokens",
        "route",
        "finish_reason",
    ]
    assert list(read["route"]) == ["strategy", "weights", "label", "first_pass_ms"]
    assert read["prompt_tokens"] == len(tiny_model.encode(CHAT))
    assert 1 <= read["completion_tokens"] <= GREEDY.max_tokens
    assert read["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize("how", ["close", "leave", "interrupt"])
def test_stopping_early_gives_the_model_back_and_keeps_what_was_read(tiny_model, how):
    generator = AdaptiveGenerator(tiny_model, Alternating(tiny_model))
    read = []

    def reader():
        stream = generator.stream(CHAT, GREEDY)
        for token in stream:
            read.append(token.text)
            assert tiny_model.worn != {}
            if len(read) == 3 and how == "interrupt":
                raise KeyboardInterrupt
            if len(read) == 3:
                break
        if how == "close":
            stream.close()

    with contextlib.suppress(KeyboardInterrupt):
        reader()
    assert tiny_model.worn == {}
    assert generator.answer.text == "".join(read)
    assert generator.answer.completion_tokens == 3
    assert generator.answer.finish_reason == "interrupted"
    assert generator.answer.route.label == "first"


def test_scales_worn_before_are_worn_again_afterwards(tiny_model):
    strategy = Alternating(tiny_model)
    with tiny_model.using(strategy.scales[1]):
        AdaptiveGenerator(tiny_model, strategy).generate(CHAT, GREEDY)
        assert tiny_model.worn == strategy.scales[1]
