"""Roll back: a person sends an environment's users to an earlier release, whatever became of Airflow.

The order is written on the record first, and its sequence is the fence, as for a withdrawal. To a release that is
still warm it needs the cluster alone: a record that is silent keeps nobody from going back. The Service then carries
who ordered it and why, and whoever looks next writes that down.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.frozen import Frozen
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import names
from nightferry.masking import mask
from nightferry.steps.record.close_release import close_again
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.rollback_record import RollbackFacts, ordered_rollback, record_rollback, record_rolled_back
from nightferry.steps.record.rollout_record import record_seen
from nightferry.steps.rollout.back.earlier_releases import bring_back, choose, refuse_unfit, refuse_withdrawn
from nightferry.steps.rollout.back.go_back import as_it_was, wake
from nightferry.steps.rollout.back.in_time import in_time
from nightferry.steps.rollout.fence import order_on
from nightferry.steps.rollout.follow_route import carried_share, follow
from nightferry.steps.rollout.own_objects import refuse_other_environment
from nightferry.steps.rollout.read_plan import read_plan
from nightferry.steps.rollout.settle_releases import annotate, settle
from nightferry.steps.rollout.switch_service import change_notes, in_use, switch_back, utc

_TRIES = 10
BEFORE_SECONDS = 3.0
"""How long the record may take, each time that it is asked before the users get the other release."""
AFTER_SECONDS = 60.0
"""How long it may take to write down what was done."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What a person asks for."""

    service: str
    environment: Environment
    """As today's service file has it; that of the release counts where the record can be read."""
    to: str | None
    """None: the release before."""
    why: str
    actor: str
    ends: str = ""
    """The release whose canary is to end, where that is known; else it is looked for in the route."""


class RolledBack(Frozen):
    """A rollback that is done."""

    environment: str
    left: str
    """The release that users got before; empty where they had got `to` already."""
    to: str
    share: int = 100
    """How many percent of the users got it."""
    recorded: bool
    """Whether the record has it; what the record does not have, the Service carries."""
    seconds: float


def roll_back(wish: Wish, *, cluster: Cluster, ledger: LedgerStore, clock: Clock) -> RolledBack:
    """Send the users of an environment to an earlier release. Done again it finds what was done.

    While a canary gets a share of the users, the release in use is the earlier one: the canary ends, and the others
    stay where they are.

    Raises:
        Permanent: (rollback_impossible: there is nothing to go back to, or somebody ordered another rollback;
            rollout_not_ready, rollout_refused, cluster_denied)
        Temporary: (cluster_unavailable, rollout_not_ready)
    """
    start, where = clock.monotonic(), wish.environment.name
    stable = cluster.get("Service", wish.service)
    refuse_other_environment(stable, wish.service, where)
    left = in_use(stable)
    if stable is None or not left:
        raise _impossible(f"{where} of {wish.service} serves nothing, so there is nothing to go back from.")
    share = carried_share(cluster, wish.service)
    ends = wish.ends or (share.release if share else "")
    if ends and wish.to in (None, left):
        done = _end_canary(wish, ends, left, cluster=cluster, ledger=ledger, clock=clock)
        seconds = round(clock.monotonic() - start, 1)
        return done.model_copy(update={"share": share.share if share else 0, "seconds": seconds})
    if wish.to == left:
        return _follow(wish, left, left, cluster, ledger, clock)
    to = wish.to or choose(cluster, wish.service, stable)
    facts = RollbackFacts(
        service=wish.service,
        environment=where,
        namespace=cluster.namespace,
        left=left,
        to=to,
        why=mask(wish.why),
        actor=wish.actor,
    )
    environment, silent = _environment_of(to, wish.environment, ledger)
    refuse_unfit(cluster, to)
    woken = wake(cluster, wish.service, environment, to, clock)
    if woken is None:
        woken = bring_back(cluster, wish.service, where, to, ledger, clock)
    if in_use(cluster.get("Service", wish.service)) != left:  # while another rollback was waited for
        return _follow(wish, left, to, cluster, ledger, clock)
    previous = names.annotations_of(stable).get(names.PREVIOUS, "")
    order = None if silent else _order(ledger, clock, facts, previous)
    notes = {names.ROLLBACK: _note(facts, order)}
    identity = names.identity_of(woken)
    number = order.sequence if order else None
    if not switch_back(cluster, wish.service, left, identity, environment, clock, number, notes):
        return _follow(wish, left, to, cluster, ledger, clock)
    log.info("%s of %s serves %s again.", where, wish.service, to)
    recorded = complete_rollback(wish.service, environment, cluster=cluster, ledger=ledger, clock=clock)
    seconds = round(clock.monotonic() - start, 1)
    return RolledBack(environment=where, left=left, to=to, recorded=recorded, seconds=seconds)


def _follow(wish: Wish, left: str, to: str, cluster: Cluster, ledger: LedgerStore, clock: Clock) -> RolledBack:
    """Somebody else moved the Service meanwhile. Where that was the same rollback, theirs counts."""
    where = wish.environment.name
    if in_use(cluster.get("Service", wish.service)) != to:
        raise _impossible(
            f"{where} of {wish.service} no longer serves {left}: somebody else moved it just now. Look what it serves, "
            "and ask again."
        )
    recorded = complete_rollback(wish.service, wish.environment, cluster=cluster, ledger=ledger, clock=clock)
    return RolledBack(environment=where, left="", to=to, recorded=recorded, seconds=0.0)


def _end_canary(
    wish: Wish, ends: str, stays: str, *, cluster: Cluster, ledger: LedgerStore, clock: Clock
) -> RolledBack:
    """Take the share of the users back that a canary gives to `ends`; the Service stays where it is, with a fence that
    no deployer of that release passes."""
    environment, silent = _environment_of(stays, wish.environment, ledger)
    facts = RollbackFacts(
        service=wish.service,
        environment=environment.name,
        namespace=cluster.namespace,
        left=ends,
        to=stays,
        why=mask(wish.why),
        actor=wish.actor,
    )
    order = None if silent else _order(ledger, clock, facts, None)
    changes = {names.WITHDRAWN: ends, names.ROLLBACK: _note(facts, order, canary=True)}
    changes |= {names.ORDER: str(order.sequence)} if order else {}
    for _ in range(_TRIES):
        stable = cluster.get("Service", wish.service)
        if stable is None or in_use(stable) != stays:
            raise _impossible(
                f"{environment.name} of {wish.service} no longer serves {stays}: somebody else moved it just now. Look "
                "what it serves, and ask again."
            )
        with suppress(ClusterConflict):
            change_notes(cluster, wish.service, stable, environment, changes)
            break
    recorded = complete_rollback(wish.service, environment, cluster=cluster, ledger=ledger, clock=clock)
    return RolledBack(environment=environment.name, left=ends, to=stays, recorded=recorded, seconds=0.0)


def complete_rollback(
    service: str, environment: Environment, *, cluster: Cluster, ledger: LedgerStore, clock: Clock
) -> bool:
    """Finish the rollback that the Service carries, on the cluster and on the record; whether the record has it.

    Where the Service carries none, nothing is done.

    Raises:
        Permanent: (cluster_denied)   Temporary: (cluster_unavailable)
    """
    stable = cluster.get("Service", service)
    carried = carried_rollback(stable, service, environment.name)
    if stable is None or carried is None:
        return True
    follow(cluster, service, environment, clock)
    settle(cluster, service, environment, carried.to, clock)
    _mark_left(cluster, carried, clock)

    def write() -> LedgerEntry:
        if unrecorded(stable) and not _of_canary(stable):
            _record_left(ledger, clock, carried, "")
        order = record_rollback(ledger, clock, carried)
        record_rolled_back(ledger, clock, carried, order)
        for release in (carried.left, carried.to):
            close_again(ledger, clock, release)
        return order

    try:
        order = in_time(write, AFTER_SECONDS)
    except NightferryError as silent:  # whoever looks next completes the record
        log.warning("The record does not have this yet: %s", silent.sentence)
        return False
    if not unrecorded(stable):
        return True
    changes = {
        names.ORDER: str(order.sequence),
        names.ROLLBACK: _note(carried, order, canary=_of_canary(stable)),
    }
    with suppress(NightferryError):  # it was moved on meanwhile, or whoever looks next does this
        change_notes(cluster, service, stable, environment, changes)
    return True


def carried_rollback(stable: Manifest | None, service: str, environment: str) -> RollbackFacts | None:
    """The rollback by which a Service came to its release; None where it was not one, or a person spoilt the note."""
    note = _read_note(stable)
    if stable is None or note is None:
        return None
    notes = names.annotations_of(stable)
    left, to = notes.get(names.WITHDRAWN, ""), notes.get(names.RELEASE, "")
    if not left or not to:
        return None
    return RollbackFacts(
        service=service,
        environment=environment,
        namespace=str(stable["metadata"].get("namespace", "")),
        left=left,
        to=to,
        why=str(note.get("why", "")),
        actor=str(note.get("actor", "")),
    )


def unrecorded(stable: Manifest | None) -> bool:
    """Whether the Service was rolled back, and the record could not be told."""
    note = _read_note(stable)
    return note is not None and not note.get("order")


def _environment_of(release: str, environment: Environment, ledger: LedgerStore) -> tuple[Environment, bool]:
    """The environment as it was decided for the release, and whether the record is silent: then it is as today.

    Raises Permanent (rollback_impossible) where the record knows the release as wrong."""

    def read() -> Environment:
        refuse_withdrawn(ledger, release, environment.name)
        return as_it_was(environment, release, ledger)

    try:
        return in_time(read, BEFORE_SECONDS), False
    except Temporary:
        return environment, True


def _of_canary(stable: Manifest | None) -> bool:
    """Whether the rollback that a Service carries ended a canary."""
    return bool((_read_note(stable) or {}).get("canary"))


def _order(ledger: LedgerStore, clock: Clock, facts: RollbackFacts, previous: str | None) -> LedgerEntry | None:
    """The order on the record; None where it cannot be written. `previous` is the release before the one that is left;
    None: that one had a share of the users. Raises Permanent where another rollback was ordered."""

    def write() -> LedgerEntry:
        if previous is not None:
            _record_left(ledger, clock, facts, previous)
        return record_rollback(ledger, clock, facts)

    try:
        order = in_time(write, BEFORE_SECONDS)
    except NightferryError as silent:
        log.warning("The record does not have this order yet: %s", silent.sentence)
        return None
    other = ordered_rollback(order)
    if other != facts.to:
        raise _impossible(
            f"{order.actor} ordered a rollback of {facts.environment} from {facts.left} to {other} at {order.time}, "
            f"which is not done; ask for that one: --to {other}."
        )
    return order


def _mark_left(cluster: Cluster, carried: RollbackFacts, clock: Clock) -> None:
    """Say on the Deployment that its release was left. One that was left for a newer one was not found wrong: somebody
    took a rollback back."""
    left = cluster.get("Deployment", names.object_name(carried.left))
    newer = cluster.get("Deployment", names.object_name(carried.to))
    if left is None or names.LEFT in names.annotations_of(left) or order_on(left) < order_on(newer):
        return
    annotate(cluster, carried.left, {names.LEFT: utc(clock.now())})


def _record_left(ledger: LedgerStore, clock: Clock, facts: RollbackFacts, previous: str) -> None:
    """Write that users got to the release which is left, where whoever sent them was killed before writing it."""
    record_seen(ledger, clock, read_plan(release_entries(ledger, facts.left), facts.environment), previous)


def _note(facts: RollbackFacts, order: LedgerEntry | None, *, canary: bool = False) -> str:
    said = {"actor": facts.actor, "why": facts.why, "order": order.sequence if order else 0}
    said |= {"canary": True} if canary else {}
    return json.dumps(said, sort_keys=True, ensure_ascii=False)


def _read_note(stable: Manifest | None) -> Mapping[str, object] | None:
    written = names.annotations_of(stable).get(names.ROLLBACK, "") if stable else ""
    try:
        note = json.loads(written) if written else None
    except ValueError:
        return None
    return note if isinstance(note, dict) else None


def _impossible(sentence: str) -> Permanent:
    return Permanent(Reason.ROLLBACK_IMPOSSIBLE, sentence)
