"""Everyday requests that belong to none of the domains."""

from itertools import combinations

import pytest

from mlx_t2.errors import TaskDataError
from mlx_t2.tasks import (
    SPLITS,
    count_requests,
    get_task,
    openings,
    ordinary_requests,
    question_of,
    system_messages,
)
from mlx_t2.tasks.generated import generated_tasks, ordinary

PAIRS = list(combinations(SPLITS, 2))


def requests(split):
    return ordinary_requests(split, count_requests(split))


def blocks(split):
    questions, talk = ordinary._QUESTIONS[split], ordinary._SMALL_TALK[split]
    told = (questions, talk.TALK, talk.CONVERSATIONS)
    return [*(block for part in told for block in part.values()), talk.OPENINGS]


def same(text: str) -> str:
    """The words, without capitals, topics and marks."""
    words = "".join(c for c in text.lower().replace("{}", "") if c.isalnum() or c in " +-*/=")
    return " ".join(words.split())


def topics(split):
    return {same(topic) for block in blocks(split) for topic in ordinary.read_block(block)[0]}


def wordings(split):
    """Each turn of the user that a wording has words of its own in."""
    return {
        same(turn)
        for block in blocks(split)
        for wording in ordinary.read_block(block)[1]
        for turn in wording.split(" | ")[::2]
        if turn != "{}" and any(c.isalnum() for c in turn.replace("{}", ""))
    }


@pytest.mark.parametrize(
    ("split", "least"), [("train", 1000), ("validation", 600), ("test", 500)]
)
def test_each_split_has_several_hundred_and_none_twice(split, least):
    asked = [tuple(m["content"] for m in problem.messages) for problem in requests(split)]
    assert len(set(asked)) == len(asked) >= {"train": 1000}.get(split, 500)
    assert sum(len(turns) > 1 for turns in asked) >= 30


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_splits_share_no_topic_and_no_wording(one, other):
    assert topics(one) & topics(other) == set()
    assert wordings(one) & wordings(other) == set()
    assert topics(one) & wordings(other) == wordings(one) & topics(other) == set()
    assert {str(m) for m in system_messages(one)}.isdisjoint(map(str, system_messages(other)))


def test_kinds_are_the_same_in_every_split():
    kinds = [{problem.kind for problem in requests(split)} for split in SPLITS]
    assert kinds[0] == kinds[1] == kinds[2]
    assert len(kinds[0]) > 40


def test_a_request_ends_with_the_user_and_the_roles_alternate():
    for split in SPLITS:
        for problem in requests(split):
            roles = [message["role"] for message in problem.messages]
            assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
            assert (problem.domain, problem.answer) == ("other", "")
            assert all(m["content"].strip() for m in problem.messages)
            assert not any(
                "{" in m["content"] for m in problem.messages if 'a": 1' not in str(m)
            )


def test_openings_end_with_an_answer():
    for split in SPLITS:
        for turns in openings(split):
            assert [message["role"] for message in turns] == ["user", "assistant"]


def test_kinds_take_turns():
    first = ordinary_requests("train", 47)
    assert len({problem.kind for problem in first}) == 47


def test_requests_depend_on_the_seed_alone():
    assert ordinary_requests("test", 20, seed=1) == ordinary_requests("test", 20, seed=1)
    assert ordinary_requests("test", 20, seed=1) != ordinary_requests("test", 20, seed=2)
    assert ordinary_requests("test", 20, seed=1) == ordinary_requests("test", 50, seed=1)[:20]


def test_no_request_is_a_question_of_a_generated_domain():
    asked = {
        question_of(p)["content"].lower()
        for split in SPLITS
        for p in requests(split)
        if len(p.messages) == 1
    }
    for name in generated_tasks():
        for split in SPLITS:
            questions = get_task(name).problems(split, 300)
            assert not asked & {question_of(p)["content"].lower() for p in questions}


def test_too_many_or_an_unknown_split_is_refused():
    with pytest.raises(TaskDataError, match=r"other: got 9999 .* of the test split"):
        ordinary_requests("test", 9999)
    with pytest.raises(TaskDataError, match=r"other: unknown split 'dev'"):
        ordinary_requests("dev", 1)
