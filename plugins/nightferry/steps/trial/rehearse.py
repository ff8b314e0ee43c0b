"""Rehearse: would the releases that users can be sent back to start and answer, tonight?

Each comes up for a moment in the trial namespace: the very image, pulled anew as on a node that has not got it, started
as its decision said. Its pod is asked the golden examples, and it is removed again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.state.rehearsal import Outcome, Tried
from nightferry.entities.state.service_state import LAST
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import names, policies
from nightferry.manifests.deployment import deployment as deployment_of
from nightferry.manifests.trial import in_trial
from nightferry.steps.judging.reach_release import Probe, refuse_faults
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.rehearsal_record import record_rehearsal, rehearsed
from nightferry.steps.record.state import read_state
from nightferry.steps.rollout.await_ready import await_ready, pods_of
from nightferry.steps.rollout.check_quota import check_quota
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.trial.clear import clear
from nightferry.steps.trial.turn import Turn, my_turn

LAST_RELEASES = 3
"""How many of the last good releases are tried; whoever goes further back waits for a try then."""
MOST_SECONDS = 300
"""Of waiting for one release to be ready, whatever its service file allows: others want the namespace too."""
PATIENCE_SECONDS = 600.0
"""How long it waits for one that uses the namespace."""
_PULLS = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable", "InvalidImageName")
_SECRET = re.compile(r'secret "([^"]+)" not found')
_VERDICTS = {
    Reason.ROLLOUT_NOT_READY,
    Reason.VERIFY_GOLDEN_WRONG,
    Reason.VERIFY_WRONG_RELEASE,
    Reason.IMAGE_CONTRACT_BROKEN,
}
"""What was seen of a release, and is wrong with it, where the error is permanent."""
Prepare = Callable[[RolloutPlan], Probe]
"""Fetches the golden examples of a release; what asks them of an address."""
log = logging.getLogger(__name__)


def rehearse(
    service: str,
    *,
    cluster: Cluster,
    ledger: LedgerStore,
    prepare: Prepare,
    clock: Clock,
    night: str,
    actor: str,
    last: int = LAST_RELEASES,
) -> LedgerEntry:
    """Try the last good releases of a service, one after the other, and write down what was found, once for a night.

    Args:
        service: the service's name.
        cluster: the trial namespace.
        ledger: the record.
        prepare: fetches golden examples.
        clock: for waits and times.
        night: names this rehearsal: done again, it is found done.
        actor: who asked.
        last: how many releases, the newest first.

    Raises:
        Temporary: (trial_busy, cluster_unavailable, storage_unavailable)
        Permanent: (cluster_denied, storage_denied, ledger_…)
    """
    done = rehearsed(ledger, service, night)
    if done:
        return done
    tried: list[Tried] = []
    releases = [*reversed(read_state(ledger, service).good)][:last]
    if releases:
        with my_turn(cluster, f"the rehearsal of {service}", clock, PATIENCE_SECONDS) as turn:
            clear(cluster, service, clock)
            for release in releases:
                tried.append(_try(service, release, cluster, ledger, prepare, clock, turn))
                log.info("%s: %s. %s", release, tried[-1].outcome, tried[-1].sentence)
            if turn.mine:
                clear(cluster, service, clock)
    return record_rehearsal(ledger, clock, service=service, night=night, actor=actor, tried=tried)


def _try(
    service: str, release: str, cluster: Cluster, ledger: LedgerStore, prepare: Prepare, clock: Clock, turn: Turn
) -> Tried:
    start = clock.monotonic()

    def tried(outcome: Outcome, sentence: str, image: str = "") -> Tried:
        seconds = round(clock.monotonic() - start, 1)
        return Tried(release=release, image=image, outcome=outcome, sentence=sentence, seconds=seconds)

    try:
        decided = read_plan(release_entries(ledger, release), LAST)
    except Permanent as fault:
        return tried(Outcome.NOT_TRIED, fault.sentence)
    wait = min(decided.environment.ready_seconds, MOST_SECONDS)
    plan = in_trial(decided, replicas=1, ready_seconds=wait)
    try:
        probe = prepare(plan)
        turn.refuse_lost()
        checked = _start_and_ask(plan, cluster, probe, clock)
        return tried(Outcome.RIGHT, f"{checked} answers were right.", plan.image)
    except NightferryError as fault:
        return tried(*_judged(plan, cluster, fault), plan.image)
    finally:
        _remove(plan, cluster, turn)


def _start_and_ask(plan: RolloutPlan, cluster: Cluster, probe: Probe, clock: Clock) -> int:
    wanted = pulled_anew(deployment_of(plan, 1))
    check_quota(cluster, wanted)
    cluster.apply(policies.network_policy(plan.service))
    made = cluster.apply(wanted)
    if plan.environment.egress:
        cluster.apply(policies.egress(made, plan.environment.egress))
    pods = await_ready(cluster, plan.service, plan.release, seconds=plan.environment.ready_seconds, clock=clock)
    address = f"http://{pods[0].host}:{pods[0].port}"
    report = probe(address)
    refuse_faults(address, report)
    return report.checked


def pulled_anew(deployment: Manifest) -> Manifest:
    """The Deployment, its image looked for in the registry although the node may have it."""
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        container["imagePullPolicy"] = "Always"
    return deployment


def _judged(plan: RolloutPlan, cluster: Cluster, fault: NightferryError) -> tuple[Outcome, str]:
    """Whose fault it is: what is not seen to be the release's is not said of it."""
    try:
        pods = pods_of(cluster, plan.service, plan.release)
    except NightferryError:
        return Outcome.NOT_SEEN, fault.sentence
    for pod in pods:
        if pod.waiting in _PULLS:
            return (Outcome.NOT_SEEN if pod.may_pass else Outcome.NOT_PULLED), fault.sentence
        missing = _SECRET.search(pod.waiting_message)
        if missing:
            where = cluster.namespace
            return Outcome.NOT_TRIED, f"secret {missing[1]} is not in {where}; put one there that is fit for a trial."
    if isinstance(fault, Permanent) and fault.reason in _VERDICTS:
        return Outcome.WRONG, fault.sentence
    return Outcome.NOT_SEEN, fault.sentence


def _remove(plan: RolloutPlan, cluster: Cluster, turn: Turn) -> None:
    try:
        if turn.mine:
            cluster.delete("Deployment", names.object_name(plan.release))
    except NightferryError as fault:  # whoever has the next turn removes it
        log.warning("What was tried of %s is not removed yet: %s", plan.release, fault.sentence)
