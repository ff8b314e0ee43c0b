"""HTTP with one MLflow server: its REST documents, and its artifacts as streams."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from nightferry.clients.mlflow.errors import Refusal, refusal_of
from nightferry.clients.mlflow.login import Login, check_secure
from nightferry.clients.registry.auth import is_loopback
from nightferry.clients.versions.writing import Sink

if TYPE_CHECKING:
    import requests

TIMEOUT = (5.0, 60.0)
"""Seconds to connect, and to wait for the next bytes."""
UPLOAD_TIMEOUT = (5.0, 600.0)
"""The server answers an upload when it has put the whole file where it keeps it."""
PIECE = 1024 * 1024
"""Bytes that are received at once."""
TRIES = 4
"""How often in a row a connection may fail without a byte having come."""
PAUSE = 2.0
"""Seconds between those tries."""
_API = "/api/2.0/mlflow/"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


class MlflowServer:
    """One server. Opened at the first request; nothing but its own address ever gets the login.

    All calls raise `Refusal` and requests' exceptions: `mlflow_errors` is put around them.
    """

    def __init__(self, url: str, login: Login | None = None) -> None:
        """Raises Permanent (setting_invalid): the login would go over a network in the clear."""
        self._login = login or Login()
        check_secure(url, self._login)
        self._url = url.rstrip("/")
        self.host = urlsplit(url).netloc
        self._opened: requests.Session | None = None

    def get(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Read a document."""
        return self._document("GET", path, params=dict(query))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create or search."""
        return self._document("POST", path, json=dict(body))

    def delete(self, path: str, body: Mapping[str, Any]) -> None:
        """Remove."""
        self._document("DELETE", path, json=dict(body))

    def artifacts(self, folder: str) -> dict[str, int | None]:
        """What a folder of artifacts holds: name -> bytes; None: it is a folder itself. Nothing where it is missing."""
        answer = self._send("GET", self._url + _ARTIFACTS, params={"path": folder})
        # A length of 0 is left out.
        return {
            file["path"]: None if file.get("is_dir") else int(file.get("file_size", 0))
            for file in _json(answer).get("files", [])
        }

    def download(self, path: str, sink: Sink) -> None:
        """Hand an artifact's bytes to `sink`, in order; goes on where a broken connection stopped. Whoever reads
        compares the sha256: MLflow has no condition for it."""
        import requests

        offset, tries = 0, TRIES
        while True:
            try:
                for piece in self._pieces(path, offset):
                    sink(piece)
                    offset, tries = offset + len(piece), TRIES
                return
            except requests.RequestException:
                tries -= 1
                if tries == 0:
                    raise
                time.sleep(PAUSE)

    def upload(self, path: str, body: Any) -> None:
        """Put an artifact in its place; `body` has a length and is read a piece at a time."""
        answer = self._send("PUT", self._artifact(path), data=body, timeout=UPLOAD_TIMEOUT)
        if answer.status_code != 200:
            raise refusal_of(answer)

    def _pieces(self, path: str, offset: int) -> Any:
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
        with self._send("GET", self._artifact(path), headers=headers, stream=True) as answer:
            if answer.status_code not in (200, 206):
                raise refusal_of(answer)
            skip = offset if answer.status_code == 200 else 0  # a server that knows no ranges begins anew
            for piece in answer.iter_content(PIECE):
                if skip < len(piece):
                    yield piece[skip:]
                skip = max(0, skip - len(piece))

    def _artifact(self, path: str) -> str:
        return f"{self._url}{_ARTIFACTS}/{quote(path)}"

    def _document(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        return _json(self._send(method, self._url + _API + path, **given))

    def _send(
        self, method: str, address: str, *, timeout: tuple[float, float] = TIMEOUT, **given: Any
    ) -> requests.Response:
        # A redirect is not followed: whoever it leads to would get the login.
        return self._session().request(
            method, address, auth=self._authorize, timeout=timeout, allow_redirects=False, **given
        )

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Given as `auth`, it also keeps requests from looking credentials up in a .netrc."""
        if self._login.header:
            request.headers["Authorization"] = self._login.header
        return request

    def _session(self) -> requests.Session:
        import requests

        if self._opened is None:
            self._opened = requests.Session()
            # A proxy of the environment is for the world outside.
            self._opened.trust_env = not is_loopback(self.host)
        return self._opened


def _json(answer: requests.Response) -> dict[str, Any]:
    if answer.status_code != 200:
        raise refusal_of(answer)
    try:
        document = answer.json()
    except ValueError as fault:
        raise Refusal(200, "", "no JSON") from fault
    if not isinstance(document, dict):
        raise Refusal(200, "", "no document")
    return document
