"""Probe an app of somebody else: does it get ready, is it the release, and are its answers right?

What `probe_service` is for the stock service, for an app that says in its contract where it is asked.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import ServiceClient
from nightferry.entities.app.contract import CONTRACT, AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.probe_report import Fault, ProbeReport
from nightferry.steps.judging.exchanges import ask_exchanges, in_short
from nightferry.steps.judging.listeners import PROC, Listener, listeners
from nightferry.steps.judging.patient_asking import ask_patiently, await_answer

MOST_PORTS = 5
"""That are named."""


def probe_app(
    address: str,
    contract: AppContract,
    golden: Sequence[Exchange],
    release: str | None,
    clock: Clock,
    ready_seconds: float,
    *,
    proc: Path | None = PROC,
) -> ProbeReport:
    """Wait until the app is ready, then ask everything once; every fault is found, not the first alone, up to fifty.

    Where the address is this network namespace's own, the kernel is asked too who listens: an app that listens on
    127.0.0.1 alone would be reached by nobody in its pod.

    Args:
        address: `http://host:port`.
        contract: the app's; without `ready` it is ready when the port is open.
        golden: the model's golden examples.
        release: its id, which the answer of the contract's `version` has to hold; None: that has to answer alone.
        clock: for the wait and the time taken.
        ready_seconds: how long to wait.
        proc: where the kernel says who listens; None: do not look, as where something else listens for the app.
    """
    client = ServiceClient(address)
    here = _Here(address, proc)
    return ask_patiently(
        lambda: _wait_ready(client, contract, here, clock, ready_seconds),
        lambda: _checks(client, contract, here, golden, release),
        clock,
    )


class _Here:
    """Who listens, if the address is in this network namespace."""

    def __init__(self, address: str, proc: Path | None) -> None:
        place = urlsplit(address)
        self.port = place.port or 80
        self._proc = proc if _is_loopback(place.hostname or "") else None

    def _all(self) -> tuple[Listener, ...] | None:
        return listeners(self._proc) if self._proc else None

    def alone(self) -> str:
        """A sentence when the port is listened on for this machine alone, "" otherwise."""
        on_port = [one for one in self._all() or () if one.port == self.port]
        if not on_port or not all(one.is_alone for one in on_port):
            return ""
        return (
            f"it listens on {on_port[0].address} alone, port {self.port}, where other pods cannot reach it: "
            "bind 0.0.0.0"
        )

    @property
    def listens(self) -> bool:
        """Whether anything listens here at all."""
        return bool(self._all())

    def others(self) -> str:
        """What is listened on instead of the port; "" when the port itself is, or nobody can say."""
        found = self._all()
        if found is None:
            return ""
        ports = sorted({one.port for one in found})
        if self.port in ports:
            return ""
        if not ports:
            return f"nobody listens on port {self.port}, nor on any other"
        named = ", ".join(map(str, ports[:MOST_PORTS])) + (", …" if len(ports) > MOST_PORTS else "")
        return f"nobody listens on port {self.port}; it listens on {named}: let `port` in {CONTRACT} say where"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wait_ready(
    client: ServiceClient, contract: AppContract, here: _Here, clock: Clock, seconds: float
) -> Fault | None:
    answered = False

    def look() -> str:
        nonlocal answered
        answered = False
        if contract.ready is None:
            client.connect()
            return ""
        answer = client.get(contract.ready)
        answered = True
        if answer.status == 200:
            return ""
        return f"GET {contract.ready} answers {answer.status} ({in_short(answer.said()).rstrip('.') or 'nothing'})"

    said = await_answer(look, clock, seconds)
    if not said:
        return None
    kind: Literal["start", "contract"] = "start"
    if not answered:
        elsewhere = here.others()
        # Waiting longer does not mend what listens, and elsewhere.
        kind = "contract" if elsewhere and here.listens else "start"
        said = elsewhere or _with(said, here.alone())
    return Fault(kind=kind, sentence=f"{client.address} was not ready within {seconds:g} s: {said}.")


def _with(said: str, more: str) -> str:
    return f"{said}; {more}" if more else said


def _checks(
    client: ServiceClient, contract: AppContract, here: _Here, golden: Sequence[Exchange], release: str | None
) -> Iterator[Fault | None]:
    alone = here.alone()
    yield Fault(kind="contract", sentence=f"The app answers here, but {alone}.") if alone else None
    if contract.live is not None:
        status = client.get(contract.live).status
        yield None if status == 200 else _wrong(contract.live, f"should answer 200, got {status}")
    if contract.version is not None:
        yield _version(client, contract.version, release)
    yield from ask_exchanges(client, contract.checks, "check")
    yield from ask_exchanges(client, golden, "golden example")


def _wrong(path: str, what: str) -> Fault:
    return Fault(kind="contract", sentence=f"GET {path} {what}. Ask the app's developers.")


def _version(client: ServiceClient, path: str, release: str | None) -> Fault | None:
    answer = client.get(path)
    if answer.status != 200:
        return _wrong(path, f"should answer 200, got {answer.status}")
    # The first release of a day is not its tenth.
    if release is None or re.search(rf"(?<![-.\w]){re.escape(release)}(?![-\w]|\.\w)", answer.text):
        return None
    said = in_short(answer.text) or "nothing"
    return Fault(kind="passport", sentence=f"GET {path} should say the release {release}, got {said}.")
