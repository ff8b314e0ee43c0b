"""Begin a service: write its file, and bring a file to where the services are."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

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


def add_service(file: Path, folders: Sequence[Path], environment: Mapping[str, str]) -> tuple[Path, bool]:
    """Copy a service file to the last of the folders, where it is called as its service; one of before is replaced.

    Args:
        file: the service file.
        folders: where the service files are.
        environment: the values of `${NIGHTFERRY_…}`.

    Returns:
        Where it is now, and whether anything changed.

    Raises:
        Permanent: (service_file_invalid, service_duplicated, service_name_taken: beside the services that there are)
    """
    *others, place = folders
    if not file.is_file():
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"{file} is no file; nightferry init writes one.")
    with tempfile.TemporaryDirectory(prefix="nightferry-service-") as scratch:
        alone = load_services(_only(file, Path(scratch) / "alone"), environment)
        if alone.problems:
            raise _of(file, alone.problems[0].reason, alone.problems[0].sentence, Path(scratch))
        (service,) = alone.specs
        target = place / f"{service}.yaml"
        beside = _only(file, Path(scratch) / "beside")
        for each in place.glob("*.y*ml"):
            if each.suffix in SUFFIXES and each != target:
                (beside / each.name).symlink_to(each.resolve())
        together = load_services([*others, beside], environment)
        for problem in together.problems:
            if problem.service == service:
                raise _of(file, problem.reason, problem.sentence, Path(scratch))
    content = file.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return target, False
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = place / f".{target.name}.new"
    written.write_bytes(content)
    written.replace(target)
    return target, True


def _only(file: Path, folder: Path) -> Path:
    """A folder that has this file alone, under a name that no other has."""
    folder.mkdir()
    shutil.copyfile(file, folder / "0-new.yaml")
    return folder


def _of(file: Path, reason: Reason, sentence: str, scratch: Path) -> Permanent:
    for name in ("alone", "beside"):
        sentence = sentence.replace(str(scratch / name / "0-new.yaml"), str(file))
    return Permanent(reason, sentence)
