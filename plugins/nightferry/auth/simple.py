"""Airflow's simple auth manager (users in its settings, passwords in a file), for the sandbox."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager as AirflowsSimpleAuthManager

from nightferry.auth.rights import ReleaseRights


class SimpleAuthManager(ReleaseRights, AirflowsSimpleAuthManager):
    """With Nightferry's rule: viewer, user, op and admin may what docs/rights.md says."""
