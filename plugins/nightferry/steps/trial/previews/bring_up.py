"""Bring a preview up: the image that was built and tested for it, at an address of its own, compared with the release
in use.

Killed anywhere, the next try finds the Job, whose time has begun with it, and goes on. What can never be right is
taken away, and the record says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest, QuotaExceeded
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.judging.prediction_diff import DIFF, PredictionDiff
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.pod_state import PodState
from nightferry.entities.preview import PREVIEW, UP, Preview
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import BUILD_IMAGE, TEST_IMAGE
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import preview as manifests
from nightferry.manifests.trial import in_trial
from nightferry.steps.judging.reach_release import Probe, refuse_faults
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.preview_record import (
    pinned_of,
    preview_entries,
    record_end,
    record_trouble,
    record_up,
    refuse_over,
)
from nightferry.steps.rollout.await_ready import POLL_SECONDS, pods_of, refuse_hopeless
from nightferry.steps.rollout.check_quota import check_quota
from nightferry.steps.rollout.read_plan import AS_THE_STOCK_SERVICE
from nightferry.steps.rollout.unready_pods import too_late
from nightferry.steps.services.service_address import service_address
from nightferry.steps.trial.previews.end import end_over, remove
from nightferry.steps.trial.previews.places import full, standing

SCOPES = {"Terminating", "NotBestEffort"}
"""Those of quotas that count a preview's pod: it has a deadline, and asks for something."""
MOST_SECONDS = 600
"""Of waiting for the pod, whatever the service file allows."""
NODE_PORT = "NodePort"
Prepare = Callable[[RolloutPlan], Probe]
"""Fetches the golden examples; what asks them of an address."""
Compare = Callable[[RolloutPlan], PredictionDiff | None]
"""Compares the preview, which answers, with the release in use; None: nothing is in use."""
log = logging.getLogger(__name__)


def bring_up(
    preview: str, *, cluster: Cluster, ledger: LedgerStore, prepare: Prepare, compare: Compare, clock: Clock
) -> LedgerEntry:
    """Start the preview, ask it what its model knows, compare it, and write that it is up; that entry.

    Args:
        preview: its name.
        cluster: the trial namespace.
        ledger: the record.
        prepare: fetches golden examples.
        compare: compares it with the release in use.
        clock: for times and waits.

    Raises:
        Permanent: (preview_unknown, preview_ended, preview_full; result_missing: it was not built or not tested;
            rollout_…, verify_…, image_contract_broken; cluster_denied, storage_denied, ledger_…)
        Temporary: (cluster_unavailable, storage_unavailable; verify_unreachable, rollout_not_ready: perhaps next time)
    """
    entries = preview_entries(ledger, preview)
    pinned = pinned_of(entries)
    refuse_over(Chain(ledger, pinned.service), preview)
    done = next((entry for entry in entries if entry.key == f"{preview}/{UP}"), None)
    if done:
        return done
    try:
        plan = plan_of(pinned, entries)
        probe = prepare(plan)
        return _up(plan, pinned, cluster, ledger, probe, compare, clock)
    except Permanent as fault:
        sentence = f"{preview} did not come up: {fault.sentence}"
        record_end(ledger, clock, preview, actor=pinned.actor, reason=fault.reason, sentence=sentence)
        with suppress(NightferryError):  # whoever looks at previews next removes what is left
            remove(cluster, preview, clock)
        raise
    except NightferryError as fault:
        record_trouble(ledger, clock, pinned, fault.reason, fault.sentence)
        raise


def plan_of(preview: Preview, entries: Sequence[LedgerEntry]) -> RolloutPlan:
    """The preview as it is tried: its image, in the last environment's clothes, in the trial namespace.

    Raises:
        Permanent: (result_missing) no image was built, or none was tested.
    """
    spec = preview.service_spec
    by_step = {entry.key.removeprefix(f"{preview.preview}/"): entry for entry in entries}
    built, tested = by_step.get(BUILD_IMAGE), by_step.get(TEST_IMAGE)
    if built is None or tested is None or not built.data.get("candidate_image"):
        step = BUILD_IMAGE if built is None else TEST_IMAGE
        raise Permanent(
            Reason.RESULT_MISSING,
            f"The record of {preview.preview} does not have that {step} was done: it was marked as done by hand. Start "
            "another preview.",
        )
    last = spec.environments[-1]
    plan = RolloutPlan(
        service=spec.service,
        release=preview.preview,
        order=entries[0].sequence,
        image=str(built.data["candidate_image"]),
        model=preview.candidate.model,
        model_repository=spec.model.repository,
        source=preview.candidate.source.commit,
        actor=preview.actor,
        app=None if spec.is_stock else preview.candidate.app or AS_THE_STOCK_SERVICE,
        gates=spec.prediction_gates,
        environment=last,
    )
    # Never a load balancer of its own: a preview is for those who look at it.
    kind = NODE_PORT if last.service_type == NODE_PORT else "ClusterIP"
    wait = min(last.ready_seconds, MOST_SECONDS)
    return in_trial(plan, name=PREVIEW, replicas=1, ready_seconds=wait, service_type=kind)


def _up(
    plan: RolloutPlan,
    pinned: Preview,
    cluster: Cluster,
    ledger: LedgerStore,
    probe: Probe,
    compare: Compare,
    clock: Clock,
) -> LedgerEntry:
    job = cluster.get("Job", plan.release) or _start(plan, pinned, cluster, ledger, clock)
    cluster.apply(manifests.network_policy(plan, job))
    if plan.environment.egress:
        cluster.apply(manifests.egress(plan, job))
    cluster.apply(manifests.service(plan, job))
    pod = _await_pod(plan, cluster, clock)
    address = f"http://{pod.host}:{pod.port}"
    refuse_faults(address, probe(address))
    found, sentence = _compared(plan, compare)
    where = service_address(cluster, plan.release)
    until = manifests.until(job)
    data = {
        "address": where,
        "until": until,
        "image": plan.image,
        "comparison": sentence,
        **({DIFF: found.to_json()} if found else {}),
    }
    told = f"{plan.release} answers at {where} until {until}. {sentence}"
    entry = record_up(ledger, clock, pinned, told, data)
    log.info("%s", entry.sentence)
    return entry


def _start(plan: RolloutPlan, pinned: Preview, cluster: Cluster, ledger: LedgerStore, clock: Clock) -> Manifest:
    """Make the Job. What is over and only still there gives its place first."""
    end_over(cluster, ledger, clock)
    wanted = manifests.job(plan, actor=pinned.actor, hours=pinned.hours, now=clock.now())
    held = standing(cluster, clock.now())
    try:
        check_quota(cluster, wanted, scopes=SCOPES)
    except Permanent as fault:
        if fault.reason is Reason.ROLLOUT_REFUSED and held:
            raise full(held, cluster.namespace, "and what it asks for does not fit beside them") from fault
        raise
    try:
        made = cluster.create(wanted)
    except QuotaExceeded as fault:
        raise full(held, cluster.namespace, "all places are taken") from fault
    found = made or cluster.get("Job", plan.release)
    if found is None:
        raise Permanent(Reason.PREVIEW_ENDED, f"{plan.release} was removed as it was made; start another one.")
    return found


def _await_pod(plan: RolloutPlan, cluster: Cluster, clock: Clock) -> PodState:
    deadline = clock.monotonic() + plan.environment.ready_seconds
    while True:
        job = cluster.get("Job", plan.release)
        if job is None or manifests.is_over(job, clock.now()):
            why = manifests.why_over(job) if job else ""
            raise Permanent(
                Reason.ROLLOUT_NOT_READY if why else Reason.PREVIEW_ENDED,
                f"{plan.release} was over before it was ready. {why}".strip(),
            )
        pods = pods_of(cluster, plan.service, plan.release)
        ready = [pod for pod in pods if pod.ready and not pod.deleting]
        if ready:
            return ready[0]
        refuse_hopeless(cluster, pods)
        if clock.monotonic() >= deadline:
            raise too_late(cluster, plan.release, pods, plan.environment.ready_seconds)
        clock.sleep(POLL_SECONDS)


def _compared(plan: RolloutPlan, compare: Compare) -> tuple[PredictionDiff | None, str]:
    """The comparison, and a sentence; one that cannot be made is no fault of the preview."""
    try:
        found = compare(plan)
    except NightferryError as fault:
        return None, f"It could not be compared with the release in use: {fault.sentence}"
    if found is None:
        return None, "Nothing is in use that it could be compared with."
    total = found.compared + found.lost
    return found, f"{found.flips + found.lost} of {total} answers differ from those of {found.in_use}."
