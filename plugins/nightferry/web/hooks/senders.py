"""What each sender signs, and what of its deliveries is looked at: which repository, who, and which commits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nightferry.entities.service_file.git_address import check_git_address, repository_identity
from nightferry.entities.watching.push import MOST_COMMITS
from nightferry.web.hooks.proofs import (
    Headers,
    equal,
    key_of,
    known_to_azure,
    signed_by_github,
    signed_with_time,
)

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NONE = re.compile("0+")
MLFLOW = "mlflow"


@dataclass(frozen=True)
class Said:
    """What a delivery says."""

    addresses: tuple[str, ...]
    """The repository, in all the spellings that the sender knows, as identities; of MLflow the model's name."""
    by: str = ""
    commit: str | None = None
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sender:
    """One that sends deliveries."""

    name: str
    delivery: Callable[[Headers, Mapping[str, Any]], str]
    """The delivery's id; "" where there is none."""
    knows: Callable[[Headers, bytes, str, float], bool]
    """Whether it knows the secret: headers, body, secret, the time."""
    says: Callable[[Headers, Mapping[str, Any]], Said | None]
    """None: what it is about starts nothing."""
    proof: tuple[str, ...]
    """Headers of which one has to be there, so that a body without any is not even read."""


def _github(headers: Headers, body: Mapping[str, Any]) -> Said | None:
    if headers.get("x-github-event") != "push":
        return None
    repository = _mapping(body.get("repository"))
    addresses = [repository.get(name) for name in ("clone_url", "ssh_url", "git_url", "html_url")]
    pusher = _mapping(body.get("pusher")).get("name") or _mapping(body.get("sender")).get("login")
    return _said(addresses, pusher, body.get("after"), [_mapping(one).get("id") for one in _list(body.get("commits"))])


def _azure(headers: Headers, body: Mapping[str, Any]) -> Said | None:
    if body.get("eventType") != "git.push":
        return None
    resource = _mapping(body.get("resource"))
    repository = _mapping(resource.get("repository"))
    addresses = [repository.get(name) for name in ("remoteUrl", "sshUrl", "webUrl")]
    pusher = _mapping(resource.get("pushedBy"))
    moved = [_mapping(one).get("newObjectId") for one in _list(resource.get("refUpdates"))]
    commits = [_mapping(one).get("commitId") for one in _list(resource.get("commits"))]
    after = moved[0] if len(moved) == 1 else None
    return _said(addresses, pusher.get("displayName") or pusher.get("uniqueName"), after, commits)


def _gitlab(headers: Headers, body: Mapping[str, Any]) -> Said | None:
    if body.get("object_kind") not in ("push", "tag_push"):
        return None
    project = _mapping(body.get("project"))
    addresses = [project.get(name) for name in ("git_http_url", "git_ssh_url", "http_url", "ssh_url", "web_url")]
    commits = [_mapping(one).get("id") for one in _list(body.get("commits"))]
    return _said(addresses, body.get("user_username") or body.get("user_name"), body.get("after"), commits)


def _mlflow(headers: Headers, body: Mapping[str, Any]) -> Said | None:
    if body.get("entity") not in ("model_version", "model_version_alias"):
        return None
    data = _mapping(body.get("data"))
    name = data.get("name")
    return Said((name,)) if isinstance(name, str) and name and len(name) <= 500 else None


def _mlflow_signed(headers: Headers, body: bytes, secret: str, now: float) -> bool:
    names = ("x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature")
    return signed_with_time(headers, body, secret, now, names=names, key=secret.encode())


def _gitlab_proved(headers: Headers, body: bytes, secret: str, now: float) -> bool:
    """By its signing token where it signs, else by its secret token."""
    if "webhook-signature" in headers:
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        return signed_with_time(headers, body, secret, now, names=names, key=key_of(secret))
    return equal(headers.get("x-gitlab-token", ""), secret)


SENDERS: Mapping[str, Sender] = {
    one.name: one
    for one in (
        Sender(
            "github",
            lambda headers, body: headers.get("x-github-delivery", ""),
            lambda headers, body, secret, now: signed_by_github(headers, body, secret),
            _github,
            ("x-hub-signature-256",),
        ),
        Sender(
            "azure",
            lambda headers, body: _plain(str(body.get("id") or "")),
            lambda headers, body, secret, now: known_to_azure(headers, secret),
            _azure,
            ("authorization", "x-nightferry-secret"),
        ),
        Sender(
            "gitlab",
            lambda headers, body: (
                headers.get("webhook-id") or headers.get("idempotency-key") or headers.get("x-gitlab-event-uuid", "")
            ),
            _gitlab_proved,
            _gitlab,
            ("webhook-signature", "x-gitlab-token"),
        ),
        Sender(
            MLFLOW,
            lambda headers, body: headers.get("x-mlflow-delivery-id", ""),
            _mlflow_signed,
            _mlflow,
            ("x-mlflow-signature",),
        ),
    )
}


def _said(addresses: Iterable[Any], by: Any, after: Any, commits: Iterable[Any]) -> Said:
    identities = dict.fromkeys(repository_identity(one) for one in addresses if _is_address(one))
    head = after if _is_commit(after) and not _NONE.fullmatch(after) else None
    passed = [one for one in commits if _is_commit(one) and one != head]
    person = _plain(by)[:500] if isinstance(by, str) else ""
    return Said(tuple(identities), person, head, tuple(dict.fromkeys(passed))[-MOST_COMMITS:])


def _plain(text: str) -> str:
    """Without what JSON may hold and neither UTF-8 nor a database takes."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _is_address(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > 1000:
        return False
    try:
        check_git_address(value)
    except ValueError:
        return "@" in value  # https://user@host: a user is no secret here, and the identity leaves it out
    return True


def _is_commit(value: Any) -> bool:
    return isinstance(value, str) and _COMMIT.fullmatch(value) is not None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
