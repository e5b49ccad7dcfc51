"""`t2 decompose`: compute the bases of a model's weights, or say what that would take."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import DEFAULT_MODEL, BasisBits, Json, Rank, Targets
from .render import emit, facts, say, size, table
from .session import open_model, show_decomposition

if TYPE_CHECKING:
    from mlx_t2.models import SVFModel
    from mlx_t2.svf import Plan, Recipe


def decompose(
    model: Annotated[str, typer.Argument(help="Alias, folder or hub id.")] = DEFAULT_MODEL,
    targets: Targets = "mlp",
    rank: Rank = None,
    precision: Annotated[
        str, typer.Option(help="Eigenproblem in float64, or in float32 to save time.")
    ] = "float64",
    basis_bits: BasisBits = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it takes.")
    ] = False,
    json: Json = False,
) -> None:
    """Find the singular vectors of a model's weights; what is found stays in the cache.

    Weights are read from disk one after another, so a model may be larger than memory.
    """
    from mlx_t2.svf import PRECISIONS, Recipe

    if precision not in PRECISIONS:
        raise typer.BadParameter(
            f"--precision: got {precision!r}, expected one of {', '.join(PRECISIONS)}"
        )
    chosen: Any = precision
    recipe = Recipe(targets=targets, rank=rank, precision=chosen, bits=basis_bits)
    lazy = open_model(model, lazy=True)
    if dry_run:
        _show_plan(lazy, recipe, json)
        return
    total = len(lazy.find_targets(targets))
    reports = show_decomposition(lazy.precompute(recipe), total)
    cached = sum(report.cached for report in reports)
    result = {
        "weights": len(reports),
        "seconds": round(reports[-1].seconds, 3),
        "cached": cached,
        "bytes": sum(report.bytes for report in reports),
    }
    if json:
        emit(result)
    else:
        say(
            f"{model}: {result['weights']} weights in {result['seconds']:.1f} s "
            f"({cached} from the cache), bases of {result['bytes'] / 1e6:.0f} MB on disk"
        )


def _show_plan(model: "SVFModel", recipe: "Recipe", json: bool) -> None:
    from mlx_t2.svf import operations_per_second

    plan = model.plan(recipe)
    seconds = plan.operations / operations_per_second(recipe.precision)
    if json:
        emit(
            {
                "weights": len(plan.shapes),
                "targeted": {path: list(shape) for path, shape in plan.shapes.items()},
                "skipped": plan.survey.skipped,
                "fused": plan.survey.fused,
                "bytes": plan.basis_bytes,
                "expert_bytes": plan.expert_bytes,
                "peak_bytes": plan.peak_bytes,
                "seconds": round(seconds, 1),
            }
        )
        return
    table(
        f"{model.name}: would wear scales",
        ("layers", "number", "weight", "z", "note"),
        _describe_layers(plan),
    )
    table("would not", ("layers", "number", "why"), _count_alike(plan.survey.skipped))
    facts(
        "it takes",
        [
            ("time", f"about {seconds:.0f} s the first time, nothing from the cache"),
            ("memory meanwhile", f"up to {size(plan.peak_bytes)} beside the weights in use"),
            ("bases in memory", size(plan.basis_bytes)),
            ("an expert", size(plan.expert_bytes)),
        ],
    )


def _describe_layers(plan: "Plan") -> list[tuple[str, str, str, str, str]]:
    """(path, how many, weight, z, note) of the layers that would wear scales."""
    from mlx_t2.svf import weight_shape

    described = {
        path: (
            " × ".join(map(str, weight_shape(layer))),
            " × ".join(map(str, plan.shapes[path])),
            f"one basis over {plan.survey.fused[path]}" if path in plan.survey.fused else "",
        )
        for path, layer in plan.survey.targeted.items()
    }
    return [(path, count, *texts) for path, count, texts in _count_alike(described)]


def _count_alike(described: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """(path with its numbers as *, how many, description) of layers that are alike."""
    counts: dict[tuple[str, Any], int] = {}
    for path, description in described.items():
        pattern = re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path), description
        counts[pattern] = counts.get(pattern, 0) + 1
    return [(path, f"× {count}", text) for (path, text), count in counts.items()]
