"""Open the trial copy of a service: its doors, its machine, and the users' service that is asked meanwhile."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from nightferry.cli.record import addresses_of
from nightferry.cli.trial.sandbox_machine import SandboxMachine
from nightferry.clients import connect
from nightferry.clients.azure.scratch_ledger import TRIAL, scratch_ledger
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.cluster import Cluster
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.clients.service_client import Unanswered
from nightferry.drill.callers import Callers, known_answers, local
from nightferry.drill.carry_out import Doors
from nightferry.drill.drill import Production
from nightferry.drill.machine import Machine, NoMachine
from nightferry.drill.trial import QUESTIONS, Trial
from nightferry.entities.decision import Decision
from nightferry.entities.reason import Reason
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.entities.service_spec import ModelSource, ServiceSpec
from nightferry.entities.state.service_state import LAST
from nightferry.errors import Permanent, Temporary
from nightferry.manifests.trial import NAMESPACE
from nightferry.sandbox.layout import Layout, Owner
from nightferry.settings import Settings
from nightferry.steps.judging.figures.figures_of import figures_of
from nightferry.steps.judging.questions import NoAnswer, golden_questions
from nightferry.steps.model.fetch_golden import fetch_golden
from nightferry.steps.record.history import release_entries
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import decision_of, read_state, state_of
from nightferry.steps.rollout.read_plan import read_plan

PACE = 0.25
"""Seconds between two requests of one caller of production."""
CALLERS = ("new", "kept")


def sandbox_of(settings: Settings) -> Layout | None:
    """The sandbox whose cluster this is; None: it is another cluster."""
    layout = Layout(root=settings.root, home=settings.home, owner=Owner.current())
    ours = settings.own("KUBECONFIG") is None and not settings.profile and layout.kubeconfig("admin").exists()
    return layout if ours else None


def with_rights(settings: Settings) -> Settings:
    """The settings with the rights that a trial takes: on the sandbox its owner's, elsewhere the person's own."""
    layout = sandbox_of(settings)
    return settings.model_copy(update={"kubeconfig": layout.kubeconfig("admin")}) if layout else settings


def open_trial_cluster(settings: Settings, spec: ServiceSpec) -> Cluster:
    """The trial namespace of the cluster in which the service's production is."""
    return connect.cluster(with_rights(settings), NAMESPACE, spec.environment(LAST).cluster)


def released(ledger: LedgerStore, service: str) -> tuple[Decision, RolloutPlan]:
    """The release that production's users get, as it was decided.

    Raises:
        Permanent: (request_invalid) there is none that was verified. As `read_plan`.
    """
    chain = Chain(ledger, service)
    state = state_of(chain)
    decision = decision_of(chain, state, state.in_use)
    if decision is None or state.in_use is None:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"By the record, production of {service} serves no verified release, so there is none to copy; release it "
            f"first: nightferry release {service} --wait.",
        )
    return decision, read_plan(release_entries(ledger, state.in_use), LAST)


def open_trial(
    settings: Settings,
    cluster: Cluster,
    copied: tuple[Decision, RolloutPlan],
    folder: Path,
    *,
    actor: str,
    by_gateway: bool,
) -> Trial:
    """The trial, on an empty record of its own. Raises as `scratch_ledger`."""
    decision, plan = copied
    clock, source = SystemClock(), ModelSource(repository=plan.model_repository)
    ledger = scratch_ledger(connect.storage(settings), settings.ledger)
    # The pods' own pages: Prometheus looks too seldom for a watch of seconds.
    pages = settings.model_copy(update={"prometheus_url": None})

    def figures(plan: RolloutPlan, cluster: Cluster) -> ServiceFigures | None:
        return figures_of(plan, pages, cluster, clock)

    doors = Doors(cluster, ledger, connect.models(settings, source), clock, figures)
    bad = _spoiled(settings, folder)

    def spoiled() -> Doors:
        assert bad is not None  # noqa: S101 - it is not handed on otherwise
        refused = connect.ledger_store(bad.model_copy(update={"ledger": settings.ledger + TRIAL}))
        return replace(doors, ledger=refused, models=connect.models(bad, source))

    return Trial(
        decision,
        plan,
        doors=doors,
        machine=_machine(settings, plan),
        folder=folder,
        actor=actor,
        spoiled=spoiled if bad else None,
        by_gateway=by_gateway,
    )


def _machine(settings: Settings, plan: RolloutPlan) -> Machine:
    right, layout = with_rights(settings), sandbox_of(settings)
    given = {
        "NIGHTFERRY_LEDGER": settings.ledger + TRIAL,
        "NIGHTFERRY_HOME": str(settings.home),
        "PYTHONUNBUFFERED": "1",
    }
    if right.kubeconfig:
        given["NIGHTFERRY_KUBECONFIG"] = str(right.kubeconfig)
    environment = {**os.environ, **given}
    if layout:
        return SandboxMachine(layout, environment)
    return NoMachine(f"the cluster of {plan.environment.cluster} is not the sandbox's.", environment)


def _spoiled(settings: Settings, folder: Path) -> Settings | None:
    """Settings with a key that is well formed and wrong."""
    if not settings.storage_connection_file:
        return None
    text = settings.storage_connection_file.read_text(encoding="utf-8").strip()
    wrong = re.sub(r"AccountKey=[^;]+", "AccountKey=" + "A" * 86 + "==", text)
    file = folder / "wrong-key"
    file.touch(mode=0o600)
    file.write_text(wrong, encoding="utf-8")
    return settings.model_copy(update={"storage_connection_file": file})


def production_of(settings: Settings, spec: ServiceSpec, plan: RolloutPlan, folder: Path) -> tuple[Production, str]:
    """The users' service, and the address at which it is asked; empty where none is on this machine.

    Raises:
        Temporary: (verify_unreachable) it does not answer, so nothing could be said of it afterwards.
    """
    ledger = connect.ledger_store(settings)

    def changed() -> bool:
        return read_state(ledger, spec.service).in_use != plan.release

    found = addresses_of(with_rights(settings), spec, LAST, every=True)
    address = next((one.url for one in found if one.known and local(one.url)), "")
    if not address:
        return Production(None, changed), ""
    models = connect.models(settings, ModelSource(repository=plan.model_repository))
    manifest = fetch_golden(plan.model, models, folder / "production")
    golden = golden_questions(manifest, folder / "production", plan.app.checks if plan.app else (), most=QUESTIONS)
    try:
        known = known_answers(address, manifest, golden)
    except (Unanswered, NoAnswer) as silent:
        raise Temporary(
            Reason.VERIFY_UNREACHABLE,
            f"Production of {spec.service} does not answer at {address}, so a drill could not say what its users saw: "
            f"{silent} Nothing was begun.",
        ) from silent
    return Production(lambda: Callers(address, manifest, known, CALLERS, PACE), changed), address
