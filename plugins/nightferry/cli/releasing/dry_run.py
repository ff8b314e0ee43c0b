"""What would be released, and why: the decision without its consequences. Needs no Airflow, and writes nothing."""

from __future__ import annotations

from typing import Any

from nightferry.cli.exit_codes import OK
from nightferry.cli.output import show_json, table
from nightferry.clients import connect
from nightferry.clients.clock import Clock
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.settings import Settings
from nightferry.steps.app.pin_app import AppPinner, bases_of
from nightferry.steps.app.recipe import recipe_digest
from nightferry.steps.deciding.decide import Weighed, weigh
from nightferry.steps.deciding.pin import Platform, before_of, pin
from nightferry.steps.record.ledger import Chain
from nightferry.steps.services.fill_settings import fill_settings


def dry_run(settings: Settings, spec: ServiceSpec, request: ReleaseRequest, clock: Clock, *, as_json: bool) -> int:
    """Decide as a run would, and say what every rule says.

    Raises:
        Permanent: (request_invalid) with `--resume` nothing is decided anew. And as `decide`.
    """
    if request.resume:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"--resume decides nothing, so that there is nothing to try: nightferry show {request.resume} says what it "
            "waits for.",
        )
    weighed = weigh_now(settings, spec, request, clock)
    decision = weighed.decision
    if as_json:
        show_json(decision.to_json() | {"rules": _rules(weighed)})
        return OK
    if not decision.go:
        print(f"Nothing would be released [{decision.reason}]: {decision.sentence}")
    else:
        model, source = decision.candidate.model, decision.candidate.source
        print(f"{decision.release} would be released [{decision.reason}]: {decision.sentence}")
        print(f"model   {model.version}  sha256:{model.sha256}")
        print(f"source  {source.commit}  {source.where}")
    print()
    said = [(rule["rule"], rule["reason"] or "-", rule["sentence"] or "has no word") for rule in _rules(weighed)]
    table(("RULE", "SAYS", "BECAUSE"), said)
    print("\nThe first rule that says something decides.")
    return OK


def weigh_now(settings: Settings, spec: ServiceSpec, request: ReleaseRequest, clock: Clock) -> Weighed:
    """Decide as a run would; nothing is written. Raises as `decide`."""
    spec = fill_settings(spec, settings.service_type)
    chain = Chain(connect.ledger_store(settings), spec.service)
    apps = None if spec.is_stock else app_pinner(settings, spec)
    pinned = pin(
        spec,
        request,
        connect.models(settings, spec.model),
        connect.source(settings, spec.source),
        Platform(settings.require("BASE_IMAGE"), recipe_digest(settings.root), apps),
        clock,
        before_of(chain),
    )
    return weigh(spec, request, pinned, chain, clock, key="dry-run", actor="dry-run")


def app_pinner(settings: Settings, spec: ServiceSpec) -> AppPinner:
    """What pins an app without a builder: what was never resolved stays open."""
    return AppPinner(settings.root, settings.work, bases_of(settings), connect.locks(settings, spec))


def _rules(weighed: Weighed) -> list[dict[str, Any]]:
    return [
        {"rule": name, "reason": word.reason if word else None, "sentence": word.sentence if word else None}
        for name, word in weighed.words
    ]
