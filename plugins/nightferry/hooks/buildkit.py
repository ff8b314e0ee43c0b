"""BuildKit, through an Airflow connection of type `generic` whose host is buildkitd's address (unix:// or tcp://).

For a daemon that asks for certificates, NIGHTFERRY_BUILDKIT_TLS names the folder with ca.pem, cert.pem and key.pem.
"""

from __future__ import annotations

from airflow.sdk import BaseHook

from nightferry import settings
from nightferry.clients.doors.image_builder import ImageBuilder
from nightferry.hooks.connections import connection
from nightferry.hooks.registry import RegistryHook

BUILDKIT = "nightferry_buildkit"


class BuildKitHook(BaseHook):
    """Makes the client of the image builder."""

    conn_name_attr = "buildkit_conn_id"
    default_conn_name = BUILDKIT
    conn_type = "generic"
    hook_name = "Nightferry BuildKit"

    def __init__(self, buildkit_conn_id: str = BUILDKIT) -> None:
        super().__init__()
        self.buildkit_conn_id = buildkit_conn_id

    def builder(self, registry: RegistryHook) -> ImageBuilder:
        """The builder's client, which shows the registry that hook's credentials.

        Raises:
            Permanent: (setting_missing) there is no such connection.
        """
        from nightferry.clients.buildkit.builder import BuildKit

        now, credentials = settings.load(), registry.credentials()
        return BuildKit(
            now.buildctl,
            connection(self.buildkit_conn_id).host,
            auth_file=registry.auth_file(),
            credentials={registry.host(): credentials} if credentials else None,
            tls_folder=now.buildkit_tls,
        )
