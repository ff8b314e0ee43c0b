"""Probes: one question to a running part. Each is data, so that `status` can ask what `up` laid down.

`problem(since)` is None for healthy, else what is missing, in a few words; `since` is when the part's process started
(Unix time, seconds).
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from nightferry.sandbox.supervise import asking
from nightferry.sandbox.supervise.kube_api import KubeApi

Tls = tuple[str, str, str]
"""The files of a CA, a client's certificate and its key."""


class Probe(Protocol):
    """A question to a running part."""

    def problem(self, since: float) -> str | None:
        """What is missing, or None."""


@dataclass(frozen=True)
class Http:
    """Healthy when the URL answers 200, or at all."""

    url: str
    tls: Tls | None = None
    any_answer: bool = False

    def problem(self, since: float) -> str | None:
        """See the module."""
        try:
            context = asking.client_context(self.tls) if self.tls else None
            status, body = asking.get(asking.connect(self.url, context), urlsplit(self.url).path or "/")
        except (OSError, http.client.HTTPException) as problem:
            return asking.explain(problem)
        if status == 200 or self.any_answer:
            return None
        return f"answers {status}: {' '.join(body.decode('utf-8', 'replace').split())[:120]}"


@dataclass(frozen=True)
class UnixHttp:
    """Healthy when the server at the Unix socket answers 200."""

    socket: str
    path: str

    def problem(self, since: float) -> str | None:
        """See the module."""
        try:
            status, _body = asking.get(asking.UnixConnection(self.socket), self.path)
        except (OSError, http.client.HTTPException) as problem:
            return asking.explain(problem)
        return None if status == 200 else f"answers {status}"


@dataclass(frozen=True)
class Command:
    """Healthy when the command ends with 0."""

    words: tuple[str, ...]

    def problem(self, since: float) -> str | None:
        """See the module."""
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        try:
            done = subprocess.run(
                self.words, capture_output=True, timeout=3 * asking.TIMEOUT, check=False, text=True, env=environment
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            return asking.explain(problem)
        return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no answer"])[-1][:160]


@dataclass(frozen=True)
class Dns:
    """Healthy when the name server has an address for the name."""

    host: str
    name: str

    def problem(self, since: float) -> str | None:
        """See the module."""
        number = secrets.randbits(16)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in self.name.split("."))
        question = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(asking.TIMEOUT)
                udp.connect((self.host, 53))
                udp.send(question)
                answer = udp.recv(512)
        except OSError as problem:
            return asking.explain(problem)
        answered, flags, _questions, answers = struct.unpack(">HHHH", answer[:8])
        return None if answered == number and flags & 0xF == 0 and answers else f"does not know {self.name}"


@dataclass(frozen=True)
class Node:
    """Healthy when the kubelet says so of itself and the cluster says so of its node."""

    health_url: str
    server: str
    tls: Tls
    node: str

    def problem(self, since: float) -> str | None:
        """See the module."""
        return Http(self.health_url).problem(since) or KubeApi(self.server, self.tls).node_problem(self.node, since)


@dataclass(frozen=True)
class AirflowHeartbeat:
    """Healthy when Airflow counts the component as such, by a heartbeat that this very process sent."""

    url: str
    component: str

    def problem(self, since: float) -> str | None:
        """See the module."""
        try:
            status, body = asking.get(asking.connect(self.url), "/api/v2/monitor/health")
            said = json.loads(body)[self.component] if status == 200 else None
        except (OSError, http.client.HTTPException, ValueError, KeyError) as problem:
            return f"Airflow's API server does not say: {asking.explain(problem)}"
        if not isinstance(said, dict):
            return f"Airflow's API server answers {status}"
        beat = said.get(f"latest_{self.component}_heartbeat")
        if said.get("status") != "healthy":
            return f"Airflow calls it {said.get('status') or 'absent'}"
        if beat is not None and datetime.fromisoformat(beat).timestamp() < since:
            return "no heartbeat yet"
        return None


@dataclass(frozen=True)
class Envoy:
    """Healthy when Envoy has its configuration, listens wherever that says, and answers at the gateway's address.

    A port that another program holds is said by nobody else: the Gateway calls itself programmed all the same.
    """

    socket: str
    """Its administration's."""
    url: str
    """Where the gateway is called."""

    def problem(self, since: float) -> str | None:
        """See the module."""
        try:
            status, body = asking.get(asking.UnixConnection(self.socket), "/ready")
            if status != 200:
                said = " ".join(body.decode("utf-8", "replace").split()).lower().replace("_", " ")
                return f"it waits for its configuration ({said})"
            _, body = asking.get(asking.UnixConnection(self.socket), "/config_dump?resource=dynamic_listeners")
            listeners = json.loads(body).get("configs") or []
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as problem:
            return asking.explain(problem)
        for listener in listeners:
            if fault := listener.get("error_state"):
                return str(fault.get("details") or f"it refuses the listener {listener.get('name')}")
        return Http(self.url, any_answer=True).problem(since)


KINDS: Mapping[str, type[Any]] = {k.__name__: k for k in (Http, UnixHttp, Command, Dns, Node, AirflowHeartbeat, Envoy)}


def to_data(probe: Any) -> dict[str, Any]:
    """A probe as it stands in a JSON file."""
    return {"kind": type(probe).__name__, **asdict(probe)}


def from_data(data: Mapping[str, Any]) -> Probe:
    """The probe of such an entry."""
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items() if key != "kind"}
    probe: Probe = KINDS[data["kind"]](**values)
    return probe
