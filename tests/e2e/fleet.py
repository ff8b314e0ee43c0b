"""Thirty services of the tests' own on the sandbox, small ones, of one repository."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.sandbox.layout import Layout
from nightferry.steps.model.publish_model import publish_model

from tests.e2e.given_when_then import eventually
from tests.e2e.stage import Stage

COUNT = 30
DEPLOYERS = "app.kubernetes.io/component=deployer"


@dataclass(frozen=True)
class Outcome:
    """What the record says of one service since a moment."""

    decisions: int
    released: int
    other_ends: tuple[str, ...]


class Fleet:
    """The services, and what happened to them."""

    def __init__(self, folder: Path) -> None:
        names = [f"e2e-fleet-{number:02d}" for number in range(1, COUNT + 1)]
        self.stages = [Stage(folder / name, name) for name in names]
        self.first = self.stages[0]

    def begin(self) -> None:
        """Add the services, each with a model; wait until Airflow knows them."""
        self.remove()
        for stage in self.stages:
            stage.folder.mkdir()
        self.first.make_repository()
        self.write()
        self.publish("linear")
        for stage in self.stages:
            eventually(lambda stage=stage: stage.airflow.paused(stage.dag) is False, 180, f"{stage.dag} is there")  # type: ignore[misc]

    def write(self, cron: str | None = None) -> None:
        """Their files."""
        for stage in self.stages:
            small = {"cpu": "10m", "memory": "96Mi"}
            production = {"name": "production", "namespace": "production", "replicas": 1, "resources": small}
            content = {
                "service": stage.service,
                "owner": "nightferry-tests",
                "description": "One of many that are released by the tests; they remove it.",
                "source": {
                    "repository": str(self.first.repository),
                    "ref": "main",
                    "path": "serving_app",
                    "tests": "checks",
                },
                "model": {"repository": f"azure-blob://models/{stage.service}"},
                "image": {"repository": "${NIGHTFERRY_REGISTRY}/" + stage.service},
                "environments": [production],
            }
            if cron:
                content["schedule"] = {"cron": cron, "timezone": "UTC"}
            stage.service_file.parent.mkdir(mode=0o700, exist_ok=True)
            partial = stage.service_file.with_suffix(".partial")
            partial.write_text(yaml.safe_dump(content), encoding="utf-8")
            partial.rename(stage.service_file)

    def publish(self, variant: str) -> None:
        """A new model for each."""
        trained = self.first.trained(variant)

        def publish(stage: Stage) -> None:
            folder = stage.of_trained(trained, variant)
            publish_model(folder, stage.service, connect.models(stage.settings, stage.spec.model), SystemClock())

        with ThreadPoolExecutor(max_workers=6) as pool:
            list(pool.map(publish, self.stages))

    def outcomes(self, since: dict[str, int]) -> dict[str, Outcome]:
        """What each service's record says after so many entries."""
        return {stage.service: _outcome(stage.entries()[since.get(stage.service, 0) :]) for stage in self.stages}

    def lengths(self) -> dict[str, int]:
        """How many entries each record has."""
        return {stage.service: len(stage.entries()) for stage in self.stages}

    def remove(self) -> None:
        """Remove everything that they have anywhere."""
        with ThreadPoolExecutor(max_workers=6) as pool:
            list(pool.map(Stage.remove, self.stages))


def _outcome(entries: list[LedgerEntry]) -> Outcome:
    ends = [entry.reason for entry in entries if entry.kind == Kind.RELEASE]
    return Outcome(
        decisions=sum(entry.kind == Kind.DECISION for entry in entries),
        released=ends.count(Reason.RELEASED),
        other_ends=tuple(str(reason) for reason in ends if reason != Reason.RELEASED),
    )


ONCE = Outcome(decisions=1, released=1, other_ends=())
"""Decided once, released once."""


@contextmanager
def most_deployers(layout: Layout) -> Iterator[list[int]]:
    """A list that holds how many deployer pods were seen alive at once, at most."""
    from kubernetes import client, config

    core = client.CoreV1Api(config.new_client_from_config(str(layout.kubeconfig("admin"))))
    most, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.5):
            pods = core.list_pod_for_all_namespaces(label_selector=DEPLOYERS).items
            # One that is being deleted has done its work, and its task has given the slot back.
            alive = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
            most[0] = max(most[0], sum(pod.status.phase in {"Pending", "Running"} for pod in alive))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def minute_ahead(seconds: float) -> tuple[str, float]:
    """A cron of one minute that begins in so many seconds at the soonest, and when it begins (Unix time)."""
    begins = (time.time() + seconds) // 60 * 60 + 60
    at = time.gmtime(begins)
    return f"{at.tm_min} {at.tm_hour} {at.tm_mday} {at.tm_mon} *", begins
