"""A training's whole state on disk, so that it can stop anywhere and go on to the same bytes.

Knows files; knows no models. A checkpoint is one safetensors file with a digest; the one before
it stays until the next.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_t2.errors import CheckpointError
from mlx_t2.files import file_errors, reading_errors, write_whole
from mlx_t2.svf import Arrays, Scales

from .optimizer import OptimizerState

KEPT = 2
"""Generations on disk."""
_ARRAYS = ("parameters", "best", "optimizer")


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on. Problems and completions are drawn from (seed,
    step): the step is the random state and the data cursor in one.
    """

    step: int
    """Steps done."""
    parameters: Arrays
    """What is trained."""
    optimizer: OptimizerState
    best: Scales
    """The scales that were best on validation problems."""
    best_validation: float
    base_validation: float
    skipped: int = 0
    """Steps without a signal."""
    stale: int = 0
    """Evaluations since the best one."""
    recent: list[dict[str, Any]] = field(default_factory=list)
    """Signs of the last steps, see `collapse`."""


def save_state(folder: Path, state: State) -> None:
    """Write whole or not at all, and forget all but the last two. Raises FileError where the
    folder cannot take it; the checkpoint before it is kept.
    """
    path = folder / f"step-{state.step:06d}.safetensors"
    write_whole(path, pack(state))
    with file_errors(path):
        for old in generations(folder)[KEPT:]:
            old.unlink()


def generations(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first; files of other names are not."""
    with reading_errors(folder):
        steps = [(_step_in(path.name), path) for path in folder.glob("step-*.safetensors")]
    return [path for step, path in sorted(steps, reverse=True) if step >= 0]


def _step_in(name: str) -> int:
    """The step in a checkpoint's name; -1 for other names."""
    found = re.fullmatch(r"step-([0-9]{6,12})\.safetensors", name)
    return int(found[1]) if found else -1


def newest_state(folder: Path) -> tuple[State, list[str]]:
    """The newest checkpoint that is whole, and what is wrong with newer ones.

    Raises: CheckpointError where none is whole.
    """
    faults: list[str] = []
    for path in generations(folder):
        try:
            return load_state(path), faults
        except CheckpointError as error:
            faults.append(str(error))
    raise CheckpointError("; ".join(faults) or f"{folder}: no checkpoint to resume from")


def load_state(path: Path) -> State:
    """Read a checkpoint back. Raises CheckpointError where there is none or it is damaged."""
    try:
        state = unpack(path.read_bytes())
        if state.step != _step_in(path.name):
            raise ValueError(f"it is of step {state.step}")
        return state
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: no checkpoint to resume from ({reason})") from error


def pack(state: State) -> bytes:
    """The state as the bytes of a safetensors file."""
    arrays = {f"parameters/{k}": v for k, v in state.parameters.items()}
    arrays |= {f"best/{k}": v for k, v in state.best.items()}
    arrays |= {f"optimizer/{k}": v for k, v in _flatten(state.optimizer)}
    numbers = json.dumps({k: v for k, v in vars(state).items() if k not in _ARRAYS})
    file = io.BytesIO()
    metadata = {"state": numbers, "digest": _digest(arrays, numbers)}
    mx.save_safetensors(file, arrays, metadata)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def unpack(data: bytes) -> State:
    """What `pack` packed; any of several errors for anything else."""
    loaded: Any = mx.load(io.BytesIO(data), format="safetensors", return_metadata=True)
    arrays, metadata = loaded
    mx.eval(arrays)
    numbers = json.loads(metadata["state"])
    if _digest(arrays, metadata["state"]) != metadata["digest"]:
        raise ValueError("its digest does not match")
    part: dict[str, Any] = {
        # sorted, since sums over the layers round differently in another order
        name: {
            k.split("/", 1)[1]: v for k, v in sorted(arrays.items()) if k.startswith(f"{name}/")
        }
        for name in _ARRAYS
    }
    return State(**numbers | part | {"optimizer": _nest(part["optimizer"])})


def _digest(arrays: Arrays, numbers: str) -> str:
    """A flipped bit leaves a safetensors file readable; this notices."""
    digest = hashlib.sha256(numbers.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.array(array).tobytes())
    return digest.hexdigest()


def _flatten(optimizer: OptimizerState) -> Iterator[tuple[str, mx.array]]:
    """MLX's own flattening joins by dots, which module paths hold already."""
    for name, value in optimizer.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{leaf}", array) for leaf, array in value.items())
        else:
            yield name, value


def _nest(flat: Arrays) -> OptimizerState:
    optimizer: OptimizerState = {}
    for key, value in flat.items():
        name, _, leaf = key.partition("/")
        if leaf:
            optimizer.setdefault(name, {})[leaf] = value
        else:
            optimizer[name] = value
    return optimizer
