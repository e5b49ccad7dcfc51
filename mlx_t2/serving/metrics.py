"""Counts of requests, as Prometheus reads them.

Twenty lines of text, so no library. Everything is counted on the thread that answers HTTP;
tokens and rows are the model's half's, which is asked for them. Knows no endpoints.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

PREFIX = "mlx_t2_"
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class Histogram:
    """How often a value was at most each of some bounds."""

    def __init__(self, bounds: Sequence[float]):
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def note(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterator[str]:
        """As text, cumulative."""
        yield f"# TYPE {name} histogram"
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """What has been asked and answered since the start."""

    def __init__(self):
        self._requests: Counter[tuple[str, int]] = Counter()
        self._events: Counter[str] = Counter()
        self._durations = Histogram(_SECONDS)
        self.in_flight = 0

    def begin(self) -> float:
        """A request has arrived; returns when, for `end`."""
        self.in_flight += 1
        return time.perf_counter()

    def end(self, endpoint: str, status: int, began: float) -> float:
        """It has been answered; how long that took [s].

        endpoint: one of a few, or the list would be as long as what strangers ask for.
        """
        self.in_flight -= 1
        seconds = time.perf_counter() - began
        self._requests[endpoint, status] += 1
        self._durations.note(seconds)
        return seconds

    def count(self, name: str) -> None:
        """One more of something that happened."""
        self._events[name] += 1

    def write(self, counters: Mapping[str, float], is_ready: bool) -> str:
        """All of it as text.

        counters: of the model's half.
        """
        return "\n".join([*self._lines(counters, is_ready), ""])

    def _lines(self, counters: Mapping[str, float], is_ready: bool) -> Iterator[str]:
        name = f"{PREFIX}http_requests_total"
        yield f"# TYPE {name} counter"
        for (endpoint, status), count in sorted(self._requests.items()):
            yield f'{name}{{endpoint="{endpoint}",status="{status}"}} {count}'
        yield from self._durations.lines(f"{PREFIX}http_request_seconds")
        own = {f"http_{name}": count for name, count in self._events.items()}
        ready = {"http_in_flight": self.in_flight, "ready": int(is_ready)}
        for name, value in sorted({**own, **ready, **counters}.items()):
            kind = "counter" if name.endswith("_total") else "gauge"
            yield f"# TYPE {PREFIX}{name} {kind}"
            yield f"{PREFIX}{name} {value:.12g}"
