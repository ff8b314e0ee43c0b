"""The earlier releases of a service that its users can be sent to again."""

from __future__ import annotations

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.fact_key import WITHDRAWAL, of_environment, step_of
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import names, policies
from nightferry.manifests.deployment import deployment as deployment_of
from nightferry.manifests.deployment import wanted_replicas
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.await_ready import await_ready
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.settle_releases import deployments_of
from nightferry.steps.rollout.switch_service import in_use


def earlier(cluster: Cluster, service: str, stable: Manifest) -> list[str]:
    """The releases in the namespace that users were sent to before, and that nobody left because they were wrong: the
    one before first, then the others, newest first."""
    current, before = in_use(stable), names.annotations_of(stable).get(names.PREVIOUS, "")
    served = {
        release: names.annotations_of(one)[names.SERVED]
        for release, one in deployments_of(cluster, service).items()
        if release != current and names.SERVED in names.annotations_of(one)
    }
    left = {release for release, one in deployments_of(cluster, service).items() if _left(one)}
    fine = [release for release in served if release not in left]
    return sorted(fine, key=lambda release: (release == before, served[release]), reverse=True)


def choose(cluster: Cluster, service: str, stable: Manifest) -> str:
    """The release before. Raises Permanent (rollback_impossible) where there is none."""
    found = earlier(cluster, service, stable)
    if not found:
        raise Permanent(
            Reason.ROLLBACK_IMPOSSIBLE,
            f"{in_use(stable)} has none before it in {cluster.namespace} to go back to; name one with --to: "
            f"`nightferry history {service}` lists them.",
        )
    return found[0]


def refuse_unfit(cluster: Cluster, release: str) -> None:
    """Raise Permanent (rollback_impossible) for a release that is there and that users never got, or that was taken out
    of use because it was wrong."""
    found = cluster.get("Deployment", names.object_name(release))
    notes = names.annotations_of(found) if found else {names.SERVED: "by the record"}
    if names.WRONG in notes:
        raise _wrong(release)
    if names.SERVED not in notes:
        raise Permanent(
            Reason.ROLLBACK_IMPOSSIBLE,
            f"Users of {cluster.namespace} were never sent to {release}: its rollout was not done.",
        )


def refuse_withdrawn(ledger: LedgerStore, release: str, environment: str) -> None:
    """The same, as far as the record says it; one that does not know the release says nothing."""
    try:
        entries = release_entries(ledger, release)
    except Permanent:
        return
    if any(step_of(entry.key) == of_environment(environment, WITHDRAWAL) for entry in entries):
        raise _wrong(release)


def bring_back(
    cluster: Cluster, service: str, environment: str, release: str, ledger: LedgerStore, clock: Clock
) -> Manifest:
    """Make the Deployment of a good release anew, whose own was removed since: the same image, by the record.

    Raises:
        Permanent: (rollback_impossible) the record does not know it as a release that users were served well by.
            rollout_… as `await_ready`.
    """
    try:
        if environment == "production" and release not in read_state(ledger, service).good:
            raise Permanent(Reason.ROLLBACK_IMPOSSIBLE, "it is none of the last good ones")
        plan = read_plan(release_entries(ledger, release), environment)
    except NightferryError as fault:
        raise Permanent(
            Reason.ROLLBACK_IMPOSSIBLE,
            f"{release} is not in {cluster.namespace} any more and cannot be made anew: {fault.sentence.rstrip('.')}. "
            f"`nightferry rollback {service} --dry-run` lists those that can be gone back to.",
        ) from fault
    made = cluster.apply(deployment_of(plan, wanted_replicas(plan.environment)))
    cluster.apply(policies.disruption_budget(made))
    if plan.environment.egress:
        cluster.apply(policies.egress(made, plan.environment.egress))
    await_ready(cluster, service, release, seconds=plan.environment.ready_seconds, clock=clock)
    return made


def _wrong(release: str) -> Permanent:
    return Permanent(
        Reason.ROLLBACK_IMPOSSIBLE,
        f"{release} was taken out of use because it was wrong; `nightferry show {release}` says what was. Release it "
        "anew, if that is over.",
    )


def _left(deployment: Manifest) -> bool:
    return bool({names.LEFT, names.WRONG} & set(names.annotations_of(deployment)))
