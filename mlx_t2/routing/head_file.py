"""The head router's file: safetensors, a linear head and what it names. Knows no models.

Tensors, float32: `weight` (labels, width), `bias` (labels,), `mean` and `scale` (width,).
Metadata, all strings:

    format            mlx-t2-router
    format_version    2
    base_model        HuggingFaceTB/SmolLM2-135M-Instruct
    base_fingerprint  hash of the weights whose states it reads
    labels            ["expression", "largest", "other"]
    blocks            [8, 14]: what it reads are the states after these; [] after the last norm
    threshold         0.93
    tasks             {"expression": "expression-both", "largest": "largest-both"}
    metrics           {"examples": 480, "accuracy": 1.0, "recall": {"largest": 1.0}}

Version 1 had no blocks, threshold and tasks.

A file is refused in one error that lists everything wrong with it.
"""

import contextlib
import json
import math
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from safetensors import SafetensorError, safe_open

from mlx_t2.errors import ExpertFileError
from mlx_t2.files import fill_whole
from mlx_t2.svf import Arrays
from mlx_t2.tasks import OTHER

FORMAT, VERSION = "mlx-t2-router", "2"
_LARGEST, _LEAST_SCALE = 1e9, 1e-12
"""Far from what is fitted, and near enough that no probability is NaN."""


def write_head(path: Path, tensors: Arrays, fields: dict[str, Any]) -> None:
    """Put the file at `path` whole or not at all. Raises FileError where that fails."""
    metadata = {"format": FORMAT, "format_version": VERSION}
    metadata |= {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in fields.items()
    }
    fill_whole(path, lambda file: mx.save_safetensors(str(file), tensors, metadata))


def read_head(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The tensors and the fields, checked. Raises one ExpertFileError that lists all faults."""
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            dtypes = {name: file.get_slice(name).get_dtype() for name in names}
            tensors = {
                name: mx.array(file.get_tensor(name)) for name in names if dtypes[name] == "F32"
            }
    except (OSError, SafetensorError, UnicodeEncodeError) as error:
        raise ExpertFileError(
            f"{path}: cannot be read ({_reason(error)}), expected a whole {FORMAT} file; "
            "t2 router makes one"
        ) from error
    got = metadata.get("format"), metadata.get("format_version")
    if got != (FORMAT, VERSION):
        raise _refusal(path, [f"got format {got[0]!r} version {got[1]!r}"])
    fields = {key: _parse(metadata.get(key), key in _JSON) for key in _FIELDS}
    faults = _field_faults(fields) + _tensor_faults(tensors, dtypes, fields["labels"])
    if faults:
        raise _refusal(path, faults)
    return tensors, fields


def fingerprint_in(path: Path) -> str | None:
    """The fingerprint of the model that a router's file is of, whatever its version; None for
    any other file.
    """
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError, UnicodeEncodeError):
        return None
    return metadata.get("base_fingerprint") if metadata.get("format") == FORMAT else None


@dataclass(frozen=True)
class RouterNames:
    """What a router's file says that it knows, and of which model it is."""

    labels: tuple[str, ...]
    tasks: dict[str, str]
    """{label: the task of its expert}."""
    base_model: str
    base_fingerprint: str


def names_in(path: Path) -> RouterNames | None:
    """What a usable router's file names; None for any other file. Raises nothing."""
    try:
        _, fields = read_head(path)
    except ExpertFileError:
        return None
    wanted = ("tasks", "base_model", "base_fingerprint")
    return RouterNames(tuple(fields["labels"]), **{name: fields[name] for name in wanted})


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file"
    return " ".join(str(error).split())


def _refusal(path: Path, faults: list[str]) -> ExpertFileError:
    return ExpertFileError(
        f"{path}: not usable, expected a {FORMAT} file of version {VERSION}. Train it anew "
        "with t2 router:\n" + "\n".join(faults)
    )


def _parse(text: str | None, is_json: bool) -> Any:
    """The value in `text`; the text itself, to be shown, where it is not JSON."""
    if text is not None and is_json:
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


def _are_labels(value: Any) -> bool:
    if not isinstance(value, list) or not all(map(_is_name, value)):
        return False
    return len(set(value)) == len(value) > 1 and value[-1] == OTHER


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(float(value))


def _is_probability(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _are_metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_number(entry) or (isinstance(entry, dict) and all(map(_is_number, entry.values())))
        for entry in value.values()
    )


def _are_blocks(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 10**6 for n in value)


def _are_tasks(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_name, [*value, *value.values()]))


_FIELDS = {
    "labels": (_are_labels, f"a list of two or more different names, {OTHER!r} the last"),
    "base_model": (_is_name, "a name"),
    "base_fingerprint": (_is_name, "a hash"),
    "blocks": (_are_blocks, "a list of whole numbers"),
    "threshold": (_is_probability, "a number from 0 to 1"),
    "tasks": (_are_tasks, "an object of names"),
    "metrics": (_are_metrics, "an object of finite numbers, or of such objects"),
}
_JSON = ("labels", "blocks", "threshold", "tasks", "metrics")


def _field_faults(fields: dict[str, Any]) -> list[str]:
    return [
        f"{key}: got {reprlib.repr(fields[key])}, expected {expected}"
        for key, (is_right, expected) in _FIELDS.items()
        if not _holds(is_right, fields[key])
    ]


def _holds(is_right: Callable[[Any], bool], value: Any) -> bool:
    try:
        return is_right(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _tensor_faults(tensors: Arrays, dtypes: dict[str, str], labels: Any) -> list[str]:
    """One line per tensor; shapes are checked as far as labels and `mean` say what they are."""
    n_labels = len(labels) if _are_labels(labels) else None
    width = tensors["mean"].size if "mean" in tensors else None
    shapes = {
        "weight": (n_labels, width),
        "bias": (n_labels,),
        "mean": (width,),
        "scale": (width,),
    }
    faults = [f"{name}: missing" for name in sorted(shapes.keys() - dtypes.keys())]
    faults += [f"{name!r}: unknown tensor" for name in sorted(dtypes.keys() - shapes.keys())]
    for name in sorted(shapes.keys() & dtypes.keys()):
        if name not in tensors:
            faults.append(f"{name}: got {dtypes[name]}, expected finite float32 numbers")
            continue
        tensor, shape = tensors[name], shapes[name]
        if 0 in tensor.shape or (None not in shape and tensor.shape != shape):
            faults.append(f"{name}: got shape {tensor.shape}, expected {shape}")
        elif not mx.all(mx.isfinite(tensor)).item():
            faults.append(f"{name}: NaN or infinite, expected finite float32 numbers")
        elif mx.any(mx.abs(tensor) > _LARGEST).item():
            faults.append(f"{name}: expected numbers of at most {_LARGEST:g}")
        elif name == "scale" and mx.any(tensor < _LEAST_SCALE).item():
            faults.append(f"{name}: expected numbers of at least {_LEAST_SCALE:g}")
    return faults
