"""Prompts of unlike beginnings and lengths, for every suite that needs real ones.

Knows gsm8k's questions where they are at hand, and small talk; measures nothing.
"""

from mlx_t2.errors import TaskDataError
from mlx_t2.models import SVFModel
from mlx_t2.tasks import get_task, other_questions


def ask_questions(model: SVFModel, count: int) -> tuple[str, list[list[int]]]:
    """What the questions are, and `count` of them as bare prompts."""
    source, questions = _find_questions(count)
    return source, [model.encode([{"role": "user", "content": text}]) for text in questions]


def _find_questions(count: int) -> tuple[str, list[str]]:
    """gsm8k's where its rows can be read, else small talk, one to six lines of it."""
    try:
        asked = get_task("gsm8k").problems("test", count)
        return "gsm8k", [problem.messages[-1]["content"] for problem in asked]
    except TaskDataError:
        said = [p.messages[-1]["content"] for p in other_questions("train", 6 * count)]
        return "small talk", [" ".join(said[6 * k : 6 * k + 1 + k % 6]) for k in range(count)]
