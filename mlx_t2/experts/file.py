"""The expert file: a safetensors file of vectors and provenance. Knows no Expert, no model.

Tensors are named `<module path>.z`, float32, of shape (rank,), or (experts, rank) for a switch
layer. The header's metadata, all strings:

    format            mlx-t2-expert
    format_version    1
    base_model        HuggingFaceTB/SmolLM2-135M-Instruct
    base_fingerprint  hash of the targeted weights
    targets           mlp
    rank              full, or a number
    task              largest
    seed              0
    config            {"lr": 0.005, "steps": 20}
    metrics           {"base": 0.26, "final": 0.74, "items": 200}

A file is refused in one error that lists everything wrong with it. It is written beside its
place, synced, then renamed.
"""

import contextlib
import json
import os
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from safetensors import SafetensorError, safe_open

from mlx_t2.errors import ExpertFileError
from mlx_t2.svf import Scales

FORMAT = "mlx-t2-expert"
VERSION = "1"
_EXPECTED = {"format": FORMAT, "format_version": VERSION}
_STRINGS = ("base_model", "base_fingerprint", "targets", "rank", "task")
_JSON = ("config", "metrics")
_SUFFIX = ".z"


def name_of(path: Path) -> str:
    """The file's stem; for the `expert.safetensors` of a run folder, the folder's name."""
    return path.absolute().parent.name if path.name == "expert.safetensors" else path.stem


def file_format(path: Path) -> str | None:
    """The `format` a safetensors file declares; None without one or where it cannot be read."""
    try:
        with safe_open(path, "numpy") as file:
            return (file.metadata() or {}).get("format")
    except (OSError, SafetensorError):
        return None


# Reading


def read(path: Path) -> tuple[Scales, dict[str, Any]]:
    """The scales, and the provenance by field.

    Raises: ExpertFileError that lists everything wrong, a line each.
    """
    try:
        if not path.is_file():
            came = "a folder" if path.is_dir() else "no such file"
            raise ExpertFileError(f"{path}: {came}, expected an expert file")
        with safe_open(path, "numpy") as file:
            fields, faults = _read_fields(file.metadata() or {})
            scales, tensor_faults = _read_scales(file)
    except (OSError, SafetensorError) as error:
        raise _refusal(path, [f"cannot be read as safetensors: {error}"]) from error
    if faults or tensor_faults:
        raise _refusal(path, faults + tensor_faults)
    return scales, fields


def _refusal(path: Path, faults: list[str]) -> ExpertFileError:
    return ExpertFileError(
        f"{path}: not usable, expected a whole {FORMAT} file of version {VERSION}. "
        "Copy it again or train it anew:\n" + "\n".join(faults)
    )


def _read_fields(metadata: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The provenance as Python values, and what is wrong with the metadata."""
    fields, faults = {}, []
    for key in (*_EXPECTED, *_STRINGS, "seed", *_JSON):
        if key not in metadata:
            faults.append(f"metadata {key}: missing")
            continue
        try:
            fields[key] = _parse(key, metadata[key])
        except (ValueError, RecursionError) as error:
            faults.append(f"metadata {key}: got {_short(metadata[key])}, expected {error}")
    return {key: value for key, value in fields.items() if key not in _EXPECTED}, faults


def _parse(key: str, text: str) -> Any:
    """One metadata value. Raises ValueError whose message is what was expected."""
    if text != _EXPECTED.get(key, text):
        raise ValueError(repr(_EXPECTED[key]))
    if key == "rank" and not is_rank(text):
        raise ValueError("'full' or a number above 0")
    if key == "seed":
        try:
            return int(text)
        except ValueError as error:
            raise ValueError("a whole number") from error
    return _parse_json(text) if key in _JSON else text


def _parse_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)  # Python alone reads NaN and 1e999
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a JSON object ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("a JSON object")
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def is_rank(text: str) -> bool:
    """Whether `text` can say how many singular values of a weight are scaled."""
    return text == "full" or (text.isascii() and text.isdigit() and text.strip("0") != "")


def _read_scales(file: Any) -> tuple[Scales, list[str]]:
    """The tensors that are in order, by module path, and what is wrong with the others."""
    scales, faults = {}, []
    for name in sorted(file.keys()):
        piece = file.get_slice(name)
        dtype = "float32" if piece.get_dtype() == "F32" else piece.get_dtype()
        fault = _form_fault(dtype, piece.get_shape())
        # What cannot be printed is no module path, and could rewrite a terminal.
        if name == _SUFFIX or not name.endswith(_SUFFIX) or not name.isprintable():
            faults.append(f"{name!r}: unknown tensor, expected '<module path>{_SUFFIX}'")
        elif fault:
            faults.append(f"{name}: {fault}")
        else:
            scales[name.removesuffix(_SUFFIX)] = mx.array(file.get_tensor(name))
    return scales, faults + scale_faults(scales)


def scale_faults(scales: Scales) -> list[str]:
    """What keeps `scales` from being an expert's, a line per tensor."""
    faults = []
    for path, z in scales.items():
        fault = _form_fault(str(z.dtype).removeprefix("mlx.core."), z.shape)
        broken = 0 if fault else int(np.count_nonzero(~np.isfinite(np.array(z))))
        if broken:
            fault = f"{broken} of {z.size} numbers are NaN or infinite"
        if fault:
            faults.append(f"{path}{_SUFFIX}: {fault}")
    return faults


def _form_fault(dtype: str, shape: Sequence[int]) -> str | None:
    faults = []
    if dtype != "float32":
        faults.append(f"got {dtype}, expected float32")
    if len(shape) not in (1, 2) or 0 in shape:
        faults.append(f"got shape {tuple(shape)}, expected (rank,) or (experts, rank)")
    return "; ".join(faults) or None


# Writing


def encode(scales: Scales, fields: dict[str, Any]) -> bytes:
    """The file's content; equal scales and provenance give equal bytes.

    Laid out here, since MLX writes tensors, and the safetensors package metadata, in no fixed
    order.
    """
    metadata = (
        _EXPECTED | {key: fields[key] for key in _STRINGS} | {"seed": str(fields["seed"])}
    )
    metadata |= {key: json.dumps(fields[key], sort_keys=True, allow_nan=False) for key in _JSON}
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    data = bytearray()
    for path, z in sorted(scales.items()):
        start = len(data)
        data += np.array(z).astype("<f4").tobytes()
        offsets = [start, len(data)]
        header[path + _SUFFIX] = {"dtype": "F32", "shape": z.shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole or not at all.

    Raises: ExpertFileError where the disk does not take it; nothing is left behind.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ExpertFileError(
            f"{path}: cannot be written ({error.strerror or error}), expected a writable "
            "folder with room. Give another place"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Let the renaming survive a power cut, where the file system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
