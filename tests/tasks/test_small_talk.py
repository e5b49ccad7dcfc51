"""Everyday requests that belong to none of the domains."""

import pytest

from mlx_t2.errors import TaskDataError
from mlx_t2.tasks import SPLITS, get_task, other_questions, question_of
from mlx_t2.tasks.generated import generated_tasks

SIZES = {"train": 340, "validation": 160, "test": 150}


def test_there_are_six_hundred_and_the_splits_share_none():
    texts = [
        question_of(problem)["content"]
        for split in SPLITS
        for problem in other_questions(split, SIZES[split])
    ]
    assert len(set(texts)) == len(texts) >= 600


def test_a_request_is_one_user_message():
    for problem in other_questions("train", 50):
        assert [m["role"] for m in problem.messages] == ["user"]
        assert problem.domain == "other"
        assert "{" not in question_of(problem)["content"]


def test_splits_share_no_wording():
    def openings(split):
        texts = (question_of(p)["content"] for p in other_questions(split, SIZES[split]))
        return {" ".join(text.split()[:4]) for text in texts if len(text.split()) > 5}

    assert len(openings("train") & openings("test")) <= 2


def test_requests_depend_on_the_seed_alone():
    assert other_questions("test", 20, seed=1) == other_questions("test", 20, seed=1)
    assert other_questions("test", 20, seed=1) != other_questions("test", 20, seed=2)
    assert other_questions("test", 20, seed=1) == other_questions("test", 50, seed=1)[:20]


def test_no_request_is_a_question_of_a_domain():
    asked = {question_of(p)["content"] for p in other_questions("train", SIZES["train"])}
    for name in generated_tasks():
        assert not asked & {question_of(p)["content"] for p in get_task(name).step(40, 0)}


def test_too_many_or_an_unknown_split_is_refused():
    with pytest.raises(TaskDataError, match=r"other: got 9999 .* 176 of the test split"):
        other_questions("test", 9999)
    with pytest.raises(TaskDataError, match=r"other: unknown split 'dev'"):
        other_questions("dev", 1)
