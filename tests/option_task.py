"""A task with options that a tiny random model can learn in seconds: of three words, the one
with a `z` in it is right.
"""

from dataclasses import dataclass, replace
from random import Random

from mlx_t2.grading import RIGHT, wrong
from mlx_t2.tasks import Problem
from mlx_t2.training import TrainConfig

CONFIG = TrainConfig(
    steps=6, prompts=6, lr=3e-2, eval_every=3, validation=12, test=12, probe=False
)


@dataclass(frozen=True)
class PickZ:
    """Options of one to six letters."""

    name: str = "pick-z"
    domain: str = "toy"
    description: str = "pick the word with a z"
    splits: tuple[str, ...] = ("train", "validation", "test")
    max_tokens: int = 4
    prompt: tuple = ()
    rule: str = "1 for a z, else 0"
    worst_reward: float = 0.0
    source: str = "made up"
    file: str = ""
    free: int = 0
    """Every so many-th problem has no options; 0 is none."""

    def problems(self, split, n, seed=0):
        return [self._problem(f"{split} {seed}", i) for i in range(n)]

    def available(self, split, n):
        return n

    def step(self, n, seed, balanced=True, progress=0.0):
        return [self._problem(f"train {seed}", i) for i in range(n)]

    def choice(self, problem, completion):
        return completion

    def grade(self, attempts):
        return [RIGHT if "z" in text else wrong("no z") for _, text in attempts]

    def _problem(self, split, i):
        rng = Random(f"{split}/{i}")
        words = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 6))) for _ in range(3)]
        words[i % 3] = f"z{words[i % 3]}"[:6]
        messages = ({"role": "user", "content": f"{split} {i}"[: 4 + i % 9]},)
        problem = Problem(
            f"z/{split}-{i}", messages, words[i % 3], str(i % 3), "toy", tuple(words)
        )
        is_free = self.free and i % self.free == 0
        return replace(problem, options=()) if is_free else problem
