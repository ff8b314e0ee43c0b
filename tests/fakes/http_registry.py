"""A registry that speaks the distribution API on loopback, with the habits of different makes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD, REFRESH = "ada", "correct horse", "refresh-me"


class HttpRegistry:
    """Set the habits; look at `blobs`, `manifests` and `asked` afterwards."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        """By repository and tag or digest: content, media type."""
        self.asked: list[str] = []
        """`METHOD path?query` of every request."""
        self.auth = "none"
        """`none`, `basic` or `bearer`."""
        self.mounts = True
        self.says_digest = True
        self.broken: int | None = None
        """Every answer has this status."""
        self.says = "on fire"
        """The message of those answers."""
        self.page = 0
        """How many tags it lists at once, with a Link to the next ones; 0: all."""
        self.next_page = ""
        """Says that the list goes on there, whatever was asked."""
        self.deletes = True
        self.locked: set[str] = set()
        """Digests that it does not delete, as ACR says it."""
        self.lists_to = "pull"
        """The action that a list of tags needs; the challenge names it."""
        self.tokens: dict[str, set[str]] = {}
        """Token -> the scopes that it was given for."""
        self.host = ""


def _repository_and(kind: str, path: str) -> tuple[str, str] | None:
    found = re.fullmatch(rf"/v2/(.+)/{kind}/([^/]*)", path)
    return (found[1], found[2]) if found else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.1"
    """So that one who tries TLS first gets an answer that is HTTP, as from other servers, and tries plain HTTP."""
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing is said."""

    def _all(self) -> None:
        registry = self.server.registry
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        url = urlsplit(self.path)
        query = {name: values for name, values in parse_qs(url.query).items()}
        registry.asked.append(f"{self.command} {self.path}")
        if registry.broken:
            said = {"errors": [{"code": "UNAVAILABLE", "message": registry.says}]}
            return self._answer(registry.broken, json.dumps(said).encode())
        if url.path == "/token":
            return self._token(query, body)
        if not self._allowed():
            return None
        if (
            self._tags(url.path, query)
            or self._blob(url.path)
            or self._manifest(url.path, body)
            or self._upload(url.path, query, body)
        ):
            return None
        return self._answer(404, b'{"errors": [{"code": "NAME_UNKNOWN", "message": "nothing here"}]}')

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _all

    def _tags(self, path: str, query: dict[str, list[str]]) -> bool:
        registry = self.server.registry
        named = re.fullmatch(r"/v2/(.+)/tags/list", path)
        if not named:
            return False
        known = [tag for repository, tag in registry.manifests if repository == named[1]]
        if not known and not any(repository == named[1] for repository, _ in registry.blobs):
            self._answer(404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}')
            return True
        tags = sorted(tag for tag in known if not tag.startswith("sha256:"))
        tags = [tag for tag in tags if tag > query.get("last", [""])[0]]
        shown = tags[: registry.page] if registry.page else tags
        following = f"{path}?last={shown[-1]}&n={registry.page}&orderby=" if len(shown) < len(tags) else ""
        following = registry.next_page or following
        headers = {"Link": f'<{following}>; rel="next"'} if following else {}
        # Docker's registry says null where it deleted the last tag.
        self._answer(200, json.dumps({"name": named[1], "tags": shown or None}).encode(), headers)
        return True

    def _delete(self, named: tuple[str, str]) -> None:
        registry = self.server.registry
        if not registry.deletes:
            return self._answer(405, b'{"errors": [{"code": "UNSUPPORTED", "message": "not supported"}]}')
        if named[1] in registry.locked:
            return self._answer(405, b'{"errors": [{"code": "REGISTRY_DISALLOWED_OPERATION", "message": "locked"}]}')
        found = registry.manifests.get(named)
        if found is None:
            return self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
        for key in [key for key, one in registry.manifests.items() if key[0] == named[0] and one[0] == found[0]]:
            del registry.manifests[key]
        return self._answer(202)

    def _blob(self, path: str) -> bool:
        named = _repository_and("blobs", path)
        if not named or self.command not in ("GET", "HEAD"):
            return False
        content = self.server.registry.blobs.get(named)
        self._answer(404) if content is None else self._answer(200, content)
        return True

    def _manifest(self, path: str, body: bytes) -> bool:
        registry = self.server.registry
        named = _repository_and("manifests", path)
        if not named:
            return False
        if self.command == "PUT":
            self._put(named, body)
            return True
        if self.command == "DELETE":
            self._delete(named)
            return True
        found = registry.manifests.get(named)
        if found is None:
            self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
            return True
        headers = {"Content-Type": found[1]}
        if registry.says_digest:
            headers["Docker-Content-Digest"] = digest_of(found[0])
        self._answer(200, found[0], headers)
        return True

    def _put(self, named: tuple[str, str], body: bytes) -> None:
        registry = self.server.registry
        document = json.loads(body)
        blobs = [entry["digest"] for entry in [*document.get("layers", []), document.get("config", {})] if entry]
        children = [entry["digest"] for entry in document.get("manifests", [])]
        missing = [digest for digest in blobs if (named[0], digest) not in registry.blobs]
        missing += [digest for digest in children if (named[0], digest) not in registry.manifests]
        if missing:
            self._answer(400, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}')
            return
        entry = (body, self.headers["Content-Type"])
        registry.manifests[named] = registry.manifests[named[0], digest_of(body)] = entry
        self._answer(201, headers={"Docker-Content-Digest": digest_of(body)})

    def _upload(self, path: str, query: dict[str, list[str]], body: bytes) -> bool:
        registry = self.server.registry
        opened = re.fullmatch(r"/v2/(.+)/blobs/uploads/", path)
        if opened and self.command == "POST":
            digest, source = query.get("mount", [""])[0], query.get("from", [""])[0]
            if registry.mounts and (source, digest) in registry.blobs:
                registry.blobs[opened[1], digest] = registry.blobs[source, digest]
                self._answer(201)
            else:
                self._answer(202, headers={"Location": f"/v2/{opened[1]}/blobs/uploads/one?state=kept"})
            return True
        going_on = re.fullmatch(r"/v2/(.+)/blobs/uploads/one", path)
        if going_on and self.command == "PUT":
            right = query.get("state") == ["kept"] and query["digest"] == [digest_of(body)]
            if right:
                registry.blobs[going_on[1], query["digest"][0]] = body
            if right:
                self._answer(201, headers={"Docker-Content-Digest": digest_of(body)})
            else:
                self._answer(400, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
            return True
        return False

    def _allowed(self) -> bool:
        registry = self.server.registry
        given = self.headers.get("Authorization", "")
        if registry.auth == "basic" and given != _basic():
            self._answer(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}', {"WWW-Authenticate": 'Basic realm="here"'})
            return False
        if registry.auth == "bearer" and not self._covered(given.removeprefix("Bearer ")):
            challenge = f'Bearer realm="http://{registry.host}/token",service="{registry.host}"'
            listed = re.match(r"/v2/(.+?)/tags/", self.path)
            if listed:
                challenge += f',scope="repository:{listed[1]}:{registry.lists_to}"'
            self._answer(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}', {"WWW-Authenticate": challenge})
            return False
        return True

    def _covered(self, token: str) -> bool:
        found = re.match(r"/v2/(.+?)/(blobs|manifests|tags)/", self.path)
        verb = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(self.command, "push")
        if found and found[2] == "tags":
            verb = self.server.registry.lists_to
        scopes = self.server.registry.tokens.get(token, set())
        wanted = {
            scope
            for scope in scopes
            if found and scope.startswith(f"repository:{found[1]}:") and verb in scope.rpartition(":")[2].split(",")
        }
        source = parse_qs(urlsplit(self.path).query).get("from")
        read = not source or any(scope.startswith(f"repository:{source[0]}:") for scope in scopes)
        return bool(scopes & wanted) and read

    def _token(self, query: dict[str, list[str]], body: bytes) -> None:
        registry = self.server.registry
        if self.command == "POST":
            form = parse_qs(body.decode())
            right = form.get("refresh_token") == [REFRESH] and form.get("grant_type") == ["refresh_token"]
            scopes = form.get("scope", [""])[0].split(" ")
        else:
            right = self.headers.get("Authorization") == _basic()
            scopes = query.get("scope", [])
        if not right:
            self._answer(401)
            return
        token = f"token-{len(registry.tokens)}"
        registry.tokens[token] = set(scopes)
        self._answer(200, json.dumps({"access_token": token}).encode())

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, registry: HttpRegistry) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry = registry
        registry.host = f"127.0.0.1:{self.server_address[1]}"


def digest_of(content: bytes) -> str:
    """`sha256:…`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@contextmanager
def running() -> Iterator[HttpRegistry]:
    """A registry that answers until the block ends."""
    registry = HttpRegistry()
    server = _Server(registry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
