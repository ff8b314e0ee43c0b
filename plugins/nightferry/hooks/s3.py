"""An S3 storage, through an Airflow connection of type `aws`: login and password are the key and its secret, the extras
`endpoint_url` and `region_name` say where it is. Amazon's provider package is not needed: nothing of it is used.

Without a login, the identity counts that the worker has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from nightferry.hooks.connections import connection

if TYPE_CHECKING:
    from nightferry.clients.s3.connection import S3Service

S3 = "nightferry_s3"


class S3Hook(BaseHook):
    """Opens the S3 storage that models are in."""

    conn_name_attr = "s3_conn_id"
    default_conn_name = S3
    conn_type = "aws"
    hook_name = "Nightferry S3"

    def __init__(self, s3_conn_id: str = S3) -> None:
        super().__init__()
        self.s3_conn_id = s3_conn_id

    def service(self) -> S3Service:
        """The opened storage; nothing is asked of it yet.

        Raises:
            Permanent: (setting_missing) there is no such connection, or it says neither place nor region;
                (setting_invalid) its endpoint_url is no address.
        """
        from nightferry.clients.s3.connection import S3Key, open_s3

        found = connection(self.s3_conn_id)
        extras = found.extra_dejson
        key = S3Key(found.login, found.password or "", extras.get("aws_session_token")) if found.login else None
        return open_s3(extras.get("endpoint_url") or None, extras.get("region_name") or None, key)
