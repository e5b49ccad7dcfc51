"""The questions a router learns from."""

from collections import Counter

from mlx_t2.routing import router_examples
from mlx_t2.tasks import shared_prompt

DOMAINS = ("largest", "expression", "kind")


def way(problem):
    """How a question is asked, told by what stands before it."""
    before = problem.messages[:-1]
    return "shared" if before == shared_prompt() else "own" if before else "bare"


def test_every_domain_is_asked_in_every_way():
    counts = Counter((p.domain, way(p)) for p in router_examples(DOMAINS, n=12))
    assert {key: counts[key] for key in counts if key[0] != "other"} == {
        (domain, asked): 4 for domain in DOMAINS for asked in ("own", "shared", "bare")
    }
    assert (counts["other", "bare"], counts["other", "shared"]) == (8, 4)


def test_questions_are_distinct_and_splits_share_none():
    train, test = router_examples(DOMAINS, n=12), router_examples(DOMAINS, "test", n=12)
    ids = [problem.id for problem in train + test]
    assert len(set(ids)) == len(ids)
