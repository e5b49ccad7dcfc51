"""`mlx_t2/models/MODELS.md`: which architectures wear scales, written from the code's own
tables.

Knows names and reasons; loads no model.
"""

from mlx_t2.reading import UNBATCHED
from mlx_t2.svf import REFUSED, UNTRAINABLE

from .architectures import EQUAL_LENGTHS, KINDS, SINGLE_ROWS, UNTRIED
from .page import PACKAGE, Page, join_table

MODELS = Page("models.md", PACKAGE / "models" / "MODELS.md")


def render_models() -> str:
    """The page as it should be today."""
    kinds = {kind: sorted(names.split(), key=str.lower) for kind, names in KINDS.items()}
    return MODELS.fill(
        count=str(sum(map(len, kinds.values()))),
        kinds=join_table(
            ("kind", "mlx-lm's names"),
            [(f"{kind} ({len(names)})", ", ".join(names)) for kind, names in kinds.items()],
        ),
        exceptions=join_table(("architecture", "exception", "why"), _exceptions()),
    )


def _exceptions() -> list[tuple[str, str, str]]:
    tables = (
        ("refused", REFUSED),
        ("can be worn, cannot be trained", UNTRAINABLE),
        (
            "only prompts of equal length share a batch",
            {name: UNBATCHED[name] for name in EQUAL_LENGTHS.split()},
        ),
        ("one row at a time", SINGLE_ROWS),
        ("not tried", UNTRIED),
    )
    return [
        (name, what, reasons[name])
        for what, reasons in tables
        for name in sorted(reasons, key=str.lower)
    ]
