"""Refuse a rollout that people did not approve: by the record alone, whatever Airflow's tasks say."""

from __future__ import annotations

from nightferry.entities.approvals.approval import approvals_in
from nightferry.entities.approvals.counted import Terms, counted
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.history import decision_in


def refuse_unapproved(entries: list[LedgerEntry], environment: str, image: str) -> None:
    """Nothing where the image was approved for the environment, or nobody has to approve it.

    Args:
        entries: all of the release, as the record has them now.
        environment: its name.
        image: `repo@sha256:…` that is about to be rolled out.

    Raises:
        Permanent: (not_approved)
    """
    decision = decision_in(entries)
    terms = Terms.of(decision, environment, image, entries)
    if terms is None:
        return
    count = counted(approvals_in(entries, environment), terms)
    if count.approved:
        return
    said = ", ".join(count.yes) or "nobody"
    why = f"{count.no.person} declined it" if count.no else f"{said} approved, and {terms.needed} have to"
    raise Permanent(
        Reason.NOT_APPROVED,
        f"{decision.release} may not come into {environment}: {why}. What counts is what people answered "
        f"(nightferry approve {decision.release}, or Required Actions in Airflow), not a task that is marked as done.",
    )
