"""The door to a running service: plain HTTP, as its users speak it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

TIMEOUT = (3.0, 30.0)
"""Seconds to connect, and to wait for an answer."""


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
        except ValueError:
            return None

    def said(self) -> str:
        """The answer in a few words: an error's own sentence, or the beginning of the text."""
        document = self.document()
        detail = document.get("detail") if isinstance(document, dict) else None
        line = " ".join(str(detail or self.text).split())
        return line[:200] + ("…" if len(line) > 200 else "")


class ServiceClient:
    """Talks to one address. A proxy of the environment is not asked: the service is in the cluster or beside us."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._opened: requests.Session | None = None

    def get(self, path: str) -> Answer:
        """GET a path. Raises Unanswered."""
        return self._request("GET", path, None, None)

    def post(self, path: str, document: object, content_type: str = "application/json") -> Answer:
        """POST a value as JSON. Raises Unanswered."""
        return self._request("POST", path, json.dumps(document).encode(), content_type)

    def _request(self, method: str, path: str, body: bytes | None, content_type: str | None) -> Answer:
        import requests

        if self._opened is None:
            self._opened = requests.Session()
            self._opened.trust_env = False
        headers = {"Content-Type": content_type} if content_type else {}
        try:
            answer = self._opened.request(
                method, self.address + path, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
            return Answer(answer.status_code, answer.content.decode("utf-8", "replace"))
        except requests.Timeout as error:
            raise Unanswered("no answer in time") from error
        except requests.RequestException as error:
            raise Unanswered("the connection was refused or broken") from error
