"""Workers that run programs beside whatever else is being done: one per core."""

import os
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from mlx_t2.errors import SandboxError

from .probe import GOOD, sandbox_level
from .program import Level, Outcome, Program
from .worker import ServerLost, Worker


class Pending:
    """Programs that are running, or will be."""

    def __init__(self, futures: Sequence[Future[Outcome]]):
        self._futures = futures

    def results(self) -> list[Outcome]:
        """Wait for all outcomes, in the order of the programs.

        Raises: SandboxError where the machine, not a program, is at fault: no verdict.
        """
        return [future.result() for future in self._futures]


class Pool:
    """Workers of one level, each driven by a thread of ours that ends with us.

    The threads are daemons: an interrupted run does not wait for programs. The workers see
    their input end and end too, even where we are killed.
    """

    def __init__(self, level: Level, workers: int):
        self.level: Level = level
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()
        self._workers = [Worker(level) for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    def start(self, programs: Sequence[Program]) -> Pending:
        """Hand programs to the workers and return at once."""
        futures: list[Future[Outcome]] = [Future() for _ in programs]
        for job in zip(programs, futures, strict=True):
            self._jobs.put(job)
        return Pending(futures)

    def close(self) -> None:
        """End the workers once they are done."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, worker: Worker) -> None:
        while job := self._jobs.get():
            program, future = job
            try:
                future.set_result(_judge(worker, program))
            except BaseException as error:
                future.set_exception(error)
        worker.close()


def _judge(worker: Worker, program: Program) -> Outcome:
    """Run a program; where the server is lost with it, find out whose fault that is.

    A program that loses two servers, while a good one between loses none, did it itself.
    """
    fault = ""
    for _ in range(2):
        try:
            return worker.run(program)
        except ServerLost as error:
            fault = str(error)
        try:
            worker.run(GOOD)
        except ServerLost as error:
            raise SandboxError(
                f"sandbox: a server at level {worker.level!r} was lost ({error}), expected the "
                "value of a program known to be good. Is memory short?"
            ) from error
    return Outcome((), f"ended what runs it ({fault})", False, worker.level)


_pools: dict[tuple[Level, int], Pool] = {}
_lock = threading.Lock()
_everywhere = threading.Event()
"""Set where programs may run at level `limits`, whoever runs them."""


def allow_limits_everywhere() -> None:
    """From now on this process runs programs also where nothing but limits holds them."""
    _everywhere.set()


def level_used() -> Level | None:
    """The level at which this process has run programs; None where it has run none."""
    return next((level for level, process in _pools if process == os.getpid()), None)


def start_programs(programs: Sequence[Program], *, allow_limits: bool = False) -> Pending:
    """Run programs beside what the caller does next.

    allow_limits: run them also where nothing but limits holds them.
    Raises: SandboxError where that is so and not allowed.
    """
    if not programs:
        return Pending([])
    level = sandbox_level()
    if level == "limits" and not (allow_limits or _everywhere.is_set()):
        raise SandboxError(
            "sandbox: got level 'limits', where a program can reach files and the network, "
            "expected a better one: see `t2 doctor`, or pass --allow-unsandboxed"
        )
    with _lock:
        pool = _pools.get((level, os.getpid()))  # a fork of ours has no threads
        if pool is None:
            pool = _pools[level, os.getpid()] = Pool(level, os.cpu_count() or 1)
    return pool.start(programs)


def run_programs(programs: Sequence[Program], *, allow_limits: bool = False) -> list[Outcome]:
    """The outcomes of programs, in order.

    Raises: SandboxError where the machine, not a program, is at fault: no verdict.
    """
    return start_programs(programs, allow_limits=allow_limits).results()


def run_tests(
    source: str,
    tests: str,
    *,
    cpu_s: float = 2,
    wall_s: float = 10,
    memory_mb: int = 1024,
    allow_limits: bool = False,
) -> Outcome:
    """Run trusted tests against a program: without a fault, all of them ran through.

    The tests run in a process of their own and call the program over a pipe, so that it finds
    neither what they expect nor a way to change them. Arguments and values are copied; objects
    of the program's classes stay with it.

    Raises: SandboxError where the machine, not the program, is at fault: no verdict.
    """
    program = Program(source, (), cpu_s, wall_s, memory_mb, tests)
    return run_programs([program], allow_limits=allow_limits)[0]
