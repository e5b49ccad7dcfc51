"""Rows of a card's table: accuracy without and with the expert, and how sure that is. Knows the
expert's own record and pairs of evaluations; knows no files and no models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mlx_t2.errors import ConfigError
from mlx_t2.evaluation import GradedItem, clustered_wilson, compare, wilson
from mlx_t2.experts import Expert, records_of

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """The base model and the expert on the same problems of one task."""

    task: str
    split: str
    n: int | None
    """Problems; None where it is not known."""
    before: float
    after: float
    before_interval: Interval | None
    """Wilson, 95 %."""
    after_interval: Interval | None
    p: float | None
    """McNemar's exact test, paired; None where only shares are known."""


def measured_by_training(expert: Expert) -> tuple[Measured, ...]:
    """The record in the expert's own file: shares, so no pairs and no p."""
    return tuple(
        Measured(
            expert.task,
            record.split,
            record.n,
            record.before,
            record.after,
            *(
                wilson(round(share * record.n), record.n) if record.n else None
                for share in (record.before, record.after)
            ),
            p=None,
        )
        for record in records_of(expert)
    )


def measure_pair(
    expert: Expert, before: Sequence[GradedItem], after: Sequence[GradedItem]
) -> Measured:
    """Answers of the base model and of the expert to the same problems, paired.

    Raises: ConfigError for answers of other models, of no one expert, or to other problems.
    """
    for which, items, wears in (("before", before, False), ("after", after, True)):
        models = {item.model for item in items}
        if models != {expert.base_model}:
            raise ConfigError(
                f"answers {which}: got those of {', '.join(sorted(models))}, expected those of "
                f"{expert.base_model}, the expert's model"
            )
        if any(bool(item.coefficients) != wears for item in items):
            expected = "an expert" if wears else "the base model alone"
            raise ConfigError(f"answers {which}: expected answers of {expected}")
    found = compare(before, after)
    return Measured(
        task=after[0].task,
        split=after[0].split,
        n=found.n,
        before=found.before,
        after=found.after,
        before_interval=_interval(before),
        after_interval=_interval(after),
        p=found.paired.p,
    )


def _interval(items: Sequence[GradedItem]) -> Interval:
    return clustered_wilson([item.is_right for item in items], [item.group for item in items])
