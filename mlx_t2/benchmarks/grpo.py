"""GRPO as mlx-lm-lora has it, on the same model, problems and rewards, to be measured against.

Its own `train_grpo`, sampler and loss, with LoRA of rank 8 on the layers that wear scales here.
`python -m mlx_t2.benchmarks.grpo TASK STEPS PROBLEMS` trains a step for each line it reads and
writes its seconds; after the last one, accuracy on the test problems before and after.

Needs mlx-lm-lora (extra `reference`); imported only where that is.

Set otherwise than its defaults, so that both sides do the same work: temperature 1 without
top-p and top-k, no KL penalty (which spares it a pass of the reference model), problems of each
step and group as here, Adam at 2e-4 with bias correction, as LoRA has it in `study`. It decodes
as many rows at a time as a step has problems, which is its rule. A completion cut off by the
limit earns what its text earns; here it earns nothing.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlx.optimizers import Adam
from mlx_lm_lora.trainer.grpo_trainer import (  # pyright: ignore[reportMissingImports]
    GRPOTrainingArgs,
    train_grpo,
)

from mlx_t2.models import SVFModel, load
from mlx_t2.sampling import held_out_accuracy
from mlx_t2.tasks import Task, get_task

from .gradient_pass import train_lora_alone

LR = 2e-4
GROUP = 8
TEST = 200


def run(task_name: str, steps: int, problems: int) -> None:
    """Train a step for every line read; write seconds, at last the accuracies."""
    model, task = load(), get_task(task_name)
    train_lora_alone(model.network)
    test = task.problems("test", TEST)
    before = held_out_accuracy(model, task, test)
    _tell({"base_accuracy": before, "n_eval": len(test)})
    clock: list[float] = []
    """When the step under way began."""
    with TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        args = GRPOTrainingArgs(
            batch_size=problems,
            iters=steps,
            group_size=GROUP,
            beta=0.0,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            max_completion_length=task.max_tokens,
            steps_per_report=steps,
            steps_per_save=steps,
            adapter_file=str(Path(folder) / "adapters.safetensors"),
        )
        train_grpo(
            model.network,
            None,
            model.tokenizer,
            Adam(LR, betas=[0.9, 0.99], bias_correction=True),
            [()],  # the batches do not come from a data set
            reward_funcs=[_reward_of(task)],
            args=args,
            iterate_batches=lambda **_: _batches(model, task, problems, clock),
            end_answer_token="",
        )
    _tell_step(clock)
    after = held_out_accuracy(model, task, test)
    _tell({"final_accuracy": after, "n_eval": len(test)})


def _batches(model: SVFModel, task: Task, problems: int, clock: list[float]) -> Iterator[tuple]:
    """A step's problems for every line read, in the form of mlx-lm-lora's batches."""
    for step, _ in enumerate(sys.stdin, start=1):
        asked = task.step(problems, step)
        prompts = [model.encode(problem.messages) for problem in asked]
        texts = [problem.messages[-1]["content"] for problem in asked]
        answers = [problem.answer for problem in asked]
        clock.append(time.perf_counter())
        yield prompts, [[] for _ in asked], texts, answers, asked
        _tell_step(clock)  # the next batch is asked for: this one's step is done


def _reward_of(task: Task) -> Any:
    def reward(prompts: list, completions: list, answer: list, types: list) -> list[float]:
        grades = task.grade(list(zip(types, completions, strict=True)))
        return [grade.reward for grade in grades]

    return reward


def _tell_step(clock: list[float]) -> None:
    if clock:
        _tell({"step": time.perf_counter() - clock.pop()})


def _tell(found: dict[str, float]) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(found) + "\n")
    sys.__stdout__.flush()


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
