"""Who computes a request, and when: the loop itself, together with others, or a thread after a wait.

A thread costs more than a small model does (two switches of the interpreter's lock and two wake-ups), so a request is
answered in the loop as long as requests are quick. The first one that is not sends its successors to the threads, until
several in a row were quick there: so the loop stays free for probes, for refusals, and for everybody's bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque

from serving_app.errors import RequestError
from serving_app.http.answer import Answer, refusal
from serving_app.http.answering import Answering
from serving_app.http.connection import Connection
from serving_app.http.front import Front
from serving_app.http.head import Head
from serving_app.http.room import too_many
from serving_app.http.work import Job, Work
from serving_app.runtime.metrics import Row
from serving_app.runtime.trace import request_id
from serving_app.service import Call
from serving_app.settings import Settings

QUICK_SECONDS = 0.001
"""A prediction that takes longer, twice, sends the next ones to the threads. What is answered in the loop waits in the
kernel, where no deadline holds: a thousand connections would wait a thousand times this…"""
SLOW_SECONDS = 0.05
"""…as one that takes this does by itself…"""
QUICK_AGAIN = 8
"""…until so many in a row were quick."""
QUICK_BYTES = 64 * 1024
TOGETHER = 16
"""Requests that share one inference at most: past that the saving is small, and the first one waits."""
PAGE_THREADS = 2
"""For everything but predictions, so that a probe never waits for a model."""


PROBES = frozenset(("/livez", "/readyz", "/v2/health/live", "/v2/health/ready"))
STATUS = frozenset(("/metrics", "/recorded"))
"""What users do not get where there is a port of its own for it."""
LEFT = "it was closed for sending while the request waited; keep it open until the answer has come"


class Dispatcher:
    """Decides. Only the loop's thread may call it.

    Args:
        quick: whether the model's first inferences were.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        front: Front,
        config: Settings,
        row: Row,
        answering: Answering,
        *,
        quick: bool,
    ) -> None:
        self._loop = loop
        self._front = front
        self._config = config
        self._row = row
        self._answering = answering
        self._slow = 0 if quick else QUICK_AGAIN
        self._doubt = False
        """The last one was slow; the next one's CPU time tells whether the machine had something else to do."""
        self._together: list[tuple[Connection, Head, str, float, Call]] = []
        self._again: list[Connection] = []
        """Connections that were answered and have sent more meanwhile."""
        self._turning = False
        """`_turn` is about to be called."""
        self._most = TOGETHER if front.batches else 1
        self._done: deque[Job] = deque()
        wait = config.queue_seconds
        self._model = Work("model", config.model_workers, wait, self._compute, self._finished, ended_is_left=True)
        self._pages = Work("page", PAGE_THREADS, wait, self._page, self._finished, ended_is_left=False)

    @property
    def waiting(self) -> int:
        """Requests that no thread has taken yet."""
        return self._model.waiting + self._pages.waiting

    @property
    def places(self) -> int:
        """How many predictions are computed at once: by the loop, or by the threads."""
        return self._config.model_workers if self._slow else 1

    def request(self, connection: Connection, head: Head, body: bytes) -> None:
        """Take a whole request."""
        if connection.surplus and head.path not in PROBES:
            connection.refuse(too_many())
            return
        started = time.perf_counter()
        given = head.fields.get(b"x-request-id")
        name = request_id(given.decode("latin-1") if given else None)
        self._row.in_flight(1)
        if self._config.status_port and not _is_for(head.path, status=connection.status):
            answer = refusal(RequestError(404, "path", "nothing is here"))
            self._answering.answer(connection, head, name, answer, time.perf_counter() - started)
            return
        quick = self._front.quick(head)
        cpu = time.thread_time() if self._doubt else None
        call = None
        if quick is not None and not self._slow and len(body) <= QUICK_BYTES:
            call = self._front.read_quickly(quick, body, name)
        if call is not None:
            taken = time.perf_counter() - started
            self._row.worked(taken)
            if taken > QUICK_SECONDS:
                self._was_slow(taken, cpu)
            if isinstance(call, Answer):
                self._answering.answer(connection, head, name, call, taken)
                return
            self._together.append((connection, head, name, started, call))
            if len(self._together) >= self._most:
                self._compute_together()
            else:
                self._turn_soon()
            return
        work = self._model if quick is not None or self._front.predicts(head) else self._pages
        if not work.submit(Job(connection, head, body, name, started)):
            answer = _busy(work.expected_wait)
            self._row.refused("queue")
            self._answering.answer(connection, head, name, answer, time.perf_counter() - started)

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Answer the quick requests that came in this turn of the loop, and go on to those that stand behind them."""
        self._turning = False
        if self._together:
            self._compute_together()
        again, self._again = self._again, []
        for connection in again:
            connection.go_on()

    def _was_slow(self, seconds: float, cpu: float | None, requests: int = 1) -> None:
        """Send the next requests to the threads, unless it was the machine that had something else to do: that is
        seen from the CPU time, which costs a system call and is asked for only where there is doubt."""
        if seconds > SLOW_SECONDS or (cpu is not None and time.thread_time() - cpu > QUICK_SECONDS * requests):
            self._slow = QUICK_AGAIN
        self._doubt = True

    def _compute_together(self) -> None:
        waiting, self._together = self._together, []
        cpu = time.thread_time() if self._doubt else None
        start = time.perf_counter()
        answers = self._front.compute([(call, name) for _, _, name, _, call in waiting])
        now = time.perf_counter()
        self._row.worked(now - start)
        if now - start > QUICK_SECONDS * len(waiting):
            self._was_slow(now - start, cpu, len(waiting))
        else:
            self._doubt = False
        for (connection, head, name, started, _), answer in zip(waiting, answers, strict=True):
            self._answer(connection, head, name, answer, now - started)

    def _answer(self, connection: Connection, head: Head, name: str, answer: Answer, seconds: float) -> None:
        self._answering.answer(connection, head, name, answer, seconds)
        if connection.more or connection.ended:
            self._again.append(connection)
            self._turn_soon()

    def _compute(self, job: Job) -> Answer:
        quick = self._front.quick(job.head)
        if quick is None:
            return self._page(job)
        return self._front.predict(quick, job.body, job.request_id)

    def _page(self, job: Job) -> Answer:
        return self._front.flask(job.head, job.body, job.request_id, job.connection.address)

    def _finish(self, job: Job) -> None:
        now = time.perf_counter()
        model = self._front.predicts(job.head)
        work = self._model if model else self._pages
        work.unfinished -= 1
        if model:
            self._row.waited(job.started - job.arrived)
            if job.answer is not None:
                self._row.worked(now - job.started)
            if job.cpu_seconds > QUICK_SECONDS:
                self._slow = QUICK_AGAIN
            elif self._slow and job.answer is not None:
                self._slow -= 1
        answer = job.answer
        if job.left:
            self._row.refused("left")
            answer = refusal(RequestError(400, "connection", LEFT))
        elif answer is None:
            self._row.refused("late")
            answer = _busy(work.expected_wait)
        self._answer(job.connection, job.head, job.request_id, answer, now - job.arrived)

    def _collect(self) -> None:
        """Send what the threads have finished."""
        while self._done:
            self._finish(self._done.popleft())

    def _finished(self, job: Job) -> None:
        self._done.append(job)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(self._collect)


def _is_for(path: str, *, status: bool) -> bool:
    """Whether a path is answered on this port, where there are two."""
    return path in STATUS or path in PROBES if status else path not in STATUS


def _busy(wait: float) -> Answer:
    return refusal(RequestError(503, "request", "this service is busy; try again"), retry_seconds=max(1, round(wait)))
