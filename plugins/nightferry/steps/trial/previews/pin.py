"""Pin what a preview is made of, and write that down: once for each run that asks."""

from __future__ import annotations

from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.preview import Preview, PreviewRequest
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.deciding.pin import Before, Platform, pin
from nightferry.steps.record.preview_record import asked, close_left_open, record_pinned


def pin_preview(
    spec: ServiceSpec,
    request: PreviewRequest,
    *,
    key: str,
    actor: str,
    models: ModelRepository,
    source: SourceRepository,
    platform: Platform,
    ledger: LedgerStore,
    clock: Clock,
) -> Preview:
    """Pin the model and the code that were asked for, whatever is held or quarantined: users get nothing of it.

    Done again with the same key it returns what was pinned.

    Args:
        spec: the service, its settings filled in.
        request: what was asked for.
        key: names the run.
        actor: who asked.
        models: the service's model repository.
        source: the app's source repository.
        platform: what images are built on.
        ledger: where it is written down.
        clock: the time.

    Raises:
        Permanent: (model_…, source_…, app_…, image_build_failed, source_repository_denied, storage_denied, ledger_…)
        Temporary: (storage_unavailable, source_repository_unavailable, builder_unavailable)
    """
    made = asked(ledger, spec.service, key)
    if made:
        return Preview.model_validate(made.data)
    close_left_open(ledger, clock, spec.service)
    wanted = ReleaseRequest(model=request.model, commit=request.commit)
    candidate = pin(spec, wanted, models, source, platform, clock, Before()).candidate

    def numbered(name: str) -> Preview:
        return Preview(
            preview=name,
            service=spec.service,
            actor=actor,
            hours=request.hours,
            reason=request.reason,
            candidate=candidate,
            spec=spec.to_json(),
        )

    return Preview.model_validate(record_pinned(ledger, clock, spec.service, key, numbered).data)
