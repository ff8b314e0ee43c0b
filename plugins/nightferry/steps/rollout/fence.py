"""The fence: what was ordered earlier moves no traffic any more.

Every movement is ordered by an entry on the record (a decision to release, a withdrawal), and the Service carries the
sequence of the entry that moved it last. Dates do not count: a service whose time zone moved west goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nightferry.clients.doors.cluster import Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import state_of


@dataclass(frozen=True)
class Orders:
    """What the record knows of a service's orders, looked up when it is asked."""

    ledger: LedgerStore
    service: str

    def of(self, release: str) -> int | None:
        """The sequence of a release's decision; None where the record has no such release."""
        chain = Chain(self.ledger, self.service)
        known = state_of(chain).decided.get(release)
        if known:
            return known
        decisions = (entry for entry in chain if entry.kind == Kind.DECISION and entry.release == release)
        return next((entry.sequence for entry in decisions), None)

    def head(self) -> int:
        """The sequence of the newest entry; 0 for an empty record."""
        head = Chain(self.ledger, self.service).head
        return head.sequence if head else 0


def order_on(found: Manifest | None) -> int:
    """The order that an object carries; 0 for one without."""
    written = names.annotations_of(found).get(names.ORDER, "") if found else ""
    return int(written) if written.isdigit() else 0


def order_of(found: Manifest, orders: Orders) -> int:
    """The sequence of the entry that ordered what a Service is; 0 for one that points to no release.

    One that an earlier version moved carries none: it is the decision of its release, looked up in the record.

    Raises:
        Permanent: (ledger_behind) the record does not know the order, or the release.
            (ledger_missing) the record is empty.
    """
    notes = names.annotations_of(found)
    written, release = notes.get(names.ORDER, ""), notes.get(names.RELEASE, "")
    if not (written or release):
        return 0
    head = orders.head()
    if not head:
        raise Permanent(
            Reason.LEDGER_MISSING,
            f"{_what(found)} carries {release or 'an order'}, but the record of {orders.service} is empty; nothing was "
            "changed. Restore the ledger from its copy, or mend the setting NIGHTFERRY_LEDGER.",
        )
    if written.isdigit() and int(written) > head:
        raise Permanent(
            Reason.LEDGER_BEHIND,
            f"{_what(found)} was moved by entry {written} of the record, which ends at entry {head}; nothing was "
            "changed. Was the record restored from an older copy?",
        )
    decided = orders.of(release) if release else 0
    if decided is None:
        raise Permanent(
            Reason.LEDGER_BEHIND,
            f"{_what(found)} carries {release}, which the record does not know; nothing was changed. Was the record "
            "restored from an older copy, or is it another one?",
        )
    return int(written) if written.isdigit() else decided


def refuse_superseded(found: Manifest | None, release: str, order: int, orders: Orders) -> None:
    """Refuse a release, where the Service was moved by something that was ordered later.

    Raises:
        Permanent: (rollout_superseded, ledger_behind, ledger_missing; withdrawn: this release was taken out of use)
    """
    if found is None:
        return
    notes = names.annotations_of(found)
    where, current = found["metadata"].get("namespace", "the namespace"), notes.get(names.RELEASE, "")
    if current == release:
        return
    if notes.get(names.WITHDRAWN) == release:
        raise Permanent(
            Reason.WITHDRAWN,
            f"{release} was taken out of use in {where}, which serves {current or 'nothing'}; nothing was changed. "
            "Release again to try once more.",
        )
    if unwritten_rollback(notes):
        raise Permanent(
            Reason.ROLLOUT_SUPERSEDED,
            f"{where} was rolled back to {current} by a person while the record could not be written to; nothing was "
            f"changed. Release again once that is on the record: `nightferry show {current}` says so.",
        )
    if order_of(found, orders) >= order:
        raise Permanent(
            Reason.ROLLOUT_SUPERSEDED,
            f"{release} was ordered before {current or 'what was done last'}, which {where} already serves; "
            "nothing was changed.",
        )


def unwritten_rollback(notes: Mapping[str, str]) -> bool:
    """Whether the Service carries a rollback that the record does not have yet."""
    return '"order": 0' in notes.get(names.ROLLBACK, "")


def _what(found: Manifest) -> str:
    metadata = found["metadata"]
    return f"{found['kind']} {metadata['name']} in {metadata.get('namespace', 'the namespace')}"
