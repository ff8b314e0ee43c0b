"""The image registry, through an Airflow connection of type `docker`: host, and login and password where it wants them.

Without a login, the Docker credential file that NIGHTFERRY_REGISTRY_AUTH_FILE names is used, if there is one.
"""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import BaseHook

from nightferry import settings
from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.clients.registry.auth import Credentials
from nightferry.hooks.connections import connection

REGISTRY = "nightferry_registry"


class RegistryHook(BaseHook):
    """Makes the client of the image registry."""

    conn_name_attr = "registry_conn_id"
    default_conn_name = REGISTRY
    conn_type = "docker"
    hook_name = "Nightferry registry"

    def __init__(self, registry_conn_id: str = REGISTRY) -> None:
        super().__init__()
        self.registry_conn_id = registry_conn_id

    def registry(self) -> ImageRegistry:
        """The registry's client.

        Raises:
            Permanent: (setting_missing) there is no such connection.
        """
        from nightferry.clients.registry.oci import OciRegistry

        return OciRegistry(auth_file=self.auth_file(), credentials=self.credentials())

    def credentials(self) -> Credentials | None:
        """The connection's login and password; None when it has no login. Raises as `registry`."""
        found = connection(self.registry_conn_id)
        return Credentials(found.login, found.password or "") if found.login else None

    def host(self) -> str:
        """The registry's `host[:port]`. Raises as `registry`."""
        found = connection(self.registry_conn_id)
        host = str(found.host or "").partition("://")[2] or str(found.host or "")
        return f"{host}:{found.port}" if found.port else host.partition("/")[0]

    def auth_file(self) -> Path | None:
        """The Docker credential file of this installation."""
        return settings.load().registry_auth_file
