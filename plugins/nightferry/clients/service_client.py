"""The door to a running service: plain HTTP, as its users speak it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests

TIMEOUT = (3.0, 30.0)
"""Seconds to connect, and to wait for an answer."""
MOST_BYTES = 64 * 1024 * 1024
MOST_SECONDS = 60.0
"""Of one answer: an app may send one that never ends."""
PIECE = 64 * 1024
NOT_RECORDED = {"X-Serving-Record": "0"}
"""What is asked here is no user's: the stock service does not keep it among the requests of its users."""


class Unanswered(Exception):
    """No HTTP answer came; the text says why in a few words."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str

    def document(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    def said(self) -> str:
        """The answer in a few words: an error's own sentence, or the beginning of the text."""
        document = self.document()
        detail = document.get("detail") if isinstance(document, dict) else None
        line = " ".join(str(detail or self.text).split())
        return line[:200] + ("…" if len(line) > 200 else "")


class ServiceClient:
    """Talks to one address. A proxy of the environment is not asked: the service is in the cluster or beside us.

    Args:
        address: `http://…`.
        most_bytes: of one answer; a longer one is none.
        most_seconds: in which one answer has to come, and the wait for its beginning.
    """

    def __init__(self, address: str, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS) -> None:
        self.address = address.rstrip("/")
        self._most_bytes, self._most_seconds = most_bytes, most_seconds
        self._timeout = (min(TIMEOUT[0], most_seconds), min(TIMEOUT[1], most_seconds))
        self._opened: requests.Session | None = None

    def get(self, path: str) -> Answer:
        """GET a path. Raises Unanswered."""
        return self._request("GET", path, None, {})

    def post(self, path: str, document: object, content_type: str = "application/json") -> Answer:
        """POST a value as JSON. Raises Unanswered."""
        return self._request("POST", path, json.dumps(document).encode(), {"Content-Type": content_type})

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Ask anything. A redirect is the answer, and is not followed. Raises Unanswered."""
        return self._request(method.upper(), path, body, headers)

    def connect(self) -> None:
        """Open a connection, and close it. Raises Unanswered."""
        place = urlsplit(self.address)
        try:
            socket.create_connection((place.hostname or "", place.port or 80), TIMEOUT[0]).close()
        except TimeoutError as error:
            raise Unanswered("no answer in time") from error
        except OSError as error:
            raise Unanswered("the connection was refused or broken") from error

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        import requests
        import urllib3

        if self._opened is None:
            self._opened = requests.Session()
            self._opened.trust_env = False
            self._opened.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no request knows another
        url, named = self.address + path, {**NOT_RECORDED, **headers}
        try:
            with self._opened.request(
                method,
                url,
                data=body,
                headers=named,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return Answer(answer.status_code, self._content(answer).decode("utf-8", "replace"))
        except requests.Timeout as error:
            raise Unanswered("no answer in time") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            late = isinstance(error, urllib3.exceptions.TimeoutError)
            raise Unanswered("no answer in time" if late else "the connection was refused or broken") from error

    def _content(self, answer: requests.Response) -> bytes:
        content = bytearray()
        end = time.monotonic() + self._most_seconds
        for piece in _pieces(answer):
            content += piece
            if len(content) > self._most_bytes:
                raise Unanswered(f"the answer is longer than {self._most_bytes // 1024**2} MiB")
            if time.monotonic() > end:
                raise Unanswered(f"the answer did not end within {self._most_seconds:g} s")
        return bytes(content)


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """What has come, as soon as something has: to wait for a whole piece would be to wait for ever where one byte
    comes at a time."""
    read1 = getattr(answer.raw, "read1", None)
    if read1 is None:  # urllib3 before 2.2, which some laptops have
        yield from answer.iter_content(PIECE)
        return
    while piece := read1(PIECE, decode_content=True):
        yield piece
