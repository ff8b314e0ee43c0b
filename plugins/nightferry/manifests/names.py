"""What every object of a service is called and carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.entities.preview import is_preview
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.rollout_plan import RolloutPlan

NAME = "app.kubernetes.io/name"
VERSION = "app.kubernetes.io/version"
MANAGED_BY = "app.kubernetes.io/managed-by"

RELEASE = "nightferry.dev/release"
IMAGE = "nightferry.dev/image"
MODEL = "nightferry.dev/model"
MODEL_SHA256 = "nightferry.dev/model-sha256"
SOURCE = "nightferry.dev/source"
IDENTITY = (RELEASE, IMAGE, MODEL, MODEL_SHA256, SOURCE)
"""The annotations that say what a release is made of: on its Deployment, and on the Service that points to it."""

ORDER = "nightferry.dev/order"
"""The sequence of the entry on the record that ordered what the object is: on a Deployment the release's decision, on
the Service what moved it last. Nothing that was ordered earlier moves the Service any more."""
RANK = "nightferry.dev/rank"
"""On the Lease: what its holder does, `person`, `rollout` or `housekeeping`; a rollback by a person waits for none but
another one."""
ENVIRONMENT = "nightferry.dev/environment"
"""On the Service: whose users call it. Two connections may be one cluster, and two environments one namespace of it."""
PREVIOUS = "nightferry.dev/previous"
"""On the Service: the release that it pointed to before."""
SWITCHED = "nightferry.dev/switched"
"""On the Service: when it was pointed to this release (UTC)."""
WITHDRAWN = "nightferry.dev/withdrawn"
"""On the Service: the release that was taken back from it because it did not pass its verification."""
ROLLBACK = "nightferry.dev/rollback"
"""On the Service: who rolled back to this release and why, as JSON. While the record could not be written to, `order`
is 0 in it: then nothing that is not a rollback moves the Service, until that is on the record."""
VERDICT = "nightferry.dev/verdict"
"""On the Service: what the release of `WITHDRAWN` was judged by, as JSON, while the record could not be written to."""
ROUTED = "nightferry.dev/routed"
"""On the Service: "true" where a route follows it, since the service file named a gateway."""
CANARY = "nightferry.dev/canary"
"""On the route: the release that gets a share of the users beside the one in use, its share in percent, and the
sequence of the decision that ordered it, as JSON. The Service does not know of it: it stays at the one in use."""
SWITCHING = "nightferry.dev/switching"
"""On a Deployment: the Service is about to be pointed to it, so nobody else may remove it."""
SERVED = "nightferry.dev/served"
"""On a Deployment: since when users were sent to it (UTC). Only such a release is one to go back to."""
LEFT = "nightferry.dev/left"
"""On a Deployment: since when it is one that a person rolled back from (UTC). Nothing goes back to it by itself."""
WRONG = "nightferry.dev/wrong"
"""On a Deployment: since when it is out of use because it was wrong (UTC). Nobody goes back to it."""
WARM_UNTIL = "nightferry.dev/warm-until"
"""On a Deployment that is no longer in use: how long its pods stay (UTC)."""
REPLICAS = "nightferry.dev/replicas"
"""On a Deployment that was scaled to zero: how many pods it had."""

HTTP, PORT = "http", 8080
"""The stock service's port, which users reach; an app may have another, under the same name."""
STATUS, STATUS_PORT = "status", 8081
"""The stock service's port for probes and scrapers, which no Service leads to; its image sets SERVING_STATUS_PORT."""
SCRAPES = "nightferry.dev/scrapes"
"""On a namespace: "true" where pods live that may read services' metrics. An operator sets it."""
DEPLOYERS = "nightferry.dev/deployers"
"""On a namespace: "true" where the deployers run, and nothing else. They read recorded requests at the same port."""


def labels(service: str, release: str | None = None) -> dict[str, str]:
    """The labels of a service's objects; with a release, of those that are this release's alone."""
    return selector(service, release) | {MANAGED_BY: "nightferry"}


def selector(service: str, release: str | None = None) -> dict[str, str]:
    """What finds the pods of a service, or of one of its releases."""
    return {NAME: service} | ({VERSION: release} if release else {})


def object_name(release: str) -> str:
    """What a release's objects are called, `digits-20260102-1`; those of a preview have its name."""
    return release if is_preview(release) else ReleaseId.parse(release).object_name


def identity(plan: RolloutPlan) -> dict[str, str]:
    """The annotations that say what the plan's release is made of."""
    values = (plan.release, plan.image, plan.model.version, plan.model.sha256, plan.source)
    return dict(zip(IDENTITY, values, strict=True))


def identity_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The same annotations as an object carries them."""
    return {name: value for name, value in annotations_of(manifest).items() if name in IDENTITY}


def annotations_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """An object's annotations."""
    return dict(manifest["metadata"].get("annotations") or {})


def ports(plan: RolloutPlan) -> dict[str, int]:
    """The container's ports by their names."""
    return {HTTP: plan.app.port} if plan.app else {HTTP: PORT, STATUS: STATUS_PORT}


def scraping(plan: RolloutPlan) -> dict[str, str]:
    """The annotations of pods that Prometheus' usual configuration for pods reads."""
    port, path = (plan.app.port, plan.app.metrics) if plan.app else (STATUS_PORT, "/metrics")
    if not path:
        return {}
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": path}


def passport(plan: RolloutPlan) -> dict[str, str]:
    """The variables of the release's containers, with which they answer at /version."""
    return {
        "NIGHTFERRY_SERVICE": plan.service,
        "NIGHTFERRY_ENVIRONMENT": plan.environment.name,
        "NIGHTFERRY_RELEASE": plan.release,
        "NIGHTFERRY_IMAGE": plan.image,
        "NIGHTFERRY_MODEL": plan.model.version,
        "NIGHTFERRY_MODEL_SHA256": plan.model.sha256,
        "NIGHTFERRY_SOURCE": plan.source,
    }
