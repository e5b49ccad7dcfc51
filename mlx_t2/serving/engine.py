"""The half of a server that owns the model: one thread, and what others may ask of it. Knows no
HTTP.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

import mlx.core as mx

from mlx_t2.adaptation import Chosen, check_expert, match_experts, route_among
from mlx_t2.errors import ConfigError, FileError, T2Error
from mlx_t2.experts import Expert, Library, check_name
from mlx_t2.models import SVFModel, limited_memory
from mlx_t2.svf import ones

from .config import ServingConfig
from .order import Event, Order, Refused, ServedExpert
from .table import ExpertTable, Version
from .ticket import Ticket
from .worker import Worker

_log = logging.getLogger(__name__)
_BEAT_S = 0.5
"""How often an idle thread shows that it is alive [s]."""
_COMMANDS = 64
"""The most commands that are taken before the next token step."""
_GRACE_S = 5.0
"""How long `stop` waits for the step that is under way, beyond its time [s]."""

Command = Callable[[Worker], None]


class Engine:
    """A model and its experts, answering orders from any number of threads.

    One thread of its own reads and draws; all else is handed to it as commands that it takes
    between two token steps. It ends by `stop` alone. See `Backend` for what each method does.

        engine = Engine(model, experts)
        engine.submit(Order(messages=..., configs=(SamplingConfig(),)), print)
        engine.stop(within_s=10)
    """

    def __init__(
        self,
        model: SVFModel,
        experts: Mapping[str, Expert] | None = None,
        library: Library | None = None,
        config: ServingConfig | None = None,
        router: Path | None = None,
        allow_transfer: bool = False,
    ):
        """experts: by name, as the decomposed model wears them, see `prepare_every`.
        library: where more of them are found, and the router that `auto` asks.
        router: its file, in place of the library's.
        """
        self._model, self._config = model, config or ServingConfig()
        self._library, self._router = library or Library(), router
        self._allow_transfer = allow_transfer
        self._created = int(time.time())
        _compute_all(model)
        versions = {n: self._make_version(n, e) for n, e in (experts or {}).items()}
        self._table = self._make_table(versions)
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._worker = Worker(model, self._config, self._post)
        if self._worker.is_single:
            model.remark("mlx-lm cannot decode it in a batch: one answer is given at a time")
        self._lock = threading.Lock()
        self._submitted, self._pending, self._refused = 0, 0, 0
        self._is_draining = False
        self._ends_at: float | None = None
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="mlx_t2-engine", daemon=True)
        self._thread.start()
        atexit.register(self.stop, 0)  # MLX does not outlive the interpreter

    # What can be seen from outside

    @property
    def model_id(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def created(self) -> int:
        """Unix time of its start [s]."""
        return self._created

    @property
    def is_ready(self) -> bool:
        """The thread is alive and its last step is not long ago."""
        is_late = time.monotonic() - self._beat > self._config.step_limit_s
        return self._thread.is_alive() and not is_late

    @property
    def is_draining(self) -> bool:
        """No more orders are taken."""
        return self._is_draining

    def experts(self) -> Sequence[ServedExpert]:
        """Those that can be asked for, by name."""
        return [version.served for _, version in sorted(self._table.versions.items())]

    @property
    def has_auto(self) -> bool:
        """Whether `auto` can be asked for."""
        return self._table.auto is not None

    @property
    def may_think(self) -> bool:
        """The tokenizer or the chat template knows tags of thoughts."""
        return self._worker.may_think

    def counters(self) -> Mapping[str, float]:
        """Name → value; what only grows ends in `_total`."""
        worker = self._worker
        counts = {
            f"{name}_total": float(worker.counts[name])
            for name in (
                *("finished", "failed", "aborted", "prompt_tokens", "cached_tokens"),
                *("completion_tokens", "steps", "failed_steps"),
            )
        }
        return counts | {
            "refused_total": float(self._refused),
            "submitted_total": float(self._submitted),
            "prefill_seconds_total": worker.seconds["prefill"],
            "decode_seconds_total": worker.seconds["decode"],
            "rows_decoding": float(worker.rows),
            "prompts_reading": float(worker.reading),
            "queue_length": float(self._queue_length),
            "queue_limit": float(self._config.max_queue),
            "cache_bytes": float(worker.cache_bytes),
            "experts": float(len(self._table.versions)),
        }

    # Orders

    def submit(self, order: Order, listen: Callable[[Event], None]) -> int:
        """Take an order; returns its number."""
        with self._lock:
            if self._is_draining or not self._thread.is_alive():
                self._refused += 1
                raise Refused("draining", "the server is about to end and takes no more")
            if self._queue_length >= self._config.max_queue:
                self._refused += 1
                raise Refused(
                    "busy",
                    f"{self._queue_length} requests wait already, expected fewer than "
                    f"{self._config.max_queue}. Try again later",
                    self._foresee_wait(),
                )
            self._submitted += 1
            self._pending += 1
            ticket = Ticket(self._submitted, order, listen, self._table)
            # under the lock: whoever drains knows that all orders taken are in the queue
            self._commands.put(lambda worker: self._take(worker, ticket))
        return ticket.number

    def abort(self, number: int) -> None:
        """Give an order up: its rows leave between two steps."""
        self._commands.put(lambda worker: worker.abort(number))

    def drain(self) -> None:
        """Take no more orders; those taken are answered."""
        with self._lock:
            self._is_draining = True

    def stop(self, within_s: float) -> None:
        """End the thread: at once where nothing is left to answer, after this time anyway."""
        self.drain()
        self._ends_at = time.monotonic() + within_s
        self._commands.put(lambda worker: None)  # wakes it
        self._thread.join(within_s + _GRACE_S)
        atexit.unregister(self.stop)

    @property
    def _queue_length(self) -> int:
        return self._pending + self._worker.queued

    def _foresee_wait(self) -> float:
        """About how long until one of those that wait has been begun [s]."""
        ended = self._worker.counts["finished"] + self._worker.counts["failed"]
        seconds = sum(self._worker.seconds.values())
        return min(60.0, max(1.0, seconds / ended)) if ended else 1.0

    # Experts

    def change_experts(self, name: str, place: str | None) -> ServedExpert | None:
        """Add or replace an expert from a place, or remove it. No router is trained: `auto`
        goes on with those of the experts that the one in its file knows.
        """
        done: Future[ServedExpert | None] = Future()
        expert = None if place is None else self._read_expert(name, place)
        self._commands.put(lambda worker: _fulfil(done, lambda: self._change(name, expert)))
        while self._thread.is_alive():
            with suppress(TimeoutError):
                return done.result(_BEAT_S)
        raise ConfigError(f"expert {name!r}: the server has ended, expected one that runs")

    def _read_expert(self, name: str, place: str) -> Expert:
        check_name(name)
        return replace(self._library.find(place), name=name)

    def _change(self, name: str, expert: Expert | None) -> ServedExpert | None:
        """On the thread that owns the model."""
        versions = dict(self._table.versions)
        if expert is None:
            if versions.pop(name, None) is None:
                raise ConfigError(
                    f"expert {name!r}: unknown, expected one of: "
                    f"{', '.join(sorted(versions)) or '(there are none)'}"
                )
        else:
            check_expert(self._model, expert, self._allow_transfer)
            matched = match_experts(self._model, {name: expert}, None)
            if matched.recipe is not None:
                raise ConfigError(
                    f"expert {name!r}: it scales layers or singular values (targets "
                    f"{expert.targets!r}, rank {expert.rank or 'full'}) that the server was "
                    "not made ready for. Start the server with this expert in its library"
                )
            versions[name] = self._make_version(name, matched.experts[name])
        self._table = self._make_table(versions)
        return versions[name].served if expert is not None else None

    def _make_version(self, name: str, expert: Expert) -> Version:
        mx.eval(expert.scales)  # for the thread that wears them
        try:
            created = int(self._library.path_of(name).stat().st_mtime)
        except (T2Error, OSError):
            created = int(time.time())
        return Version.of(name, expert, created)

    def _make_table(self, versions: Mapping[str, Version]) -> ExpertTable:
        experts = {name: version.expert for name, version in versions.items()}
        try:
            auto = self._find_auto(experts)
        except (ConfigError, FileError, T2Error) as error:
            return ExpertTable(versions, None, " ".join(str(error).split()))
        return ExpertTable(versions, auto)

    def _find_auto(self, experts: Mapping[str, Expert]) -> Chosen:
        if not experts:
            raise ConfigError("the server has no expert, expected at least one to choose from")
        auto, _ = route_among(self._model, self._library, experts, self._router)
        return auto

    # The thread

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._worker.close()
            mx.clear_streams()  # a thread that leaves its own behind aborts the process at exit

    def _work(self) -> None:
        with limited_memory():
            while not self._is_over():
                self._beat = time.monotonic()
                self._take_commands()
                try:
                    self._worker.work()
                except Exception:  # a fault of ours: no order survives it, and the thread does
                    _log.exception("a round failed")
                    self._worker.fail_all("internal", "the server failed at it")

    def _is_over(self) -> bool:
        if self._ends_at is None:
            return False
        is_done = self._worker.is_idle and self._commands.empty()
        if not is_done and time.monotonic() >= self._ends_at:
            while not self._commands.empty():
                self._take_commands()
            self._worker.fail_all("draining", "the server ends before the answer does")
            is_done = True
        return is_done

    def _take_commands(self) -> None:
        """Take those that were given, up to one round's worth; where there is nothing else to
        do, wait for one.
        """
        wait = not self._worker.has_work
        for _ in range(_COMMANDS):
            try:
                command = self._commands.get(block=wait, timeout=_BEAT_S if wait else None)
            except Empty:
                return
            wait = False
            try:
                command(self._worker)
            except Exception:  # a fault of ours: the other commands are taken
                _log.exception("a command failed")

    def _post(self, act: Callable[[], None]) -> None:
        self._commands.put(lambda worker: act())

    def _take(self, worker: Worker, ticket: Ticket) -> None:
        with self._lock:
            self._pending -= 1
        worker.take(ticket)


def _fulfil(
    done: "Future[ServedExpert | None]", change: Callable[[], ServedExpert | None]
) -> None:
    try:
        done.set_result(change())
    except Exception as error:  # whoever asked for it gets it
        done.set_exception(error)


def _compute_all(model: SVFModel) -> None:
    """Compute whatever the model is still to be: what is lazy belongs to the thread that made
    it.
    """
    mx.eval(model.network.parameters())
    # of every layer: what follows passes by the experts that its tokens are not sent to
    mx.eval([layer.q.parts for layer in model.layers.values()])
    with model.using(ones(model.shapes)):
        mx.eval(model.logits_at(mx.array([[1, 1]]), None, mx.arange(2)))
