"""What a router learns from: questions of known domains, asked in all the ways people ask them.

Knows tasks; knows no models and no head.
"""

from collections.abc import Sequence
from dataclasses import replace

from mlx_t2.tasks import Problem, get_task, other_questions, question_of, shared_prompt


def router_examples(
    domains: Sequence[str], split: str = "train", n: int = 120, seed: int = 0
) -> list[Problem]:
    """n questions of each domain's task and n of `other`, asked in one of three ways in turn.

    In the task's own prompt, behind the prompt shared by all domains, and bare. `other` takes
    the last two: seen bare only, it would teach a router to tell prompts, not questions.
    """
    drawn = [get_task(domain).problems(split, n, seed) for domain in domains]
    drawn.append(other_questions(split, n, seed))
    return [_reword(problem, i % 3) for problems in drawn for i, problem in enumerate(problems)]


def _reword(problem: Problem, way: int) -> Problem:
    question = question_of(problem)
    ways = (problem.messages, (*shared_prompt(), question), (question,))
    return replace(problem, messages=ways[way])
