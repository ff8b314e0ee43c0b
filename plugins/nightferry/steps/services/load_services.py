"""Read the service files: each once; a wrong one is a problem of its own and does not hinder the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from pydantic import ValidationError

from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.service_file import rules
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.errors import Permanent
from nightferry.masking import mask
from nightferry.steps.services.claims import Claims, ServiceFile
from nightferry.steps.services.load_calendars import load_calendar
from nightferry.steps.services.service_yaml import read_service_yaml
from nightferry.steps.services.strict_yaml import YamlFault

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class ServiceProblem:
    """A service file that cannot be used."""

    path: Path
    reason: Reason
    sentence: str
    service: str
    """The name in the file, else the file's own."""


@dataclass(frozen=True)
class LoadedServices:
    """What a folder of service files holds."""

    specs: dict[str, tuple[ServiceSpec, Path]] = field(default_factory=dict)
    """By the service's name, in the files' order."""
    problems: list[ServiceProblem] = field(default_factory=list)

    def places(self) -> dict[tuple[str, str], list[tuple[ServiceSpec, Environment]]]:
        """What is released to each (cluster connection, namespace), in order."""
        found: dict[tuple[str, str], list[tuple[ServiceSpec, Environment]]] = {}
        for spec, _ in self.specs.values():
            for place in spec.environments:
                found.setdefault((place.cluster, place.namespace), []).append((spec, place))
        return dict(sorted(found.items()))


def load_services(
    folders: Path | Sequence[Path], environment: Mapping[str, str], calendars: Sequence[Path] | None = None
) -> LoadedServices:
    """Read every `*.yaml` and `*.yml` of the folders.

    Args:
        folders: where the service files are; one that is not there holds none.
        environment: the values of `${NIGHTFERRY_…}` (`Settings.expandable`).
        calendars: the folders beside which the calendars are, where it is not these.
    """
    loaded = LoadedServices()
    files: list[ServiceFile] = []
    for path in (
        path for folder in _each(folders) for path in sorted(folder.glob("*.y*ml")) if path.suffix in SUFFIXES
    ):
        try:
            files.append(ServiceFile(path, read_service_yaml(path, environment)))
        except YamlFault as fault:
            loaded.problems.append(_invalid(path, path.stem, str(fault)))
    claims = Claims(files)
    calendar_faults = cache(partial(_calendar_faults, calendars or folders))  # thousand services may share one
    for file in files:
        faults = claims.against(file)
        try:
            spec = ServiceSpec.model_validate(file.content)
        except ValidationError as fault:
            faults.append((Reason.SERVICE_FILE_INVALID, f"{file.path}: {'; '.join(problems(fault))}."))
        else:
            wrong = [*rules.faults(spec), *calendar_faults(spec.calendar)]
            if wrong:
                faults.append((Reason.SERVICE_FILE_INVALID, f"{file.path}: {'; '.join(wrong)}."))
            elif not faults:
                loaded.specs[file.service] = spec, file.path
        loaded.problems.extend(_problem(file.path, reason, sentence, file.service) for reason, sentence in faults)
    return loaded


def load_service(folders: Path | Sequence[Path], environment: Mapping[str, str], name: str) -> ServiceSpec:
    """One service.

    Raises:
        Permanent: (service_unknown, service_duplicated, service_file_invalid)
    """
    loaded = load_services(folders, environment)
    if name in loaded.specs:
        return loaded.specs[name][0]
    for problem in loaded.problems:
        if problem.service == name:
            raise Permanent(problem.reason, problem.sentence)
    known = ", ".join(loaded.specs) or "none"
    where = " or ".join(map(str, _each(folders)))
    raise Permanent(Reason.SERVICE_UNKNOWN, f"There is no service {name!r} in {where}; the services are: {known}.")


def _calendar_faults(folders: Path | Sequence[Path], name: str | None) -> list[str]:
    try:
        if name is not None:
            load_calendar(folders, name)
    except Permanent as fault:
        return [f"calendar: {fault.sentence.rstrip('.')}"]
    return []


def _each(folders: Path | Sequence[Path]) -> Sequence[Path]:
    return (folders,) if isinstance(folders, Path) else folders


def _invalid(path: Path, name: str, what: str) -> ServiceProblem:
    return _problem(path, Reason.SERVICE_FILE_INVALID, f"{path}: {what}.", name)


def _problem(path: Path, reason: Reason, sentence: str, name: str) -> ServiceProblem:
    return ServiceProblem(path, reason, mask(sentence), name)
