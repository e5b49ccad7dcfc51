"""The other side of a training step: the reference implementation, restated in PyTorch.

Computes what SakanaAI/self-adaptive-llms computes in one step, on the CPU and in float32: one
greedy completion per prompt, rewards of ±1, no baseline, one sequence at a time, gradients of
the dense weights carried to one number per singular value. `python -m
mlx_t2.benchmarks.reference` runs one step per line it reads: in a process of its own, PyTorch
multiplies with its own BLAS.

Needs PyTorch (extra `reference`); imported only where that is installed. Knows llamas only.

Where it departs from its source, it is to the advantage of the source: float32 in place of
bfloat16; `generate` of transformers in place of vLLM, which wants a GPU; the sampled ids are
trained on, not their text tokenised again; diag(σ z) is a product of columns; attention and
embeddings are not decomposed.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # an extra
from mlx.utils import tree_flatten
from transformers import LlamaConfig, LlamaForCausalLM

from mlx_t2.models import load
from mlx_t2.tasks import get_task

LR, CLIP = 2e-3, 1e-3


@dataclass(frozen=True)
class StepSeconds:
    """Time of one step by part [s]."""

    sampling: float
    update: float


def as_transformers(network: nn.Module) -> Any:
    """A float32 llama of mlx-lm as one of transformers, with the same weights."""
    args: Any = network.args
    settings = {k: v for k, v in dataclasses.asdict(args).items() if v is not None}
    parameters: Any = tree_flatten(network.parameters())
    weights = {name: torch.from_numpy(np.array(array)) for name, array in parameters}
    twin: Any = LlamaForCausalLM(LlamaConfig(**settings))
    twin.load_state_dict(weights, strict=False)  # a tied head is the embedding already
    return twin.eval().requires_grad_(False)


def compose_weight(factors: tuple[Any, Any, Any], p: Any) -> Any:
    """W' = U diag(s ⊙ z) Vᵀ · Σs / Σ(s ⊙ z) with z = sigmoid(p).

    Source: self-adaptive-llms, utils.py:100-115 and policy/base.py:48.
    """
    u, s, vt = factors
    scaled = s * torch.sigmoid(p)
    return (u * scaled) @ vt * (s.sum() / scaled.sum())


class ReferenceTraining:
    """A llama of transformers whose MLP weights are recomposed at every step."""

    def __init__(self, model: Any, seed: int = 0):
        self.model = model
        self.weights = {
            path: module.weight.requires_grad_()
            for path, module in model.named_modules()
            if ".mlp." in path and isinstance(module, torch.nn.Linear)
        }
        self.factors: dict[str, Any] = {
            path: torch.linalg.svd(weight.detach(), full_matrices=False)
            for path, weight in self.weights.items()
        }
        draw = torch.Generator().manual_seed(seed)
        self.p = {
            path: torch.normal(0.1, 0.01, s.shape, generator=draw).requires_grad_()
            for path, (_, s, _) in self.factors.items()
        }
        self.optimizer = torch.optim.Adam(self.p.values(), lr=LR)
        self.compose()

    def compose(self) -> None:
        """Put W' into the model."""
        with torch.no_grad():
            for path, weight in self.weights.items():
                weight.copy_(compose_weight(self.factors[path], self.p[path]))

    def sample(
        self, prompts: Sequence[Sequence[int]], max_tokens: int, eos: Sequence[int]
    ) -> list[list[int]]:
        """One greedy completion per prompt, in one batch padded on the left; end tokens
        removed.
        """
        longest = max(map(len, prompts))
        ids = torch.tensor([[eos[0]] * (longest - len(p)) + list(p) for p in prompts])
        real = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
        drawn = self.model.generate(
            ids,
            attention_mask=real,
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=list(eos),
            pad_token_id=eos[0],
        )
        ends = set(eos)
        rows = drawn[:, longest:].tolist()
        cuts = [next((i for i, t in enumerate(row) if t in ends), len(row)) for row in rows]
        return [row[:cut] for row, cut in zip(rows, cuts, strict=True)]

    def gradient(
        self,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[int]],
        rewards: Sequence[float],
    ) -> None:
        """Add −(1/B) Σ r ∂log π/∂p to the gradient of every p, through the dense weights."""
        for prompt, completion, reward in zip(prompts, completions, rewards, strict=True):
            tokens = torch.tensor([[*prompt, *completion]])
            logits = self.model(tokens).logits[0, len(prompt) - 1 : -1]
            logprobs = torch.log_softmax(logits, dim=-1)
            chosen = logprobs.gather(1, tokens[0, len(prompt) :, None])
            (-reward * chosen.sum() / len(prompts)).backward()
        for path, weight in self.weights.items():
            compose_weight(self.factors[path], self.p[path]).backward(weight.grad)
            weight.grad = None

    def update(
        self,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[int]],
        rewards: Sequence[float],
    ) -> None:
        """One step of Adam; afterwards the model has the new weights."""
        self.optimizer.zero_grad()
        self.gradient(prompts, completions, rewards)
        torch.nn.utils.clip_grad_norm_(self.p.values(), CLIP)
        self.optimizer.step()
        self.compose()


def run(task_name: str = "expression", prompts: int = 64) -> None:
    """Write the seconds of the decompositions, then those of one step per line read."""
    mx.set_default_device(mx.cpu)  # where weights are widened to float32 as they are loaded
    model, task = load(), get_task(task_name)
    twin, eos = as_transformers(model.network), sorted(model.eos_ids)
    start = time.perf_counter()
    training = ReferenceTraining(twin)
    _write({"svd": time.perf_counter() - start})
    for seed, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        problems = task.step(prompts, seed)
        asked = [model.encode(problem.messages) for problem in problems]
        drawn = training.sample(asked, task.max_tokens, eos)
        texts = [model.decode(tokens) for tokens in drawn]
        graded = task.grade(list(zip(problems, texts, strict=True)))
        sampled = time.perf_counter()
        training.update(asked, drawn, [1 if grade.is_right else -1 for grade in graded])
        seconds = StepSeconds(sampled - start, time.perf_counter() - sampled)
        _write(dataclasses.asdict(seconds))


def _write(seconds: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(seconds) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    run()
