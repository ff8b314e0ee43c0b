"""Verify: users get this release, from these pods, and it knows its golden examples. Otherwise go back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.cluster import Cluster
from nightferry.clients.ledger_store import LedgerStore
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
    refuse_faults,
)
from nightferry.steps.record.rollout_record import VERIFY, record_success, record_trouble
from nightferry.steps.rollout.await_ready import counted, pods_of
from nightferry.steps.rollout.go_back import go_back
from nightferry.steps.rollout.retire_releases import retire_releases
from nightferry.steps.rollout.settle_releases import settle
from nightferry.steps.rollout.switch_service import in_use, refuse_superseded

POLL_SECONDS = 0.2
AT_ONCE_SECONDS = 5.0
"""How long the first look may wait: if something is wrong, users wait so much longer until traffic goes back."""
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
    prepare: Callable[[], Probe],
    ask: AskVersion,
    ledger: LedgerStore,
    clock: Clock,
    last_try: bool = False,
) -> Verified:
    """Check what users of the environment get; on a failure the release before is put into use again.

    Args:
        plan: what should be in use.
        cluster: the environment's namespace.
        address: gives `http://…` of the stable Service.
        prepare: fetches the golden examples, and gives what asks them, and the contract, of an address.
        ask: asks /version of an address.
        ledger: where the verification is recorded.
        clock: for waits and times.
        last_try: nobody will try again, so go back on a temporary failure too.

    Raises:
        Permanent: (verify_wrong_release, verify_golden_wrong, image_contract_broken, rollout_superseded,
            cluster_denied, storage_denied)
        Temporary: (verify_unreachable, cluster_unavailable, storage_unavailable)
    """
    start = clock.monotonic()
    try:
        pods, checked = _check(plan, cluster, address, prepare(), ask, clock, REACH_SECONDS)
    except NightferryError as fault:
        _failed(plan, cluster, ledger, clock, fault, last_try)
        raise
    return _record(plan, cluster, ledger, clock, pods, checked, start)


def verify_at_once(
    plan: RolloutPlan,
    *,
    cluster: Cluster,
    address: Address,
    prepare: Callable[[], Probe],
    ask: AskVersion,
    ledger: LedgerStore,
    clock: Clock,
) -> Verified | None:
    """The same check right after the rollout, by whoever rolled out, where a pod more would only cost time.

    What is right is recorded. What is not, or not yet after a few seconds, is left as it is for the verification's
    own task, which looks again and goes back.

    Returns:
        None when something was not right.
    """
    start = clock.monotonic()
    try:
        pods, checked = _check(plan, cluster, address, prepare(), ask, clock, AT_ONCE_SECONDS)
        return _record(plan, cluster, ledger, clock, pods, checked, start)
    except NightferryError as fault:
        log.info("Not verified yet, which is the next task's work: %s", fault.sentence)
        return None


def _record(
    plan: RolloutPlan,
    cluster: Cluster,
    ledger: LedgerStore,
    clock: Clock,
    pods: Sequence[PodState],
    checked: int,
    start: float,
) -> Verified:
    # What an interrupted rollout left undone.
    settle(cluster, plan.service, plan.release, plan.environment.warm_minutes, clock)
    with suppress(NightferryError):  # whatever still runs too long is retired later
        retire_releases(cluster, plan.service, clock)
    seconds = round(clock.monotonic() - start, 1)
    done = Verified(release=plan.release, pods=tuple(pod.name for pod in pods), checked=checked, seconds=seconds)
    answering = f"{plan.environment.name} answers as {plan.release} from {counted(len(pods))}"
    sentence = f"{answering}; {checked} checks are right."
    record_success(ledger, clock, plan, VERIFY, sentence, done.to_json())
    log.info(sentence)
    return done


def _failed(
    plan: RolloutPlan, cluster: Cluster, ledger: LedgerStore, clock: Clock, fault: NightferryError, last_try: bool
) -> None:
    action = "It will be tried again." if not last_try else ""
    if fault.reason is Reason.ROLLOUT_SUPERSEDED:
        action = "Nothing was changed."
    elif isinstance(fault, Permanent) or last_try:
        try:
            action = go_back(plan, cluster=cluster, clock=clock)
        except NightferryError as second:
            action = f"Going back failed: {second.sentence}"
    log.warning("%s %s", fault.sentence, action)
    record_trouble(ledger, clock, plan, VERIFY, fault, {"action": action})


def _check(
    plan: RolloutPlan,
    cluster: Cluster,
    address: Address,
    probe: Probe,
    ask: AskVersion,
    clock: Clock,
    seconds: float,
) -> tuple[list[PodState], int]:
    _check_service(plan, cluster)
    passport = names.passport(plan)
    pods = _await_endpoints(plan, cluster, clock, seconds)
    for pod in pods:
        _check_pod(plan, pod, passport, ask)
    called = address()
    await_release(called, passport, ask, clock, seconds)
    report = probe(called)
    refuse_faults(called, report)
    return pods, report.checked


def _check_service(plan: RolloutPlan, cluster: Cluster) -> None:
    stable = cluster.get("Service", plan.service)
    current = in_use(stable)
    refuse_superseded(current, plan.release, cluster.namespace)
    selector = (stable or {}).get("spec", {}).get("selector")
    if current != plan.release or selector != names.selector(plan.service, plan.release):
        raise Permanent(
            Reason.VERIFY_WRONG_RELEASE,
            f"Service {plan.service} in {cluster.namespace} points to {current or 'no release'} with {selector}, "
            f"not to {plan.release}.",
        )


def _await_endpoints(plan: RolloutPlan, cluster: Cluster, clock: Clock, seconds: float) -> list[PodState]:
    """The release's ready pods, once they and no others are what the Service sends users to."""
    deadline = clock.monotonic() + seconds
    while True:
        pods = [pod for pod in pods_of(cluster, plan.service, plan.release) if pod.ready and not pod.deleting]
        wanted = {pod.ip for pod in pods}
        slices = cluster.list("EndpointSlice", {"kubernetes.io/service-name": plan.service})
        found = ready_addresses(slices)
        if wanted and found == wanted:
            return pods
        if clock.monotonic() >= deadline:
            raise Permanent(
                Reason.VERIFY_WRONG_RELEASE if found - wanted else Reason.VERIFY_UNREACHABLE,
                f"Service {plan.service} in {cluster.namespace} sends users to {sorted(found) or 'nobody'}, "
                f"but the ready pods of {plan.release} are {sorted(wanted) or 'none'}.",
            )
        clock.sleep(POLL_SECONDS)


def ready_addresses(slices: Any) -> set[str]:
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
    answer = ask(f"http://{_host(pod.ip)}:{names.PORT}")
    wrong = difference(answer, passport)
    if answer is None:
        raise Temporary(Reason.VERIFY_UNREACHABLE, f"Pod {pod.name} ({pod.ip}) did not answer at /version.")
    if wrong:
        raise Permanent(Reason.VERIFY_WRONG_RELEASE, f"Pod {pod.name} answers from something else: {wrong}.")


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
