"""Tasks that run by the clock, for all the services they are given: what was left or changed by hand, what is old."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from nightferry import settings as settings_module
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.deployer.doors import Doors, asker, leased, prober
from nightferry.entities.deployer_end import EXIT_DONE
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.manifests import trial
from nightferry.steps.rollout.back.finish_release import decided_environment, environments_in
from nightferry.steps.rollout.drift.heal import heal
from nightferry.steps.rollout.lease.claims import of_housekeeping
from nightferry.steps.rollout.lease.meeting import UnderWay
from nightferry.steps.rollout.retire_releases import retire_releases, services_in
from nightferry.steps.trial.rehearse import rehearse

log = logging.getLogger("nightferry.deployer")


def look_task(given: argparse.Namespace) -> int:
    """Put back what was changed by hand in each service's environment."""
    if len(given.service) != len(given.environment):
        raise Permanent(Reason.REQUEST_INVALID, "Each --service needs the --environment that is looked at.")
    return _each(partial(_heal, *place) for place in zip(given.service, given.environment, strict=True))


def _heal(service: str, name: str) -> None:
    settings = settings_module.load()
    ledger = connect.ledger_store(settings)
    environment = decided_environment(ledger, service, name)
    with leased(environment.namespace, of_housekeeping(service, "heal")) as held:
        for one in heal(service, name, cluster=held.cluster, ledger=ledger, clock=SystemClock(), ask=asker):
            log.info("Put back: %s", one.sentence)


def retire_task(given: argparse.Namespace) -> int:
    """Finish what was left in a namespace, and scale releases past their warm time to zero."""
    cluster = connect.cluster(settings_module.load(), given.namespace)
    found = sorted({*given.service, *services_in(cluster)})
    return _each(partial(work, service, given) for service in found for work in (_finish_here, _retire_one))


def _each(works: Iterable[Callable[[], None]]) -> int:
    """Do all of it, whatever fails; the first failure counts."""
    faults: list[NightferryError] = []
    for work in works:
        try:
            work()
        except UnderWay as busy:  # the next turn comes
            log.info(busy.sentence)
        except NightferryError as fault:  # the other services are looked after all the same
            faults.append(fault)
    for other in faults[1:]:
        log.error("%s: %s", other.reason, other.sentence)
    if faults:
        raise faults[0]
    return EXIT_DONE


def _finish_here(service: str, given: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        leased(given.namespace, of_housekeeping(service, "finish")) as held,
    ):
        doors = Doors(service, held, given.reach, Path(folder))
        for environment in environments_in(doors.ledger, service, given.namespace):
            doors.finish(environment)


def _retire_one(service: str, given: argparse.Namespace) -> None:
    with leased(given.namespace, of_housekeeping(service, "retire")) as held:
        retire_releases(held.cluster, service, SystemClock())


def rehearse_task(given: argparse.Namespace) -> int:
    """Try whether the last good releases would start and answer, where nobody uses them."""
    settings, clock = settings_module.load(), SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        entry = rehearse(
            given.service,
            cluster=connect.cluster(settings, trial.NAMESPACE),
            ledger=connect.ledger_store(settings),
            prepare=lambda plan: prober(settings, plan, Path(folder) / plan.release, clock),
            clock=clock,
            night=given.night,
            actor=given.actor,
        )
    if entry.reason == Reason.REHEARSAL_UNSEEN:
        raise Temporary(Reason.REHEARSAL_UNSEEN, entry.sentence)
    if entry.reason != Reason.REHEARSED:
        raise Permanent(Reason(entry.reason), entry.sentence)
    log.info(entry.sentence)
    return EXIT_DONE
