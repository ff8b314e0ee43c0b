"""What one image answers to a model's golden examples and its app's checks, to be compared later with another's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import ServiceClient, Unanswered
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.frozen import Frozen
from nightferry.entities.model_version import ModelManifest
from nightferry.steps.judging.compare_answers import compare
from nightferry.steps.judging.patient_asking import await_answer
from nightferry.steps.judging.prediction_gates import MINIMUM
from nightferry.steps.judging.questions import NoAnswer, Question, Said, Side, golden_questions

MOST = 100
"""Questions: all answers travel in one line of a container's output."""


class Row(Frozen):
    """The answer to one row of a question, without the scores of its classes."""

    label: str
    document: Any = None
    tolerance: float


class Answers(Frozen):
    """What was answered, question by question; None: nothing."""

    answers: tuple[tuple[Row, ...] | None, ...] = ()
    trouble: str = ""
    """Why nothing could be asked; empty: it could."""


class Flips(Frozen):
    """How the answers of one image differ from another's."""

    answered: int
    """By the other one."""
    flipped: int

    @property
    def percent(self) -> float:
        """Flips of all answers."""
        return 100 * self.flipped / self.answered if self.answered else 0.0

    @property
    def judged(self) -> bool:
        """Whether there are enough to say anything."""
        return self.answered >= MINIMUM


def read_answers(
    address: str,
    app: AppContract | None,
    manifest: ModelManifest,
    asked: tuple[ModelManifest, Path],
    checks: Sequence[Exchange],
    clock: Clock,
    ready_seconds: float,
) -> Answers:
    """Wait until the service is ready, and ask it everything once.

    Args:
        address: `http://host:port`.
        app: the contract of the app there; None: it is the stock service.
        manifest: of the model there: how it is asked and read.
        asked: whose golden examples, and where they are.
        checks: of an app, beside them.
        clock: for the wait.
        ready_seconds: how long to wait.
    """
    client = ServiceClient(address)
    trouble = await_answer(lambda: _not_ready(client, app), clock, ready_seconds)
    if trouble:
        return Answers(trouble=f"{address} was not ready within {ready_seconds:g} s: {trouble}")
    side = Side(client, manifest)
    return Answers(answers=tuple(_ask(one, side) for one in golden_questions(*asked, checks, MOST)))


def flips_between(before: Answers, after: Answers) -> Flips:
    """Count the answers that differ, or that are not given any more."""
    answered = flipped = 0
    for old, new in zip(before.answers, after.answers, strict=False):
        if old is None:
            continue
        answered += len(old)
        if new is None or len(new) != len(old):
            flipped += len(old)
        else:
            flipped += sum(compare(_said(a), _said(b)).flipped for a, b in zip(old, new, strict=True))
    return Flips(answered=answered, flipped=flipped)


def _not_ready(client: ServiceClient, app: AppContract | None) -> str:
    if app is not None and app.ready is None:
        client.connect()
        return ""
    path = str(app.ready) if app else "/readyz"
    status = client.get(path).status
    return "" if status == 200 else f"{path} says {status}"


def _ask(question: Question, side: Side) -> tuple[Row, ...] | None:
    try:
        said = question.read(side, question.ask(side))
    except (Unanswered, NoAnswer):
        return None
    return tuple(Row(label=one.label, document=one.document, tolerance=one.tolerance) for one in said)


def _said(row: Row) -> Said:
    return Said(row.label, document=row.document, tolerance=row.tolerance)
