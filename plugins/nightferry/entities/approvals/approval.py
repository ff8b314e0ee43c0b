"""One answer of a person to the question whether an image may come into an environment, as the record has it."""

from __future__ import annotations

from collections.abc import Iterable

from nightferry.entities.fact_key import of_environment
from nightferry.entities.frozen import Recorded
from nightferry.entities.ledger_entry import Kind, LedgerEntry

APPROVAL = "approval"
"""The step of such an answer: `production.approval/2` is the second one that was given for a release there."""


class Answer(Recorded):
    """What a person answered, in the words of Airflow's own details of the question."""

    person: str
    """The Airflow user whose login answered."""
    user_id: str
    """That login's id in Airflow: of the simple auth manager the name again, of FAB a number."""
    yes: bool
    why: str = ""
    at: str
    """When (UTC, RFC 3339 with what is below a second)."""
    image: str
    """`repo@sha256:…`: for what the question was asked."""
    run: str
    """The Airflow run that asked."""
    task: str


class Approval(Answer):
    """An answer on the record."""

    environment: str
    counts: bool
    """Whether it counted when it came; who may not answer, or answered before, is written down and does not count."""
    sequence: int
    """Of the entry."""


def approvals_in(entries: Iterable[LedgerEntry], environment: str) -> tuple[Approval, ...]:
    """The answers that a release's entries have for an environment, in their order."""
    return tuple(
        Approval.model_validate(entry.data | {"sequence": entry.sequence})
        for entry in entries
        if entry.kind == Kind.APPROVAL and entry.data.get("environment") == environment and "person" in entry.data
    )


def step_in(environment: str) -> str:
    """The step of the answers for an environment: `production.approval`."""
    return of_environment(environment, APPROVAL)
