"""Pin: which model and which code a decision is about. The newest, or what was asked for; never what is barred."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from nightferry.clients.clock import Clock
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.entities.barring.quarantine import Bar, Choice, Parts, Quarantine, bars_model, bars_tree
from nightferry.entities.candidate import Candidate, PinnedSource
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.model_version import ModelManifest, PinnedModel
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import STOCK, ServiceSpec, Source
from nightferry.entities.state.service_state import ServiceState
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.app.pin_app import AppPinner
from nightferry.steps.deciding.newest_model import newest_model
from nightferry.steps.deciding.refuse_files import refuse_files
from nightferry.steps.record.ledger import Chain
from nightferry.steps.record.state import decision_at, state_of


@dataclass(frozen=True)
class Platform:
    """What an image is built on."""

    base_image: str
    """The image that the stock service's image stands on, by digest."""
    recipe: str
    """sha256 of the stock service's Dockerfile and test requirements."""
    apps: AppPinner | None = None
    """Pins what an app of its own says about itself; needed where the service is not the stock service."""


@dataclass(frozen=True)
class Before:
    """What the record says that matters for what is pinned."""

    quarantines: tuple[Quarantine, ...] = ()
    in_use: Candidate | None = None
    """What the release in use is made of."""


@dataclass(frozen=True)
class Pinned:
    """What could be released."""

    candidate: Candidate
    waiting: str = ""
    """A sentence about what does not count yet; empty when there is nothing."""
    passed_over: tuple[str, ...] = ()
    """Sentences about what is newest and barred: what is in use was taken in its place."""
    turned_down: tuple[Bar, ...] = ()
    """What is newest where something else was asked for by its name."""
    named: bool = False
    """Whether something was asked for by its name."""
    model_author: str = ""
    """Who made the model, as model.json says it."""


def before_of(chain: Chain) -> Before:
    """What the record says. Raises as `state_of`."""
    state = state_of(chain)
    decision = decision_at(chain, state.compared.get(state.in_use or ""))
    return Before(state.quarantines, decision.candidate if decision else None)


def pin(
    spec: ServiceSpec,
    request: ReleaseRequest,
    models: ModelRepository,
    source: SourceRepository,
    platform: Platform,
    clock: Clock,
    before: Before,
) -> Pinned:
    """The newest model and commit, or those that were asked for.

    Where the newest model, or the newest code, is barred by itself, that of the release in use is taken: what is barred
    is not shipped again, and whatever else is new is not kept waiting for it.

    Raises as `decide`.
    """
    before = replace(before, quarantines=tuple(one for one in before.quarantines if one.stands(spec)))
    model, manifest, waiting, barred = _model(spec, request, models, clock, before)
    pinned, barred_source = _source(spec, request, source, before)
    turned_down = _turned_down(spec, request, models, source, clock, model, pinned)
    passed_over = tuple(sentence for sentence in (barred, barred_source) if sentence)
    whole = {"service": spec.service, "model": model, "source": pinned}
    named = bool(request.model or request.commit)
    if spec.is_stock:
        refuse_files(manifest, spec.service, stock=True)
        candidate = Candidate(**whole, base_image=platform.base_image, recipe=platform.recipe)
        return Pinned(candidate, waiting, passed_over, turned_down, named, manifest.author)
    if platform.apps is None:
        raise ValueError("an app of its own is pinned by an AppPinner")
    app = platform.apps.pin(pinned, source)
    candidate = Candidate(**whole, base_image=app.base_image, recipe=app.recipe, app=app.contract, lock=app.lock)
    return Pinned(candidate, f"{waiting} {app.waiting}".strip(), passed_over, turned_down, named, manifest.author)


def choice_of(pinned: Pinned, spec: ServiceSpec, state: ServiceState) -> Choice | None:
    """What users' getting this release does to quarantines: the night is not to undo what a person asked for by name,
    and who asks for what an earlier choice barred has changed it. None where nothing was asked for by name."""
    if not pinned.named:
        return None
    mine = Parts.of(pinned.candidate, spec)
    lifts = tuple(one.number for one in state.quarantines if (one.chosen or one.unseen) and one.parts.among(mine))
    known = {one.parts for one in state.quarantines if one.number not in lifts}
    bars = tuple(bar for bar in pinned.turned_down if bar.parts not in known)
    return Choice(bars=bars, lifts=lifts) if bars or lifts else None


def _model(
    spec: ServiceSpec, request: ReleaseRequest, models: ModelRepository, clock: Clock, before: Before
) -> tuple[PinnedModel, ModelManifest, str, str]:
    newest = None if request.model else newest_model(models, spec.model.repository, clock.now())
    model, manifest = models.pin(newest.version if newest else str(request.model))
    waiting, passed_over = newest.waiting if newest else "", ""
    barred = next((one for one in before.quarantines if bars_model(one, model)), None)
    if newest and barred and before.in_use and before.in_use.model.sha256 != model.sha256:
        with suppress(Permanent):  # it is gone from the repository: then the rules decline the barred one
            model, manifest = models.pin(before.in_use.model.version)
            passed_over = _passed_over(barred, f"model {model.version}, which is in use, is kept")
    if manifest.service != spec.service:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"Model {model.version} in {spec.model.repository} says in model.json that it is for the service "
            f"{manifest.service}, not {spec.service}; publish it where it belongs.",
        )
    return model, manifest, waiting, passed_over


def _source(
    spec: ServiceSpec, request: ReleaseRequest, source: SourceRepository, before: Before
) -> tuple[PinnedSource, str]:
    wanted = _wanted(spec)
    pinned = source.pin(request.commit or wanted.ref, wanted.path, wanted.tests)
    barred = next((one for one in before.quarantines if bars_tree(one, pinned.tree)), None)
    in_use = before.in_use.source if before.in_use else None
    if request.commit or not barred or in_use is None or in_use.tree == pinned.tree:
        return pinned, ""
    if in_use.repository != pinned.repository:
        return pinned, ""
    if pinned.repository == STOCK:  # the installation has one stock service: the rules decline it
        return pinned, ""
    kept = source.pin(in_use.commit, wanted.path, wanted.tests)
    return kept, _passed_over(barred, f"source {kept.commit[:8]}, which is in use, is kept")


def _passed_over(barred: Quarantine, instead: str) -> str:
    what, why = f"{barred.words[:1].upper()}{barred.words[1:]}", barred.sentence.rstrip(".")
    return f"{what} is quarantined (number {barred.number}: {why}); {instead}."


def _turned_down(
    spec: ServiceSpec,
    request: ReleaseRequest,
    models: ModelRepository,
    source: SourceRepository,
    clock: Clock,
    model: PinnedModel,
    pinned: PinnedSource,
) -> tuple[Bar, ...]:
    """What is newest where something else was asked for; nothing that cannot be looked at bars anything."""
    bars = []
    with suppress(NightferryError):
        if request.model:
            newest, _ = models.pin(newest_model(models, spec.model.repository, clock.now()).version)
            if newest.sha256 != model.sha256:
                bars.append(Bar(parts=Parts(model=newest.sha256), words=f"model {newest.version}"))
    with suppress(NightferryError):
        if request.commit:
            wanted = _wanted(spec)
            head = source.pin(wanted.ref, wanted.path, wanted.tests)
            if head.tree != pinned.tree:
                bars.append(Bar(parts=Parts(tree=head.tree), words=f"source {head.commit[:8]}"))
    return tuple(bars)


def _wanted(spec: ServiceSpec) -> Source:
    return spec.source or Source(repository=STOCK, ref="")
