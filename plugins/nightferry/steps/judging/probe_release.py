"""What asks everything of a release at an address: of the stock service, or of an app by its contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import ServiceClient
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.model_version import ModelManifest
from nightferry.entities.probe_report import ProbeReport
from nightferry.steps.judging.golden_examples import ask_golden
from nightferry.steps.judging.patient_asking import ask_patiently
from nightferry.steps.judging.probe_app import probe_app
from nightferry.steps.judging.probe_service import probe_service
from nightferry.steps.judging.reach_release import RELEASE, Probe

REQUEST = "request"
"""The member that makes a golden example an exchange."""


def probe_of(
    app: AppContract | None,
    manifest: ModelManifest,
    folder: Path,
    passport: Mapping[str, str],
    clock: Clock,
    ready_seconds: float,
) -> Probe:
    """The probe of one release.

    Args:
        app: its contract; None: it is the stock service.
        manifest: of its model.
        folder: where model.json and the golden examples' files are.
        passport: the NIGHTFERRY_… variables that its containers were given.
        clock: for the wait and the time taken.
        ready_seconds: how long to wait until it is ready.
    """
    if app is None:
        return lambda address: probe_service(address, manifest, folder, passport, clock, ready_seconds)

    def probe(address: str) -> ProbeReport:
        golden = [Exchange.model_validate(one) for one in manifest.golden if REQUEST in one]
        report = probe_app(address, app, golden, passport.get(RELEASE), clock, ready_seconds)
        if report.faults or len(golden) == len(manifest.golden):
            return report
        # Tensors and pictures: the app says that it speaks as the stock service does.
        more = ask_patiently(lambda: None, lambda: ask_golden(ServiceClient(address), manifest, folder), clock)
        return ProbeReport(
            faults=more.faults, checked=report.checked + more.checked, seconds=report.seconds + more.seconds
        )

    return probe
