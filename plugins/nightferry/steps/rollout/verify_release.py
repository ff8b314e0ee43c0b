"""Verify: users get this release, from these pods, and it knows its golden examples. Otherwise go back.

Only what was seen is a verdict. A cluster, a storage or a record that does not answer says nothing about the release:
it stays where it is, unverified, and is looked at again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.frozen import Frozen
from nightferry.entities.pod_state import PodState
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.judging.reach_release import (
    REACH_SECONDS,
    Address,
    AskVersion,
    Probe,
    await_release,
    difference,
    proof,
    refuse_faults,
)
from nightferry.steps.record.rollout_record import VERIFY, record_seen, record_success, record_trouble
from nightferry.steps.rollout.await_ready import counted, pods_of
from nightferry.steps.rollout.back.go_back import go_back
from nightferry.steps.rollout.fence import Orders, refuse_superseded
from nightferry.steps.rollout.follow_route import follow, refuse_misrouted
from nightferry.steps.rollout.retire_releases import retire_releases
from nightferry.steps.rollout.settle_releases import settle
from nightferry.steps.rollout.switch_service import in_use

POLL_SECONDS = 0.2
VERDICTS = {
    Reason.VERIFY_WRONG_RELEASE,
    Reason.VERIFY_GOLDEN_WRONG,
    Reason.IMAGE_CONTRACT_BROKEN,
    Reason.FIGURES_WRONG,
    Reason.NO_FIGURES,
    Reason.WITHDRAWN,  # going back may not be done yet
}
"""What was seen of the release, and is wrong with it."""
Baking = Callable[[Callable[[], object]], str]
"""Watches a release that all users get, with what looks at it once; says what was found."""
log = logging.getLogger(__name__)


class Verified(Frozen):
    """A release that is what users get."""

    release: str
    pods: tuple[str, ...]
    checked: int
    """How many answers were compared through the Service."""
    seconds: float


def verify_release(
    plan: RolloutPlan,
    *,
    cluster: Cluster,
    address: Address,
    probe: Probe,
    ask: AskVersion,
    ledger: LedgerStore,
    orders: Orders,
    clock: Clock,
    bake: Baking | None = None,
) -> Verified:
    """Check what users of the environment get; if that is wrong, the release before is put into use again.

    Args:
        plan: what should be in use.
        cluster: the environment's namespace.
        address: gives `http://…` of the stable Service.
        probe: asks the golden examples, and the contract, of an address; what it needs was fetched before.
        ask: asks /version of an address.
        ledger: where the verification is recorded.
        orders: what the record knows of orders.
        clock: for waits and times.
        bake: watches it for the time that the service file wants, before it is called verified.

    Raises:
        Permanent: (verify_wrong_release, verify_golden_wrong, verify_unreachable, image_contract_broken,
            figures_wrong, no_figures: it was taken out of use, as far as that could be done; withdrawn: it was before;
            rollout_superseded, cluster_denied)
        Temporary: (verify_unreachable, cluster_unavailable, storage_unavailable) it could not be looked at.
    """
    start = clock.monotonic()
    try:
        look = partial(_check, plan, cluster, address, probe, ask, orders, clock)
        pods, checked = look()
        baked = bake(look) if bake else ""
        if baked:
            pods, checked = look()
    except NightferryError as fault:
        raise _judged(plan, cluster, ask, ledger, clock, fault) from fault
    # What an interrupted rollout left undone.
    settle(cluster, plan.service, plan.environment, plan.release, clock)
    with suppress(NightferryError):  # whatever still runs too long is retired later
        retire_releases(cluster, plan.service, clock)
    seconds = round(clock.monotonic() - start, 1)
    stable = cluster.get("Service", plan.service)
    record_seen(ledger, clock, plan, names.annotations_of(stable).get(names.PREVIOUS, "") if stable else "")
    done = Verified(release=plan.release, pods=tuple(pod.name for pod in pods), checked=checked, seconds=seconds)
    answering = f"{plan.environment.name} answers as {plan.release} from {counted(len(pods))}"
    sentence = f"{answering}; {checked} checks are right."
    sentence = f"{sentence} {baked}".rstrip()
    record_success(ledger, clock, plan, VERIFY, sentence, done.to_json())
    log.info(sentence)
    return done


def _judged(
    plan: RolloutPlan,
    cluster: Cluster,
    ask: AskVersion,
    ledger: LedgerStore,
    clock: Clock,
    fault: NightferryError,
) -> NightferryError:
    """Go back where the fault is a verdict, and write down what was found; the fault as it is to be raised."""
    action = "It will be looked at again."
    if fault.reason == Reason.ROLLOUT_SUPERSEDED:
        action = "Nothing was changed."
    elif _is_verdict(plan, cluster, ask, fault):
        try:
            action = go_back(plan, fault, cluster=cluster, ledger=ledger, clock=clock)
        except NightferryError as second:
            action = f"Going back failed: {second.sentence}"
        fault = Permanent(fault.reason, fault.sentence)
    log.warning("%s %s", fault.sentence, action)
    record_trouble(ledger, clock, plan, VERIFY, fault, {"action": action})
    return fault


def _is_verdict(plan: RolloutPlan, cluster: Cluster, ask: AskVersion, fault: NightferryError) -> bool:
    if fault.reason in VERDICTS:
        return True
    if fault.reason != Reason.VERIFY_UNREACHABLE:
        return False
    # Silence may be ours: a network that does not carry us. It is the release's where the one before answers.
    try:
        return _one_before_answers(plan, cluster, ask)
    except NightferryError:
        return False


def _one_before_answers(plan: RolloutPlan, cluster: Cluster, ask: AskVersion) -> bool:
    stable = cluster.get("Service", plan.service)
    previous = names.annotations_of(stable).get(names.PREVIOUS, "") if stable else ""
    if not previous:
        return False
    answers = (ask(_address(pod)) for pod in pods_of(cluster, plan.service, previous) if pod.ready)
    return any(isinstance(answer, dict) and answer.get("release", previous) == previous for answer in answers)


def _check(
    plan: RolloutPlan,
    cluster: Cluster,
    address: Address,
    probe: Probe,
    ask: AskVersion,
    orders: Orders,
    clock: Clock,
) -> tuple[list[PodState], int]:
    passport = proof(plan.app, names.passport(plan))
    with suppress(Temporary):  # it is looked at below, for as long as that takes
        if in_use(cluster.get("Service", plan.service)) == plan.release:
            follow(cluster, plan.service, plan.environment, clock)
    pods = _await_pods(plan, cluster, ask, orders, clock, passport)
    called = address()
    await_release(called, passport, ask, clock, REACH_SECONDS)
    report = probe(called)
    refuse_faults(called, report)
    return pods, report.checked


def _await_pods(
    plan: RolloutPlan,
    cluster: Cluster,
    ask: AskVersion,
    orders: Orders,
    clock: Clock,
    passport: Mapping[str, str],
) -> list[PodState]:
    """The release's ready pods, once they and no others are what the Service sends users to, and all of them answer as
    the release. A cluster that does not answer for a moment is asked again."""
    deadline = clock.monotonic() + REACH_SECONDS
    while True:
        try:
            _check_service(plan, cluster, orders)
            refuse_misrouted(cluster, plan.service, plan.environment, plan.release)
            pods = _endpoints(plan, cluster)
            for pod in pods:
                _check_pod(plan, pod, passport, ask)
            return pods
        except NightferryError as fault:
            passing = fault.reason in (Reason.VERIFY_WRONG_RELEASE, Reason.VERIFY_UNREACHABLE)
            if not (passing or isinstance(fault, Temporary)) or clock.monotonic() >= deadline:
                raise
        clock.sleep(POLL_SECONDS)


def _check_service(plan: RolloutPlan, cluster: Cluster, orders: Orders) -> None:
    stable = cluster.get("Service", plan.service)
    current = in_use(stable)
    refuse_superseded(stable, plan.release, plan.order, orders)
    selector = (stable or {}).get("spec", {}).get("selector")
    if current != plan.release or selector != names.selector(plan.service, plan.release):
        raise Permanent(
            Reason.VERIFY_WRONG_RELEASE,
            f"Service {plan.service} in {cluster.namespace} points to {current or 'no release'} with {selector}, "
            f"not to {plan.release}.",
        )


def _endpoints(plan: RolloutPlan, cluster: Cluster) -> list[PodState]:
    pods = [pod for pod in pods_of(cluster, plan.service, plan.release) if pod.ready and not pod.deleting]
    wanted = {pod.ip for pod in pods}
    found = ready_addresses(cluster.list("EndpointSlice", {"kubernetes.io/service-name": plan.service}))
    if wanted and found == wanted:
        return pods
    kind, reason = (
        (Permanent, Reason.VERIFY_WRONG_RELEASE) if found - wanted else (Temporary, Reason.VERIFY_UNREACHABLE)
    )
    raise kind(
        reason,
        f"Service {plan.service} in {cluster.namespace} sends users to {sorted(found) or 'nobody'}, "
        f"but the ready pods of {plan.release} are {sorted(wanted) or 'none'}.",
    )


def ready_addresses(slices: Sequence[Mapping[str, Any]]) -> set[str]:
    """The addresses that a Service's EndpointSlices send traffic to."""
    return {
        address
        for one in slices
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint["addresses"]
    }


def _check_pod(plan: RolloutPlan, pod: PodState, passport: Mapping[str, str], ask: AskVersion) -> None:
    digest = plan.image.rpartition("@")[2]
    if pod.image != plan.image or ("@" in pod.image_id and not pod.image_id.endswith(digest)):
        raise Permanent(
            Reason.VERIFY_WRONG_RELEASE,
            f"Pod {pod.name} runs {pod.image_id or pod.image}, not {plan.image}, which was tested.",
        )
    answer = ask(_address(pod))
    wrong = difference(answer, passport)
    if answer is None:
        raise Temporary(Reason.VERIFY_UNREACHABLE, f"Pod {pod.name} ({pod.ip}) did not answer at /version.")
    if wrong:
        raise Permanent(Reason.VERIFY_WRONG_RELEASE, f"Pod {pod.name} answers from something else: {wrong}.")


def _address(pod: PodState) -> str:
    return f"http://{pod.host}:{pod.port}"
