"""`t2 export`: an expert as a file or a folder to hand on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DEFAULT_MODEL, AllowTransfer, ExpertsFolder, Json, Mix, Model
from .render import emit, note, say, spinner
from .session import open_model, show_decomposition

if TYPE_CHECKING:
    from mlx_t2.adaptation import Preparation
    from mlx_t2.exporting import Export
    from mlx_t2.models import SVFModel

FUSED, LORA = "fused", "lora"
"""Groups of options in the help, and the form that each is for."""
READERS = {
    "fused": "mlx_lm.generate --model {out} --prompt …",
    "full": "mlx_lm.generate --model {model} --adapter-path {out} --prompt …",
    "lora": "mlx_lm.generate --model {model} --adapter-path {out} --prompt …",
}
"""How mlx-lm reads each form."""

ToForm = Annotated[
    str,
    typer.Option(
        "--to",
        help="safetensors: the expert's own file. fused: a whole model. full: mlx-lm's adapter "
        "with the changed weights. lora: an adapter for mlx-lm, PEFT and llama.cpp.",
    ),
]
Bits = Annotated[
    int | None,
    typer.Option(
        help="Bits of a changed weight: 32, 16 or 8; 16 by default.", rich_help_panel=FUSED
    ),
]
Dequantize = Annotated[
    bool,
    typer.Option("--dequantize", help="Leave no weight quantised.", rich_help_panel=FUSED),
]
AverageRank = Annotated[
    float | None,
    typer.Option(
        "--rank",
        help="Rank of a matrix on average; each gets the rank that serves best.",
        rich_help_panel=LORA,
    ),
]
Size = Annotated[
    float | None,
    typer.Option(
        help="Size of all terms [MB], in place of a rank; by default what keeps 98 %.",
        rich_help_panel=LORA,
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Write even what keeps too little of the expert.")
]


def export(
    out: Annotated[Path, typer.Option(help="File or folder to write.")],
    expert: Annotated[
        str | None, typer.Argument(help="An expert's name, or the path of a file.")
    ] = None,
    to: ToForm = "safetensors",
    mix: Mix = None,
    model: Model = DEFAULT_MODEL,
    experts: ExpertsFolder = None,
    allow_transfer: AllowTransfer = False,
    bits: Bits = None,
    dequantize: Dequantize = False,
    rank: AverageRank = None,
    size: Size = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another file or export.")] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write an expert or a mixture as a file or folder for others. Weights are read back and
    compared with the live expert before they count.
    """
    check_flags(to, expert, mix, {"--bits": bits, "--dequantize": dequantize or None}, FUSED)
    check_flags(to, expert, mix, {"--rank": rank, "--size": size}, LORA)
    if to == "safetensors":
        _write_file(expert, mix, model, experts, allow_transfer, out, overwrite, json)
        return
    from mlx_t2.exporting import check_bits, check_target, to_full, to_fused, to_lora

    check_bits(bits or 16, dequantize, force)
    overwrite = overwrite or _agrees_to_replace(out)
    check_target(out, overwrite)
    worn = open_model(model)
    prepared = _prepare(worn, expert, mix, experts, allow_transfer, 32 if bits == 32 else None)
    if prepared.total:
        show_decomposition(prepared.decompose(), prepared.total)
    for one in prepared.transferred:
        note(f"transfer: {one.name} was trained on {one.base_model}, not on {worn.name}")
    (adapted,) = prepared.strategy.adapt([[]])
    common: dict[str, Any] = {"overwrite": overwrite, "force": force}
    with spinner(f"writing {out} and comparing it"):
        if to == FUSED:
            widths = {"bits": bits or 16, "dequantize": dequantize}
            done = to_fused(worn, adapted, out, **widths, **common)
        elif to == LORA:
            done = to_lora(worn, adapted, out, rank=rank, size_mb=size, **common)
        else:
            done = to_full(worn, adapted, out, **common)
    if json:
        emit({"expert": expert or mix, **describe(done)})
    else:
        show(done, model)


def check_flags(
    to: str, expert: str | None, mix: str | None, flags: dict[str, Any], form: str
) -> None:
    """A usage error for an unknown form, no expert or two, and flags of another form."""
    from mlx_t2.exporting import FORMS

    if to not in FORMS:
        why = (
            ". Nobody but t2 can load matrices beside the weights, and t2 makes them of the "
            "expert's own file in seconds: hand on safetensors, or lora for other programs"
            if to == "beside"
            else ""
        )
        raise typer.BadParameter(f"--to: got {to!r}, expected {', '.join(FORMS)}{why}")
    if (expert is None) == (mix is None):
        raise typer.BadParameter("give an expert, or a mixture with --mix; one of the two")
    given = [flag for flag, value in flags.items() if value is not None]
    if given and to != form:
        raise typer.BadParameter(f"{given[0]}: is for --to {form}, got --to {to}")
    if len(given) > 1 and form == LORA:
        raise typer.BadParameter(f"{' and '.join(given)} exclude each other; give one")


def _write_file(
    expert: str | None,
    mix: str | None,
    model: str,
    experts: Path | None,
    allow_transfer: bool,
    out: Path,
    overwrite: bool,
    json: bool,
) -> None:
    """An expert's own file; a mixture becomes an expert of its own."""
    from mlx_t2.experts import open_library
    from mlx_t2.exporting import as_expert, to_safetensors

    if expert is not None:
        chosen = open_library(experts).find(expert)
    else:
        worn = open_model(model)
        prepared = _prepare(worn, expert, mix, experts, allow_transfer, None)
        (adapted,) = prepared.strategy.adapt([[]])
        assert prepared.recipe is not None  # a model that was just loaded is not decomposed
        name = out.stem if out.suffix == ".safetensors" else "mixture"
        chosen = as_expert(worn, adapted, prepared.recipe, name)
    path = to_safetensors(chosen, out, overwrite)
    if json:
        emit({"expert": expert or mix, "path": str(path), "bytes": path.stat().st_size})
    else:
        say(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def _prepare(
    worn: "SVFModel",
    expert: str | None,
    mix: str | None,
    experts: Path | None,
    allow_transfer: bool,
    basis_bits: int | None,
) -> "Preparation":
    from mlx_t2.adaptation import prepare_strategy
    from mlx_t2.experts import open_library, parse_mix

    library = open_library(experts)
    return prepare_strategy(
        worn,
        library,
        coefficients=library.parse(expert) if expert is not None else parse_mix(mix or ""),
        allow_transfer=allow_transfer,
        basis_bits=basis_bits,
    )


def _agrees_to_replace(out: Path) -> bool:
    """What a person at a terminal says of an export that is there; others are not asked."""
    from mlx_t2.exporting import is_export

    if not (sys.stdin.isatty() and is_export(out)):
        return False
    sys.stderr.write(f"{out}: an export is there. Replace it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def describe(done: "Export") -> dict[str, Any]:
    """The machine-readable result."""
    verified = done.verified
    return {
        "to": done.form,
        "path": str(done.path),
        "bytes": done.bytes,
        **done.details,
        "share": verified.weights.share,
        "correlation": verified.weights.correlation,
        "logit_share": verified.logits.share,
        "logit_correlation": verified.logits.correlation,
        "largest_logit_difference": verified.largest_gap,
        "largest_logit_change": verified.largest_change,
        "tokens": verified.tokens,
        "notes": list(done.notes),
    }


def show(done: "Export", model: str) -> None:
    """What was written, what it keeps of the expert, and how it is read."""
    verified = done.verified
    path, worst = verified.worst
    say(f"{done.path}: {done.bytes / 1e6:.1f} MB")
    if "average_rank" in done.details:
        say(
            f"rank      {done.details['average_rank']:.1f} on average, "
            f"{done.details['largest_rank']} at most"
        )
    say(
        f"weights   share {verified.weights.share:.3f} and correlation "
        f"{verified.weights.correlation:.4f} of the change (least: {worst.share:.3f}, "
        f"{worst.correlation:.4f} in {path})"
    )
    say(
        f"logits    share {verified.logits.share:.3f} and correlation "
        f"{verified.logits.correlation:.4f} of the change over {verified.tokens} tokens; "
        f"largest difference {verified.largest_gap:.2g}, the expert's own is "
        f"{verified.largest_change:.2g}"
    )
    for text in done.notes:
        note(text)
    note(READERS[done.form].format(out=done.path, model=_name_for_mlx_lm(model)))


def _name_for_mlx_lm(model: str) -> str:
    """What mlx-lm knows the model by: a hub id or a folder; it has no aliases."""
    from mlx_t2.models import find_folder, hub_id

    return hub_id(model) or str(find_folder(model))
