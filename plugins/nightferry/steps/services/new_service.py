"""Begin a service: write its file, and bring a file to where the services are."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.steps.services.load_services import SUFFIXES, load_services

STOCK_SOURCE = "# source left out: the stock service, which serves any model in ONNX"
TEMPLATE = """\
# docs/runbook.md explains every key; `nightferry services check` says what is wrong.
service: {service}
owner: {owner}
# schedule: {{cron: "0 2 * * *", timezone: Europe/Zurich}}   # left out: released on request only
{source}
model: {{repository: azure-blob://models/{service}}}
image: {{repository: "${{NIGHTFERRY_REGISTRY}}/{service}"}}
# gates: {{{gate}}}   # any metric of the model, by its name
environments:
  - {{name: staging, namespace: staging, replicas: 1, resources: {{cpu: 50m}}}}
  - {{name: production, namespace: production, replicas: 2, resources: {{cpu: 50m}}}}
"""


def service_file(service: str, owner: str, app: Path | None = None) -> str:
    """The file of a new service: one that has a model alone, or one with an app.

    Args:
        service: its name.
        owner: who answers for it.
        app: the folder of the repository that has the app in `app` and its unit tests in `tests`.

    Raises:
        Permanent: (service_file_invalid) `add_service` would refuse it.
    """
    name = _named(service, owner)
    source = STOCK_SOURCE
    if app is not None:
        source = f"source: {{repository: {_quoted(str(app))}, ref: main, path: app, tests: tests}}"
    gate = 'accuracy: ">= 0.95"' if app is None else 'auc: ">= 0.75"'
    content = TEMPLATE.format(service=name, owner=_quoted(owner), source=source, gate=gate)
    with tempfile.TemporaryDirectory(prefix="nightferry-service-") as scratch:
        file = Path(scratch) / f"{name}.yaml"
        try:
            file.write_text(content, encoding="utf-8")
        except UnicodeEncodeError as fault:
            sentence = "The folder's name is not UTF-8 text; nothing was written."
            raise Permanent(Reason.SERVICE_FILE_INVALID, sentence) from fault
        for problem in load_services(file.parent, {"NIGHTFERRY_REGISTRY": "registry.example"}).problems:
            sentence = problem.sentence.replace(f"{file}: ", "").rstrip(".")
            raise Permanent(problem.reason, f"Such a service cannot be: {sentence}; nothing was written.")
    return content


def _named(service: str, owner: str) -> str:
    """The service's name, if a service can have it."""
    try:
        return ServiceSpec.model_validate(
            {
                "service": service,
                "owner": owner,
                "model": {"repository": f"azure-blob://models/{service}"},
                "image": {"repository": f"registry.example/{service}"},
                "environments": [{"name": "production", "namespace": "production"}],
            }
        ).service
    except ValidationError as fault:
        said = problems(fault)
        if not any(line.startswith("service: ") for line in said):
            sentence = f"Such a service cannot be: {said[0]}; nothing was written."
            raise Permanent(Reason.SERVICE_FILE_INVALID, sentence) from fault
        first = next(line for line in said if line.startswith("service: "))
        raise Permanent(
            Reason.SERVICE_FILE_INVALID,
            f"A service cannot be called {service!r}: {first}. Take lower-case letters, digits and dashes, at most 40.",
        ) from fault


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class Added:
    """What became of a service file."""

    path: Path
    """Where it is now."""
    before: str
    """`same`: it was there; `other`: it replaced another; `none`: there was none."""


def add_service(
    file: Path,
    folders: Sequence[Path],
    environment: Mapping[str, str],
    look: Callable[[ServiceSpec], None] | None = None,
) -> Added:
    """Copy a service file to the last of the folders, where it is called as its service; one of before is replaced.

    Args:
        file: the service file.
        folders: where the service files are.
        environment: the values of `${NIGHTFERRY_…}`.
        look: looks at what a sound file names, and raises where that cannot be.

    Raises:
        Permanent: (service_file_invalid: it is wrong, or cannot be read or written; service_duplicated,
            service_name_taken: beside the services that there are)
        what `look` raises
    """
    place = folders[-1]
    try:
        content = file.read_bytes()
        with tempfile.TemporaryDirectory(prefix="nightferry-service-") as scratch:
            spec = _checked(file, content, folders, Path(scratch), environment)
        if look:
            look(spec)
        return _placed(content, place, spec.service)
    except OSError as fault:
        where = fault.filename or file
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"{where}: {fault.strerror}; nothing was changed.") from fault


def _checked(
    file: Path, content: bytes, folders: Sequence[Path], scratch: Path, environment: Mapping[str, str]
) -> ServiceSpec:
    """The service, if its file is right by itself and beside all others."""
    *others, place = folders
    new = "new service.yaml"  # no file of a service is called so
    alone, beside = scratch / "alone", scratch / "beside"
    for folder in (alone, beside):
        folder.mkdir()
        (folder / new).write_bytes(content)
    loaded = load_services(alone, environment, folders)
    problems = loaded.problems
    if not problems:
        (service,) = loaded.specs
        for each in place.glob("*.y*ml"):
            if each.suffix in SUFFIXES and each.name != f"{service}.yaml":
                (beside / each.name).symlink_to(each.resolve())
        together = load_services([*others, beside], environment, folders)
        problems = [one for one in together.problems if one.service == service]
    for problem in problems:
        sentence = problem.sentence
        for folder in (alone, beside):
            sentence = sentence.replace(str(folder / new), str(file)).replace(str(folder), str(place))
        raise Permanent(problem.reason, sentence)
    spec, _ = loaded.specs[service]
    return spec


def _placed(content: bytes, place: Path, service: str) -> Added:
    target = place / f"{service}.yaml"
    before = target.read_bytes() if target.exists() else None
    if before == content:
        return Added(target, "same")
    if before is not None and _service_of(before) not in (service, None):
        raise Permanent(
            Reason.SERVICE_FILE_INVALID,
            f"{target} is the file of {_service_of(before)}, not of {service}; give that file its own name first.",
        )
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, written = tempfile.mkstemp(prefix=".", suffix=".new", dir=place)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(written).chmod(0o644)
        Path(written).replace(target)
    except OSError:
        Path(written).unlink(missing_ok=True)
        raise
    return Added(target, "none" if before is None else "other")


def _service_of(content: bytes) -> str | None:
    """Which service a file is of; None: it is broken, and nobody's."""
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None
    return str(found.get("service")) if isinstance(found, dict) else None
