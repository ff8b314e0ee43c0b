"""The service file: one YAML file under dags/services names everything a service needs.

Here is its shape. What the values may be is in `service_file.rules`, which is asked when a file is read and never
when a decision is read back from the record: what was pinned stays readable, so nothing here may become stricter.
Reading one needs no croniter, which the deployer's image does not hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    field_validator,
    model_serializer,
    model_validator,
)

from nightferry.entities.frozen import Frozen
from nightferry.entities.service_file.approvals import Approvals
from nightferry.entities.service_file.gateway import Gateway, parse_traffic
from nightferry.entities.service_file.model_address import ModelAddress, Scheme
from nightferry.entities.service_file.pod_needs import Egress, Placement
from nightferry.entities.service_file.strategy import Strategy
from nightferry.entities.service_file.triggers import Triggers

Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
_GATE = re.compile(r"^(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([%x]?)$")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

FLIPS, P95 = "flips", "p95"
"""Gates of the comparison with the release in use: how many answers differ, and how much longer they take."""
PREDICTION_GATES: dict[str, Literal["%", "x"]] = {FLIPS: "%", P95: "x"}
"""With what their thresholds are written."""

STOCK = "serving_app"
"""The stock service's folder."""
STOCK_TESTS = "tests/serving_app"
"""That of its unit tests."""
CLUSTER = "nightferry_cluster"
"""The Airflow connection of the cluster where a service file names none."""


class Schedule(Frozen):
    """When a service is released by itself."""

    cron: str
    """Five fields, read in `timezone`."""
    timezone: str = "UTC"
    """A name of the tz database, like Europe/Zurich."""


class Source(Frozen):
    """Where the code of the service comes from."""

    repository: str = "."
    """`.` for the project's own repository, or an address that git understands."""
    ref: str = "main"
    """A branch, a tag or a commit."""
    path: str = STOCK
    """The folder of the app in the repository; its nightferry.yaml says how it is made and started."""
    tests: str | None = None
    """The folder of the app's unit tests, run in the image's test stage; none: there are none."""

    @model_validator(mode="before")
    @classmethod
    def _tests_of_the_stock_service(cls, value: object) -> object:
        """Where a copy of the stock service has its tests is known."""
        if isinstance(value, dict) and "tests" not in value and value.get("path", STOCK) == STOCK:
            return {**value, "tests": STOCK_TESTS}
        return value

    @property
    def is_stock(self) -> bool:
        """Whether the app is the stock service, of which it is known how it is set, probed and left."""
        return self.path.rstrip("/").rpartition("/")[2] == STOCK


class ModelSource(Frozen):
    """Where the service's models are published."""

    repository: Annotated[str, StringConstraints(pattern=r"^(azure-blob|s3|mlflow)://[^/]")]
    """`azure-blob://<container>/<prefix>`, `s3://<bucket>/<prefix>`, `mlflow://<name>@<alias>` or `mlflow://<name>`:
    see `service_file.model_address`."""

    @property
    def address(self) -> ModelAddress:
        """What `repository` says, in one spelling."""
        return ModelAddress.parse(self.repository)

    @property
    def scheme(self) -> Scheme:
        """The kind of system that it is in."""
        return self.address.scheme

    @property
    def alias(self) -> str:
        """The alias in MLflow that says which version is released; empty where the newest is."""
        return self.address.within if self.scheme == "mlflow" else ""

    @property
    def container(self) -> str:
        """The Blob container."""
        return self.address.place

    @property
    def prefix(self) -> str:
        """The folder in the Blob container, without slashes at its ends."""
        return self.address.within


class ImageTarget(Frozen):
    """Where the service's images are released to."""

    repository: str
    """Registry, path and name without a tag: see `service_file.image_repository`."""

    @property
    def candidates(self) -> str:
        """Where images wait until they are tested; previews alone run from there."""
        return f"{self.repository}-candidates"


class Gate(Frozen):
    """A threshold that a model's metric, or the comparison with the release in use, has to meet."""

    comparison: Literal[">=", "<=", ">", "<"]
    threshold: float
    unit: Literal["", "%", "x"] = ""
    """Percent or a multiple, in which the threshold is; none for metrics."""

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, float | str]:
        """A gate of a metric is on record as it was before there were units."""
        return {name: value for name, value in handler(self).items() if name != "unit" or value}

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = _GATE.match(value.strip())
        if not found:
            raise ValueError(f'a threshold is written like ">= 0.95", not {value!r}')
        return {"comparison": found[1], "threshold": float(found[2]), "unit": found[3]}

    def passes(self, measured: float) -> bool:
        """Whether a measured value meets the threshold (NaN never does)."""
        return _COMPARE[self.comparison](measured, self.threshold)

    def __str__(self) -> str:
        return f"{self.comparison} {self.threshold:g}{self.unit}"


class Autoscale(Frozen):
    """A HorizontalPodAutoscaler on CPU."""

    minimum: int = Field(ge=1, le=1000)
    maximum: int = Field(ge=1, le=1000)
    cpu_percent: int = Field(default=70, ge=1, le=100)

    @model_validator(mode="after")
    def _ordered(self) -> Autoscale:
        if self.maximum < self.minimum:
            raise ValueError("maximum is below minimum")
        return self


class Resources(Frozen):
    """What one pod asks for and may use, in Kubernetes' quantities: see `service_file.quantity`."""

    cpu: str = "100m"
    memory: str = "256Mi"
    cpu_limit: str = "1"
    memory_limit: str = "1Gi"
    ephemeral_storage: str = "64Mi"
    ephemeral_storage_limit: str = "256Mi"
    """The file system is read-only: what counts is the log, of which a node keeps 50 MiB if nothing else is said."""


class Environment(Frozen):
    """A namespace in a cluster that a release passes through."""

    name: Literal["staging", "production"]
    namespace: Name
    cluster: str = CLUSTER
    """The Airflow connection of the cluster."""
    replicas: int = Field(default=1, ge=1, le=1000)
    strategy: Strategy = Strategy()
    """How users come to a new release."""
    traffic: Gateway | None = None
    """The gateway that users come through; None: they call the Service."""
    approvals: Approvals | None = None
    """Whose yes a release needs before it comes here; None: nobody's."""
    resources: Resources = Resources()
    autoscale: Autoscale | None = None
    service_type: Literal["LoadBalancer", "NodePort", "ClusterIP"] | None = None
    """How users reach the service; unset, the setting NIGHTFERRY_SERVICE_TYPE decides."""
    dns_label: str | None = None
    """The DNS label of the load balancer's address on AKS."""
    source_ranges: tuple[str, ...] = Field(default=(), max_length=100)
    """Networks in CIDR notation that the load balancer lets in; none named: everybody."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Variables of the release's containers, and no secrets; of the stock service its own, `SERVING_…`."""
    secrets: tuple[str, ...] = Field(default=(), max_length=100)
    """Secrets of the namespace whose keys are variables of the release's containers."""
    egress: tuple[Egress, ...] = Field(default=(), max_length=100)
    placement: Placement = Placement()
    ready_seconds: int = Field(default=120, ge=5, le=3600)
    """How long a rollout waits for its pods to be ready."""
    warm_minutes: int = Field(default=30, ge=0, le=7 * 24 * 60)
    """How long the release before stays running after the switch, so that going back is a switch."""
    heal: bool = Field(default=False, strict=True)
    """Whether what somebody changed by hand in the cluster is put back as the record says."""

    @field_validator("traffic", mode="before")
    @classmethod
    def _traffic(cls, value: object) -> object:
        return parse_traffic(value)

    @field_validator("settings", mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        """YAML makes numbers of what a container gets as texts."""
        if not isinstance(value, dict):
            return value
        return {name: str(item) if type(item) is int else item for name, item in value.items()}


class ServiceSpec(Frozen):
    """A whole service file."""

    service: Name
    owner: Annotated[str, StringConstraints(min_length=1)]
    description: str = ""
    schedule: Schedule | None = None
    """None: the schedule releases nothing."""
    triggers: Triggers = Triggers()
    """What starts a release besides the schedule and people."""
    calendar: Name | None = None
    """The calendar whose windows bar it from release: `dags/calendars/<name>.yaml`."""
    source: Source | None = None
    """None: the stock service, as this installation has it."""
    model: ModelSource
    image: ImageTarget
    gates: dict[str, Gate] = Field(default_factory=dict)
    """By metric of model.json, what it has to meet; a metric that is missing does not. `flips` and `p95` are judged by
    the answers instead, beside the release in use."""
    environments: tuple[Environment, ...] = Field(min_length=1)

    @field_validator("gates", mode="before")
    @classmethod
    def _gates(cls, value: object) -> object:
        """Until accuracy was no longer the only metric, its gate was on record as null where there was none."""
        return {name: gate for name, gate in value.items() if gate is not None} if isinstance(value, dict) else value

    @field_validator("environments")
    @classmethod
    def _environments(cls, value: tuple[Environment, ...]) -> tuple[Environment, ...]:
        names = [environment.name for environment in value]
        if names not in (["staging", "production"], ["production"]):
            raise ValueError("the environments are staging and then production, or production alone")
        if len({(environment.cluster, environment.namespace) for environment in value}) != len(value):
            raise ValueError("two environments share one namespace of one cluster")
        return value

    def environment(self, name: str) -> Environment:
        """The environment of that name.

        Raises:
            KeyError: the service has none.
        """
        for environment in self.environments:
            if environment.name == name:
                return environment
        raise KeyError(name)

    @property
    def prediction_gates(self) -> dict[str, Gate]:
        """Those of the comparison with the release in use. Decisions of before may have metrics of these names."""
        return {name: gate for name, gate in self.gates.items() if gate.unit and name in PREDICTION_GATES}

    @property
    def metric_gates(self) -> dict[str, Gate]:
        """Those of the model's metrics."""
        return {name: gate for name, gate in self.gates.items() if name not in self.prediction_gates}

    @property
    def is_stock(self) -> bool:
        """Whether the service is the stock service: the installation's, or a copy of it in a repository."""
        return self.source is None or self.source.is_stock

    @property
    def timezone(self) -> ZoneInfo:
        """The zone whose dates name the releases."""
        return ZoneInfo(self.schedule.timezone if self.schedule else "UTC")
