"""Ask a release that has users, and the one in use, what their models know and what users asked lately."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.service_client import ServiceClient
from nightferry.entities.model_version import ModelManifest, PinnedModel
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import Permanent
from nightferry.manifests import names
from nightferry.steps.judging.judge_classes import compare_classes, refuse_wrong_class
from nightferry.steps.judging.questions import Question, Side, golden_questions
from nightferry.steps.judging.reach_release import Address, Probe, refuse_faults
from nightferry.steps.model.fetch_golden import fetch_golden
from nightferry.steps.rollout.gates.compare_releases import recorded_questions

MOST = 100
"""Golden examples of each model that are asked at a look; of more an even choice."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """What is needed to ask both, fetched before anybody gets the release."""

    plan: RolloutPlan
    in_use: str
    """The release in use."""
    theirs: ModelManifest
    mine: ModelManifest
    questions: Sequence[Question]
    """The golden examples of both models, and the checks of the app."""
    address: Address
    """Where users ask the release in use."""
    probe: Probe
    cluster: Cluster
    clock: Clock

    def look(self, addresses: Sequence[str]) -> None:
        """Ask the release at each address everything that it says it knows, and the one in use the same.

        Raises:
            Permanent: (image_contract_broken, verify_golden_wrong: also where one class alone is wrong,
                verify_wrong_release)
            Temporary: (verify_unreachable, cluster_unavailable)
        """
        recorded = recorded_questions(self.plan, self.cluster, self.in_use, (self.theirs, self.mine), self.clock)
        in_use = Side(ServiceClient(self.address()), self.theirs)
        for address in addresses:
            refuse_faults(address, self.probe(address))
            found = compare_classes(
                [*self.questions, *recorded.questions], in_use, Side(ServiceClient(address), self.mine)
            )
            refuse_wrong_class(found, (self.in_use, self.plan.release))
            log.info("At %s %d answers are as those of %s, class by class.", address, found.compared, self.in_use)


def known(
    plan: RolloutPlan,
    stable: Manifest,
    address: Address,
    probe: Probe,
    *,
    cluster: Cluster,
    models: ModelRepository,
    manifest: ModelManifest,
    golden: Path,
    scratch: Path,
    clock: Clock,
) -> Known:
    """Fetch what the model in use knows.

    Args:
        plan: of the release that is to get users.
        stable: the Service, which says what is in use.
        address: where users ask that.
        probe: asks the release everything that it says it knows.
        cluster: the environment's namespace.
        models: the model repository.
        manifest: of the release's model.
        golden: the folder with its golden examples.
        scratch: a folder for those of the other one.
        clock: for the times.

    Raises:
        Permanent: (no_figures) it is not known which model is in use, or it is gone.
        Temporary: (storage_unavailable)
    """
    notes = names.annotations_of(stable)
    in_use = notes.get(names.RELEASE, "")
    try:
        pinned = PinnedModel(
            version=notes.get(names.MODEL, ""),
            sha256=notes.get(names.MODEL_SHA256, ""),
            created=clock.now(),
            size=0,
            etags={},
        )
        theirs = fetch_golden(pinned, models, scratch)
    except (ValidationError, Permanent) as fault:
        why = fault.sentence if isinstance(fault, Permanent) else "its Service does not say which model it has."
        raise Permanent(
            Reason.NO_FIGURES,
            f"{plan.release} cannot be judged beside {in_use}, which is in use: {why} Publish that model again, or "
            "take the strategy blue_green.",
        ) from fault
    checks = plan.app.checks if plan.app else ()
    questions = golden_questions(manifest, golden, checks, MOST) + golden_questions(theirs, scratch, (), MOST)
    return Known(plan, in_use, theirs, manifest, questions, address, probe, cluster, clock)
