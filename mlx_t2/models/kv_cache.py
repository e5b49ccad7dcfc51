"""Key-value caches that belong to the scales that made them. Knows no model."""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from mlx_t2.svf import Scales, Shapes, take_rows


class OwnedCache(list[Any]):
    """One cache per layer, as mlx-lm wants them, and the scales under which they are filled.

    Keys and values are products of the weights: under other scales they would be a mixture of
    two models, and no number would look wrong. So a forward pass wears the scales of the cache
    it is given. Where that mixture is meant, since scales act on the answer alone, a cache that
    the base has filled is made to belong to them. The scales are held, not copied: whoever
    writes into an array of them in place is not noticed.
    """

    def __init__(self, caches: list[Any], scales: Scales, shapes: Shapes):
        super().__init__(caches)
        self.scales = scales
        self._shapes = shapes

    @property
    def has_rows(self) -> bool:
        """Each row of the batch belongs to scales of its own."""
        return any(z.ndim > len(self._shapes[path]) for path, z in self.scales.items())

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order, and their scales."""
        for cache in self:
            cache.filter(list(rows))
        self.regroup(rows)

    def regroup(self, rows: Sequence[int]) -> None:
        """The caches hold these rows now, in this order: so do the scales."""
        if self.has_rows:
            self.scales = take_rows(self.scales, self._shapes, mx.array(list(rows)))
