"""Values that tests of the record start from."""

from __future__ import annotations

import datetime as dt

from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.decision import Decision, ReleaseRequest
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.model_version import PinnedModel
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import expected_steps
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.record import record_release, record_step

from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.still_clock import StillClock

SERVICE_FILE = """\
service: digits
owner: release-managers
schedule: {cron: "0 2 * * *", timezone: Europe/Zurich}
model: {repository: azure-blob://models/digits}
image: {repository: 127.0.0.1:5000/digits}
environments:
  - {name: staging, namespace: staging}
  - {name: production, namespace: production, replicas: 2}
"""
IMAGE = "127.0.0.1:5000/digits@sha256:" + "a" * 64


def a_spec() -> ServiceSpec:
    """The service of SERVICE_FILE."""
    import yaml

    return ServiceSpec.model_validate(yaml.safe_load(SERVICE_FILE))


def a_decision(key: str = "run:one", release: str | None = "digits-2026-11-21.1") -> Decision:
    """A decision on a release, or on none."""
    candidate = Candidate(
        service="digits",
        model=PinnedModel(
            version="2026-11-20-linear",
            sha256="b" * 64,
            created=dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
            size=10,
            etags={},
        ),
        source=PinnedSource(repository=".", ref="main", commit="c" * 40, tree="d" * 40, path="serving_app"),
        base_image=IMAGE,
        recipe="e" * 64,
    )
    reason = Reason.FIRST_RELEASE if release else Reason.UNCHANGED
    return Decision(
        key=key,
        service="digits",
        go=release is not None,
        reason=reason,
        sentence="First release of digits." if release else "Nothing changed.",
        actor="ada",
        release=release,
        candidate=candidate,
        request=ReleaseRequest(reason="for the demo"),
    )


def decided(store: MemoryLedger, clock: StillClock, decision: Decision) -> Decision:
    """Write a decision down."""
    ledgers.append(
        store,
        clock,
        service=decision.service,
        kind=Kind.DECISION,
        key=decision.key,
        release=decision.release,
        actor=decision.actor,
        reason=decision.reason,
        sentence=decision.sentence,
        data=decision.to_json(),
    )
    return decision


def released(store: MemoryLedger, clock: StillClock, decision: Decision) -> None:
    """Write down that every step of a decided release succeeded, and its end."""
    walked(store, clock, decision)
    record_release(store, clock, decision, ENVIRONMENTS)


def walked(store: MemoryLedger, clock: StillClock, decision: Decision) -> None:
    """Write down that every step of a decided release succeeded."""
    for step in expected_steps(ENVIRONMENTS, image=decision.image is None):
        clock.advance(2)
        where, _, verb = step.rpartition(".")
        reason, kind = OF_DEPLOYER.get(verb, (Reason.SUCCEEDED, Kind.STEP))
        data = {"image": decision.image or IMAGE} | ({"environment": where} if where else {})
        sentence = f"{step} is done."
        record_step(store, clock, decision, step, sentence=sentence, seconds=2.0, data=data, reason=reason, kind=kind)


ENVIRONMENTS = ("staging", "production")
OF_DEPLOYER = {
    "roll_out": (Reason.ROLLED_OUT, Kind.ROLLOUT),
    "verify": (Reason.VERIFIED, Kind.VERIFICATION),
}
