"""Whether this service should get traffic: warm, and not on its way out."""

from __future__ import annotations

import mmap


class Lifecycle:
    """State of the service. `draining` is one byte of memory shared by the main process and its workers: the main
    process, which gets SIGTERM, sets it; a worker reads it in each request without a lock or a file. A second byte
    says whether a worker has told why the service cannot start, which the others need not tell again."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 2)
        self._warm = False

    @property
    def draining(self) -> bool:
        """SIGTERM has come: answer, but ask clients to go elsewhere."""
        return self._shared[0] != 0

    def drain(self) -> None:
        """Stop being ready, in every worker."""
        self._shared[0] = 1

    def first_to_fail(self) -> bool:
        """Whether no other worker has called this."""
        first = self._shared[1] == 0
        self._shared[1] = 1
        return first

    def warmed_up(self) -> None:
        """Record that the model has answered a real inference in this worker."""
        self._warm = True

    @property
    def ready(self) -> bool:
        """Warm and not draining."""
        return self._warm and not self.draining
