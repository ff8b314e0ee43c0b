"""Read what users asked lately from the memory of the pods that answered them.

What is read stays in this process: no sentence, log or record has anything of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import ServiceClient, Unanswered
from nightferry.steps.judging.questions import Inference

PATH = "/recorded"
MOST = 200
"""Requests that are asked again."""
MOST_PODS = 5
TRIES = 4
PAUSE_SECONDS = 0.5
"""A pod tells them once in a second."""


@dataclass(frozen=True)
class Recorded:
    """What was read."""

    questions: Sequence[Inference] = ()
    not_replayable: int = 0
    """Requests of which an input was left out that one of the models needs."""
    sentence: str = ""


def read_recorded(pods: Sequence[str], needed: Sequence[str], clock: Clock, most: int = MOST) -> Recorded:
    """Read the newest requests of some pods, as many of each.

    Args:
        pods: `http://…` of the ports for probes, of the pods of the release in use.
        needed: the inputs that either of the two models needs.
        clock: for pauses.
        most: how many are wanted.
    """
    asked = pods[:MOST_PODS]
    documents = [_document(address, clock) for address in asked]
    told = [document for document in documents if isinstance(document, dict)]
    each = most // max(1, len(told))
    requests = [request for document in told for request in _requests(document)[-each:]]
    whole = [request for request in requests if _has(request, needed)]
    passed_over = sum(_count(document.get("too_large")) for document in told)
    return Recorded(
        questions=[
            Inference(f"recorded {number}", "recorded", request["inputs"]) for number, request in enumerate(whole, 1)
        ],
        not_replayable=len(requests) - len(whole),
        sentence=_sentence(asked, documents, len(requests), passed_over),
    )


def _document(address: str, clock: Clock) -> Any:
    """What a pod tells; None: it does not answer, 404: it keeps nothing."""
    for _ in range(TRIES):
        try:
            answer = ServiceClient(address).get(PATH)
        except Unanswered:
            return None
        if answer.status != 503:
            return answer.document() if answer.status == 200 else answer.status
        clock.sleep(PAUSE_SECONDS)
    return None


def _requests(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = document.get("requests")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _has(request: Mapping[str, Any], needed: Sequence[str]) -> bool:
    """Whether nothing was left out that one of the models needs."""
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(one, dict) for one in inputs):
        return False
    return not request.get("omitted") or set(needed) <= {one.get("name") for one in inputs}


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _sentence(asked: Sequence[str], documents: Sequence[Any], requests: int, passed_over: int) -> str:
    if not asked:
        return "no pod of the release in use could be asked for recorded requests"
    silent = sum(document is None for document in documents)
    off = sum(isinstance(document, int) for document in documents)
    said = [f"{requests} recorded requests from {len(documents) - silent - off} of {len(asked)} pods"]
    if silent:
        said.append(f"{silent} did not answer")
    if off:
        said.append(f"{off} keep none")
    if passed_over:
        said.append(f"{passed_over} requests were too large to be kept")
    return "; ".join(said)
