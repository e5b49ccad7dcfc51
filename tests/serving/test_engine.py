"""Answers of the engine beside what the model says alone."""

from dataclasses import replace

import mlx.core as mx
import pytest
from architectures import tiny
from helpers import tiny_tokenizer
from orders import CHAT, GREEDY, ask, make_expert, order, put, say_alone, serving

from mlx_t2.adaptation import Chosen
from mlx_t2.experts import Library
from mlx_t2.generation import AdaptiveGenerator
from mlx_t2.models import SVFModel
from mlx_t2.reading import BasePrompt
from mlx_t2.routing import HeadRouter
from mlx_t2.sampling import SamplingConfig
from mlx_t2.serving import Backend, encoder
from mlx_t2.svf import Recipe
from mlx_t2.tasks import Problem

pytestmark = pytest.mark.whole_runs
DRAWN = SamplingConfig(temperature=1, seed=3)
HELLO = ({"role": "user", "content": "hello"},)  # greedily answered without an end
SYSTEM = ({"role": "system", "content": "answer in words"}, *CHAT)
EXAMPLES = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
WEARS = ("base", "all", "answer", "prompted", "0.5*all + 0.7*more", "answer+prompted")


@pytest.fixture
def experts(tiny_model):
    kinds = {
        "all": {"seed": 1},
        "more": {"seed": 2},
        "answer": {"seed": 3, "acts_on": "answer"},
        "prompted": {"seed": 4, "acts_on": "answer", "config": {"prompt": EXAMPLES}},
    }
    return {name: make_expert(tiny_model, name, **kind) for name, kind in kinds.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a router that knows two of the experts."""
    from helpers import tiny_network

    model = SVFModel("tiny", tiny_network(), tiny_tokenizer())
    problems = [
        Problem(f"{d}/{i}", ({"role": "user", "content": f"{t} {i}"},), "", "", d)
        for d, t in (("all", "aaaa"), ("answer", "zzzz"), ("other", "3,4,5"))
        for i in range(6)
    ]
    folder = tmp_path_factory.mktemp("experts")
    HeadRouter.train(model, problems, problems).save(folder / "router.safetensors")
    return folder


def route(model, folder, experts, messages, acts_on):
    """What the router decides alone."""
    router = HeadRouter.load(folder / "router.safetensors", model)
    known = {
        name: e for name, e in experts.items() if name in router.labels and e.acts_on == acts_on
    }
    read = BasePrompt(model, model.encode(messages))
    return Chosen("auto", router, known).adapt([messages], [read])[0]


def test_it_is_what_the_other_half_expects(tiny_model):
    with serving(tiny_model) as engine:
        backend: Backend = engine
        assert backend.is_ready
        assert backend.model_id == "tiny"
        assert not backend.is_draining
    assert not engine.is_ready


@pytest.mark.parametrize("config", [GREEDY, DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize("messages", [CHAT, SYSTEM], ids=["bare", "system"])
def test_every_answer_is_what_the_model_says_alone(tiny_model, experts, config, messages):
    orders = [order(messages, wear, (config,)) for wear in WEARS]
    expected = [say_alone(tiny_model, one, experts) for one in orders]
    assert len(set(expected)) > 3
    with serving(tiny_model, experts) as engine:
        together = [put(engine, one) for one in orders]
        assert [heard.wait().text() for heard in together] == expected
        assert [ask(engine, one).text() for one in orders] == expected  # from the cache


@pytest.mark.parametrize("acts_on", ["all", "answer"])
def test_auto_answers_with_what_its_router_decides(tiny_model, trained, acts_on):
    experts = {n: make_expert(tiny_model, n, 5, acts_on=acts_on) for n in ("all", "answer")}
    library = Library(trained, bundled=None)
    texts = ("aaaa 1", "zzzz 2", "3,4,5 3", "aaaa 4")
    said = set()
    with serving(tiny_model, experts, library) as engine:
        assert engine.has_auto
        for text in texts:
            messages = ({"role": "user", "content": text},)
            one = order(messages, "auto", (DRAWN,))
            adapted = route(tiny_model, trained, experts, messages, acts_on)
            heard = ask(engine, one)
            assert heard.text() == say_alone(tiny_model, one, experts, adapted)
            found = heard.started.route
            assert found.label == adapted.label
            assert found.strategy == "auto"
            assert found.coefficients == dict(adapted.coefficients)
            assert found.confidence == pytest.approx(adapted.scores[adapted.label], abs=1e-4)
            assert found.first_pass_ms > 0
            said.add(found.label)
    assert {"all", "answer"} <= said


def test_auto_reads_again_where_the_chosen_expert_has_a_prompt_of_its_own(tiny_model, trained):
    experts = {
        n: make_expert(tiny_model, n, 5, acts_on="answer", config={"prompt": EXAMPLES})
        for n in ("all", "answer")
    }
    bare = ({"role": "user", "content": "aaaa 1"},)
    system = ({"role": "system", "content": "be kind"}, *bare)
    with serving(tiny_model, experts, Library(trained, bundled=None)) as engine:
        for messages in (bare, system):
            one = order(messages, "auto", (DRAWN,))
            adapted = route(tiny_model, trained, experts, messages, "answer")
            expected = say_alone(tiny_model, one, experts, adapted)
            assert [ask(engine, one).text() for _ in range(2)] == [expected] * 2
        assert adapted.label in experts


def test_auto_takes_a_bare_text_for_a_question(tiny_model, trained):
    experts = {n: make_expert(tiny_model, n, 5, acts_on="answer") for n in ("all", "answer")}
    said = set()
    with serving(tiny_model, experts, Library(trained, bundled=None)) as engine:
        for text in ("aaaa 1", "3,4,5 2"):
            messages = ({"role": "user", "content": text},)
            adapted = route(tiny_model, trained, experts, messages, "answer")
            one = order(wear="auto", text=text, configs=(DRAWN,))
            heard = ask(engine, one)
            assert heard.started.route.label == adapted.label
            assert heard.started.prompt_tokens == len(tiny_model.tokenizer.encode(text))
            assert heard.text() == say_alone(tiny_model, one, experts, adapted)
            said.add(adapted.label)
    assert len(said) == 2


def test_it_says_what_the_generator_says(tiny_model, experts):
    generator = AdaptiveGenerator(tiny_model, experts["answer"])
    expected = generator.generate(CHAT, SamplingConfig(temperature=0, max_tokens=12))
    with serving(tiny_model, experts) as engine:
        heard = ask(engine, order(wear="answer"))
    assert heard.text() == expected.text
    assert heard.started.prompt_tokens == expected.prompt_tokens
    assert heard.last().completion_tokens == expected.completion_tokens
    assert heard.last().finish_reason == expected.finish_reason
    assert dict(heard.started.route.coefficients) == expected.route.coefficients


def test_completions_of_one_prompt_differ_by_their_seeds_alone(tiny_model, experts):
    configs = tuple(SamplingConfig(temperature=1, seed=seed) for seed in range(8))
    one = order(wear="all", configs=configs)
    expected = [say_alone(tiny_model, one, experts, row=row) for row in range(8)]
    for max_rows in (32, 3):
        with serving(tiny_model, experts, max_rows=max_rows) as engine:
            heard = ask(engine, one)
        assert [heard.text(row) for row in range(8)] == expected
        assert engine.counters()["prompt_tokens_total"] == heard.started.prompt_tokens


def test_texts_and_tokens_are_read_as_they_are(tiny_model, experts):
    text = "the list"
    tokens = tuple(tiny_model.tokenizer.encode(text))
    with serving(tiny_model, experts) as engine:
        for wear in ("base", "prompted"):
            by_text = order(wear=wear, text=text)
            assert ask(engine, by_text).text() == say_alone(tiny_model, by_text, experts)
            by_tokens = ask(engine, order(wear=wear, tokens=tokens))
            assert by_tokens.text() == ask(engine, by_text).text()
            assert by_tokens.started.prompt_tokens == len(tokens)


@pytest.mark.parametrize(
    "name",
    [
        "gemma3_text",
        "qwen3_next",
        pytest.param(
            "recurrent_gemma",
            marks=pytest.mark.filterwarnings("ignore:recurrent_gemma. mlx-lm cannot decode it"),
        ),
    ],
)
def test_windows_recurrences_and_mixtures_of_experts_answer_as_alone(name):
    model = SVFModel(name, tiny(name), tiny_tokenizer())
    for _ in model.decompose(Recipe(targets="mlp")):
        pass
    experts = {
        "x": make_expert(model, "x", 1, 0.3),
        "y": make_expert(model, "y", 2, 0.3, acts_on="answer"),
    }
    earlier = [{"role": "user", "content": "what is it?"}]
    orders = [
        order(tuple(earlier), wear, (replace(DRAWN, seed=seed),))
        for seed, wear in enumerate(("base", "x", "y"))
    ]
    later = [
        replace(
            one,
            messages=(*earlier, {"role": "assistant", "content": "no"}, *CHAT),
        )
        for one in orders
    ]
    expected = [say_alone(model, one, experts) for one in [*orders, *later]]
    with serving(model, experts) as engine:
        heard = [put(engine, one) for one in orders]
        got = [one.wait().text() for one in heard]
        got += [one.wait().text() for one in [put(engine, one) for one in later]]
    assert got == expected


@pytest.mark.filterwarnings("ignore:dbrx")
def test_experts_that_no_token_has_been_sent_to_yet_can_be_worn():
    model = SVFModel("dbrx", tiny("dbrx"), tiny_tokenizer())
    for _ in model.decompose(Recipe(targets="all")):
        pass
    experts = {"x": make_expert(model, "x", 1, 0.3)}
    orders = [order(tokens=tuple(range(k, 64, 3)), wear="x", max_tokens=6) for k in (5, 6, 7)]
    with serving(model, experts) as engine:
        got = [ask(engine, one).text() for one in orders]
    assert got == [say_alone(model, one, experts) for one in orders]


# Settings


def test_answers_end_where_they_are_told_to(tiny_model):
    with serving(tiny_model) as engine:
        free = ask(engine, order(HELLO, max_tokens=9))
        assert free.last().finish_reason == "length"
        assert free.last().completion_tokens == 9
        nothing = ask(engine, order(max_tokens=0))
        assert (nothing.text(), nothing.last().finish_reason) == ("", "length")
        assert nothing.last().completion_tokens == 0


def test_without_a_limit_an_answer_goes_on_to_the_end_of_the_context(tiny_model):
    with serving(tiny_model, context=80) as engine:
        heard = ask(engine, order(HELLO, max_tokens=None))
        assert heard.last().finish_reason == "length"
        assert heard.started.prompt_tokens + heard.last().completion_tokens == 80


def test_a_prompt_that_fills_the_context_is_refused_before_it_is_read(tiny_model):
    with serving(tiny_model, context=20) as engine:
        failure = ask(engine, order()).failure
        assert failure.kind == "context_length"
        assert "got 35 tokens, expected fewer than the 20" in failure.message
        assert engine.counters()["prefill_seconds_total"] == 0


@pytest.mark.parametrize("wear", ["base", "auto"])
@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"messages": CHAT * 4},
            "got 108 characters, expected at most 100: the context has 20",
        ),
        ({"text": "a" * 101}, "got 101 characters, expected at most 100: the context"),
        ({"tokens": (5,) * 20}, "got 20 tokens, expected fewer than the 20"),
    ],
)
def test_what_no_tokens_can_make_short_is_refused_before_it_is_cut_into_tokens(
    tiny_model, experts, trained, wear, fields, told, monkeypatch
):
    cut = []
    monkeypatch.setattr(encoder, "encode_prompt", lambda *given: cut.append(given) or [5])
    with serving(tiny_model, experts, Library(trained, bundled=None), context=20) as engine:
        failure = ask(engine, order(wear=wear, **fields)).failure
        assert failure.kind == "context_length"
        assert told in failure.message
        assert not cut
        ask(engine, order(wear=wear, max_tokens=1))
        assert cut


def test_a_stop_text_ends_the_answer_over_the_borders_of_tokens(tiny_model):
    config = replace(DRAWN, seed=8)
    with serving(tiny_model) as engine:
        whole = ask(engine, order(configs=(config,))).text()
        stop = whole[4:7]
        heard = ask(engine, order(configs=(config,), stop=(stop, "nothing"), top_logprobs=0))
    assert heard.text() == whole[: whole.index(stop)]
    assert heard.last().finish_reason == "stop"
    assert "".join(score.text for score in heard.scores()) == heard.text()


def test_scores_are_those_of_the_base_before_any_limits(tiny_model):
    config = SamplingConfig(temperature=0.5, seed=2, top_k=5, presence_penalty=1.0)
    one = order(configs=(config,), max_tokens=6, top_logprobs=3)
    with serving(tiny_model) as engine:
        heard = [
            put(engine, one),
            put(engine, order()),
            put(engine, replace(one, max_tokens=4)),
        ]
        first, without, shorter = (one.wait() for one in heard)
    assert without.scores() == []
    assert shorter.scores() == first.scores()[:4]
    tokens = tiny_model.encode(CHAT)
    logits = tiny_model.network(mx.array([[*tokens, *(s.id for s in first.scores())]]))[0]
    for place, score in enumerate(first.scores(), len(tokens) - 1):
        logprobs = (logits[place] - mx.logsumexp(logits[place])).tolist()
        assert score.logprob == pytest.approx(logprobs[score.id], abs=1e-4)
        assert [p for *_, p in score.top] == pytest.approx(
            sorted(logprobs, reverse=True)[:3], abs=1e-4
        )
        assert score.text == score.raw.decode() == tiny_model.tokenizer.decode([score.id])


def test_a_prompt_is_echoed_with_its_own_scores(tiny_model, experts):
    text = "the list of ages"
    tokens = list(tiny_model.tokenizer.encode(text))
    one = order(text=text, wear="all", max_tokens=0, is_echoed=True, top_logprobs=2)
    with serving(tiny_model, experts, chunk_tokens=3) as engine:
        echoed = ask(engine, one).started.echoed
        plain = ask(engine, replace(one, top_logprobs=None)).started.echoed
    assert [score.id for score in echoed] == [score.id for score in plain] == tokens
    assert echoed[0].logprob is None
    assert all(score.logprob is None for score in plain)
    with tiny_model.using(experts["all"].scales):
        logits = tiny_model.network(mx.array([tokens]))[0]
    expected = mx.take_along_axis(
        logits[:-1] - mx.logsumexp(logits[:-1], axis=-1, keepdims=True),
        mx.array(tokens[1:])[:, None],
        axis=1,
    )[:, 0].tolist()
    assert [s.logprob for s in echoed[1:]] == pytest.approx(expected, abs=1e-4)
    assert all(len(score.top) == 2 for score in echoed[1:])


def test_penalties_are_of_the_completion_alone(tiny_model):
    strong = SamplingConfig(temperature=0, frequency_penalty=50.0)
    with serving(tiny_model) as engine:
        heard = [
            put(engine, order(HELLO, configs=(c,), top_logprobs=0)) for c in (GREEDY, strong)
        ]
        free, once = ([s.id for s in one.wait().scores()] for one in heard)
    assert len(set(free)) < len(free)
    assert len(set(once)) == len(once)


# Bad orders


@pytest.mark.parametrize(
    ("wear", "kind", "words"),
    [
        ("nobody", "unknown_expert", "'nobody': unknown, expected one of: all, answer"),
        ("all + nobody", "unknown_expert", "'nobody'"),
        ("all + answer", "invalid", "expected experts of one kind"),
        ("1e999*all", "invalid", "expected a finite number"),
        ("all + all", "invalid", "twice"),
        ("auto", "unknown_expert", "router"),
        ("", "unknown_expert", "''"),
    ],
)
def test_what_cannot_be_worn_is_said_in_one_line(tiny_model, experts, wear, kind, words):
    with serving(tiny_model, experts, Library(bundled=None)) as engine:
        failure = ask(engine, order(wear=wear)).failure
        assert failure.kind == kind
        assert words in failure.message
        assert "\n" not in failure.message
        assert ask(engine, order()).text() == say_alone(tiny_model, order(), {})


def test_prompts_that_cannot_be_read_fail_and_nothing_else(tiny_model, monkeypatch):
    with serving(tiny_model) as engine:
        assert ask(engine, order(tokens=(5, 99))).failure.kind == "invalid"
        assert ask(engine, order(text="")).failure.kind == "invalid"
        tiny_model.tokenizer.chat_template = "{{ raise_exception('never') }}"
        failure = ask(engine, order()).failure
        assert failure.kind == "template"
        assert "never" in failure.message
        assert ask(engine, order(text="a")).text()
