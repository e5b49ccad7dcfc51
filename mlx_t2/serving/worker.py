"""What the generation thread does between two token steps, and in them. Knows no threads and no
HTTP: one call of `work` is one round.
"""

import logging
import time
from collections import Counter, deque
from dataclasses import replace
from typing import Any

from mlx_t2.adaptation import naming_experts
from mlx_t2.errors import ScoresError, T2Error
from mlx_t2.models import SVFModel, explain_scores
from mlx_t2.reading import PromptCache, batching
from mlx_t2.sampling import Row, row_keys

from .admission import Admission
from .batch import Batch
from .config import ServingConfig
from .encoder import Encoder, Post
from .order import Event, Failed, FailureKind, Piece, Refused, ServedRoute, Started
from .prompts import PromptReader
from .schedule import Job, Schedule
from .table import Mixtures, UnknownExpertError
from .text import AnswerText
from .ticket import ReadPrompt, Ticket, TicketRow
from .token_text import TokenTexts

_log = logging.getLogger(__name__)
_TRIES = 3
"""Steps that may fail one after another with a row in them before the row is given up."""


class Worker:
    """The model's side of a server: orders in, events out."""

    def __init__(self, model: SVFModel, config: ServingConfig, post: Post):
        """post: has something done between two rounds; to be called from any thread."""
        self._model, self._config = model, config
        self.is_single = batching(model).mode != "padded"
        self._batch = Batch(model, config.max_rows, self.is_single)
        self._cache = PromptCache(model, config.cache_bytes)
        self._texts = TokenTexts(model.tokenizer)
        most = 1 if self.is_single else config.max_rows
        self._admission = Admission(model, config, most, self._texts.longest)
        self._encoder = Encoder(model, post)
        self._schedule = Schedule(config)
        self._reader = PromptReader(
            *(model, self._cache, self._texts, lambda: self._schedule.piece),
            *(self._admission.fit, self._encoder.lock),
        )
        self._mixtures = Mixtures()
        self._waiting: deque[Ticket] = deque()
        self._decoding: dict[Row, TicketRow] = {}
        self._open: dict[int, Ticket] = {}
        self._rows_made = 0
        self.counts: Counter[str] = Counter()
        self.seconds = {"prefill": 0.0, "decode": 0.0}

    # What others see

    @property
    def may_think(self) -> bool:
        """Whether answers may begin with thoughts."""
        return self._texts.tags is not None

    @property
    def is_idle(self) -> bool:
        """Nothing is left to answer."""
        return not self._open

    @property
    def has_work(self) -> bool:
        """A round does something, before any other command is given."""
        return bool(self._waiting or self._schedule.jobs or self._decoding)

    @property
    def queued(self) -> int:
        """Orders that have not been begun."""
        return len(self._waiting) + self._encoder.pending

    @property
    def rows(self) -> int:
        """Completions that are decoded."""
        return len(self._decoding)

    @property
    def reading(self) -> int:
        """Prompts that are being read."""
        return len(self._schedule.jobs)

    @property
    def cache_bytes(self) -> int:
        """The size of the prompts that are kept."""
        return self._cache.nbytes

    # Commands, between two rounds

    def take(self, ticket: Ticket) -> None:
        """Look at an order; it waits, or fails at once."""
        self._open[ticket.number] = ticket
        with _Failing(self, ticket):
            self._admission.check_length(ticket)
            ticket.wanted = ticket.table.find(ticket.order.wear, self._mixtures)
            self._encoder.encode(ticket, self._queue)

    def _queue(self, ticket: Ticket, prompt: list[int] | Exception) -> None:
        """Let an order wait whose tokens are known; it fails where they are not."""
        with _Failing(self, ticket):
            if isinstance(prompt, Exception):
                raise prompt
            ticket.prompt = prompt
            self._admission.fit(ticket)
            self._waiting.append(ticket)

    def close(self) -> None:
        """Leave no thread behind."""
        self._encoder.close()

    def abort(self, number: int) -> None:
        """Give an order up, wherever it is."""
        if (ticket := self._open.get(number)) is not None:
            self._close(ticket, "aborted")
            self._batch.prune()

    def fail_all(self, kind: FailureKind, message: str) -> None:
        """End every order."""
        for ticket in list(self._open.values()):
            self.fail(ticket, kind, message)
        self._batch.prune()

    def fail(self, ticket: Ticket, kind: FailureKind, message: str) -> None:
        """End an order without an answer."""
        if not ticket.is_over:
            self._close(ticket, "failed")
            self._tell(ticket, Failed(kind, message))

    # A round

    def work(self) -> None:
        """Admit, read one round of prompts, decode one token for every row."""
        self._admit()
        self._read()
        self._decode()
        self._relieve()
        if not self._decoding:
            self._batch.prune()

    def _admit(self) -> None:
        while self._waiting and self._admission.has_room(self._waiting[0], self._begun()):
            ticket = self._waiting.popleft()
            left = self._reader.count_unread(ticket)
            self._schedule.jobs.append(Job(self._reader.read(ticket), left, ticket))

    def _begun(self) -> list[Ticket]:
        begun = [job.ticket for job in self._schedule.jobs]
        begun += [answer.ticket for answer in self._decoding.values()]
        return list({id(ticket): ticket for ticket in begun}.values())

    # Reading

    def _read(self) -> None:
        """One round of pieces of prompts."""
        self._schedule.begin_round(is_waited_for=self._batch.count > 0)
        while (job := self._schedule.choose()) is not None:
            started, count = time.perf_counter(), 0
            with _Failing(self, job.ticket):
                count = self._read_piece(job)
            if job.ticket.is_over:
                self._forget_reading(job.ticket)
            seconds = time.perf_counter() - started
            self.seconds["prefill"] += seconds
            self._schedule.note(job, count, seconds)

    def _read_piece(self, job: Job) -> int:
        """The tokens that were read; where none are left, the prompt's answers are begun."""
        count = 0
        try:
            while not count or not job.left:
                read, job.left = next(job.pieces)
                count += read
        except StopIteration as done:
            self._schedule.jobs.remove(job)
            self._end_reading(job, done.value)
        return count

    def _forget_reading(self, ticket: Ticket) -> None:
        jobs = self._schedule.jobs
        jobs[:] = [job for job in jobs if job.ticket is not ticket]

    def _end_reading(self, job: Job, found: Any) -> None:
        if job.again is None:
            self._begin_answers(job.ticket, found)
            return
        row = job.again.row
        last = row.tokens[-1] if row.tokens else job.ticket.prompt[-1]
        if self._batch.try_alone(row, found, last):
            self._deliver(job.again)

    def _begin_answers(self, ticket: Ticket, read: ReadPrompt) -> None:
        ticket.prompt = read.tokens
        self.counts["prompt_tokens"] += len(read.tokens)
        self.counts["cached_tokens"] += read.cached
        adapted = read.worn.adapted
        route = ServedRoute(
            read.worn.strategy,
            dict(adapted.coefficients),
            adapted.label,
            None if adapted.label is None else adapted.scores.get(adapted.label),
            read.first_pass_ms,
        )
        tags = self._texts.find_tags(read.tokens) if ticket.order.messages else None
        self._tell(ticket, Started(route, len(read.tokens), read.cached, read.echoed, tags))
        if not ticket.max_tokens:
            for index in range(ticket.count):
                self._tell(ticket, Piece(index, "", finish_reason="length"))
            self._close(ticket, "finished")
        if ticket.is_over:  # nobody listens any longer
            return
        for index, config in enumerate(ticket.order.configs):
            (key,) = row_keys(config.seed, [(0, 0)])
            row = Row(
                self._rows_made,
                key,
                replace(config, max_tokens=ticket.max_tokens),
                adapted.scales,
                acts_on=adapted.acts_on,
                scored=ticket.order.top_logprobs,
            )
            self._rows_made += 1
            text = AnswerText(self._model.decode, ticket.order.stop)
            answer = TicketRow(ticket, index, row, text, read.worn)
            ticket.answers.append(answer)
            self._decoding[row] = answer
        self._batch.add([a.row for a in ticket.answers], read.caches, read.tokens[-1])

    # Decoding

    def _decode(self) -> None:
        if not self._decoding:
            return
        started = time.perf_counter()
        try:
            got = self._batch.step()
        except Exception as error:  # of MLX, of an architecture, for want of memory
            self._recover(error)
            return
        self.counts["steps"] += 1
        self.seconds["decode"] += time.perf_counter() - started
        for row in got:
            if (answer := self._decoding.get(row)) is not None:
                answer.failures = 0
                with _Failing(self, answer.ticket):
                    self._deliver(answer)

    def _recover(self, error: Exception) -> None:
        """After a failed step: whatever caches hold is in doubt, so every row is read again
        from its tokens, and tried alone. One that fails again fails, and no other.
        """
        _log.error("a step failed with %d rows", self.rows, exc_info=error)
        self.counts["failed_steps"] += 1
        self._cache.clear()
        for row in self._batch.start_again():
            if (answer := self._decoding.get(row)) is None:
                continue  # its order has ended with the row before it
            answer.failures += 1
            if answer.failures >= _TRIES:
                self.fail(answer.ticket, "internal", _describe(error))
                continue
            pieces = self._reader.read_again(answer.ticket.prompt, row)
            left = len(answer.ticket.prompt) + len(row.tokens)
            self._schedule.jobs.append(Job(pieces, left, answer.ticket, answer))

    def _deliver(self, answer: TicketRow) -> None:
        """The row's next token, as text, to whoever listens."""
        row, ticket, text = answer.row, answer.ticket, answer.text
        if row.finish_reason == "scores":
            self._fail_scores(answer)
            return
        self.counts["completion_tokens"] += 1
        said, scores = "", []
        if row.finish_reason != "stop":
            score = None if row.scored is None else self._describe_last(row)
            said, scores = text.take(row.tokens[-1], score)
        reason = "stop" if text.is_stopped else row.finish_reason
        if reason is not None:
            self._end(answer, reason, said, scores)
        elif said or scores:
            self._tell(ticket, Piece(answer.index, said, tuple(scores), len(row.tokens)))

    def _end(self, answer: TicketRow, reason: str, said: str = "", scores: Any = ()) -> None:
        """The last piece of a completion."""
        row, ticket = answer.row, answer.ticket
        rest, more = answer.text.finish()
        if answer.text.is_stopped:
            reason = "stop"
        self._remember(answer)
        row.finish_reason = reason
        del self._decoding[row]
        is_last = not any(one.row in self._decoding for one in ticket.answers)
        finish = "stop" if reason == "stop" else "length"
        piece = Piece(answer.index, said + rest, (*scores, *more), len(row.tokens), finish)
        self._tell(ticket, piece)
        if is_last:
            self._close(ticket, "finished")

    def _remember(self, answer: TicketRow) -> None:
        """Keep what one set of scales has read of prompt and answer."""
        row, prompt = answer.row, answer.ticket.prompt
        if row.scales and row.acts_on == "answer":
            return
        tokens = [*prompt, *row.tokens[:-1]]
        with _Failing(self, None):
            if (caches := self._batch.extract(row, len(tokens))) is not None:
                self._cache.put(answer.worn.key, tokens, caches)

    def _describe_last(self, row: Row) -> Any:
        return self._texts.describe(row.tokens[-1], row.scores[-1])

    def _fail_scores(self, answer: TicketRow) -> None:
        try:
            with naming_experts(answer.worn.adapted):
                raise explain_scores(self._model, answer.row.scales)
        except ScoresError as error:
            self.fail(answer.ticket, "internal", str(error))

    def _relieve(self) -> None:
        """End the longest answer that has no limit of its own where keys and values take more
        than they may.
        """
        if not self._decoding:
            return
        longest = max(map(_length, self._decoding.values()))
        if self._admission.holds(len(self._decoding), longest):
            return
        free = [a for a in self._decoding.values() if a.ticket.order.max_tokens is None]
        if free:
            self._end(max(free, key=_length), "length")

    # Ends

    def _tell(self, ticket: Ticket, event: Event) -> None:
        if ticket.is_over and not isinstance(event, Failed):
            return
        try:
            ticket.listen(event)
        except Exception:  # whatever listens is not ours, and others are answered too
            _log.exception("order %d: its listener failed", ticket.number)
            if not ticket.is_over:
                self._close(ticket, "aborted")

    def _close(self, ticket: Ticket, outcome: str) -> None:
        """Nothing more is done for an order."""
        if ticket.is_over:
            return
        ticket.is_over = True
        del self._open[ticket.number]
        self.counts[outcome] += 1
        for answer in ticket.answers:
            if self._decoding.pop(answer.row, None) is not None:
                answer.row.finish_reason = "removed"
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        self._forget_reading(ticket)


class _Failing:
    """Inside the block, whatever goes wrong ends the order, and nothing else."""

    def __init__(self, worker: Worker, ticket: Ticket | None):
        self._worker, self._ticket = worker, ticket

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Exception):
            return False
        if self._ticket is None:
            _log.error("what was read is not kept", exc_info=error)
            return True
        if not isinstance(error, T2Error):
            _log.error("order %d failed", self._ticket.number, exc_info=error)
        self._worker.fail(self._ticket, _kind_of(error), _describe(error))
        return True


def _kind_of(error: Exception) -> FailureKind:
    if isinstance(error, Refused):
        return error.kind
    if isinstance(error, UnknownExpertError):
        return "unknown_expert"
    if isinstance(error, T2Error) and not isinstance(error, ScoresError):
        return "invalid"
    return "internal"


def _describe(error: Exception) -> str:
    """One line for whoever sent the order."""
    if isinstance(error, T2Error):
        return " ".join(str(error).split())
    return f"the server failed at it ({type(error).__name__})"


def _length(answer: TicketRow) -> int:
    return len(answer.ticket.prompt) + len(answer.row.tokens)
