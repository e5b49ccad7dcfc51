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
    config            {"lr": 0.005, "steps": 20, "prompt": [{"role": "system", "content": "…"}]}
    metrics           {"base": 0.26, "final": 0.74, "items": 200}
    acts_on           answer; missing is all, see `svf.ActsOn`
    description       the largest of three numbers; may be missing
    examples          ["31, 52, 47", "84, 17, 74"]; questions it is for; may be missing

A file is refused in one error that lists everything wrong with it.
"""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import mlx.core as mx
import numpy as np
from safetensors import SafetensorError, safe_open

from mlx_t2.errors import ConfigError, ExpertFileError
from mlx_t2.svf import ActsOn, Scales, Targets

FORMAT, VERSION = "mlx-t2-expert", "1"
_EXPECTED = {"format": FORMAT, "format_version": VERSION}
_STRINGS = ("base_model", "base_fingerprint", "targets", "task")
_JSON = ("config", "metrics")
_ALL: ActsOn = "all"
"""What an expert acts on whose file does not say."""
_MISSING: dict[str, str] = {"acts_on": _ALL, "description": "", "examples": "[]"}
"""Metadata that may be missing → what that means."""
_SUFFIX = ".z"


def name_of(path: Path) -> str:
    """The file's stem; for the `expert.safetensors` of a run folder, the folder's name."""
    return path.absolute().parent.name if path.name == "expert.safetensors" else path.stem


def file_format(path: Path) -> str | None:
    """The `format` a safetensors file declares; None without one or where it cannot be read."""
    try:
        with safe_open(path, "numpy") as file:
            return (file.metadata() or {}).get("format")
    except (OSError, SafetensorError, UnicodeEncodeError):
        return None


# Reading


def read(path: Path) -> tuple[Scales, dict[str, Any]]:
    """The scales, and the provenance by field.

    Raises: ExpertFileError that lists everything wrong, a line each.
    """
    try:
        if not path.is_file():
            got = "a folder" if path.is_dir() else "no such file"
            raise ExpertFileError(f"{path}: {got}, expected an expert file")
        with safe_open(path, "numpy") as file:
            fields, faults = _read_fields(file.metadata() or {})
            scales, tensor_faults = _read_scales(file)
    except (OSError, SafetensorError, UnicodeEncodeError) as error:
        reason = " ".join(str(error).split())
        raise _refusal(path, [f"cannot be read as safetensors: {reason}"]) from error
    faults += tensor_faults
    if not faults:
        faults = contradictions(scales, fields["targets"], fields["rank"])
    if faults:
        raise _refusal(path, faults)
    return scales, fields


def _refusal(path: Path, faults: list[str]) -> ExpertFileError:
    return ExpertFileError(
        f"{path}: not usable, expected a whole {FORMAT} file of version {VERSION}. "
        "Copy it again or train it anew:\n" + "\n".join(faults)
    )


def _read_fields(metadata: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The provenance as Python values, and what is wrong with the metadata."""
    fields, faults = {}, []
    metadata = _MISSING | metadata
    for key in (*_EXPECTED, *_STRINGS, "rank", "seed", *_JSON, *_MISSING):
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
    if key == "rank":
        return _parse_rank(text)
    if key == "acts_on" and (fault := acts_on_fault(text)):
        raise ValueError(fault)
    if key == "seed":
        return _parse_seed(text)
    if key == "examples":
        return _parse_examples(text)
    if key in _JSON:
        value = _parse_json(text)
        if fault := prompt_fault(value) if key == "config" else None:
            raise ValueError(fault)
        return value
    if not text.isprintable():
        raise ValueError("text that can be printed")
    return text


def _parse_seed(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError("a whole number") from error


def _parse_rank(text: str) -> int | None:
    """`full` → None: every singular value is scaled."""
    if text == "full":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise ValueError("'full' or a number above 0")
    return int(text)


def _parse_examples(text: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a JSON list of texts ({error})") from error
    if fault := examples_fault(value):
        raise ValueError(fault)
    return tuple(value)


def _parse_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)  # Python alone reads NaN and 1e999
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a JSON object ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("a JSON object")
    return value


def acts_on_fault(acts_on: str) -> str | None:
    """What is expected of what an expert acts on; None where it is so.

    >>> acts_on_fault("question")
    "'all' or 'answer'"
    """
    known = get_args(ActsOn)
    return None if acts_on in known else " or ".join(map(repr, known))


def prompt_fault(config: dict[str, Any]) -> str | None:
    """What is expected of the prompt in an expert's settings; None where it is so, or absent.

    >>> prompt_fault({"prompt": [{"role": "system", "content": "Answer."}]})
    >>> prompt_fault({"prompt": "Answer."})
    'a prompt that is a list of messages, each with a role and a content of text'
    """
    prompt = config.get("prompt", [])
    if isinstance(prompt, list | tuple) and all(map(_is_message, prompt)):
        return None
    return "a prompt that is a list of messages, each with a role and a content of text"


def examples_fault(examples: Any) -> str | None:
    """What is expected of the questions of an expert; None where they are so.

    >>> examples_fault(["31, 52, 47"])
    >>> examples_fault("31, 52, 47")
    'a list of texts'
    """
    is_list = isinstance(examples, list | tuple)
    if is_list and all(isinstance(text, str) and _is_unicode(text) for text in examples):
        return None
    return "a list of texts"


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"role", "content"}
        and all(isinstance(text, str) and _is_unicode(text) for text in value.values())
    )


def _is_unicode(text: str) -> bool:
    """Whether it has no half of a surrogate pair, which no tokenizer reads."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _read_scales(file: Any) -> tuple[Scales, list[str]]:
    """The tensors that are in order, by module path, and what is wrong with the others."""
    scales, faults = {}, []
    for name in sorted(file.keys()):
        piece = file.get_slice(name)
        dtype = "float32" if piece.get_dtype() == "F32" else piece.get_dtype()
        fault = _array_fault(dtype, piece.get_shape())
        # A name that cannot be printed could rewrite a terminal.
        if name == _SUFFIX or not name.endswith(_SUFFIX) or not name.isprintable():
            faults.append(f"{name!r}: unknown tensor, expected '<module path>{_SUFFIX}'")
        elif fault:
            faults.append(f"{name}: {fault}")
        else:
            scales[name.removesuffix(_SUFFIX)] = mx.array(file.get_tensor(name))
    return scales, faults + scale_faults(scales)


def contradictions(scales: Scales, targets: str, rank: int | None) -> list[str]:
    """Where the vectors are not those that `targets` and `rank` speak of, a line each.

    Of rank k, the longest has k numbers; those of smaller matrices have fewer.
    """
    try:
        chosen = Targets(targets)
    except ConfigError as error:
        return [str(error)]
    faults = [
        f"{path}{_SUFFIX}: not among the targets {targets!r}"
        for path in sorted(scales)
        if not chosen.name(path)
    ]
    if not scales:
        return ["no vectors: it would do nothing"]
    longest = max(z.shape[-1] for z in scales.values())
    if rank not in (None, longest):
        faults.append(f"rank: got {rank}, but the longest vector has {longest} numbers")
    return faults


def scale_faults(scales: Scales) -> list[str]:
    """What keeps `scales` from being an expert's, a line per tensor."""
    faults = []
    for path, z in scales.items():
        fault = _array_fault(str(z.dtype).removeprefix("mlx.core."), z.shape)
        broken = 0 if fault else int(np.count_nonzero(~np.isfinite(np.array(z))))
        if broken:
            fault = f"{broken} of {z.size} numbers are NaN or infinite"
        if fault:
            faults.append(f"{path}{_SUFFIX}: {fault}")
    return faults


def _array_fault(dtype: str, shape: Sequence[int]) -> str | None:
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
    metadata = _EXPECTED | {key: fields[key] for key in _STRINGS}
    metadata |= {"rank": str(fields["rank"] or "full"), "seed": str(fields["seed"])}
    metadata |= {key: json.dumps(fields[key], sort_keys=True, allow_nan=False) for key in _JSON}
    optional = {
        "acts_on": fields["acts_on"],
        "description": fields["description"],
        "examples": json.dumps(list(fields["examples"])),
    }
    metadata |= {key: text for key, text in optional.items() if text != _MISSING[key]}
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
