"""A task that a tiny random model can learn in a second, and a model that finishes answers."""

import json
from dataclasses import dataclass
from pathlib import Path

from helpers import tiny_network

from mlx_t2.grading import RIGHT, wrong
from mlx_t2.models import SVFModel, decompose
from mlx_t2.tasks import Problem
from mlx_t2.training import TrainConfig

CONFIG = TrainConfig(steps=6, prompts=4, group=8, lr=2e-2, eval_every=2, validation=8, test=8)


class HalfTheTokensEnd:
    """A tokenizer whose lower half of the vocabulary ends an answer, so that a random model
    finishes.
    """

    eos_token_ids = frozenset(range(32))
    has_chat_template = True

    def apply_chat_template(self, messages, add_generation_prompt, tokenize):
        return [33, *(32 + ord(c) % 32 for c in messages[-1]["content"])]

    def decode(self, ids, skip_special_tokens):
        return " ".join(map(str, ids))


@dataclass(frozen=True)
class StartHigh:
    """Right: a first token in the upper quarter, as a random model has it every fourth time."""

    name: str = "start-high"
    domain: str = "toy"
    description: str = "start with a high token"
    splits: tuple[str, ...] = ("train", "validation", "test")
    max_tokens: int = 6
    prompt: tuple = ()
    pays: bool = True
    rule: str = "1 for a high first token, else 0"
    worst_reward: float = 0.0
    source: str = "made up"
    file: str = ""

    def problems(self, split, n, seed=0):
        return [self._problem(f"{split} {i}") for i in range(n)]

    def available(self, split, n):
        return n

    def step(self, n, seed, balanced=True, progress=0.0):
        return [self._problem(f"train {seed} {i}") for i in range(n)]

    def choice(self, problem, completion):
        return completion.partition(" ")[0]

    def grade(self, attempts):
        high = [int(text.split()[0]) >= 48 for _, text in attempts]
        return [RIGHT if self.pays and is_high else wrong("not high") for is_high in high]

    def _problem(self, text):
        return Problem(f"toy/{text}", ({"role": "user", "content": text},), "", "only", "toy")


def toy_model() -> SVFModel:
    """A tiny llama, decomposed."""
    return decompose(SVFModel("tiny", tiny_network(), HalfTheTokensEnd()))


_TIMED = ("seconds", "sampling_seconds", "gradient_seconds", "peak_gb")


def files(out: Path) -> tuple:
    """Steps without their clock, samples, and the expert's bytes."""
    lines = (out / "metrics.jsonl").read_text().splitlines()
    steps = [{k: v for k, v in json.loads(x).items() if k not in _TIMED} for x in lines]
    return (
        steps,
        (out / "samples.jsonl").read_text(),
        (out / "expert.safetensors").read_bytes(),
    )
