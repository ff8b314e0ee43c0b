"""Never begin a new record in silence: a Service that carries a release of ours has had one."""

from __future__ import annotations

from nightferry.clients.doors.cluster import Cluster
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.ledger import Chain
from nightferry.steps.rollout.switch_service import in_use


def refuse_new_record(ledger: LedgerStore, cluster: Cluster, service: str) -> None:
    """Refuse to decide on a service whose record is empty although its users get a release. A record that is not empty
    costs no look at the cluster.

    Raises:
        Permanent: (ledger_missing, rollout_refused, cluster_denied)   Temporary: (cluster_unavailable)
    """
    if Chain(ledger, service).head is not None:
        return
    release = in_use(cluster.get("Service", service))
    if release:
        raise Permanent(
            Reason.LEDGER_MISSING,
            f"The record of {service} is empty, but its users in {cluster.namespace} get {release}; nothing was "
            "decided. Restore the ledger from its copy, or mend the setting NIGHTFERRY_LEDGER.",
        )
