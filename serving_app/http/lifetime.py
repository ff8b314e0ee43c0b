"""How long a connection is kept, so that its user follows a release.

A Kubernetes Service chooses a pod for each connection, once: a kept one stays with the release before for as long as
that is kept warm. So an answer on a connection that is old enough says `Connection: close`, and the client's next one
reaches what is in use now. A connection without a request is not closed for its age: its client may be sending one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving_app.http.connection import Connection

JITTER = 0.25
"""Part of the age, at most, by which a connection ends earlier: clients that came together do not all come back
together."""
BEHIND_SECONDS = 5.0
"""Requests that have already come behind the one that is answered are answered too, for so long. A client that never
stops sending without waiting for answers must send those that got none again, as RFC 9112, 9.3.2 asks of it."""


def last_moment(opened: float, age: float, chance: float) -> float:
    """Return when the answers of a connection begin to say that it ends; never, if `age` is 0.

    Args:
        opened: when it was taken, in seconds of the server's clock.
        age: seconds that it is kept at most.
        chance: from 0 to 1, another for each connection.
    """
    return opened + age * (1 - JITTER * chance) if age else math.inf


def is_over(connection: Connection, now: float) -> bool:
    """Whether the answer that is sent now is the connection's last."""
    return now >= connection.until and (not connection.more or now >= connection.until + BEHIND_SECONDS)
