"""The bundled router on the default model: whom it leaves alone and whom it sends on."""

import pytest

from mlx_t2.adaptation import find_router, name_unknown, prepare_strategy
from mlx_t2.experts import BUNDLED, Library
from mlx_t2.models import load
from mlx_t2.routing import decide
from mlx_t2.routing.head import in_order, read_states
from mlx_t2.sampling import SamplingConfig, stream
from mlx_t2.tasks import OTHER, get_task, ordinary_requests, question_of

TYPED = (
    *("my cat is sick", "I love you", "12 + 30", "And about the ships?", "my dog is so funny"),
    *(
        "I feel great",
        "the weather is awful",
        "7, please",
        "what is the largest animal",
        "nope",
    ),
    *("sort my books by color", "my brother plays the drum", "hello you", "3 + 4 = 8?"),
    *("thank you, dear", "write a Python function that prints a list", "which color is best?"),
)
"""Lines that nobody else has written down."""


@pytest.fixture(scope="module")
def router():
    return find_router(load(), Library(BUNDLED / "smollm2-135m", bundled=None))[0]


def chosen(router, conversations):
    states = in_order(list(read_states(router.model, conversations, router.blocks)))
    rows = router.head.posterior(states).tolist()
    scores = [dict(zip(router.labels, row, strict=True)) for row in rows]
    return [decide(row, router.threshold) for row in scores]


@pytest.mark.parametrize("n", [24, pytest.param(64, marks=pytest.mark.slow)])
def test_ordinary_lines_are_left_to_the_base_model(router, n):
    """Requests of the test split, and 17 others: at most one of them goes to an expert."""
    typed = [[{"role": "user", "content": text}] for text in TYPED]
    asked = [*typed, *(problem.messages for problem in ordinary_requests("test", n))]
    labels = chosen(router, asked)
    adapted = [(a[-1]["content"], b) for a, b in zip(asked, labels, strict=True) if b != OTHER]
    assert len(adapted) <= 1, adapted


def test_bare_questions_go_to_their_expert(router):
    domains = ("expression", "kind", "largest")
    problems = [p for d in domains for p in get_task(d).problems("test", 12, seed=3)]
    labels = chosen(router, [[question_of(problem)] for problem in problems])
    right = sum(p.domain == label for p, label in zip(problems, labels, strict=True))
    assert right >= 34, labels


def test_it_knows_the_bundled_experts_of_the_generated_domains(router):
    experts = {e.name: e for e, _ in Library(BUNDLED / "smollm2-135m", bundled=None).experts()}
    assert [one.name for one in name_unknown(router, experts)] == ["arc-easy"]
    assert router.metrics["adapted"] / router.metrics["ordinary"] <= 0.01


def test_what_is_left_alone_is_answered_token_for_token_as_by_the_base_model(router):
    model = router.model
    prompt = model.encode([{"role": "user", "content": "my cat is sick"}])
    config = SamplingConfig(temperature=0, max_tokens=8)
    plain = [token.id for token in stream(model, prompt, config)]
    strategy = prepare_strategy(model, adaptation="auto").finish()
    (adapted,) = strategy.adapt([[{"role": "user", "content": "my cat is sick"}]])
    assert (adapted.label, adapted.scales, adapted.prompt) == (OTHER, {}, ())
    with model.using(adapted.scales):
        assert [token.id for token in stream(model, prompt, config)] == plain
