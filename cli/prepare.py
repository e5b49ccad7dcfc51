"""`t2 decompose`: compute the bases of a model's weights, once."""

from typing import Annotated

import typer

from .options import DEFAULT_MODEL, Json, Rank, Targets
from .render import emit, say
from .session import decomposed, opened


def decompose(
    model: Annotated[str, typer.Argument(help="Alias, folder or hub id.")] = DEFAULT_MODEL,
    targets: Targets = "mlp",
    rank: Rank = None,
    json: Json = False,
) -> None:
    """Find the singular vectors of a model's weights; what is found stays in the cache."""
    reports = decomposed(opened(model), targets, rank)
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
            f"({cached} from the cache), bases of {result['bytes'] / 1e6:.0f} MB"
        )
