"""Twelve sub-domains: their questions and answers, and the page that counts them."""

import pytest

from mlx_t2.recipes.subdomain_tasks import family_of, make_subdomains
from mlx_t2.recipes.subdomains import SIZES, TEST, settle
from mlx_t2.recipes.subdomains_page import subdomains_section
from mlx_t2.tasks import question_of
from mlx_t2.training.learner import check_task

TASKS = {task.name: task for task in make_subdomains()}


def test_there_are_twelve_and_the_families_come_in_turn():
    assert len(TASKS) == max(SIZES) == 12
    assert [family_of(name) for name in TASKS] == ["numbers", "words", "expressions"] * 4


@pytest.mark.parametrize("name", TASKS)
def test_no_split_asks_what_another_or_the_prompt_does(name: str):
    task = TASKS[name]
    asked = [
        {question_of(p)["content"] for p in task.problems(s, task.available(s, 10**6))}
        for s in task.splits
    ]
    shown = {message["content"] for message in task.prompt}
    assert all(len(questions) >= 25 for questions in asked)
    for i, one in enumerate(asked):
        assert not one & shown
        assert not any(one & other for other in asked[i + 1 :])


@pytest.mark.parametrize("name", TASKS)
def test_there_are_the_problems_that_the_recipe_asks_for(name: str):
    task = TASKS[name]
    check_task(task, settle(task))
    task.problems("test", TEST)


@pytest.mark.parametrize("name", TASKS)
def test_the_references_are_right_and_another_answer_is_wrong(name: str):
    task = TASKS[name]
    problems = task.problems("test", 12)
    assert all(g.is_right for g in task.grade([(p, p.answer) for p in problems]))
    assert not any(
        g.is_right for g in task.grade([(p, f"{p.answer}{p.answer}") for p in problems])
    )


def test_answers_by_hand():
    def answers(name: str) -> dict[str, str]:
        task = TASKS[name]
        problems = task.problems("train", task.available("train", 10**6))
        return {question_of(p)["content"]: p.answer for p in problems}

    smallest = answers("numbers-smallest")
    text, answer = next(iter(smallest.items()))
    numbers = [int(part) for part in text.removeprefix("the smallest of ").split(", ")]
    assert int(answer) == min(numbers)
    assert answers("words-plural")["the plural of hammer"] == "hammers"
    assert answers("words-capitals")["hammer in capitals"] == "HAMMER"
    articles = answers("words-article")
    assert articles["hammer with its article"] == "a hammer"
    assert articles["eagle with its article"] == "an eagle"


def test_the_page_counts_what_is_there():
    ways = ("base", "own expert", "routed", "sum", "average")
    row = {"k": 2, "n": 100, **dict.fromkeys(ways, 50)}
    row["intervals"] = {key: [0.4, 0.6] for key in ways}
    counts = {"numbers-first": 25, "words-kind": 30}
    found = {
        "command": "c",
        "machine": "m",
        "commit": "abc",
        "model": "tiny",
        "n": 50,
        "settings": {"steps": 20, "prompts": 8, "lr": 0.002},
        "names": list(counts),
        "alone": dict.fromkeys(("base", "own expert", "routed"), counts),
        "together": dict.fromkeys(("sum", "average"), counts),
        "sizes": [row],
        "rightly_routed": 99,
        "cosines": {"of one family": [0.1, 0.2, 0.3], "of two families": [0.0, 0.01, 0.02]},
    }
    text = subdomains_section(found)
    assert "| 2 | 100 | 50.0 (40-60) |" in text
    assert "| words-kind | 60.0 | 60.0 | 60.0 | 60.0 | 60.0 |" in text
    assert "99.0 % of 100" in text
    assert "of one family 0.2 (0.1 to 0.3)" in text
