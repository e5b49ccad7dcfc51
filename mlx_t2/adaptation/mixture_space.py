"""The mixtures of some experts as points of a space: one coefficient per expert, for the whole
model, for each layer or for each matrix. Knows experts; knows no search and no tasks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import mlx.core as mx
import numpy as np
from jaxtyping import Float

from mlx_t2.experts import add
from mlx_t2.svf import Scales, stack_rows

from .routed import mix_rows
from .strategy import Experts

Per = Literal["model", "layer", "matrix"]
_BLOCK = re.compile(r"(?:^|\.)(\d+)(?:\.|$)")


def _block_of(path: str) -> int:
    """The number of the layer; -1 where the path has none."""
    block = _BLOCK.search(path)
    return int(block[1]) if block else -1


@dataclass(frozen=True)
class MixtureSpace:
    """z' = 1 + Σ_k α_k (z_k − 1) with α for each part of the network.

    Points are flat: D = parts · K numbers, part by part, the experts by name, so that the order
    in which they are given changes nothing.
    """

    experts: Experts
    per: Per = "model"
    normalised: bool = False
    """The coefficients of each part are divided by their sum; all equal where that is 0."""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The experts in order."""
        return tuple(sorted(self.experts))

    @cached_property
    def rows(self) -> Scales:
        """{module path: z of every expert (K, …)}. Raises as `mix` does for those that do not
        go together.
        """
        chosen = [self.experts[label] for label in self.labels]
        add(chosen)
        return stack_rows([expert.scales for expert in chosen])

    @cached_property
    def parts(self) -> dict[str, int]:
        """{name of a part: its number}."""
        return {name: i for i, name in enumerate(dict.fromkeys(map(self._part, self._paths)))}

    @property
    def _paths(self) -> list[str]:
        return sorted(self.rows, key=lambda path: (_block_of(path), path))

    def _part(self, path: str) -> str:
        if self.per == "model":
            return ""
        block = _block_of(path)
        return str(block) if self.per == "layer" and block >= 0 else path

    @property
    def size(self) -> int:
        """D."""
        return len(self.parts) * len(self.labels)

    def starts(self) -> Float[np.ndarray, "S {self.size}"]:
        """Each expert, their average and, where coefficients are free, the base and the sum: a
        search that begins here is never worse than these.
        """
        k = len(self.labels)
        rows = [*np.eye(k), np.full(k, 1 / k)]
        rows += [] if self.normalised else [np.zeros(k), np.ones(k)]
        return np.tile(np.stack(rows), (1, len(self.parts)))

    def coefficients(self, points: Float[mx.array, "N D"]) -> Float[mx.array, "N parts K"]:
        """α of every point."""
        a = points.reshape(len(points), len(self.parts), len(self.labels))
        if not self.normalised:
            return a
        total = mx.sum(a, axis=-1, keepdims=True)
        is_empty = total == 0
        return mx.where(is_empty, 1 / len(self.labels), a / mx.where(is_empty, 1.0, total))

    def scales(self, points: Float[mx.array, "N D"]) -> Scales:
        """Row n wears point n. Differentiable."""
        a = self.coefficients(points)
        return {
            path: mix_rows(a[:, self.parts[self._part(path)]], z)
            for path, z in self.rows.items()
        }

    def describe(self, point: Float[mx.array, " D"]) -> dict[str, Any]:
        """{expert: α}, or {expert: {part: α}} where there are several."""
        numbers: Any = self.coefficients(point[None])[0].tolist()
        by_part: Mapping[str, list[float]] = dict(zip(self.parts, numbers, strict=True))
        if self.per == "model":
            return dict(zip(self.labels, numbers[0], strict=True))
        return {
            label: {part: row[k] for part, row in by_part.items()}
            for k, label in enumerate(self.labels)
        }
