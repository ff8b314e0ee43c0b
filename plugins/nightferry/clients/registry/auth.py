"""Credentials of an image registry: from a Docker credential file, or given; and the tokens they buy.

A registry answers 401 with a challenge: Basic, or Bearer with the address of a token service (ACR does that).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

if TYPE_CHECKING:
    import requests

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_NO_USER = "00000000-0000-0000-0000-000000000000"
"""ACR's name for a user who shows a refresh token."""


def is_loopback(host: str) -> bool:
    """Whether `host` or `host:port` is this machine by name: there, and nowhere else, plain HTTP is spoken."""
    name = host.removeprefix("[").partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Credentials:
    """A name and a password, or a refresh token."""

    username: str
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The Authorization header of Basic."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def as_docker(self, host: str) -> str:
        """A Docker credential file (JSON) with these credentials for one registry."""
        entry = {"auth": base64.b64encode(f"{self.username}:{self.password}".encode()).decode()}
        if self.refresh_token:
            entry["identitytoken"] = self.refresh_token
        return json.dumps({"auths": {host: entry}})


def read_auth_file(path: Path, host: str) -> Credentials | None:
    """The credentials for a registry in a Docker config.json; None when it names none for it.

    `auths` is read, and what `credHelpers` or `credsStore` name is asked (`docker-credential-<name> get`).

    Raises:
        Permanent: (registry_denied) the file cannot be read, or a credential helper does not work.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found = config.get("auths", {}).get(host) or config.get("auths", {}).get(f"https://{host}") or {}
        helper = config.get("credHelpers", {}).get(host) or (None if _usable(found) else config.get("credsStore"))
    except (OSError, ValueError, AttributeError) as error:
        raise Permanent(
            Reason.REGISTRY_DENIED, f"The credential file {path} cannot be read as a Docker config.json: {error}."
        ) from error
    if helper:
        return _ask_helper(str(helper), host)
    return _from_entry(found, path) if _usable(found) else None


def _usable(entry: object) -> bool:
    return isinstance(entry, dict) and bool(entry.get("auth") or entry.get("identitytoken") or entry.get("username"))


def _from_entry(entry: Mapping[str, Any], path: Path) -> Credentials:
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
        except ValueError as error:
            raise Permanent(Reason.REGISTRY_DENIED, f"An auth entry of {path} is not base64.") from error
    return Credentials(username, password, str(entry.get("identitytoken", "")))


def _ask_helper(helper: str, host: str) -> Credentials | None:
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=host, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            if "credentials not found" in done.stdout + done.stderr:
                return None
            raise OSError((done.stdout + done.stderr).strip()[:200])
        answer = json.loads(done.stdout)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        raise Permanent(
            Reason.REGISTRY_DENIED, f"The credential helper {program} does not work for {host}: {error}."
        ) from error
    if username in ("<token>", _NO_USER):
        return Credentials(_NO_USER, refresh_token=secret)
    return Credentials(username, secret)


def scopes_of(challenge: str) -> tuple[str, ...]:
    """The scopes that a Bearer challenge says are needed; none where it says none."""
    return tuple(dict(_PARAMETER.findall(challenge.partition(" ")[2])).get("scope", "").split())


def authorization(
    session: requests.Session,
    challenge: str,
    credentials: Credentials | None,
    scopes: tuple[str, ...],
    timeout: tuple[float, float],
) -> str | None:
    """The Authorization header that a challenge asks for; None when there is nothing to show.

    Raises:
        requests.RequestException: the token service did not answer, or refused (HTTPError).
    """
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        return credentials.basic() if credentials else None
    if scheme.lower() != "bearer":
        return None
    parameters = dict(_PARAMETER.findall(rest))
    realm = parameters.get("realm", "")
    if not (realm.startswith("https://") or is_loopback(urlsplit(realm).netloc)):
        return None  # credentials are not sent over a network in the clear
    wanted: list[tuple[str, str]] = [("service", parameters.get("service", ""))]
    if credentials is not None and credentials.refresh_token:
        form = [*wanted, ("grant_type", "refresh_token"), ("refresh_token", credentials.refresh_token)]
        # OAuth takes one scope parameter, its values parted by spaces.
        answer = session.post(realm, data=[*form, ("scope", " ".join(scopes))], auth=_as_it_is, timeout=timeout)
    else:
        query = [*wanted, *(("scope", scope) for scope in scopes)]
        headers = {"Authorization": credentials.basic()} if credentials else {}
        answer = session.get(realm, params=query, headers=headers, auth=_as_it_is, timeout=timeout)
    answer.raise_for_status()
    document = answer.json()
    token = document.get("access_token") or document.get("token")
    return f"Bearer {token}" if token else None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Given as `auth`, it keeps requests from looking credentials up in a .netrc."""
    return request
