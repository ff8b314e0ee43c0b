"""Tasks of previews: bringing one up, and removing those that are over."""

from __future__ import annotations

import argparse
import logging
import tempfile
from functools import partial
from pathlib import Path

from nightferry import settings as settings_module
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.deployer.doors import address_of, prober
from nightferry.entities.deployer_end import EXIT_DONE
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ModelSource
from nightferry.manifests import trial
from nightferry.steps.record.preview_record import pinned_of, preview_entries
from nightferry.steps.trial.previews.bring_up import bring_up
from nightferry.steps.trial.previews.compare import compare_preview
from nightferry.steps.trial.previews.end import end_over, end_preview

log = logging.getLogger("nightferry.deployer")


def preview_task(given: argparse.Namespace) -> int:
    """Bring a preview up at an address of its own, and compare it with the release in use."""
    settings, clock = settings_module.load(), SystemClock()
    ledger = connect.ledger_store(settings)
    cluster = connect.cluster(settings, trial.NAMESPACE)
    last = pinned_of(preview_entries(ledger, given.preview)).service_spec.environments[-1]
    users = connect.cluster(settings, last.namespace)
    with tempfile.TemporaryDirectory() as folder:
        golden = Path(folder) / "golden"

        def compare(plan: RolloutPlan) -> PredictionDiff | None:
            return compare_preview(
                plan,
                users=users,
                in_use=partial(address_of, users, plan.service, given.reach),
                candidate=partial(address_of, cluster, plan.release, given.reach),
                models=connect.models(settings, ModelSource(repository=plan.model_repository)),
                golden=golden,
                scratch=Path(folder) / "in-use",
                clock=clock,
            )

        bring_up(
            given.preview,
            cluster=cluster,
            ledger=ledger,
            prepare=lambda plan: prober(settings, plan, golden, clock),
            compare=compare,
            clock=clock,
        )
    return EXIT_DONE


def end_previews_task(given: argparse.Namespace) -> int:
    """Remove the previews that are over; or end the one that is named."""
    settings, clock = settings_module.load(), SystemClock()
    ledger, cluster = connect.ledger_store(settings), connect.cluster(settings, trial.NAMESPACE)
    if given.preview:
        entry = end_preview(
            given.preview, cluster=cluster, ledger=ledger, clock=clock, actor=given.actor, why=given.reason
        )
        log.info(entry.sentence)
    end_over(cluster, ledger, clock)
    return EXIT_DONE
