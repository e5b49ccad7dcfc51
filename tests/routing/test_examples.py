"""The questions a router learns from."""

from collections import Counter

import pytest

from mlx_t2.routing import router_examples
from mlx_t2.tasks import OTHER, get_task, openings, question_of, shared_prompt, system_messages

DOMAINS = ("largest", "expression", "kind")


@pytest.fixture
def tasks(monkeypatch):
    monkeypatch.delenv("MLX_T2_DATA", raising=False)
    return {domain: get_task(domain) for domain in DOMAINS}


def way(problem, split="train"):
    """How a question is asked, told by what stands before it."""
    before = problem.messages[:-1]
    if not before:
        return "bare"
    if before == shared_prompt():
        return "shared"
    if list(before) in [[message] for message in system_messages(split)]:
        return "system"
    if before in openings(split):
        return "after talk"
    return "own" if before[0]["role"] == "system" else "after a question"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_domain_is_asked_bare_and_in_every_other_way(tasks, split):
    counts = Counter((p.domain, way(p, split)) for p in router_examples(tasks, split))
    ways = {"bare", "shared", "system", "after talk", "own", "after a question"}
    for domain in DOMAINS:
        assert {w for d, w in counts if d == domain} == ways
        others = sum(n for (d, w), n in counts.items() if d == domain and w != "bare")
        assert counts[domain, "bare"] == 2 * others
    assert {w for d, w in counts if d == OTHER} >= ways


def test_ordinary_requests_are_the_larger_part_and_have_conversations(tasks):
    examples = router_examples(tasks)
    ordinary = [problem for problem in examples if problem.domain == OTHER]
    assert len(ordinary) > len(examples) / 2
    assert sum(len(problem.messages) > 2 for problem in ordinary) > 50


def test_no_question_is_in_two_splits(tasks):
    asked = [
        {question_of(p)["content"] for p in router_examples(tasks, split) if p.domain != OTHER}
        for split in ("train", "validation", "test")
    ]
    assert len(set().union(*asked)) == sum(map(len, asked))


def test_a_label_is_the_name_of_an_expert_whatever_its_task_is_called():
    examples = router_examples({"mine": get_task("kind-both")})
    assert {problem.domain for problem in examples} == {"mine", OTHER}


def test_the_order_of_experts_changes_nothing(tasks):
    turned = dict(reversed(tasks.items()))
    assert router_examples(turned) == router_examples(tasks)


def test_a_small_task_gives_what_it_has(tasks):
    class Small(type(get_task("kind"))):
        def available(self, split, n):
            return min(n, 3)

    small = Small(**vars(get_task("kind")))
    examples = router_examples({"small": small, "largest": tasks["largest"]})
    assert sum(p.domain == "small" for p in examples) == 3 + 2
