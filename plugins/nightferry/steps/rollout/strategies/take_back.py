"""Take a release back from the share of the users that a canary gave it, for good: it was judged.

The share goes first, since the Service never pointed to the release and needs no order to stay where it is. Then the
order is written, with what is barred and how many users met it; a record that is silent is told later, from what the
service carries. Then what the release had is removed, and that is written too. Done again after any interruption it
goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError
from nightferry.steps.record.close_release import close_again
from nightferry.steps.record.rollout_record import WITHDRAW, record_order, record_success
from nightferry.steps.rollout.strategies.target import Target

log = logging.getLogger(__name__)


def take_back(
    plan: RolloutPlan,
    why: NightferryError,
    met: Mapping[str, Any],
    *,
    target: Target,
    ledger: LedgerStore,
    clock: Clock,
) -> str:
    """Send all users to the release in use, and write why; what was done, as a sentence.

    Args:
        plan: of the release that had a share.
        why: what it was judged by.
        met: how many users met it.
        target: carries the service.
        ledger: where to.
        clock: for the time.

    Raises:
        Permanent: (rollout_refused, cluster_denied, storage_denied …)
        Temporary: (cluster_unavailable, storage_unavailable) it is not done yet.
    """
    target.take_back()
    current, where = target.in_use(), plan.environment.name
    try:
        record_order(ledger, clock, plan, why, current, met)
    except NightferryError:  # whoever looks next writes it
        target.note(why, met)
        raise
    target.remove()
    told = " ".join(f"{name} {value}" for name, value in met.items() if name in ("share", "seconds") and value)
    sentence = f"{where} serves {current or 'nothing'} alone again, and {plan.release} was removed ({told})."
    record_success(ledger, clock, plan, WITHDRAW, sentence, {"to": current, **_exposure(met)})
    close_again(ledger, clock, plan.release)
    log.info(sentence)
    return sentence


def _exposure(met: Mapping[str, Any]) -> dict[str, Any]:
    return {name: met[name] for name in ("share", "seconds", "requests") if name in met}
