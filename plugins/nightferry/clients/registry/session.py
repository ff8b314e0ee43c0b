"""HTTP with one registry: authentication on challenge, plain HTTP on loopback alone, faults as our own errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from nightferry.clients.registry.auth import Credentials, authorization, is_loopback, read_auth_file, scopes_of
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.image_repository import ImageRepository
from nightferry.errors import Permanent, Temporary

if TYPE_CHECKING:
    import requests

TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and to wait for the next bytes."""
CHUNK = 1 << 20


def split(repository: str) -> ImageRepository:
    """A repository's registry and path: `127.0.0.1:5000/team/digits` -> (`127.0.0.1:5000`, `team/digits`).

    Raises:
        Permanent: (service_file_invalid) it is none, or names no registry.
    """
    try:
        return ImageRepository.parse(repository)
    except ValueError as fault:
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"The image repository cannot be used: {fault}.") from fault


class RegistrySession:
    """One registry. Opened at the first request; tokens are kept for as long as it lives."""

    def __init__(self, host: str, auth_file: Path | None, credentials: Credentials | None) -> None:
        self.host = host
        self._base = f"{'http' if is_loopback(host) else 'https'}://{host}/v2/"
        self._auth_file = auth_file
        self._given = credentials
        self._opened: requests.Session | None = None
        self._headers: dict[tuple[str, ...], str] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        pull: str = "",
        push: str = "",
        delete: str = "",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes | _Stream | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Send a request; when the registry challenges, once more with what it asks for.

        Args:
            method: of HTTP.
            path: below /v2/, or a whole URL (where an upload goes).
            pull: the repository that is read.
            push: the repository that is written.
            delete: the repository that something is removed from.
            headers: beside Authorization.
            query: parameters to add.
            body: what to send.
            stream: leave the answer's body unread.

        Raises:
            Permanent: (registry_denied)   Temporary: (registry_unavailable)
        """
        import requests

        scopes = _scopes(pull, push, delete)
        address = path if path.startswith("http") else self._base + path
        try:
            answer = self._send(method, address, scopes, headers, query, body, stream)
            if answer.status_code == 401 and self._authorize(answer, scopes):
                answer = self._send(method, address, scopes, headers, query, body, stream)
        except requests.HTTPError as error:
            raise self._refused(error.response, "its token service") from error
        except (requests.RequestException, ValueError) as error:
            raise Temporary(
                Reason.REGISTRY_UNAVAILABLE,
                f"The image registry {self.host} does not answer ({type(error).__name__}): is the name right?",
            ) from error
        if answer.status_code in (401, 403, 429) or answer.status_code >= 500:
            raise self._refused(answer, "it")
        return answer

    def expect(self, answer: requests.Response, status: int) -> None:
        """Raise unless the answer has this status. Raises as `request`."""
        if answer.status_code != status:
            raise self._refused(answer, "it")

    def said(self, answer: requests.Response) -> str:
        """What the registry says in an error's document, in one line with the status."""
        return f"{answer.status_code} {_message(answer)}"

    def pass_through(self, source: str, digest: str, size: int, location: str, target: str) -> None:
        """Copy a blob through this process, a piece at a time, into an upload that was opened at `location`."""
        answer = self.request("GET", f"{source}/blobs/{digest}", pull=source, stream=True)
        self.expect(answer, 200)
        with answer:
            done = self.request(
                "PUT",
                urljoin(self._base, location),
                # The token that opened the upload: a body that was read once cannot be sent again after a challenge.
                pull=source,
                push=target,
                query={"digest": digest},
                headers={"Content-Type": "application/octet-stream"},
                body=_Stream(answer.iter_content(CHUNK), size),
            )
        self.expect(done, 201)

    def _send(
        self,
        method: str,
        address: str,
        scopes: tuple[str, ...],
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        body: bytes | _Stream | None,
        stream: bool,
    ) -> requests.Response:
        known = self._headers.get(scopes)

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # Given as `auth`, it also keeps requests from looking credentials up in a .netrc.
            if known:
                request.headers["Authorization"] = known
            return request

        data: Any = body
        return self._session().request(
            method,
            address,
            params=dict(query or {}),
            headers=dict(headers or {}),
            data=data,
            auth=authorize,
            timeout=TIMEOUT,
            stream=stream,
        )

    def _session(self) -> requests.Session:
        import requests

        if self._opened is None:
            self._opened = requests.Session()
            # A proxy of the environment is for the world outside.
            self._opened.trust_env = not is_loopback(self.host)
        return self._opened

    def _authorize(self, answer: requests.Response, scopes: tuple[str, ...]) -> bool:
        """Get what the challenge asks for; whether there is something new to show."""
        credentials = self._given
        if credentials is None and self._auth_file is not None:
            credentials = read_auth_file(self._auth_file, self.host)
        challenge = answer.headers.get("WWW-Authenticate", "")
        # ACR lists tags to who may read metadata, and says so: what is asked for beyond the scopes is asked for, too.
        asked = tuple(scope for scope in scopes_of(challenge) if not _covered(scope, scopes))
        header = authorization(self._session(), challenge, credentials, scopes + asked, TIMEOUT)
        before = self._headers.get(scopes)
        if header is None or header == before:
            return False
        self._headers[scopes] = header
        return True

    def _refused(self, answer: requests.Response, who: str) -> Permanent | Temporary:
        said = _message(answer)
        status = answer.status_code
        if status == 429 or status >= 500:
            return Temporary(
                Reason.REGISTRY_UNAVAILABLE, f"The image registry {self.host} is not able to answer: {status} {said}"
            )
        if status in (401, 403):
            return Permanent(
                Reason.REGISTRY_DENIED,
                f"The image registry {self.host} refuses: {who} answered {status} {said} "
                "Check the credentials (the Airflow connection, or NIGHTFERRY_REGISTRY_AUTH_FILE) and what they allow.",
            )
        return Permanent(Reason.REGISTRY_DENIED, f"The image registry {self.host} refuses: {status} {said}")


class _Stream:
    """A body of a known length that is read as it is sent; requests then states a Content-Length."""

    def __init__(self, chunks: Iterator[bytes], size: int) -> None:
        self._chunks = chunks
        self._rest = b""
        self._size = size

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; b"" at the end."""
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return b""
            self._rest = piece
        size = len(self._rest) if size < 0 else size
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def _scopes(pull: str, push: str, delete: str = "") -> tuple[str, ...]:
    scopes = [f"repository:{push}:pull,push"] if push else []
    if delete:
        scopes.append(f"repository:{delete}:delete,pull")
    if pull and pull != push:
        scopes.append(f"repository:{pull}:pull")
    return tuple(scopes)


def _covered(scope: str, scopes: tuple[str, ...]) -> bool:
    """Whether the scopes allow all that one asks for."""
    name, _, actions = scope.rpartition(":")
    had = {action for one in scopes if one.rpartition(":")[0] == name for action in one.rpartition(":")[2].split(",")}
    return set(actions.split(",")) <= had


def _message(answer: requests.Response) -> str:
    """What the registry says in its error document, in one line."""
    try:
        errors = answer.json().get("errors", [])
        text = "; ".join(f"{error.get('code', '')} {error.get('message', '')}".strip() for error in errors)
    except (ValueError, AttributeError):
        text = answer.reason or ""
    return f"({text[:200].rstrip('.') or 'no reason given'})."
