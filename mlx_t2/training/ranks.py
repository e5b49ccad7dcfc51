"""Several machines as one: work split over the ranks of MLX's launcher, results made one again.

On one machine everything here is the identity. The protocol is MLX's own; ours is only which
rank does what. Knows no training.
"""

import json
from collections.abc import Callable, Generator, Sequence
from typing import Any, ParamSpec, TypeVar

import mlx.core as mx
import numpy as np

from mlx_t2.errors import TrainingError
from mlx_t2.svf import Arrays

T = TypeVar("T")
E = TypeVar("E")
P = ParamSpec("P")
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

    # Who works

    def mine(self, items: Sequence[T]) -> list[T]:
        """Every `size`-th item, beginning with the one numbered as this rank."""
        return list(items[self.rank :: self.size])

    def on_all(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns here. All ranks call this alike; where `work` fails on any, it
        raises on all, so that none waits for ever.
        """
        failure, result = None, None
        try:
            result = work(*args, **kwargs)
        except Exception as error:
            failure = error
        self._agree(failure)
        return result  # pyright: ignore[reportReturnType]  set, since nothing failed

    def watch_on_all(self, work: Generator[E, None, T]) -> Generator[E, None, T]:
        """`on_all` for work that yields where it is, which each rank hears of its own."""
        failure, result = None, None
        try:
            result = yield from work
        except Exception as error:
            failure = error
        self._agree(failure)
        return result  # pyright: ignore[reportReturnType]  set, since nothing failed

    def _agree(self, failure: Exception | None) -> None:
        """Raise on all ranks where one of them failed."""
        failed = self._sum(mx.array([failure is not None], dtype=mx.int32)).item()
        if failure is not None:
            raise failure
        if failed:
            raise TrainingError(
                f"rank {self.rank}: {failed} of {self.size} ranks failed and say why; {_KEPT}"
            )

    def on_first(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Let rank 0 alone work; what it returns, there. Where it fails, all raise."""
        return self.on_all(lambda: work(*args, **kwargs) if self.is_first else None)

    def from_first(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The JSON value that `work` returns on rank 0, on every rank."""
        result: Any = self.on_first(work, *args, **kwargs)
        return result if self.size == 1 else self._gather_json(result)[0]

    # What they found

    def sum(self, arrays: Arrays) -> Arrays:
        """{name: float32 array} → the sum over all ranks, in one message."""
        if self.size == 1:
            return arrays
        whole = self._sum(mx.concatenate([a.reshape(-1) for a in arrays.values()]))
        summed, start = {}, 0
        for name, array in arrays.items():
            summed[name] = whole[start : start + array.size].reshape(array.shape)
            start += array.size
        return summed

    def total(self, number: float) -> float:
        """The sum of a number over all ranks."""
        return sum(self.gather_all(number))

    def gather(self, mine: Sequence[Any]) -> list[Any]:
        """JSON values of `mine(items)` → those of all items, in order."""
        if self.size == 1:
            return list(mine)
        parts = self._gather_json(list(mine))
        count = sum(map(len, parts))
        return [parts[i % self.size][i // self.size] for i in range(count)]

    def gather_all(self, value: Any) -> list[Any]:
        """Every rank's JSON value."""
        return [value] if self.size == 1 else self._gather_json(value)

    def broadcast(self, data: bytes) -> bytes:
        """Rank 0's bytes, on every rank."""
        return data if self.size == 1 else self._gather_bytes(data)[0]

    def _gather_json(self, value: Any) -> list[Any]:
        return [json.loads(part) for part in self._gather_bytes(json.dumps(value).encode())]

    def _gather_bytes(self, data: bytes) -> list[bytes]:
        """Every rank's bytes, which may differ in number."""
        gather = mx.distributed.all_gather
        lengths: Any = self._exchange(gather, mx.array([len(data)])).tolist()
        padded = np.frombuffer(data.ljust(max(lengths)), dtype=np.uint8)
        whole = np.array(self._exchange(gather, mx.array(padded)[None]))
        return [row[:n].tobytes() for row, n in zip(whole, lengths, strict=True)]

    def _sum(self, array: mx.array) -> mx.array:
        return array if self.size == 1 else self._exchange(mx.distributed.all_sum, array)

    def _exchange(self, operation: Callable[..., mx.array], array: mx.array) -> mx.array:
        """The operation over all ranks; TrainingError where one of them is gone."""
        try:
            result = operation(array, stream=mx.cpu)
            mx.eval(result)
        except RuntimeError as error:
            raise TrainingError(
                f"rank {self.rank}: another rank is gone ({error}); {_KEPT}"
            ) from error
        return result
