"""The sandbox's pools in Airflow: how much runs at once on a machine that all parts share."""

from __future__ import annotations

from nightferry.clients.airflow.api import BUILDER_POOL, DEPLOYER_POOL, AirflowApi
from nightferry.sandbox import secrets_files
from nightferry.sandbox.airflow import parts
from nightferry.sandbox.layout import Layout
from nightferry.settings import Settings


def set_pools(layout: Layout, ports: dict[str, int], settings: Settings) -> None:
    """Make each pool, or give it the slots that the settings say."""
    airflow = AirflowApi(parts.url(ports), "admin", secrets_files.read(layout, "airflow-password"))
    airflow.set_pool(DEPLOYER_POOL, settings.deployers)
    airflow.set_pool(BUILDER_POOL, settings.builders)
