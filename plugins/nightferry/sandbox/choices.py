"""What the sandbox runs itself and what the user brings, and the settings that follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nightferry.sandbox import extras, secrets_files
from nightferry.sandbox.airflow import parts as airflow_parts
from nightferry.sandbox.kubernetes import gateway
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.stores import containers, engine
from nightferry.sandbox.stores import parts as store_parts
from nightferry.settings import PREFIX, Settings


@dataclass(frozen=True)
class Choices:
    """A part is ours unless the user's environment names one: nothing else makes it theirs."""

    storage: bool
    registry: bool
    buildkit: bool
    cluster: bool
    docker: bool
    """Also not ours where the machine's own Docker engine answers."""
    docker_host: str
    extras: tuple[str, ...] = ()
    """Parts that someone asked for with `up --with`: see `extras`."""


def make(settings: Settings, layout: Layout, wanted: Iterable[str] = ()) -> Choices:
    """Look at what the user set, and for a Docker engine; `wanted` are the extras."""
    given = settings.own("DOCKER_HOST") or engine.running(layout.owner)
    return Choices(
        storage=settings.own("STORAGE_URL") is None,
        registry=settings.own("REGISTRY") is None,
        buildkit=settings.own("BUILDKIT") is None,
        cluster=settings.own("KUBECONFIG") is None,
        docker=given is None,
        docker_host=given or f"unix://{layout.docker_socket}",
        extras=extras.ours(settings, wanted),
    )


def given(settings: Settings) -> dict[str, str]:
    """The user's own settings, but for those that say where the sandbox is."""
    places = {f"{PREFIX}{name}" for name in ("HOME", "ROOT", "SANDBOX")}
    return {name: value for name, value in settings.environment.items() if value and name not in places}


def sandbox_settings(settings: Settings, layout: Layout, choices: Choices, ports: Mapping[str, int]) -> dict[str, str]:
    """Every NIGHTFERRY_… setting that is known before anything runs: ours, and over them the user's own."""
    ours = {
        "LEDGER": "ledger",
        "DOCKER_HOST": choices.docker_host,
        "AIRFLOW_URL": airflow_parts.url(ports),
        "AIRFLOW_USER": "admin",
        "AIRFLOW_PASSWORD_FILE": str(layout.secrets / "airflow-password"),
        "HOOK_GITHUB_SECRET_FILE": str(layout.secrets / "hook-github"),
    }
    if choices.storage:
        ours["STORAGE_URL"] = store_parts.storage_url(ports)
        queues = store_parts.queue_url(ports)
        ours["STORAGE_CONNECTION_FILE"] = str(
            secrets_files.write_storage_connection(layout, ours["STORAGE_URL"], queues)
        )
        ours["EVENTS_QUEUE"] = containers.EVENTS
    if choices.registry:
        ours["REGISTRY"] = f"127.0.0.1:{ports['registry']}"
    if choices.buildkit:
        ours["BUILDKIT"] = f"unix://{layout.buildkit_socket}"
    if choices.cluster:
        ours |= {"KUBECONFIG": str(layout.kubeconfig("airflow")), "SERVICE_TYPE": "NodePort"}
        ours |= {"GATEWAY_PORT": str(ports["gateway"]), "GATEWAY_METRICS": gateway.metrics(ports)}
    ours |= extras.settings_of(choices.extras, layout, ports)
    return {**{f"{PREFIX}{name}": value for name, value in ours.items()}, **given(settings)}
