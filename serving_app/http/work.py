"""Threads that compute answers, and the queue in front of them: bounded by the time a request would wait in it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from serving_app.http.answer import Answer
from serving_app.http.connection import Connection
from serving_app.http.head import Head

SMOOTH = 0.2
"""Weight of the newest request in the mean time that one takes."""
ADMITTED = 0.5
"""Part of the longest wait that a new request may expect: what is let in is then rarely too late."""


class Job:
    """One request on its way through a thread."""

    __slots__ = ("answer", "arrived", "body", "connection", "cpu_seconds", "head", "left", "request_id", "started")

    def __init__(self, connection: Connection, head: Head, body: bytes, request_id: str, arrived: float) -> None:
        self.connection = connection
        self.head = head
        self.body = body
        self.request_id = request_id
        self.arrived = arrived
        self.started = 0.0
        self.cpu_seconds = 0.0
        """Time that computing took of the thread itself: a busy machine does not make a request slow."""
        self.answer: Answer | None = None
        """None: it waited too long, or its client left, and nothing was computed."""
        self.left = False


class Work:
    """A queue and its threads.

    Args:
        name: of the threads.
        threads: how many.
        max_wait: seconds; a request that would wait longer is refused at once, and one that did is not computed.
        compute: gives the answer; must not raise.
        done: is told of each finished job, in the thread that computed it.
        ended_is_left: whether a client that has closed its sending side while it waits counts as gone.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        max_wait: float,
        compute: Callable[[Job], Answer],
        done: Callable[[Job], None],
        *,
        ended_is_left: bool,
    ) -> None:
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._threads = threads
        self._max_wait = max_wait
        self._compute = compute
        self._done = done
        self._ended_is_left = ended_is_left
        self._cost = 0.0
        self.unfinished = 0
        """Jobs that wait or run; the loop alone counts."""
        for i in range(threads):
            threading.Thread(target=self._run, name=f"{name}-{i}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return self._queue.qsize()

    @property
    def expected_wait(self) -> float:
        """Seconds until a thread would be free for one more job."""
        ahead = self.unfinished + 1 - self._threads
        return max(0, ahead) * self._cost / self._threads

    def submit(self, job: Job) -> bool:
        """Queue a job; False if it would wait too long."""
        if self.expected_wait > ADMITTED * self._max_wait:
            return False
        self.unfinished += 1
        self._queue.put(job)
        return True

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            job.started = time.perf_counter()
            job.left = job.connection.gone or (self._ended_is_left and job.connection.ended)
            if not job.left and job.started - job.arrived <= self._max_wait:
                cpu = time.thread_time()
                job.answer = self._compute(job)
                job.cpu_seconds = time.thread_time() - cpu
                self._cost += SMOOTH * (time.perf_counter() - job.started - self._cost)
            self._done(job)
