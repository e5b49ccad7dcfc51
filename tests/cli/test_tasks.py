"""`t2 tasks show` and `t2 eval --out`: the rule and the grades, as the task has them."""

import json

from toy_task import StartHigh

from mlx_t2.tasks import get_task, registry


def test_the_rule_shown_is_the_tasks_own(t2, monkeypatch):
    toy = StartHigh(rule="2 for the moon, -1 for cheese", worst_reward=-1.0)
    monkeypatch.setitem(registry._MAKERS, "toy", lambda: toy)
    told = " ".join(t2("tasks show toy --limit 1").stdout.split())
    assert "the reward is 2 for the moon, -1 for cheese" in told
    assert "does not end within 6 tokens is wrong and earns -1" in told


def test_every_generated_task_says_its_rule(t2):
    for name in ("largest", "expression", "kind"):
        told = " ".join(t2(f"tasks show {name} --limit 1").stdout.split())
        assert f"the reward is {get_task(name).rule}" in told


def test_an_answers_file_says_what_was_right_and_why(t2, tmp_path):
    out = tmp_path / "answers.jsonl"
    t2(f"eval largest --model tiny --limit 3 --out {out} --json")
    answered = [json.loads(line) for line in out.read_text().splitlines()]
    problems = get_task("largest").problems("test", 3)
    assert [item["answer"] for item in answered] == [problem.answer for problem in problems]
    for item in answered:
        assert set(item) >= {
            *("id", "question", "answer", "completion", "reward", "is_right", "reason"),
            *("is_finished", "label", "coefficients", "kind", "form"),
        }
        assert item["is_right"] is False
        got = f"got {item['completion'].strip()!r}, expected {item['answer']!r}"
        assert item["reason"] == (got if item["is_finished"] else "cut off at 6 tokens")
