"""A training's whole state on disk, so that it can stop anywhere and go on to the same bytes.

Knows files; knows no models. A checkpoint is one safetensors file written beside its place and
renamed into it.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_t2.errors import CheckpointError
from mlx_t2.svf import Scales


@dataclass
class State:
    """Everything that the next step depends on. Randomness is drawn from (seed, step) and needs
    no state.
    """

    step: int
    scales: Scales
    optimizer: dict
    best: Scales
    best_validation: float
    base_validation: float
    skipped: int


def save_state(path: Path, state: State) -> None:
    """Write atomically. Raises CheckpointError where the folder cannot take it."""
    arrays = {f"scales/{k}": v for k, v in state.scales.items()}
    arrays |= {f"best/{k}": v for k, v in state.best.items()}
    arrays |= {f"optimizer/{k}": v for k, v in _flat(state.optimizer)}
    numbers = {
        "step": state.step,
        "best_validation": state.best_validation,
        "base_validation": state.base_validation,
        "skipped": state.skipped,
    }
    temporary = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mx.save_safetensors(str(temporary), arrays, {"state": json.dumps(numbers)})
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise CheckpointError(
            f"{path}: cannot be written ({error}), expected a folder with room"
        ) from error


def load_state(path: Path) -> State:
    """Read a checkpoint back. Raises CheckpointError where there is none or it is damaged."""
    try:
        loaded: Any = mx.load(str(path), return_metadata=True)
        arrays, metadata = loaded
        numbers = json.loads(metadata["state"])
        mx.eval(arrays)
        part = {
            # sorted, since sums over the layers round differently in another order
            name: {
                k.split("/", 1)[1]: v
                for k, v in sorted(arrays.items())
                if k.startswith(f"{name}/")
            }
            for name in ("scales", "best", "optimizer")
        }
        optimizer: dict = {}
        for key, value in part["optimizer"].items():
            name, _, leaf = key.partition("/")
            if leaf:
                optimizer.setdefault(name, {})[leaf] = value
            else:
                optimizer[name] = value
        return State(scales=part["scales"], best=part["best"], optimizer=optimizer, **numbers)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: no checkpoint to resume from ({error})") from error


def _flat(optimizer: dict) -> Iterator[tuple[str, mx.array]]:
    """MLX's own flattening joins by dots, which module paths hold already."""
    for name, value in optimizer.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{leaf}", array) for leaf, array in value.items())
        else:
            yield name, value
