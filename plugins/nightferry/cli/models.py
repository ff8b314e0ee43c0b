"""`nightferry models …`: publish a model version, list the versions."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli import said
from nightferry.cli.arguments import Subparsers, command, group, service_argument
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import console, local_time, redrawn, seconds, show_json, size, table
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.doors.model_repository import ModelListing
from nightferry.entities.model_version import FILES, MANIFEST
from nightferry.entities.service_spec import ModelSource, ServiceSpec
from nightferry.errors import NightferryError
from nightferry.settings import Settings
from nightferry.steps.model.check_model import is_number
from nightferry.steps.model.describing.describe import describe
from nightferry.steps.model.describing.publish import publish_described
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.model.publish_model import PublishedModel, publish_model
from nightferry.steps.model.try_model import check_installed

PUBLISH_EXAMPLES = """\
  nightferry models publish churn model.onnx --metric auc=0.91 --examples test.csv
  nightferry models publish churn model.onnx --dry-run
  nightferry models publish digits /tmp/model       a folder with model.json, or one of MLflow
  nightferry models publish fraud model.joblib --examples examples.jsonl    for a service with an app of its own
"""
LIST_EXAMPLES = """\
  nightferry models list digits
  nightferry models list digits --json
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `models`."""
    commands = group(subparsers, "models", HELP["models"])
    add = command(commands, "publish", publish, "check a model folder and upload it as a new version", PUBLISH_EXAMPLES)
    service_argument(add)
    add.add_argument(
        "path",
        metavar="PATH",
        type=_path,
        help="an ONNX file, a folder of MLflow, or a folder with model.json; any file or folder for an app of its own",
    )
    said.add_arguments(add)
    listed = command(commands, "list", list_, "list the versions that are complete, newest first", LIST_EXAMPLES)
    service_argument(listed)


def _path(text: str) -> Path:
    if not text:  # which would be the folder that one is in, with all that lies about there
        raise argparse.ArgumentTypeError("a model's file or folder is wanted")
    return Path(text)


def publish(arguments: argparse.Namespace) -> int:
    """Upload a version; done again it goes on where it stopped."""
    settings = settings_of.load()
    spec = spec_of(settings, arguments.service)
    stock = spec.is_stock
    described_already = (arguments.path / MANIFEST).is_file()
    if stock or (described_already and read_manifest(arguments.path)[0].format != FILES):
        check_installed()
    if described_already:
        said.refuse_beside_manifest(arguments)
        return _published(arguments, spec, upload(settings, spec, arguments.path))
    given, models = said.said(arguments), connect.models(settings, spec.model)
    if arguments.dry_run:
        with tempfile.TemporaryDirectory(prefix="nightferry-model-") as scratch:
            described = describe(
                arguments.path, spec.service, given, models.listings(), SystemClock(), Path(scratch), stock=stock
            )
        _note(described.notes)
        show_json(described.document)
        return OK
    described, published = publish_described(
        arguments.path,
        spec.service,
        given,
        models,
        SystemClock(),
        lambda folder: upload(settings, spec, folder),
        stock=stock,
    )
    _note(described.notes)
    return _published(arguments, spec, published)


def _note(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"Note: {note}", file=sys.stderr)


def _published(arguments: argparse.Namespace, spec: ServiceSpec, published: PublishedModel) -> int:
    if arguments.json:
        show_json({"service": spec.service, **asdict(published)})
    elif published.uploaded:
        count = len(published.uploaded)
        print(
            f"Published {published.version} for {spec.service}: {count} files uploaded, {size(published.size)} in all."
        )
        if published.start_seconds is not None and published.memory is not None:
            tried = f"The service started with it in {seconds(published.start_seconds)}, with {size(published.memory)}."
            print(tried, file=sys.stderr)
        if alias := spec.model.alias:
            print(
                f"Releases take what has the alias {alias}: give it to {published.version} in MLflow.", file=sys.stderr
            )
        elif published.newest:
            print(f"Release it: nightferry release {spec.service} --wait", file=sys.stderr)
    else:
        print(f"{published.version} is published for {spec.service} already, with the same content.")
    _note(published.notes)
    return OK


def upload(settings: Settings, spec: ServiceSpec, folder: Path) -> PublishedModel:
    """Check and upload, with progress where it can be drawn. Raises as `publish_model`."""
    published = _upload(settings, spec, folder)
    if published.uploaded:
        tell_event(settings, spec.model, published.version)
    return published


def tell_event(settings: Settings, source: ModelSource, version: str) -> None:
    """Say on the queue of events that a version is complete, in the words of Event Grid: the sandbox has none.

    A queue that is silent hinders no publishing: the watch looks every minute anyway.
    """
    try:
        events = connect.events(settings) if source.repository.startswith("azure-blob://") else None
        if events:
            events.put(source.container, f"{source.prefix}/{version}/{MANIFEST}")
    except NightferryError as silent:
        print(f"Note: the watch was not woken, and looks within a minute: {silent.sentence}", file=sys.stderr)


def _upload(settings: Settings, spec: ServiceSpec, folder: Path) -> PublishedModel:
    models, clock, stock = connect.models(settings, spec.model), SystemClock(), spec.is_stock
    ready = max(environment.ready_seconds for environment in spec.environments)
    if not redrawn(sys.stderr):
        return publish_model(folder, spec.service, models, clock, ready_seconds=ready, stock=stock)
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        task = progress.add_task("Publishing", total=total)
        return publish_model(
            folder,
            spec.service,
            models,
            clock,
            ready_seconds=ready,
            stock=stock,
            on_bytes=lambda count: progress.advance(task, count),
        )


def list_(arguments: argparse.Namespace) -> int:
    """Show the versions of a service's model."""
    settings = settings_of.load()
    spec = spec_of(settings, arguments.service)
    listings = connect.models(settings, spec.model).listings()
    if arguments.json:
        show_json([asdict(listing) for listing in listings])
    elif not listings:
        print(
            f"No complete version in {spec.model.repository}; publish one: nightferry models publish {spec.service} DIR"
        )
    else:
        headings = ("VERSION", "CREATED", "SIZE", "METRICS", "SHA256", "AUTHOR", "")
        table(headings, [_row(listing, spec) for listing in listings])
    return OK


def _row(listing: ModelListing, spec: ServiceSpec) -> tuple[str, ...]:
    return (
        listing.version,
        local_time(listing.created, spec.timezone),
        size(listing.size),
        _metrics(listing, spec),
        listing.sha256[:12],
        listing.author,
        listing.problem,
    )


def _metrics(listing: ModelListing, spec: ServiceSpec) -> str:
    """The accuracy, and what the service's gates ask for."""
    shown = dict.fromkeys(["accuracy", *spec.metric_gates])
    numbers = {name: value for name in shown if is_number(value := listing.metrics.get(name))}
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()) or "not measured"
