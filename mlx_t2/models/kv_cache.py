"""Key-value caches that belong to the scales that made them. Knows no model."""

from typing import Any

import mlx.core as mx

from mlx_t2.errors import ModelError
from mlx_t2.svf import Scales, Shapes, same, take_rows


class OwnedCache(list[Any]):
    """One cache a layer, as mlx-lm wants them, and the scales under which they are filled.

    Keys and values are products of the weights: under other scales they would be a mixture of
    two models, and no number would look wrong. The scales are held, not copied: whoever writes
    into an array of them in place is not noticed.
    """

    def __init__(self, caches: list[Any], scales: Scales, shapes: Shapes):
        super().__init__(caches)
        self.scales = scales
        self._shapes = shapes

    def take(self, rows: mx.array) -> None:
        """Keep these rows, in this order, and their scales."""
        for cache in self:
            cache.filter(rows)
        self.regroup(rows)

    def regroup(self, rows: mx.array) -> None:
        """The caches hold these rows now, in this order: so do the scales."""
        self.scales = take_rows(self.scales, self._shapes, rows)

    def check(self, worn: Scales) -> None:
        """Raise ModelError under other scales than its own."""
        if not same(self.scales, worn):
            raise ModelError(
                f"key-value cache: it was filled under scales on {len(self.scales)} layers, "
                f"and others (on {len(worn)} layers) are worn now, expected the same. Read the "
                "prompt again under the scales that are to answer it"
            )
