"""What a service file may say: whatever the night would refuse is refused when the file is read.

These rules are for files alone. A decision on record pins the service file as it was, and has to be readable for as
long as the record is kept, so a rule that is added or made stricter belongs here and never into `ServiceSpec`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import TypeVar
from zoneinfo import ZoneInfo

from nightferry.entities.service_file.gates import gates_faults
from nightferry.entities.service_file.gateway import gateway_faults
from nightferry.entities.service_file.git_address import check_git_address
from nightferry.entities.service_file.git_ref import check_git_ref
from nightferry.entities.service_file.image_repository import ImageRepository
from nightferry.entities.service_file.model_address import read_model_address
from nightferry.entities.service_file.pod_needs import egress_faults, is_network, placement_faults, secrets_faults
from nightferry.entities.service_file.quantity import cpu, memory
from nightferry.entities.service_file.settings import settings_faults
from nightferry.entities.service_file.strategy import strategy_faults, together_faults
from nightferry.entities.service_spec import Environment, Resources, Schedule, ServiceSpec, Source
from nightferry.masking import secrets_in

_T = TypeVar("_T")
Fault = tuple[str, str]
"""The key, and what is wrong with its value."""

_DNS_LABEL = re.compile(r"[a-z][a-z0-9-]{1,61}[a-z0-9]")
_CONNECTION = re.compile(r"[\w#!()\-.:/\\]{1,250}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def faults(spec: ServiceSpec) -> list[str]:
    """What is wrong with a service file whose keys and types are right, one line each: `source.ref: …`."""
    found: dict[str, str] = {}
    for key, what in _faults(spec):
        found.setdefault(key, what)
    return [f"{key}: {what}" for key, what in found.items()]


def _faults(spec: ServiceSpec) -> Iterator[Fault]:
    # Of a value that holds a secret nothing else is said, since that could repeat a part of it.
    source = spec.source or Source()
    yield from _checked("source.repository", check_git_address, source.repository)
    for key in secrets_in(spec.to_json()):
        yield key, "it holds a password, key or token, which would be on record; keep it out of the service file"
    if not spec.owner.strip():
        yield "owner", "nobody is named"
    if spec.schedule:
        yield from _schedule(spec.schedule)
    yield from _source(source)
    yield from _checked("model.repository", read_model_address, spec.model.repository)
    yield from _checked("image.repository", ImageRepository.parse, spec.image.repository)
    yield from _checked("image.repository", ImageRepository.parse, spec.image.candidates)
    yield from gates_faults(spec.gates)
    for number, environment in enumerate(spec.environments):
        for key, what in (*_environment(spec.service, environment), *settings_faults(environment, stock=spec.is_stock)):
            yield f"environments.{number}.{key}", what
    yield from _shared_hosts(spec.environments)
    yield from together_faults(spec.environments)


def _checked(key: str, check: Callable[[_T], object], value: _T) -> Iterator[Fault]:
    try:
        check(value)
    except ValueError as fault:
        yield key, str(fault)


def _schedule(schedule: Schedule) -> Iterator[Fault]:
    yield from _checked("schedule.cron", _check_cron, schedule.cron)
    yield from _checked("schedule.timezone", _check_timezone, schedule.timezone)


def _check_cron(cron: str) -> None:
    from croniter import CroniterBadDateError, croniter

    if len(cron.split()) != 5 or not croniter.is_valid(cron):
        raise ValueError(f"not a cron expression of five fields: {cron!r}")
    try:
        croniter(cron, dt.datetime(2000, 1, 1)).get_next()
    except CroniterBadDateError as fault:
        raise ValueError(f"{cron!r} names a day that never comes") from fault


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as fault:
        raise ValueError(f"unknown time zone {name!r}; use a name like Europe/Zurich") from fault


def _source(source: Source) -> Iterator[Fault]:
    yield from _checked("source.ref", check_git_ref, source.ref)
    yield from _checked("source.path", _check_folder, source.path)
    if source.tests is not None:
        yield from _checked("source.tests", _check_folder, source.tests)


def _check_folder(folder: str) -> None:
    parts = folder.removesuffix("/").split("/")
    if folder != "." and (set(parts) & {"", ".", ".."} or _CONTROL.search(folder)):
        raise ValueError(f"a folder inside the repository is wanted, not {folder!r}")


def _environment(service: str, environment: Environment) -> Iterator[Fault]:
    if environment.namespace.startswith("kube-"):
        yield "namespace", f"{environment.namespace} is the cluster's own; releases need another"
    if (environment.namespace, service) == ("default", "kubernetes"):
        yield "namespace", "the cluster's own Service kubernetes is in default; releases need another"
    if not _CONNECTION.fullmatch(environment.cluster):
        yield "cluster", f"{environment.cluster!r} cannot be the name of an Airflow connection"
    if environment.dns_label is not None:
        yield from _dns_label(environment.dns_label, environment.service_type)
    if environment.source_ranges:
        yield from _source_ranges(environment.source_ranges, environment.service_type)
    if environment.traffic:
        yield from gateway_faults(environment.traffic)
    yield from strategy_faults(environment)
    yield from secrets_faults(environment.secrets)
    yield from egress_faults(environment.egress)
    yield from placement_faults(environment.placement)
    if environment.autoscale and "replicas" in environment.model_fields_set:
        yield "replicas", "with autoscale the number of pods is between its minimum and maximum; keep one of the two"
    yield from _resources(environment.resources)


def _shared_hosts(environments: tuple[Environment, ...]) -> Iterator[Fault]:
    """A host name leads to one environment's users."""
    seen: dict[str, str] = {}
    for number, environment in enumerate(environments):
        for host in environment.traffic.hosts if environment.traffic else ():
            if seen.setdefault(host, environment.name) != environment.name:
                yield f"environments.{number}.traffic.host", f"{host} is that of {seen[host]}; give it another name"


def _dns_label(label: str, service_type: str | None) -> Iterator[Fault]:
    if not _DNS_LABEL.fullmatch(label):
        yield (
            "dns_label",
            f"Azure takes 3 to 63 lower case letters, digits and dashes that begin with a letter and end with no dash, "
            f"not {label!r}",
        )
    if service_type not in (None, "LoadBalancer"):
        yield "dns_label", f"a Service of type {service_type} has no address that a DNS label could name"


def _source_ranges(ranges: tuple[str, ...], service_type: str | None) -> Iterator[Fault]:
    for number, network in enumerate(ranges):
        if not is_network(network):
            yield f"source_ranges.{number}", f"not a network such as 10.1.0.0/16 or 2001:db8::/32: {network!r}"
    if service_type not in (None, "LoadBalancer"):
        yield "source_ranges", f"a Service of type {service_type} has no load balancer that could keep others out"


def _resources(resources: Resources) -> Iterator[Fault]:
    wrong = [
        *_checked("resources.cpu", cpu, resources.cpu),
        *_checked("resources.memory", memory, resources.memory),
        *_checked("resources.cpu_limit", cpu, resources.cpu_limit),
        *_checked("resources.memory_limit", memory, resources.memory_limit),
        *_checked("resources.ephemeral_storage", memory, resources.ephemeral_storage),
        *_checked("resources.ephemeral_storage_limit", memory, resources.ephemeral_storage_limit),
    ]
    yield from wrong
    if wrong:
        return
    if cpu(resources.cpu) > cpu(resources.cpu_limit):
        yield "resources.cpu", f"{resources.cpu} is more than cpu_limit allows ({resources.cpu_limit})"
    if memory(resources.memory) > memory(resources.memory_limit):
        yield "resources.memory", f"{resources.memory} is more than memory_limit allows ({resources.memory_limit})"
    if memory(resources.ephemeral_storage) > memory(resources.ephemeral_storage_limit):
        yield (
            "resources.ephemeral_storage",
            f"{resources.ephemeral_storage} is more than ephemeral_storage_limit allows "
            f"({resources.ephemeral_storage_limit})",
        )
