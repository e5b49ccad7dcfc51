"""gsm8k: word problems of primary school with a number as the answer.

One row: `{"question": "Ann has 2 eggs and buys 3. How many has she?", "answer": "She has
2 + 3 = <<2+3=5>>5 eggs.\\n#### 5"}`; the number after `####` is right.

Source: Cobbe et al. 2021, arXiv:2110.14168.
"""

from mlx_t2.errors import TaskDataError
from mlx_t2.grading import make_grader

from .dataset import DatasetTask
from .splitting import PublicSet, Row
from .task import REFERENCE, Message, Question, name_question

_PROMPT: tuple[Message, ...] = (
    {
        "role": "system",
        "content": "Solve the problem step by step. End with a line that has #### and the "
        "answer as a number, like: #### 12",
    },
)


def make_gsm8k() -> DatasetTask:
    """The task, as people ask it in a chat: no worked examples."""
    rows = PublicSet(
        hub_id="openai/gsm8k",
        config="main",
        question=lambda row: row["question"],
        columns={"question": str, "answer": str},
        published=("train", "test"),
    )
    return DatasetTask(
        name="gsm8k",
        domain="gsm8k",
        description="word problems of primary school, worked out in words",
        rows=rows.rows,
        source=rows.source(),
        template=_ask,
        grader=make_grader("number", form="####"),
        max_tokens=256,
        prompt=_PROMPT,
        has_all=True,
    )


def _ask(row: Row) -> Question:
    solution, mark, answer = row["answer"].rpartition("####")
    if not mark or not solution:
        raise TaskDataError(
            f"gsm8k: {row['question'][:40]!r}: got answer {row['answer'][-40:]!r}, expected "
            "one that ends with #### and a number"
        )
    return Question(
        id=name_question("gsm8k", row["question"]),
        text=row["question"],
        answer=answer.strip(),
        kind="number",
        row={REFERENCE: row["answer"]},
    )
