"""An answer that ends a request early. It says no more than its status does."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not served."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status
