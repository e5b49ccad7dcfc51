"""An expert as low-rank terms, in one folder that mlx-lm, PEFT and llama.cpp read.

    adapters.safetensors        mlx-lm: <path>.lora_a (in, R), <path>.lora_b (R, out); one rank
                                R for all, so shorter ones are filled with zeros
    adapter_model.safetensors   PEFT, llama.cpp: base_model.model.<path>.lora_A.weight (r, in),
                                ….lora_B.weight (out, r), each of its own rank r
    adapter_config.json         the keys of both: each reads its own

PEFT scales the terms by lora_alpha / r, as llama.cpp does; lora_alpha is R, so B is written
times r / R. Knows file formats; which terms are kept is decided in `low_rank`.

Source: mlx-lm 0.32, tuner/utils.py load_adapters; PEFT, LoraConfig; llama.cpp,
convert_lora_to_gguf.py and llama-adapter.h.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.mla import MultiLinear, QuantizedMultiLinear

from mlx_t2.adaptation import Adapted
from mlx_t2.errors import ConfigError
from mlx_t2.models import ALIASES, SVFModel, load
from mlx_t2.svf import Arrays, SVFLayer

from .base import FileForm, read_file_form
from .export import Export, Written, export_weights
from .folder import write_json
from .hf_names import explain_unlike
from .low_rank import Matrix, Ranks, choose_ranks, keep_longest

SHARE = 0.98
"""What is kept of the change where no budget is given."""
HEADER = 300
"""What a tensor's entry in a file's header may take, at most [bytes]."""

Terms = dict[str, tuple[mx.array, mx.array]]
"""{module path: (B, A)}, B (*stack, out, r) and A (*stack, r, in), W' − W ≈ B A."""


@dataclass(frozen=True)
class _Lengths:
    """What there is to choose from."""

    of: dict[Matrix, np.ndarray]
    """|σ (z − 1)| of each matrix."""
    costs: dict[Matrix, int]
    """out + in of each matrix."""


def to_lora(
    model: SVFModel,
    adapted: Adapted,
    out: str | Path,
    *,
    rank: float | None = None,
    size_mb: float | None = None,
    overwrite: bool = False,
    force: bool = False,
) -> Export:
    """Write the largest terms of what the scales of `adapted` change, as a folder at `out`.

    rank: of a matrix, on average over all that change; each has the rank that serves best.
    size_mb: of the file of all terms, without mlx-lm's zeros [MB]. Without either, as much as
        keeps SHARE of the change.
    Raises: ConfigError for a budget that is no budget, for layers that mlx-lm gives no low-rank
        terms, and as `export_weights`.
    """
    _check_budget(rank, size_mb)

    def write(folder: Path, layers: dict[str, SVFLayer]) -> Written:
        base = read_file_form(model)
        _check_layers(base, layers)
        lengths = _measure_lengths(model, adapted, layers)
        budget = _count_numbers(base, lengths, rank, size_mb)
        ranks = choose_ranks(lengths.of, lengths.costs, budget, SHARE)
        if not ranks.numbers:
            raise ConfigError("lora: got a budget below one term, expected more")
        terms = _make_terms(base, layers, ranks)
        config = _mlx_config(model, terms, ranks)
        _save(folder / "adapters.safetensors", _mlx_tensors(terms, ranks.largest))
        stacks = [path for path, (b, _) in terms.items() if b.ndim > 2]
        unlike = explain_unlike(base.network, stacks)
        if unlike is None:
            config |= _peft_config(model, terms, ranks.largest)
            _save(folder / "adapter_model.safetensors", _peft_tensors(terms, ranks.largest))
        write_json(folder / "adapter_config.json", config)
        notes = (
            () if unlike is None else (f"for mlx-lm alone, not PEFT or llama.cpp: {unlike}",)
        )
        details = {"average_rank": _average(lengths, ranks), "largest_rank": ranks.largest}
        return Written(
            lambda: load(model.source, adapter=folder), details, tuple(notes), _hint(lengths)
        )

    return export_weights("lora", model, adapted, out, write, overwrite, force)


# What is kept


def _check_budget(rank: float | None, size_mb: float | None) -> None:
    if rank is not None and size_mb is not None:
        raise ConfigError("lora: got a rank and a size, expected one of them")
    for name, value in (("rank", rank), ("size", size_mb)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigError(f"lora: {name}: got {value}, expected a number above 0")


def _check_layers(base: FileForm, layers: Mapping[str, SVFLayer]) -> None:
    heads = [
        path
        for path in layers
        if isinstance(base.layer(path), MultiLinear | QuantizedMultiLinear)
    ]
    if heads:
        raise ConfigError(
            f"lora: {heads[0]} and {len(heads) - 1} others have one matrix per attention head, "
            "to which mlx-lm adds no low-rank terms. Use full or fused"
        )


def _measure_lengths(
    model: SVFModel, adapted: Adapted, layers: Mapping[str, SVFLayer]
) -> _Lengths:
    of, costs = {}, {}
    for path, layer in layers.items():
        s = np.array(model.singular_values[path], dtype=np.float64)
        z = np.array(adapted.scales[path], dtype=np.float64)
        each = np.abs((z - 1) * s).reshape(-1, s.shape[-1])
        for index, lengths in enumerate(each):
            of[path, index], costs[path, index] = lengths, layer.out + layer.inner
    return _Lengths(of, costs)


def _count_numbers(
    base: FileForm, lengths: _Lengths, rank: float | None, size_mb: float | None
) -> float | None:
    """The budget, in numbers that are stored; None without one."""
    if rank is not None:
        return rank * sum(lengths.costs.values())
    if size_mb is None:
        return None
    paths = {path for path, _ in lengths.of}
    entry = max(base.dtype(path).size for path in paths)
    return (size_mb * 1e6 - 2 * HEADER * len(paths)) / entry


def _average(lengths: _Lengths, ranks: Ranks) -> float:
    """The rank that all matrices would have for the same size."""
    return ranks.numbers / sum(lengths.costs.values())


def _hint(lengths: _Lengths) -> str:
    """What would keep enough: SVF changes every singular value, so it takes a high rank."""
    needed = choose_ranks(lengths.of, lengths.costs, share=SHARE)
    return (
        f"Low-rank terms of an average rank of {math.ceil(_average(lengths, needed))} keep "
        f"{SHARE} of this change: raise --rank or --size, use full or fused"
    )


def _make_terms(base: FileForm, layers: Mapping[str, SVFLayer], ranks: Ranks) -> Terms:
    """(B, A) of every layer that keeps a term, in the dtype that the layer computes in."""
    terms: Terms = {}
    for path, layer in layers.items():
        counts = [ranks.of[path, index] for index in range(math.prod(layer.shape[:-1]))]
        if not any(counts):
            continue
        left, right = layer.factor_change()
        kept = [
            keep_longest(b, a, count)
            for b, a, count in zip(
                left.reshape(-1, *left.shape[-2:]),
                right.reshape(-1, *right.shape[-2:]),
                counts,
                strict=True,
            )
        ]
        most, dtype = max(counts), base.dtype(path)
        b = mx.stack([_pad(b, -1, most) for b, _ in kept]).astype(dtype)
        a = mx.stack([_pad(a, -2, most) for _, a in kept]).astype(dtype)
        is_stack = len(layer.shape) > 1
        terms[path] = (b, a) if is_stack else (b[0], a[0])
        mx.eval(terms[path])  # one layer at a time: bounds memory
    return terms


def _pad(array: mx.array, axis: int, length: int) -> mx.array:
    """The array with zeros up to `length` along one axis."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, length - array.shape[axis])
    return mx.pad(array, widths)


# Files


def _save(path: Path, tensors: Arrays) -> None:
    mx.save_safetensors(str(path), tensors, {"format": "pt"})


def _mlx_tensors(terms: Terms, rank: int) -> Arrays:
    tensors = {}
    for path, (b, a) in terms.items():
        b, a = _pad(b, -1, rank), _pad(a, -2, rank)
        is_stack = b.ndim > 2
        tensors[f"{path}.lora_a"] = a if is_stack else a.T
        tensors[f"{path}.lora_b"] = b if is_stack else b.T
    return tensors


def _mlx_config(model: SVFModel, terms: Terms, ranks: Ranks) -> dict[str, Any]:
    parameters = {"rank": ranks.largest, "scale": 1.0, "dropout": 0.0, "keys": list(terms)}
    return {
        "fine_tune_type": "lora",
        "model": model.source,
        "num_layers": -1,
        "lora_parameters": parameters,
    }


def _peft_tensors(terms: Terms, rank: int) -> Arrays:
    tensors = {}
    for path, (b, a) in terms.items():
        own = b.shape[-1]
        tensors[f"base_model.model.{path}.lora_A.weight"] = a
        scaled = (b.astype(mx.float32) * (own / rank)).astype(b.dtype)
        tensors[f"base_model.model.{path}.lora_B.weight"] = scaled
    return tensors


def _peft_config(model: SVFModel, terms: Terms, rank: int) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": ALIASES.get(model.source, model.source),
        "r": rank,
        "rank_pattern": {path: b.shape[-1] for path, (b, _) in terms.items()},
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "target_modules": list(terms),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
