"""An MLflow server, through an Airflow connection of type `http`: schema, host and port say where it is (the host may
be a whole address); a login with a password is a user, a password alone is a bearer token, neither is no login at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.hooks.connections import connection

if TYPE_CHECKING:
    from nightferry.clients.mlflow.server import MlflowServer

MLFLOW = "nightferry_mlflow"


class MlflowHook(BaseHook):
    """Opens the MLflow server that models are in."""

    conn_name_attr = "mlflow_conn_id"
    default_conn_name = MLFLOW
    conn_type = "http"
    hook_name = "Nightferry MLflow"

    def __init__(self, mlflow_conn_id: str = MLFLOW) -> None:
        super().__init__()
        self.mlflow_conn_id = mlflow_conn_id

    def server(self) -> MlflowServer:
        """The server; nothing is asked of it yet.

        Raises:
            Permanent: (setting_missing) there is no such connection, or it names no host; (setting_invalid) a login
                would be sent without TLS to another machine.
        """
        from nightferry.clients.mlflow.login import Login
        from nightferry.clients.mlflow.server import MlflowServer

        found = connection(self.mlflow_conn_id)
        if not found.host:
            raise Permanent(Reason.SETTING_MISSING, f"The Airflow connection {self.mlflow_conn_id} names no host.")
        password = found.password or ""
        login = Login(user=found.login, password=password) if found.login else Login(token=password)
        return MlflowServer(_address(found.host, found.port, found.schema), login)


def _address(host: str, port: int | None, scheme: str | None) -> str:
    begun, _, rest = host.rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{begun or scheme or 'https'}://{place}{f':{port}' if port else ''}{slash}{path}"
