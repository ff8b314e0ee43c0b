"""What every answer says to browsers: not to guess its type, and pages of which origins may read it (CORS)."""

from __future__ import annotations

import re
from collections.abc import Sequence

ANY = "*"
ORIGIN = re.compile(r"https?://([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""As browsers write it: lower case, no path, and no port where it is the scheme's own."""
READABLE = "X-Request-Id, Retry-After, traceparent, Inference-Header-Content-Length"
"""Headers of answers that a page may see beside those that it always may."""
NOSNIFF = ("X-Content-Type-Options", "nosniff")

Headers = list[tuple[str, str]]


class Browsers:
    """The headers that go with every answer, refusals too.

    Args:
        origins: those whose pages may read answers; `("*",)`: all; empty: none but the service's own.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)
        self._plain = _lines(self.headers(None))

    def allows(self, origin: str | None) -> bool:
        """Return whether a page of this origin may read answers."""
        return origin is not None and (origin in self._origins or ANY in self._origins)

    def headers(self, origin: str | None) -> Headers:
        """Return the headers of an answer to a request of this origin; None: of a request that names none."""
        headers = [NOSNIFF]
        if not self._origins:
            return headers
        if ANY in self._origins:
            headers.append(("Access-Control-Allow-Origin", ANY))
        else:
            headers.append(("Vary", "Origin"))
            if origin in self._origins:
                headers.append(("Access-Control-Allow-Origin", str(origin)))
        if ANY in self._origins or origin in self._origins:
            headers.append(("Access-Control-Expose-Headers", READABLE))
        return headers

    def lines(self, origin: str | None) -> bytes:
        """Return the same as header lines, each with its end."""
        return self._plain if origin is None or not self._origins else _lines(self.headers(origin))


def _lines(headers: Headers) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")
