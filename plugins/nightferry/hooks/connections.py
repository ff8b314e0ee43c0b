"""Airflow connections, with a clear word when one is missing."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


def connection(conn_id: str) -> Any:
    """The connection.

    Raises:
        Permanent: (setting_missing) Airflow knows none of that name.
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as fault:
        raise Permanent(
            Reason.SETTING_MISSING,
            f"Airflow has no connection {conn_id}; docs/runbook.md says which ones a release needs.",
        ) from fault
