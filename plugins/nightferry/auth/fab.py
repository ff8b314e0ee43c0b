"""Airflow's FAB auth manager (Flask-AppBuilder: a database of users, LDAP, OAuth), for installations.

Its class has the name of Airflow's, by which Airflow knows that DAGs have permissions of their own there.
"""

from __future__ import annotations

from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager as AirflowsFabAuthManager

from nightferry.auth.rights import ReleaseRights


class FabAuthManager(ReleaseRights, AirflowsFabAuthManager):
    """With Nightferry's rule: Viewer, User, Op and Admin may what docs/rights.md says."""
