"""Compare a candidate with the release in use, as the gates of its service file want it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, Manifest
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.service_client import ServiceClient, Unanswered
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.model_version import ModelManifest, PinnedModel
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.errors import Permanent, Temporary
from nightferry.manifests import names
from nightferry.steps.judging.prediction_diff import compare_predictions
from nightferry.steps.judging.prediction_gates import REASONS, judged
from nightferry.steps.judging.questions import Question, Side, golden_questions
from nightferry.steps.judging.recorded_requests import Recorded, read_recorded
from nightferry.steps.model.fetch_golden import fetch_manifest
from nightferry.steps.rollout.await_ready import pods_of

NOT_REPLAYABLE = "not replayable, since an input that a model needs is not recorded"


@dataclass(frozen=True)
class Addresses:
    """Where the two are asked, the one as its users ask it."""

    in_use: str
    candidate: str


def compare_releases(
    plan: RolloutPlan,
    stable: Manifest,
    addresses: Addresses,
    *,
    cluster: Cluster,
    models: ModelRepository,
    manifest: ModelManifest,
    golden: Path,
    scratch: Path,
    clock: Clock,
) -> PredictionDiff:
    """Ask both the candidate's golden examples, the checks of its app and what users asked lately; what it came to.

    Args:
        plan: of the candidate, with its gates.
        stable: the Service, which points to the release in use and says which model that has.
        addresses: of both.
        cluster: the environment's namespace, where the pods are that keep requests.
        models: the model repository, for the model.json of the one in use.
        manifest: of the candidate's model.
        golden: the folder with its golden examples.
        scratch: a folder for the other's model.json.
        clock: for the times.

    Raises:
        Permanent: (gate_flips, gate_p95; no_figures where there is no gate) it is not known which model is in use, or
            its model.json is gone.
        Temporary: (verify_unreachable: the release in use does not answer at all; storage_unavailable,
            cluster_unavailable)
    """
    in_use = names.annotations_of(stable).get(names.RELEASE, "")
    theirs = _manifest_in_use(plan, stable, models, scratch, clock)
    try:
        ServiceClient(addresses.in_use).connect()
    except Unanswered as silent:
        raise Temporary(
            Reason.VERIFY_UNREACHABLE,
            f"{in_use}, which is in use, does not answer at {addresses.in_use} ({silent}), so {plan.release} cannot be "
            f"compared with it; mend it{_or_leave_out(plan)}.",
        ) from silent
    recorded = recorded_questions(plan, cluster, in_use, (theirs, manifest), clock)
    questions: list[Question] = golden_questions(manifest, golden, plan.app.checks if plan.app else ())
    diff = compare_predictions(
        [*questions, *recorded.questions],
        Side(ServiceClient(addresses.in_use), theirs),
        Side(ServiceClient(addresses.candidate), manifest),
        clock,
        names=(in_use, plan.release),
    )
    return judged(_with(diff, recorded), plan.gates)


def _or_leave_out(plan: RolloutPlan) -> str:
    return f", or leave the gates {' and '.join(plan.gates)} out of the service file" if plan.gates else ""


def _manifest_in_use(
    plan: RolloutPlan, stable: Manifest, models: ModelRepository, scratch: Path, clock: Clock
) -> ModelManifest:
    notes = names.annotations_of(stable)
    try:
        pinned = PinnedModel(
            version=notes.get(names.MODEL, ""),
            sha256=notes.get(names.MODEL_SHA256, ""),
            created=clock.now(),
            size=0,
            etags={},
        )
        return fetch_manifest(pinned, models, scratch)
    except (ValidationError, Permanent) as fault:
        why = fault.sentence if isinstance(fault, Permanent) else "its Service does not say which model it has."
        said = f"{plan.release} cannot be compared with {notes.get(names.RELEASE)}, which is in use: {why}"
        if not plan.gates:
            raise Permanent(Reason.NO_FIGURES, said) from fault
        raise Permanent(
            REASONS[next(iter(plan.gates))],
            f"{said} The gates {' and '.join(plan.gates)} of the service file ask for it.",
        ) from fault


def recorded_questions(
    plan: RolloutPlan, cluster: Cluster, release: str, manifests: tuple[ModelManifest, ModelManifest], clock: Clock
) -> Recorded:
    """What users asked the release in use. An app of its own keeps nothing, and has no port to tell it."""
    if plan.app is not None:
        return Recorded()
    pods = [pod for pod in pods_of(cluster, plan.service, release) if pod.ready and not pod.deleting]
    needed = {tensor.name for manifest in manifests for tensor in manifest.inputs}
    ports = [f"http://{pod.host}:{names.STATUS_PORT}" for pod in pods]
    return read_recorded(ports, sorted(needed), clock)


def _with(diff: PredictionDiff, recorded: Recorded) -> PredictionDiff:
    left = {NOT_REPLAYABLE: recorded.not_replayable} if recorded.not_replayable else {}
    changes = {"recorded": recorded.sentence, "not_comparable": {**diff.not_comparable, **left}}
    return diff.model_copy(update=changes)
