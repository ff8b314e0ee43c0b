"""The sandbox's pools in Airflow: how much runs at once on a machine that all parts share."""

from __future__ import annotations

from nightferry.clients.airflow.api import BUILDER_POOL, DEPLOYER_POOL, AirflowApi
from nightferry.clients.clock import Clock
from nightferry.errors import Temporary
from nightferry.sandbox import secrets_files
from nightferry.sandbox.airflow import parts
from nightferry.sandbox.layout import Layout
from nightferry.settings import Settings

SECONDS, PAUSE = 180.0, 2.0
"""For how long Airflow, which has just started beside everything else, is asked again, and the pause between."""


def set_pools(layout: Layout, ports: dict[str, int], settings: Settings, clock: Clock) -> None:
    """Make each pool, or give it the slots that the settings say.

    Raises:
        Temporary: (airflow_unavailable) it does not answer for SECONDS.   Permanent: (airflow_denied)
    """
    airflow = AirflowApi(parts.url(ports), "admin", secrets_files.read(layout, "airflow-password"))
    until = clock.monotonic() + SECONDS
    for pool, slots in ((DEPLOYER_POOL, settings.deployers), (BUILDER_POOL, settings.builders)):
        while True:
            try:
                airflow.set_pool(pool, slots)
                break
            except Temporary:
                if clock.monotonic() >= until:
                    raise
                clock.sleep(PAUSE)
