"""Begin a service: write its file, and bring a file to where the services are."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.steps.services.load_services import SUFFIXES, load_services

TEMPLATE = """\
# docs/runbook.md explains every key; `nightferry services check` says what is wrong.
service: {service}
owner: {owner}
# schedule: {{cron: "0 2 * * *", timezone: Europe/Zurich}}   # left out: released on request only
source: {{repository: ., ref: HEAD, path: serving_app}}       # the stock service: it serves any model in ONNX
model: {{repository: azure-blob://models/{service}}}
image: {{repository: "${{NIGHTFERRY_REGISTRY}}/{service}"}}
# gates: {{accuracy: ">= 0.95"}}                             # any metric of the model, by its name
environments:
  - {{name: staging, namespace: staging, replicas: 1, resources: {{cpu: 50m}}}}
  - {{name: production, namespace: production, replicas: 2, resources: {{cpu: 50m}}}}
"""


def service_file(service: str, owner: str) -> str:
    """The file of a service that has a model and no app of its own.

    Raises:
        Permanent: (service_file_invalid) such a service cannot be.
    """
    environments = [{"name": "production", "namespace": "production"}]
    model, image = f"azure-blob://models/{service}", f"registry.example/{service}"
    try:
        ServiceSpec.model_validate(
            {
                "service": service,
                "owner": owner,
                "model": {"repository": model},
                "image": {"repository": image},
                "environments": environments,
            }
        )
    except ValidationError as fault:
        first = next((line for line in problems(fault) if line.startswith(("service", "owner"))), problems(fault)[0])
        raise Permanent(
            Reason.SERVICE_FILE_INVALID,
            f"A service cannot be called {service!r}: {first}. Take lower-case letters, digits and dashes, at most 40.",
        ) from fault
    return TEMPLATE.format(service=service, owner=json.dumps(owner, ensure_ascii=False))


@dataclass(frozen=True)
class Added:
    """What became of a service file."""

    path: Path
    """Where it is now."""
    before: str
    """`same`: it was there; `other`: it replaced another; `none`: there was none."""


def add_service(file: Path, folders: Sequence[Path], environment: Mapping[str, str]) -> Added:
    """Copy a service file to the last of the folders, where it is called as its service; one of before is replaced.

    Args:
        file: the service file.
        folders: where the service files are.
        environment: the values of `${NIGHTFERRY_…}`.

    Raises:
        Permanent: (service_file_invalid: it is wrong, or cannot be read or written; service_duplicated,
            service_name_taken: beside the services that there are)
    """
    place = folders[-1]
    try:
        content = file.read_bytes()
        with tempfile.TemporaryDirectory(prefix="nightferry-service-") as scratch:
            service = _checked(file, content, folders, Path(scratch), environment)
        return _placed(content, place, service)
    except OSError as fault:
        where = fault.filename or file
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"{where}: {fault.strerror}; nothing was changed.") from fault


def _checked(file: Path, content: bytes, folders: Sequence[Path], scratch: Path, environment: Mapping[str, str]) -> str:
    """The service's name, if its file is right by itself and beside all others."""
    *others, place = folders
    new = "new service.yaml"  # no file of a service is called so
    alone, beside = scratch / "alone", scratch / "beside"
    for folder in (alone, beside):
        folder.mkdir()
        (folder / new).write_bytes(content)
    loaded = load_services(alone, environment)
    problems = loaded.problems
    if not problems:
        (service,) = loaded.specs
        for each in place.glob("*.y*ml"):
            if each.suffix in SUFFIXES and each.name != f"{service}.yaml":
                (beside / each.name).symlink_to(each.resolve())
        problems = [one for one in load_services([*others, beside], environment).problems if one.service == service]
    for problem in problems:
        sentence = problem.sentence
        for folder in (alone, beside):
            sentence = sentence.replace(str(folder / new), str(file)).replace(str(folder), str(place))
        raise Permanent(problem.reason, sentence)
    return service


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
