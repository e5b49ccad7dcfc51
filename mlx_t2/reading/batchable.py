"""Which rows one forward pass may read together, architecture by architecture. Found by trying,
on the model itself; knows no randomness and no rewards.

Not every architecture of mlx-lm's is right in a batch. Where padding goes wrong, prompts of
equal length are read together; where that goes wrong too, each row is read alone.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import mlx_lm
from jaxtyping import Float
from mlx.utils import tree_flatten

from mlx_t2.errors import FileError, ModelError, ScoresError
from mlx_t2.files import write_whole
from mlx_t2.folders import cache_dir
from mlx_t2.models import SVFModel, explain_scores
from mlx_t2.svf import architecture

from .rows import prefill

Mode = Literal["padded", "equal", "single"]


@dataclass(frozen=True)
class Batching:
    """Which rows of an architecture may be read together."""

    mode: Mode
    """Rows of any length, rows of equal length, or one row."""
    why: str
    """Why not rows of any length, in one line; empty where they are."""


UNBATCHED = {
    **dict.fromkeys(
        (
            *("afm7", "bailing_moe_linear", "baichuan_m1", "jamba", "longcat_flash_ngram"),
            *("mamba", "minimax_m3_vl", "nemotron_h", "olmo_hybrid", "recurrent_gemma"),
            "rwkv7",
        ),
        "rows that a batch pads come out wrong",
    ),
    **dict.fromkeys(
        ("gemma2", "gpt_bigcode", "nemotron-nas"),
        "its attention or its caches take no padding",
    ),
}
"""mlx-lm's name of an architecture → what goes wrong in a batch of unequal rows in mlx-lm
0.32.2.
"""
_REMEDY = {
    "equal": "prompts of equal length are read together",
    "single": "one row is read at a time",
}


def batching(model: SVFModel) -> Batching:
    """What the model may read together, found once per model.

    By a table of what is known to go wrong, then by a test: two short prompts decoded and
    scored in one batch against each alone, under the base weights. The cache folder remembers
    what was found.
    """
    return model.once(_find)


def check_batchable(model: SVFModel) -> None:
    """Raise ModelError for an architecture whose rows cannot be of any length: where rows wear
    their own scales, or join and leave, nothing else will do.
    """
    if found := batching(model).why:
        name, why = architecture(model.network), found.partition(": ")[2].partition(";")[0]
        raise ModelError(f"{model.name}: mlx-lm cannot decode {name} in a batch: {why}")


def together(model: SVFModel, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Indices of the prompts that one batch may read, batch by batch.

    Raises: ModelError where rows wear their own scales and not all may be read together.
    """
    if model.has_rows:
        check_batchable(model)
        return [list(range(len(prompts)))]
    if len(prompts) == 1:
        return [[0]]
    keys = {
        "padded": lambda i: None,
        "equal": lambda i: len(prompts[i]),
        "single": lambda i: i,
    }
    key = keys[batching(model).mode]
    batches: dict[int | None, list[int]] = {}
    for i in range(len(prompts)):
        batches.setdefault(key(i), []).append(i)
    return list(batches.values())


def is_single(model: SVFModel) -> bool:
    """Every row is read alone."""
    return not model.has_rows and batching(model).mode == "single"


def findings_dir() -> Path:
    """Where it is remembered what models of one form may read together."""
    return cache_dir() / "batching"


def _find(model: SVFModel) -> Batching:
    """What was found for a model of this form before, or what is found now."""
    file = findings_dir() / f"{_form(model)}.json"
    with suppress(OSError, ValueError, TypeError):
        read = Batching(**json.loads(file.read_text(encoding="utf-8")))
        if read.mode in ("padded", "equal", "single") and isinstance(read.why, str):
            return read
    found = _try(model)
    with suppress(FileError):  # only time is lost
        write_whole(file, json.dumps(vars(found)))
    return found


def _form(model: SVFModel) -> str:
    """A hash over all that the test may depend on but the weights' values: code, settings,
    shapes and precision, and the versions and device that they run on.
    """
    network = model.network
    parameters: Any = tree_flatten(network.parameters())
    digest = hashlib.sha256()
    for part in (
        (type(network).__module__, type(network).__qualname__, _VERSION),
        (mlx_lm.__version__, version("mlx"), str(mx.default_device()), _TIGHT, _LOOSE),
        (UNBATCHED.get(architecture(network)), getattr(network, "args", None)),
        *((path, array.shape, array.dtype) for path, array in parameters),
    ):
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:32]


def _try(model: SVFModel) -> Batching:
    name = architecture(model.network)
    why = UNBATCHED.get(name) or _fault(model, _PADDED)
    if why is None:
        return Batching("padded", "")
    mode = "single" if _fault(model, _EQUAL) else "equal"
    return Batching(mode, f"{name}: {why} in mlx-lm {mlx_lm.__version__}; {_REMEDY[mode]}")


# The test

_PADDED = ([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [9, 5, 12, 7])
"""Longer than the windows of tiny test models, and much shorter."""
_EQUAL = (_PADDED[0], [9, 5, 12, 7, 7, 6, 14, 5, 10, 9, 4])
_NEXT = [8, 4]
"""Fed to every row, whatever it would draw."""
_VERSION = 1
"""To be raised when the test changes, which leaves old findings unused."""
_TIGHT, _LOOSE = 3e-3, 0.1
"""Largest gap that is rounding, as a share of the logits' spread: of float32, whose products a
GPU may round to 10 bits, and of half precision. Of mlx-lm 0.32.2's tiny models, the right ones
are apart by 1e-6 and 2e-2, the wrong ones by 7e-3 and more, most by 0.3.
"""

Prompts = tuple[list[int], list[int]]
Scores = Float[mx.array, "_ vocabulary"]
Way = tuple[list[int], list[list[int]], Scores]
"""A prompt, the chunks that were read behind it in a batch, and the scores after them."""


def _fault(model: SVFModel, prompts: Prompts) -> str | None:
    """What goes wrong where these two prompts are read together; None if nothing does.

    Each is decoded token by token, one of them leaving, and scored at once, as sampling and the
    gradient pass do; the scores are compared with those of each prompt alone, through mlx-lm's
    own caches.
    """
    try:
        gaps = [
            _gap(model, got, _alone(model, prompt, chunks))
            for way in (_decode, _force)
            for prompt, chunks, got in way(model, prompts)
        ]
    except ScoresError:
        raise
    except Exception:  # whatever mlx-lm or MLX says of a batch that it cannot take
        return "its attention or its caches take no such rows"
    rounding = _LOOSE if _is_half(model) else _TIGHT
    right = all(gap <= rounding for gap in gaps)  # NaN is not
    return None if right else "rows that a batch pads come out wrong"


def _decode(model: SVFModel, prompts: Prompts) -> list[Way]:
    """Token by token, as `sample` reads; the first row leaves after one."""
    rows = prefill(model, prompts)
    first = model.logits_at(mx.array(rows.last)[:, None], rows.caches, mx.arange(2))
    rows.take([1])
    second = model.logits_at(mx.array([_NEXT[:1]]), rows.caches, mx.arange(1))
    stayed = mx.concatenate([first[1:], second])
    return [
        (prompts[0], [prompts[0][-1:]], first[:1]),
        (prompts[1], [prompts[1][-1:], _NEXT[:1]], stayed),
    ]


def _force(model: SVFModel, prompts: Prompts) -> list[Way]:
    """At once, as `completion_logprobs` reads, the second row in two copies."""
    rows = prefill(model, prompts)
    rows.repeat([1, 2])
    chunks = [[last, *_NEXT] for last in rows.last]
    scores = model.logits_at(
        mx.array(chunks), rows.caches, mx.arange(sum(len(chunk) for chunk in chunks))
    )
    n = len(chunks[0])
    return [(prompts[0], chunks[:1], scores[:n]), (prompts[1], chunks[2:], scores[-n:])]


def _alone(model: SVFModel, prompt: list[int], chunks: list[list[int]]) -> Scores:
    """Scores after each token of the chunks, read one after the other behind all of the prompt
    but its last token. Through mlx-lm's own caches: some architectures' windows behave
    differently otherwise.
    """
    caches = model.new_cache()
    model.extend(mx.array([prompt[:-1]]), caches)
    return mx.concatenate(
        [model.logits_at(mx.array([c]), caches, mx.arange(len(c))) for c in chunks]
    )


def _gap(model: SVFModel, got: Scores, expected: Scores) -> float:
    """Root mean square of what differs, as a share of the expected spread over tokens."""
    if not mx.isfinite(expected).all():
        raise explain_scores(model, {})
    gap = mx.sqrt(mx.mean((got - expected) ** 2) / mx.mean(mx.var(expected, axis=-1)))
    return float(gap.item())  # pyright: ignore[reportArgumentType]  of float32


def _is_half(model: SVFModel) -> bool:
    parameters: Any = tree_flatten(model.network.parameters())
    return any(array.dtype in (mx.float16, mx.bfloat16) for _, array in parameters)
