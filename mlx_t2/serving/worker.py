"""What the generation thread does between two token steps, and in them. Knows no threads and no
HTTP: one call of `work` is one round.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from mlx_t2.adaptation import naming_experts
from mlx_t2.errors import ScoresError, T2Error
from mlx_t2.models import SVFModel, explain_scores
from mlx_t2.reading import PASS, PromptCache, batching
from mlx_t2.sampling import Row, row_keys

from .admission import Admission
from .batch import Batch
from .config import ServingConfig
from .order import Event, Failed, FailureKind, Piece, Refused, ServedRoute, Started
from .prompts import PromptReader, encode_prompt
from .table import Mixtures, UnknownExpertError
from .text import AnswerText
from .ticket import ReadPrompt, Ticket, TicketRow
from .token_text import TokenTexts

_log = logging.getLogger(__name__)
_TRIES = 3
"""Steps that may fail one after another with a row in them before the row is given up."""
_LEAST_CHUNK = 64
"""Fewer tokens at once take hardly less time."""
_IDLE = 4
"""How many times as much is read at once while nobody waits for it."""


@dataclass(eq=False)
class _Job:
    """A prompt that is being read."""

    pieces: Generator[int, None, Any]
    left: int
    """Tokens, about."""
    ticket: Ticket
    again: TicketRow | None = None
    """The row that is read again after a failed step; else the order's prompt is read."""


class Worker:
    """The model's side of a server: orders in, events out."""

    def __init__(self, model: SVFModel, config: ServingConfig):
        self._model, self._config = model, config
        self.is_single = batching(model).mode != "padded"
        self._batch = Batch(model, config.max_rows, self.is_single)
        self._cache = PromptCache(model, config.cache_bytes)
        self._texts = TokenTexts(model.tokenizer)
        most = 1 if self.is_single else config.max_rows
        self._admission = Admission(model, config, most, self._texts.longest)
        self._reader = PromptReader(
            *(model, self._cache, self._texts, lambda: max(1, self._quota)),
            self._admission.fit,
        )
        self._mixtures = Mixtures()
        self._waiting: deque[Ticket] = deque()
        self._reading: list[_Job] = []
        self._decoding: dict[Row, TicketRow] = {}
        self._open: dict[int, Ticket] = {}
        self._quota, self._seconds_per_token, self._rounds = config.chunk_tokens, 0.0, 0
        self._rows_made = 0
        self.counts: Counter[str] = Counter()
        self.seconds = {"prefill": 0.0, "decode": 0.0}

    # What others see

    @property
    def is_idle(self) -> bool:
        """Nothing is left to answer."""
        return not self._open

    @property
    def queued(self) -> int:
        """Orders that have not been begun."""
        return len(self._waiting)

    @property
    def rows(self) -> int:
        """Completions that are decoded."""
        return len(self._decoding)

    @property
    def reading(self) -> int:
        """Prompts that are being read."""
        return len(self._reading)

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
            try:
                ticket.prompt = encode_prompt(self._model, ticket, ticket.wanted)
            except T2Error as error:
                raise Refused("template", str(error)) from error
            self._admission.fit(ticket)
            self._waiting.append(ticket)

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
        """Admit, read at most one chunk of prompts, decode one token for every row."""
        self._admit()
        self._read()
        self._decode()
        self._relieve()
        if not self._decoding:
            self._batch.prune()

    def _admit(self) -> None:
        while self._waiting and self._admission.has_room(self._waiting[0], self._begun()):
            ticket = self._waiting.popleft()
            job = _Job(self._reader.read(ticket), len(ticket.prompt), ticket)
            self._reading.append(job)

    def _begun(self) -> list[Ticket]:
        begun = [job.ticket for job in self._reading]
        begun += [answer.ticket for answer in self._decoding.values()]
        return list({id(ticket): ticket for ticket in begun}.values())

    # Reading

    def _read(self) -> None:
        """Pieces of prompts, up to one chunk together."""
        self._quota = chunk = self._chunk()
        while self._reading and self._quota >= max(1, chunk // 4):
            self._rounds += 1
            oldest = self._reading[0]
            job = oldest if self._rounds % 2 else min(self._reading, key=lambda job: job.left)
            started, asked = time.perf_counter(), self._quota
            count = 0
            with _Failing(self, job.ticket):
                try:
                    count = next(job.pieces)
                    job.left -= count
                except StopIteration as done:
                    self._reading.remove(job)
                    self._end_reading(job, done.value)
            if job.ticket.is_over and job in self._reading:
                self._reading.remove(job)
            self._note_pace(count, time.perf_counter() - started)
            self._quota = asked - count

    def _chunk(self) -> int:
        """How much to read in this round [tokens]."""
        times = 1 if self._batch.count or len(self._reading) > 1 else _IDLE
        most = times * self._config.chunk_tokens
        if not self._seconds_per_token:
            return most
        foreseen = int(times * self._config.wait_s / self._seconds_per_token) - PASS
        return min(most, max(_LEAST_CHUNK, foreseen))

    def _note_pace(self, count: int, seconds: float) -> None:
        self.seconds["prefill"] += seconds
        if count:
            pace, known = seconds / (count + PASS), self._seconds_per_token
            self._seconds_per_token = pace if not known else 0.7 * known + 0.3 * pace

    def _end_reading(self, job: _Job, found: Any) -> None:
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
        self._tell(ticket, Started(route, len(read.tokens), read.cached, read.echoed))
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
            self._reading.append(_Job(pieces, left, answer.ticket, answer))

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
        self._reading = [job for job in self._reading if job.ticket is not ticket]


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
