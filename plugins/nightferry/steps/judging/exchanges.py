"""HTTP exchanges with known answers, asked of a running app: its own checks, and its model's golden examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from nightferry.clients import service_client
from nightferry.clients.service_client import ServiceClient, Unanswered
from nightferry.entities.app.exchange import Answer, Exchange, Request
from nightferry.entities.probe_report import Fault
from nightferry.steps.judging.json_difference import MISSING, at_path, difference, label_of

SHOWN = 200
"""Characters of an expected or given value in a sentence."""
What = Literal["check", "golden example"]
_KIND: dict[What, Literal["contract", "golden"]] = {"check": "contract", "golden example": "golden"}
_WHO: dict[What, str] = {
    "check": "Ask the app's developers.",
    "golden example": "Look at the model; if it is right, at the app.",
}


def ask_exchanges(client: ServiceClient, exchanges: Sequence[Exchange], what: What) -> Iterator[Fault | None]:
    """Ask each; yields one fault or None for each.

    Raises:
        Unanswered: the app stopped answering; the text says at which one.
    """
    for number, exchange in enumerate(exchanges):
        yield ask_exchange(client, exchange, f"{what} {number}", what)


def ask_exchange(client: ServiceClient, exchange: Exchange, name: str, what: What = "golden example") -> Fault | None:
    """Ask once, and compare; None: the answer is right.

    Args:
        client: of the app's address.
        exchange: what to ask, and what has to come back.
        name: what the exchange is called, as `check 0`.
        what: who asks: a check shows a fault of the app, a golden example one of the model.

    Raises:
        Unanswered: no answer came; the text says to which one.
    """
    request = exchange.request
    try:
        answer = send(client, request)
    except Unanswered as error:
        raise Unanswered(f"{name}, {exchange}: {error}") from error
    wrong = _wrong(exchange.answer, answer)
    if not wrong:
        return None
    sentence = f"{name[:1].upper()}{name[1:]}, {exchange}: {wrong}. {_WHO[what]}"
    return Fault(kind=_KIND[what], sentence=sentence)


def send(client: ServiceClient, request: Request) -> service_client.Answer:
    """Ask once. Raises Unanswered."""
    return client.request(request.method, request.path, _headers(request), _body(request))


def _body(request: Request) -> bytes | None:
    if request.text is not None:
        return request.text.encode(errors="replace")
    return None if request.json_ is None else json.dumps(request.json_).encode()


def _headers(request: Request) -> dict[str, str]:
    """Those of the request, with what its body is, unless it says so itself."""
    if any(name.lower() == "content-type" for name in request.headers):
        return dict(request.headers)
    kinds = {"text/plain; charset=utf-8": request.text, "application/json": request.json_}
    found = [kind for kind, body in kinds.items() if body is not None]
    return {**request.headers, **({"Content-Type": found[0]} if found else {})}


def _wrong(expected: Answer, got: service_client.Answer) -> str:
    """What is wrong with an answer, with both values; empty: nothing."""
    if got.status != expected.status:
        return f"should answer {expected.status}, got {got.status}: {_ended(got.said())}"
    if expected.text is not None and expected.text not in got.text:
        return f"should say {in_short(expected.text)}, got {_text(got)}"
    if expected.json_ is None and expected.label is None:
        return ""
    try:
        document = json.loads(got.text)
    except (ValueError, RecursionError):
        document = got.text if expected.json_ is None and not expected.at else MISSING
    if document is MISSING:
        return f"should answer JSON, got {_text(got)}"
    if expected.json_ is not None:
        found = difference(expected.json_, document, expected.tolerance)
        if found:
            whole = f" (expected {_json(expected.json_)}, got {_json(document)})" if found.at else ""
            return f"{found.sentence(_json)}{whole}"
    if expected.label is not None:
        given = label_of(at_path(document, expected.at), expected.label)
        if given != expected.label:
            where = f"{expected.at} should be" if expected.at else "should be"
            return f"{where} {in_short(expected.label)}, got {'nothing' if given is None else in_short(given)}"
    return ""


def in_short(text: str) -> str:
    """A text in one line of at most 200 characters."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _json(value: object) -> str:
    return in_short(json.dumps(value, ensure_ascii=False))


def _text(answer: service_client.Answer) -> str:
    return in_short(answer.text) or "nothing"


def _ended(text: str) -> str:
    return text.rstrip(".") or "nothing"
