"""What would be released, and why: the decision without its consequences. Needs no Airflow."""

from __future__ import annotations

from nightferry.cli.exit_codes import OK
from nightferry.cli.output import show_json
from nightferry.cli.releasing.overlay import Overlay
from nightferry.clients import connect
from nightferry.clients.clock import Clock
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.service_spec import ServiceSpec
from nightferry.settings import Settings
from nightferry.steps.deciding.decide import decide
from nightferry.steps.image.build_image import recipe_digest


def preview(settings: Settings, spec: ServiceSpec, request: ReleaseRequest, clock: Clock, *, as_json: bool) -> int:
    """Decide as a run would, and write nothing. Raises as `decide`."""
    decision = decide(
        spec,
        request,
        key="preview",
        actor="preview",
        models=connect.models(settings, spec.model),
        source=connect.source(settings, spec.source),
        ledger=Overlay(connect.ledger_store(settings)),
        base_image=settings.require("BASE_IMAGE"),
        recipe=recipe_digest(settings.root),
        clock=clock,
        asked=clock.now(),
    )
    if as_json:
        show_json(decision.to_json())
    elif not decision.go:
        print(f"Nothing would be released [{decision.reason}]: {decision.sentence}")
    else:
        model, source = decision.candidate.model, decision.candidate.source
        print(f"{decision.release} would be released [{decision.reason}]: {decision.sentence}")
        print(f"model   {model.version}  sha256:{model.sha256}")
        print(f"source  {source.commit}  {source.ref} of {source.repository}")
    return OK
