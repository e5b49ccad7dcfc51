"""Two passes against plain greedy decoding under the same scales."""

import contextlib
import json

import mlx.core as mx
import pytest
from helpers import random_scales, tiny_network, tiny_tokenizer

from mlx_t2.adaptation import Adapted, Chosen, Fixed, Mixed
from mlx_t2.experts import Expert
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import SVFModel
from mlx_t2.reading import batching
from mlx_t2.routing import HeadRouter
from mlx_t2.sampling import SamplingConfig, sample
from mlx_t2.tasks import Problem

CHAT = [{"role": "user", "content": "the length of the list ages"}]
GREEDY = SamplingConfig(temperature=0, max_tokens=12)
EARLIER = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
PROMPT = [{"role": "system", "content": "answer"}]


class Alternating:
    """A first pass that decides for one random expert, then for the next."""

    name = "alternating"
    is_fixed = False
    acts_on = "all"

    def __init__(self, model):
        self.scales = [random_scales(model.shapes, seed, spread=0.5) for seed in range(2)]
        self.asked = 0

    def adapt(self, conversations, read=()):
        self.asked += 1
        label = "first" if self.asked % 2 else "second"
        scales = self.scales[label == "second"]
        return [Adapted(scales, {label: 1.0}, label, {label: 0.9}) for _ in conversations]


class Watching:
    """Notes what the first pass is shown; decides for an expert with this prompt."""

    name = "watching"
    is_fixed = False
    acts_on = "all"

    def __init__(self, prompt):
        self.prompt, self.shown = prompt, None

    def adapt(self, conversations, read=()):
        (self.shown,) = conversations
        return [Adapted({}, prompt=self.prompt)]


def make_expert(model, seed=0, name="largest", **changes):
    scales = random_scales(dict.fromkeys(model.find_targets(), (32,)), seed, spread=0.5)
    fields = {"config": {}, "metrics": {}} | changes
    fingerprint = model.fingerprint()
    return Expert(name, scales, model.name, fingerprint, "mlp", None, name, seed, **fields)


def greedy(model, scales, messages=CHAT, acts_on="all"):
    with model.using(scales, acts_on=acts_on):
        return sample(model, [model.encode(messages)], GREEDY)[0][0]


# The answer


def test_without_adaptation_it_is_plain_greedy_decoding(tiny_model):
    request = AdaptiveGenerator(tiny_model).stream(CHAT, GREEDY)
    tokens = [token.id for token in request]
    plain = greedy(tiny_model, {})
    assert tokens == list(plain.tokens)
    assert request.answer.text == plain.text
    assert request.answer.route.first_pass_ms == 0


def test_an_expert_is_all_it_takes():
    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    expert = make_expert(model)
    answer = AdaptiveGenerator(model, expert).ask(CHAT[0]["content"], GREEDY)
    assert answer.text == greedy(model, expert.scales).text
    assert answer.route.coefficients == {"largest": 1.0}


def test_a_bare_question_is_a_conversation_of_one_message(tiny_model):
    generator = AdaptiveGenerator(tiny_model, Fixed.base())
    answer = generator.ask(CHAT[0]["content"], GREEDY)
    assert answer.text == greedy(tiny_model, {}).text


@pytest.mark.parametrize(
    ("prompt", "messages", "read"),
    [
        (PROMPT, [*EARLIER, *CHAT], [*PROMPT, *CHAT]),
        ((), [*EARLIER, *CHAT], [*EARLIER, *CHAT]),
        (PROMPT, [*PROMPT, *EARLIER, *CHAT], [*PROMPT, *EARLIER, *CHAT]),
    ],
    ids=["with its prompt", "without a prompt", "under a system message"],
)
def test_an_expert_answers_the_question_alone_behind_its_prompt(
    tiny_model, prompt, messages, read
):
    strategy = Watching(prompt)
    request = AdaptiveGenerator(tiny_model, strategy).stream(messages, GREEDY)
    tokens = tuple(token.id for token in request)
    assert list(strategy.shown) == messages
    assert tokens == sample(tiny_model, [tiny_model.encode(read)], GREEDY)[0][0].tokens
    assert request.answer.prompt_tokens == len(tiny_model.encode(read))


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
    assert (route.coefficients, route.scores) == ({"first": 1.0}, {"first": 0.9})
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
    assert list(read["route"]) == [
        "strategy",
        "weights",
        "label",
        "confidence",
        "first_pass_ms",
        "form",
    ]
    assert read["prompt_tokens"] == len(tiny_model.encode(CHAT))
    assert 1 <= read["completion_tokens"] <= GREEDY.max_tokens
    assert read["finish_reason"] in ("stop", "length")


# Several requests, and requests that are not read to the end


def test_requests_read_in_turn_answer_as_each_does_alone(tiny_model):
    strategy = Alternating(tiny_model)
    generator = AdaptiveGenerator(tiny_model, strategy)
    requests = [generator.stream(CHAT, GREEDY) for _ in range(2)]
    going = list(requests)
    while going:
        going = [request for request in going if next(request, None)]
    texts = [request.answer.text for request in requests]
    assert texts == [greedy(tiny_model, scales).text for scales in strategy.scales]


def test_the_model_is_itself_between_two_tokens(tiny_model):
    own = random_scales(tiny_model.shapes, 7)
    with tiny_model.using(own):
        for _ in AdaptiveGenerator(tiny_model, Alternating(tiny_model)).stream(CHAT, GREEDY):
            assert tiny_model.worn == own
    assert tiny_model.worn == {}


def test_a_request_does_nothing_before_its_first_token(tiny_model):
    strategy = Alternating(tiny_model)
    request = AdaptiveGenerator(tiny_model, strategy).stream(CHAT, GREEDY)
    assert (strategy.asked, request.answer) == (0, None)
    next(request)
    assert (strategy.asked, request.answer.completion_tokens) == (1, 1)


@pytest.mark.parametrize("how", ["close", "leave", "interrupt"])
def test_stopping_early_keeps_what_was_read(tiny_model, how):
    request = AdaptiveGenerator(tiny_model, Alternating(tiny_model)).stream(CHAT, GREEDY)
    read = []

    def reader():
        for token in request:
            read.append(token.text)
            if len(read) == 3 and how == "interrupt":
                raise KeyboardInterrupt
            if len(read) == 3:
                break
        if how == "close":
            request.close()

    with contextlib.suppress(KeyboardInterrupt):
        reader()
    assert tiny_model.worn == {}
    assert request.answer.text == "".join(read)
    assert request.answer.completion_tokens == 3
    assert request.answer.finish_reason == "interrupted"
    assert request.answer.route.label == "first"
    if how == "close":
        assert next(request, None) is None


# Laziness


@pytest.fixture
def waits(monkeypatch) -> list[str]:
    """Each time that the host waits for the device, by what."""
    waited = []

    def count(owner, name):
        function = getattr(owner, name)

        def counted(*args, **kwargs):
            waited.append(name)
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    for name in ("eval", "synchronize"):
        count(mx, name)
    for name in ("item", "tolist", "__bool__", "__int__", "__float__", "__array__"):
        count(mx.array, name)
    return waited


def adaptive(model, combine, prompt=PROMPT, **changes):
    """A strategy that a trained head routes."""
    names = ("kind", "largest", "other")
    examples = [
        Problem(f"{name}/{i}", ({"role": "user", "content": f"{name} {i}"},), "", "", name)
        for name in names
        for i in range(3)
    ]
    experts = {
        name: make_expert(model, i, name, config={"prompt": prompt}, **changes)
        for i, name in enumerate(names[:-1])
    }
    return combine("mixture", HeadRouter.train(model, examples, examples), experts)


@pytest.mark.whole_runs  # the checker of types looks into lazy mappings
@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        # the key of the row, two words that depend on nothing; and the token itself
        (Mixed, ["tolist", "tolist"]),
        (Chosen, ["tolist", "tolist", "tolist"]),  # the posterior before them
    ],
)
def test_the_host_waits_for_no_more_than_this_before_the_first_token(
    tiny_model, waits, combine, expected
):
    generator = AdaptiveGenerator(tiny_model, adaptive(tiny_model, combine))
    generator.generate(CHAT, GREEDY)  # what a model finds out once
    waits.clear()
    request = generator.stream(CHAT, GREEDY)
    next(request)
    assert waits == expected
    assert sum(request.answer.route.scores.values()) == pytest.approx(1)  # read afterwards


# Experts that act on the answer alone


@pytest.fixture
def read(monkeypatch, tiny_model) -> list[int]:
    """Tokens of each forward pass from here on."""
    batching(tiny_model)  # tried once
    counted = []

    def count(forward):
        def counting(tokens, *others):
            counted.append(tokens.size)
            return forward(tokens, *others)

        return counting

    for name in ("hidden", "extend", "logits_at"):
        monkeypatch.setattr(tiny_model, name, count(getattr(tiny_model, name)))
    return counted


def test_an_expert_of_the_answer_is_worn_from_the_last_token_on(tiny_model, read):
    expert = make_expert(tiny_model, 5, acts_on="answer")
    request = AdaptiveGenerator(tiny_model, expert).stream(CHAT, GREEDY)
    next(request)
    length = len(tiny_model.encode(CHAT))
    assert read[:2] == [length - 1, 1]
    tokens = [token.id for token in request]
    plain = greedy(tiny_model, expert.scales, acts_on="answer").tokens
    assert tokens == list(plain[1:])
    assert plain != greedy(tiny_model, expert.scales).tokens


@pytest.mark.parametrize("messages", [CHAT, [*EARLIER, *CHAT], [*PROMPT, *EARLIER, *CHAT]])
@pytest.mark.parametrize("combine", [Chosen, Mixed])
def test_the_first_pass_is_the_prefill_and_its_prompt_the_whole_conversation(
    tiny_model, read, combine, messages
):
    strategy = adaptive(tiny_model, combine, (), acts_on="answer")
    (adapted,) = strategy.adapt([messages])
    expected = greedy(tiny_model, adapted.scales, messages, "answer")
    read.clear()
    request = AdaptiveGenerator(tiny_model, strategy).stream(messages, GREEDY)
    first = next(request)
    length = len(tiny_model.encode(messages))
    assert read[0] == length
    assert set(read[1:]) <= {1}
    assert [first.id, *(token.id for token in request)] == list(expected.tokens)
    route = request.answer.route
    assert request.answer.prompt_tokens == length
    assert 0 < route.first_pass_ms < route.first_token_ms
    assert route.scores.keys() == adapted.scores.keys()
    assert list(route.scores.values()) == pytest.approx(list(adapted.scores.values()), 1e-4)


def test_what_goes_to_other_goes_on_from_the_same_prefill_as_the_base(tiny_model, read):
    strategy = adaptive(tiny_model, Chosen, (), acts_on="answer")
    chat = [{"role": "user", "content": "other 1"}]
    expected = greedy(tiny_model, {}, chat)
    read.clear()
    request = AdaptiveGenerator(tiny_model, strategy).stream(chat, GREEDY)
    assert tuple(token.id for token in request) == expected.tokens
    assert request.answer.route.label == "other"
    assert read[0] == request.answer.prompt_tokens
    assert set(read[1:]) == {1}


def test_an_expert_with_a_prompt_of_its_own_makes_the_base_read_again(tiny_model, read):
    strategy = adaptive(tiny_model, Mixed, acts_on="answer")
    (adapted,) = strategy.adapt([[*EARLIER, *CHAT]])
    expected = greedy(tiny_model, adapted.scales, [*PROMPT, *CHAT], "answer")
    read.clear()
    request = AdaptiveGenerator(tiny_model, strategy).stream([*EARLIER, *CHAT], GREEDY)
    assert tuple(token.id for token in request) == expected.tokens
    own, prefix = (
        len(tiny_model.encode([*PROMPT, *CHAT])),
        length_of_prompt(tiny_model),
    )
    assert request.answer.prompt_tokens == own
    assert read[:4] == [
        len(tiny_model.encode([*EARLIER, *CHAT])),
        *(prefix, own - 1 - prefix, 1),
    ]


def length_of_prompt(model) -> int:
    """Without the question's end and the beginning of the answer."""
    return len(model.encode([*PROMPT, {"role": "user", "content": ""}])) - 2


@pytest.mark.parametrize("by", ["its name", "a router"])
def test_the_prompt_of_an_expert_is_read_once_and_serves_every_question(tiny_model, read, by):
    """And every expert of the answer that brings the same one: it is the base's."""
    if by == "its name":
        chosen = make_expert(tiny_model, 5, config={"prompt": PROMPT}, acts_on="answer")
    else:
        chosen = adaptive(tiny_model, Mixed, acts_on="answer")
    generator = AdaptiveGenerator(tiny_model, chosen)
    prefix, firsts = length_of_prompt(tiny_model), []
    for question in ("the first item", "a tiny ant", "a tiny ant"):
        messages = [{"role": "user", "content": question}]
        (adapted,) = generator.strategy.adapt([messages])
        expected = greedy(tiny_model, adapted.scales, [*PROMPT, *messages], "answer")
        read.clear()
        request = generator.stream(messages, GREEDY)
        assert tuple(token.id for token in request) == expected.tokens
        firsts.append(read[1 if by == "a router" else 0 :][:2])
    assert [first[0] for first in firsts] == [prefix] + [
        len(tiny_model.encode([*PROMPT, *messages])) - 1 - prefix
    ] * 2


def test_an_expert_that_acts_on_all_reads_its_prompt_itself(tiny_model, read):
    expert = make_expert(tiny_model, 5, config={"prompt": PROMPT})
    generator = AdaptiveGenerator(tiny_model, expert)
    length = len(tiny_model.encode([*PROMPT, *CHAT]))
    for _ in range(2):
        read.clear()
        next(generator.stream(CHAT, GREEDY))
        assert read[0] == length - 1


@pytest.mark.whole_runs
@pytest.mark.parametrize(
    ("combine", "expected"), [(Mixed, ["tolist"] * 2), (Chosen, ["tolist"] * 3)]
)
def test_the_host_waits_no_more_where_the_first_pass_is_the_prefill(
    tiny_model, waits, combine, expected
):
    strategy = adaptive(tiny_model, combine, (), acts_on="answer")
    generator = AdaptiveGenerator(tiny_model, strategy)
    generator.generate(CHAT, GREEDY)
    waits.clear()
    next(generator.stream(CHAT, GREEDY))
    assert waits == expected
