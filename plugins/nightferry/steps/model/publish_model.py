"""Publish a model version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nightferry.clients.clock import CLOCK_ERROR, Clock
from nightferry.clients.doors.model_repository import ModelRepository, OnBytes
from nightferry.entities.model_version import FILES, ModelManifest, manifest_sha256, pinned_files
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.deciding.refuse_files import refuse_files
from nightferry.steps.model.check_signature import check_signature
from nightferry.steps.model.golden_exchanges import golden_exchanges
from nightferry.steps.model.model_folder import MOST_GOLDEN, check_files, read_manifest
from nightferry.steps.model.trial import TrialReport
from nightferry.steps.model.try_model import try_model

READY_SECONDS = 120.0
"""What an environment waits for a start if its service file does not say."""
NOT_TRIED = "The app opens the model first when its image is tested; `nightferry app run` tries it here."
MOST_PINNED = 200
"""Other files of a version: each one's ETag is in every decision of the record, for ever."""


@dataclass(frozen=True)
class PublishedModel:
    """A version that is in the repository now."""

    version: str
    sha256: str
    """Of model.json: the version's identity."""
    size: int
    """Bytes of all files."""
    uploaded: tuple[str, ...]
    """The files that were uploaded just now; none: the same version was there already."""
    newest: bool
    """Whether a release takes it without being told to."""
    notes: tuple[str, ...]
    """Sentences about what its author may not have meant."""
    start_seconds: float | None
    """That the service took to start with it, here; None: it was not tried, since only an app of its own opens it."""
    memory: int | None
    """Bytes that the service had at the most, here."""


def publish_model(
    folder: Path,
    service: str,
    models: ModelRepository,
    clock: Clock,
    *,
    ready_seconds: float = READY_SECONDS,
    stock: bool = True,
    on_bytes: OnBytes | None = None,
) -> PublishedModel:
    """Upload a model version, model.json last; a version that is not whole does not exist for anyone.

    Everything is checked before the first byte leaves: the manifest, that it is for this service, every file's size
    and sha256, that the model opens with the declared signature, and that the service starts with it and answers. Of a
    model of the format files, which only an app of its own opens, the examples are read, and nothing is opened. Done
    again with the same version it uploads nothing; after an interruption it uploads what is missing.

    Args:
        folder: holds model.json and the files it lists.
        service: the service that the model is for.
        models: the service's model repository.
        clock: the time, which `created` is held against.
        ready_seconds: how long the service may take to start.
        stock: whether the stock service serves the model.
        on_bytes: told of every piece that was sent, for progress.

    Raises:
        Permanent: (model_manifest_invalid, model_created_in_future, model_too_many_files, model_incomplete,
            model_checksum_wrong, model_not_onnx, model_signature_wrong, model_labels_wrong, model_not_servable,
            model_scores_wrong, model_golden_wrong, model_rows_dependent, model_examples_wrong,
            model_exists: this version was published with other content, model_repository_missing,
            storage_denied, setting_missing)
        Temporary: (storage_unavailable)
    """
    manifest, content = read_manifest(folder)
    if manifest.service != service:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"{folder} is a model for the service {manifest.service}, not for {service}.",
        )
    _check_created(manifest, clock)
    _check_count(manifest)
    check_files(folder, manifest)
    tried = None
    if manifest.format == FILES:
        refuse_files(manifest, service, stock=stock)
        golden_exchanges(manifest)
    else:
        check_signature(folder, manifest)
        tried = try_model(folder, manifest, ready_seconds)
    uploaded = models.publish(folder, manifest, content, on_bytes)
    older_than = _newer(manifest, models, clock)
    return PublishedModel(
        version=manifest.version,
        sha256=manifest_sha256(content),
        size=manifest.size,
        uploaded=uploaded,
        newest=not older_than,
        notes=tuple(note for note in (older_than, _sums(tried) if tried else NOT_TRIED) if note),
        start_seconds=tried.seconds if tried else None,
        memory=tried.memory if tried else None,
    )


def _check_created(manifest: ModelManifest, clock: Clock) -> None:
    now = clock.now()
    if manifest.created > now + CLOCK_ERROR:
        raise Permanent(
            Reason.MODEL_CREATED_IN_FUTURE,
            f"Model {manifest.version} says in model.json that it was created {manifest.created.isoformat()}, and now "
            f"it is {now.isoformat(timespec='seconds')}: it would be the newest until then; write the time at which it "
            "was made.",
        )


def _check_count(manifest: ModelManifest) -> None:
    others = len(pinned_files(manifest)) - 1
    for count, most, what in ((len(manifest.golden), MOST_GOLDEN, "golden examples"), (others, MOST_PINNED, "files")):
        if count > most:
            beside = " beside its golden pictures" if what == "files" else ""
            raise Permanent(
                Reason.MODEL_TOO_MANY_FILES,
                f"Model {manifest.version} has {count} {what}{beside}; {most} are allowed.",
            )


def _newer(manifest: ModelManifest, models: ModelRepository, clock: Clock) -> str:
    """A sentence when another version stays the newest, "" otherwise."""
    latest = clock.now() + CLOCK_ERROR
    newest = next((one for one in models.listings() if one.age[0] <= latest), None)
    if newest is None or newest.version == manifest.version:
        return ""
    return (
        f"Model {manifest.version} is not the newest: {newest.version} was created {newest.created}. A release takes "
        f"it only when it is named: nightferry release {manifest.service} --model {manifest.version}"
    )


def _sums(tried: TrialReport) -> str:
    if not tried.sums:
        return ""
    return (
        f"The scores are declared as probabilities, but {tried.sums}. Where each label is a question of its own that "
        'is right; otherwise end the model with a softmax, or declare "scores": "logits".'
    )
