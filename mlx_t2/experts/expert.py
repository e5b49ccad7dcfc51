"""An expert: trained scales and their provenance. Knows a model by its fingerprint only."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mlx_t2.errors import ConfigError, ExpertFileError, ShapeError
from mlx_t2.files import write_whole
from mlx_t2.svf import ActsOn, Scales, Shapes, shape_fault

from .file import (
    acts_on_fault,
    contradictions,
    encode,
    examples_fault,
    name_of,
    prompt_fault,
    read,
    scale_faults,
)


# Not compared by value, since == on arrays is an array: `digest` says whether two scale alike.
@dataclass(frozen=True, eq=False)
class Expert:
    """Trained scales with their provenance. The file it is kept in gives it its name."""

    name: str
    scales: Scales
    """{module path: z}: float32 (rank,), (experts, rank) in a switch layer; missing is 1."""
    base_model: str
    """What the model was called at training; `base_fingerprint` decides."""
    base_fingerprint: str
    """Hash of the targeted weights."""
    targets: str
    """Which layers: `mlp`, `attention`, `all` or a regular expression."""
    rank: int | None
    """Singular values scaled per weight, largest first; all when None."""
    task: str
    seed: int
    config: dict[str, Any]
    """Training settings, as JSON values."""
    metrics: dict[str, Any]
    """Base and final scores, number of items, steps, as JSON values."""
    acts_on: ActsOn = "all"
    """What was read under the scales at training, and has to be when they are worn."""
    description: str = ""
    """What it is for, in one line; empty where nobody has said."""
    examples: tuple[str, ...] = ()
    """A few questions it is for."""

    def __post_init__(self):
        faults = scale_faults(self.scales)
        if faults:
            raise ShapeError(f"expert {self.name!r}: unusable scales:\n" + "\n".join(faults))
        if self.rank is not None and self.rank < 1:
            raise ConfigError(
                f"expert {self.name!r}: rank: got {self.rank}, expected 1 or more, or None"
            )
        for key, value in (("config", self.config), ("metrics", self.metrics)):
            try:
                json.dumps(value, sort_keys=True, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ConfigError(
                    f"expert {self.name!r}: {key}: expected JSON values: {error}"
                ) from error
        if fault := acts_on_fault(self.acts_on):
            raise ConfigError(
                f"expert {self.name!r}: acts_on: got {self.acts_on!r}, expected {fault}"
            )
        if not self.description.isprintable():
            raise ConfigError(
                f"expert {self.name!r}: description: got {self.description!r}, expected one "
                "line of text that can be printed"
            )
        if fault := examples_fault(self.examples):
            raise ConfigError(f"expert {self.name!r}: examples: expected {fault}")
        if fault := prompt_fault(self.config):
            raise ConfigError(f"expert {self.name!r}: config: expected {fault}")

    @classmethod
    def load(cls, path: str | Path) -> "Expert":
        """Read an expert file. Raises one ExpertFileError that lists all that is wrong."""
        scales, provenance = read(Path(path))
        return cls(name_of(Path(path)), scales, **provenance)

    def save(self, path: str | Path) -> None:
        """Write the expert whole or not at all, over what was there. Raises FileError."""
        write_whole(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of the expert's file. Raises ShapeError where it could not be read back:
        its vectors are not those that its targets and rank speak of.
        """
        faults = contradictions(self.scales, self.targets, self.rank)
        if faults:
            raise ShapeError(f"expert {self.name!r}: unusable scales:\n" + "\n".join(faults))
        return encode(self.scales, vars(self))

    @property
    def prompt(self) -> tuple[dict[str, str], ...]:
        """The messages to put before a question: the prompt it was trained with, the last one
        where there were several; none where it is not recorded.
        """
        return tuple(self.config.get("prompt", ()))

    @cached_property
    def digest(self) -> str:
        """A hash of the scales in any order: the key of caches."""
        return digest_of(self.scales)

    def check(
        self,
        model_name: str,
        fingerprint: str,
        shapes: Shapes,
        allow_transfer: bool = False,
    ) -> None:
        """Raise one ExpertFileError that lists all that keeps the expert off the model.

        fingerprint: of the model's weights under the expert's own `targets`.
        shapes: {module path: shape of z} of the model, decomposed as the expert needs it.
        allow_transfer: let another model pass where the shapes agree, as in the paper's
            cross-model experiment.
        """
        faults = contradictions(self.scales, self.targets, self.rank)
        if fingerprint != self.base_fingerprint and not allow_transfer:
            faults.append(
                f"was trained on {self.base_model!r} (fingerprint "
                f"{self.base_fingerprint[:12]}…), the model is {model_name!r} "
                f"({fingerprint[:12]}…). Load the model it was trained on, or allow the "
                "transfer to another of the same shapes (--allow-transfer)"
            )
        for path, z in self.scales.items():
            fault = shape_fault(path, z.shape, shapes)
            faults += [fault] if fault else []
        if faults:
            rank = self.rank or "full"
            where = f"expert {self.name!r} (targets {self.targets!r}, rank {rank})"
            raise ExpertFileError(f"{where}: " + "\n".join(faults))


def digest_of(scales: Scales) -> str:
    """A hash of scales in any order, as `Expert.digest` has it."""
    digest = hashlib.sha256()
    for path, z in sorted(scales.items()):
        digest.update(f"{path} {z.shape}\n".encode())
        digest.update(np.array(z).tobytes())
    return digest.hexdigest()
