"""Tasks that decide which release an environment's users get: rolling out, looking at it, finishing, going back."""

from __future__ import annotations

import argparse
import datetime as dt
from functools import cache, partial

from nightferry import settings as settings_module
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.deployer.doors import Doors, asker, leased, opened
from nightferry.entities.deployer_end import EXIT_DONE
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import Permanent
from nightferry.steps.approvals.refuse_unapproved import refuse_unapproved
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.rollout_record import ROLL_OUT, record_trouble
from nightferry.steps.rollout.back.finish_release import GRACE, decided_environment
from nightferry.steps.rollout.back.roll_back import Wish, roll_back
from nightferry.steps.rollout.lease.claims import of_person
from nightferry.steps.rollout.lease.give_way import take_away
from nightferry.steps.rollout.roll_out import roll_out


def roll_out_task(given: argparse.Namespace) -> int:
    """Bring a release into use, look at what users get, and go back if it is not right."""
    with opened(given, "roll_out") as (plan, doors):
        _refuse_unapproved(plan, doors)
        prepare = cache(partial(doors.prepare, plan))
        doors.cluster.get("Lease", plan.service)  # the first call takes it
        take_away(doors.held, plan.environment, doors.clock)
        roll_out(
            plan,
            cluster=doors.cluster,
            candidate=doors.candidate,
            prepare=prepare,
            ask=asker(plan),
            compare=partial(doors.compare, plan),
            ledger=doors.ledger,
            orders=doors.orders,
            clock=doors.clock,
            judging=lambda stable: doors.judging(plan, prepare(), stable),
        )
        doors.verify(plan, prepare())
    return EXIT_DONE


def _refuse_unapproved(plan: RolloutPlan, doors: Doors) -> None:
    """Before anything is touched: the record's own word, whatever started this pod."""
    try:
        refuse_unapproved(release_entries(doors.ledger, plan.release), plan.environment.name, plan.image)
    except Permanent as fault:
        record_trouble(doors.ledger, doors.clock, plan, ROLL_OUT, fault, {})
        raise


def verify_task(given: argparse.Namespace) -> int:
    """Look again at what users get, and go back if it is not right."""
    with opened(given, "verify") as (plan, doors):
        doors.verify(plan, doors.prepare(plan))
    return EXIT_DONE


def finish_task(given: argparse.Namespace) -> int:
    """Finish what was ordered for the environment and is not done."""
    with opened(given, "finish") as (plan, doors):
        grace = dt.timedelta(0) if given.at_once else GRACE
        doors.finish(plan.environment.name, grace)
    return EXIT_DONE


def roll_back_task(given: argparse.Namespace) -> int:
    """Send the environment's users to an earlier release."""
    settings = settings_module.load()
    ledger = connect.ledger_store(settings)
    environment = decided_environment(ledger, given.service, given.environment)
    wish = Wish(given.service, environment, given.to, given.reason, given.actor)
    with leased(environment.namespace, of_person(given.service, given.actor)) as held:
        roll_back(wish, cluster=held.cluster, ledger=ledger, clock=SystemClock())
        take_away(held, environment, SystemClock())
    return EXIT_DONE
