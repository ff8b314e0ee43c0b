"""Read from the record what is to be rolled out: the decision as it was made, and the image that was published."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.entities.app.contract import AppContract
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import FactKey
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent

PUBLISH = "publish_image"
AS_THE_STOCK_SERVICE = AppContract(ready="/readyz", live="/livez", version="/version")
"""How an app of its own had to be before there were contracts."""


def read_plan(entries: Sequence[LedgerEntry], environment: str) -> RolloutPlan:
    """The plan of a release in an environment.

    Args:
        entries: all entries of the release, its decision first (`release_entries`).
        environment: the environment's name.

    Raises:
        Permanent: (decision_outdated) the decision pins no service file: an earlier version made it.
            (result_missing) no image was published: that task was marked as done by hand.
            (request_invalid) the release does not go through this environment.
    """
    decided = next(entry for entry in entries if entry.kind == Kind.DECISION)
    decision = Decision.model_validate(decided.data)
    spec = pinned_spec(decision)
    if environment not in decision.environments:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"{decision.release} goes through {' and '.join(decision.environments)}, not {environment}.",
        )
    return RolloutPlan(
        service=decision.service,
        release=str(decision.release),
        order=decided.sequence,
        image=decision.image or _published(entries, str(decision.release)),
        model=decision.candidate.model,
        model_repository=spec.model.repository,
        source=decision.candidate.source.commit,
        actor=decision.actor,
        app=None if spec.is_stock else decision.candidate.app or AS_THE_STOCK_SERVICE,
        gates=spec.prediction_gates,
        environment=spec.environment(environment),
    )


def pinned_spec(decision: Decision) -> ServiceSpec:
    """The service as it was decided.

    Raises:
        Permanent: (decision_outdated) the decision pins no service file.
    """
    spec = decision.service_spec
    if spec is None:
        raise Permanent(
            Reason.DECISION_OUTDATED,
            f"{decision.release} was decided by an earlier version of Nightferry, which did not write down how it is "
            f"to be rolled out; decide anew: nightferry release {decision.service}.",
        )
    return spec


def _published(entries: Sequence[LedgerEntry], release: str) -> str:
    key = str(FactKey(release, PUBLISH))
    for entry in entries:
        if entry.key == key and entry.data.get("image"):
            return str(entry.data["image"])
    raise Permanent(
        Reason.RESULT_MISSING,
        f"The record of {release} has no published image: {PUBLISH} was marked as done by hand, or the record was not "
        f"written. Clear {PUBLISH} in Airflow and let it run.",
    )
