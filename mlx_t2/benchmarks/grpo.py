"""The other side of a training step: mlx-lm-lora's GRPO on the same model, problems and
rewards.

Its own `train_grpo`, sampler and loss, with LoRA of rank 8 on the layers that wear scales here.
`python -m mlx_t2.benchmarks.grpo TASK STEPS PROBLEMS` trains one step per line it reads and
writes its seconds; after the last step, the accuracy on test problems before and after.

Needs mlx-lm-lora (extra `reference`); imported only where that is installed.

Both sides do the same work, so these settings are not its defaults: temperature 1 without top-p
and top-k, no KL penalty (which saves it a pass of the reference model), problems per step and
group as here, Adam at 2e-4 with bias correction, as for LoRA in `make study`. It decodes as
many rows at a time as a step has problems; that is fixed. A completion cut off by the limit
earns what its text earns there, and nothing here.
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
    """Train one step per line read; write its seconds, and at the end the accuracies."""
    model, task = load(), get_task(task_name)
    train_lora_alone(model.network)
    test = task.problems("test", TEST)
    before = held_out_accuracy(model, task, test)
    _write({"base_accuracy": before, "n_eval": len(test)})
    clock: list[float] = []
    """Start of the current step."""
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
    _write_step(clock)
    after = held_out_accuracy(model, task, test)
    _write({"final_accuracy": after, "n_eval": len(test)})


def _batches(model: SVFModel, task: Task, problems: int, clock: list[float]) -> Iterator[tuple]:
    """The problems of one step per line read, as mlx-lm-lora's batches."""
    for step, _ in enumerate(sys.stdin, start=1):
        asked = task.step(problems, step)
        prompts = [model.encode(problem.messages) for problem in asked]
        texts = [problem.messages[-1]["content"] for problem in asked]
        answers = [problem.answer for problem in asked]
        clock.append(time.perf_counter())
        yield prompts, [[] for _ in asked], texts, answers, asked
        _write_step(clock)  # the next batch is requested, so this step is done


def _reward_of(task: Task) -> Any:
    def reward(prompts: list, completions: list, answer: list, types: list) -> list[float]:
        grades = task.grade(list(zip(types, completions, strict=True)))
        return [grade.reward for grade in grades]

    return reward


def _write_step(clock: list[float]) -> None:
    if clock:
        _write({"step": time.perf_counter() - clock.pop()})


def _write(entry: dict[str, float]) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(entry) + "\n")
    sys.__stdout__.flush()


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
