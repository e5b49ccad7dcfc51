"""Several machines as one: work split over the ranks of MLX's launcher, results made one again.

On one machine everything here is the identity. The protocol is MLX's own; ours is only which
rank does what. Knows no training.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import mlx.core as mx
import numpy as np

from mlx_t2.errors import T2Error
from mlx_t2.svf import Scales

T = TypeVar("T")
_KEPT = "every finished step is kept on rank 0: go on with --resume"


class Ranks:
    """This process among those that `mlx.launch` started."""

    def __init__(self):
        self._group = mx.distributed.init()
        self.size = self._group.size()
        self.rank = self._group.rank()

    @property
    def is_first(self) -> bool:
        """The one that writes files."""
        return self.rank == 0

    def mine(self, items: Sequence[T]) -> list[T]:
        """Every `size`-th item, beginning with the one numbered as this rank."""
        return list(items[self.rank :: self.size])

    def together(self, work: Callable[[], T]) -> T:
        """What `work` returns; where it fails on any rank it raises on all, so that none waits
        for ever.
        """
        failure, result = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        failed = self._sum(mx.array([failure is not None], dtype=mx.int32)).item()
        if failure is not None:
            raise failure
        if failed:
            raise T2Error(
                f"rank {self.rank}: {failed} of {self.size} ranks failed and say why; {_KEPT}"
            )
        return result  # pyright: ignore[reportReturnType]  set, since nothing failed

    def sum(self, arrays: Scales) -> Scales:
        """{name: float32 array} → the sum over all ranks, in one message."""
        if self.size == 1:
            return arrays
        whole = self._sum(mx.concatenate([a.reshape(-1) for a in arrays.values()]))
        summed, start = {}, 0
        for name, array in arrays.items():
            summed[name] = whole[start : start + array.size].reshape(array.shape)
            start += array.size
        return summed

    def gather(self, mine: Sequence[Any]) -> list[Any]:
        """JSON values of `mine(items)` → those of all items, in order."""
        if self.size == 1:
            return list(mine)
        parts = self._everybody(list(mine))
        total = sum(map(len, parts))
        return [parts[i % self.size][i // self.size] for i in range(total)]

    def gather_all(self, value: Any) -> list[Any]:
        """Every rank's JSON value."""
        return [value] if self.size == 1 else self._everybody(value)

    def share(self, value: T) -> T:
        """Rank 0's JSON value, on every rank."""
        return value if self.size == 1 else self._everybody(value)[0]

    def broadcast(self, data: bytes) -> bytes:
        """Rank 0's bytes, on every rank."""
        return data if self.size == 1 else self._all(data)[0]

    def _everybody(self, value: Any) -> list[Any]:
        return [json.loads(part) for part in self._all(json.dumps(value).encode())]

    def _all(self, data: bytes) -> list[bytes]:
        """Every rank's bytes, which may differ in number."""
        lengths: Any = self._told(mx.distributed.all_gather, mx.array([len(data)])).tolist()
        padded = np.frombuffer(data.ljust(max(lengths)), dtype=np.uint8)
        whole = np.array(self._told(mx.distributed.all_gather, mx.array(padded)[None]))
        return [row[:n].tobytes() for row, n in zip(whole, lengths, strict=True)]

    def _sum(self, array: mx.array) -> mx.array:
        return array if self.size == 1 else self._told(mx.distributed.all_sum, array)

    def _told(self, exchange: Callable[..., mx.array], array: mx.array) -> mx.array:
        """What all ranks make of it together; T2Error where one of them is gone."""
        try:
            result = exchange(array, stream=mx.cpu)
            mx.eval(result)
        except RuntimeError as error:
            raise T2Error(
                f"rank {self.rank}: another rank is gone ({error}); {_KEPT}"
            ) from error
        return result
