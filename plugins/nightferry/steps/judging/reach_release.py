"""Ask running pods and Services who they are, and whether they know their golden examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import ServiceClient, Unanswered
from nightferry.entities.app.contract import AppContract
from nightferry.entities.probe_report import ProbeReport
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.judging.probe_service import PASSPORT

REACH_SECONDS = 30.0
"""How long the cluster may take until a changed Service answers from its new pods everywhere."""
POLL_SECONDS = 0.2
RELEASE = "NIGHTFERRY_RELEASE"
RELEASE_ID = re.compile(r"[a-z][-a-z0-9]*-\d{4}-\d\d-\d\d\.\d+")
Probe = Callable[[str], ProbeReport]
"""Asks everything of the service at an address."""
Address = Callable[[], str]
"""Where a Service is called; asked when it exists."""
AskVersion = Callable[[str], Any]
"""GET /version of an address as JSON; None when there is no such answer."""
_REASONS = {
    "start": Reason.VERIFY_UNREACHABLE,
    "silent": Reason.VERIFY_UNREACHABLE,
    "contract": Reason.IMAGE_CONTRACT_BROKEN,
    "golden": Reason.VERIFY_GOLDEN_WRONG,
    "passport": Reason.VERIFY_WRONG_RELEASE,
}


def ask_version(address: str) -> Any:
    """What GET /version of this address answers; None when nothing useful comes."""
    try:
        answer = ServiceClient(address).get("/version")
    except Unanswered:
        return None
    return answer.document() if answer.status == 200 else None


def ask_app(contract: AppContract) -> AskVersion:
    """What asks an app: of one with a `version`, which release it says that it is; of any other, whether it answers."""

    def ask(address: str) -> Any:
        try:
            answer = ServiceClient(address).get(contract.version or contract.ready or "/")
        except Unanswered:
            return None
        if answer.status >= 500:
            return None
        named = RELEASE_ID.search(answer.text) if contract.version else None
        return {"release": named[0]} if named else {}

    return ask


def proof(contract: AppContract | None, passport: Mapping[str, str]) -> dict[str, str]:
    """What of the passport has to come back in an answer. Where an app does not say it, the digest of its pods' image
    proves who answers."""
    if contract is None:
        return dict(passport)
    return {RELEASE: passport[RELEASE]} if contract.version else {}


def await_release(
    address: str, passport: Mapping[str, str], ask: AskVersion, clock: Clock, seconds: float = REACH_SECONDS
) -> None:
    """Wait until the address answers with this passport, so long at most.

    Raises:
        Permanent: (verify_wrong_release) it goes on saying something else.
        Temporary: (verify_unreachable) it does not answer.
    """
    deadline = clock.monotonic() + seconds
    while True:
        answer = ask(address)
        wrong = difference(answer, passport)
        if not wrong:
            return
        if clock.monotonic() >= deadline:
            break
        clock.sleep(POLL_SECONDS)
    if answer is None:
        raise Temporary(
            Reason.VERIFY_UNREACHABLE,
            f"{address} did not answer at /version within {seconds:g} s; "
            "check the cluster's DNS, its network policies and that its nodes are well.",
        )
    raise Permanent(Reason.VERIFY_WRONG_RELEASE, f"{address} answers from something else: {wrong}.")


def difference(answer: Any, passport: Mapping[str, str]) -> str:
    """How what /version answered differs from the passport; empty when it does not."""
    if answer is None:
        return "no answer"
    for variable, where in PASSPORT.items():
        got = answer
        for key in where:
            got = got.get(key) if isinstance(got, dict) else None
        if variable in passport and got != passport[variable]:
            return f"{'.'.join(where)} should be {passport[variable]}, is {got}"
    return ""


def refuse_faults(address: str, report: ProbeReport) -> None:
    """Raise the first fault that was found.

    Raises:
        Permanent: (image_contract_broken, verify_golden_wrong, verify_wrong_release)
        Temporary: (verify_unreachable)
    """
    for fault in report.faults:
        kind = Temporary if fault.kind in ("start", "silent") else Permanent
        others = f" ({len(report.faults)} faults in all.)" if len(report.faults) > 1 else ""
        raise kind(_REASONS[fault.kind], f"At {address}: {fault.sentence}{others}")
