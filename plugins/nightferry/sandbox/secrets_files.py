"""The sandbox's secrets: made once per sandbox, each in a file of its own that its owner alone can read."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from nightferry.clients.mlflow.login import read_login
from nightferry.clients.s3.connection import read_key
from nightferry.sandbox.layout import Layout

ACCOUNT = "nightferry"
"""The name of the storage account that Azurite serves."""

USERS: Mapping[str, str] = {
    "admin": "admin",
    "op": "op",
    "user": "user",
    "viewer": "viewer",
    "anna": "op",
    "bert": "op",
    "carl": "op",
}
"""Airflow's users in the sandbox, with their roles: one for each role, and three who can be asked to approve."""


def password_file(user: str) -> str:
    """The name of the secret that is a user's password."""
    return "airflow-password" if user == "admin" else f"airflow-password-{user}"


def _word(length: int) -> Callable[[], str]:
    return lambda: secrets.token_urlsafe(length)


def _fernet() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _account_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


GENERATED: Mapping[str, Callable[[], str]] = {
    **{password_file(user): _word(18) for user in USERS},
    "airflow-jwt": _word(64),
    "airflow-api": _word(48),
    "airflow-fernet": _fernet,
    "airflow-database": _word(32),
    "storage-key": _account_key,
    "registry": _word(32),
    "s3-secret": _word(32),
    "hook-github": _word(32),
}


def ensure(layout: Layout) -> None:
    """Make the secrets that are missing; those that exist are kept."""
    for name, make in GENERATED.items():
        path = layout.secrets / name
        if not path.exists() or not path.read_text(encoding="utf-8").strip():
            layout.write(path, make(), owned=True)
        else:
            layout.write(path, path.read_text(encoding="utf-8"), owned=True)


def read(layout: Layout, name: str) -> str:
    """One secret."""
    return (layout.secrets / name).read_text(encoding="utf-8").strip()


def write_storage_connection(layout: Layout, url: str, queues: str) -> Path:
    """The connection string of our Azurite, in a file.

    Args:
        url: its Blob service, `http://host:port/account`.
        queues: its Queue service, likewise.
    """
    path = layout.secrets / "storage-connection"
    key = read(layout, "storage-key")
    protocol = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT}"
    layout.write(path, f"{protocol};AccountKey={key};BlobEndpoint={url};QueueEndpoint={queues};", owned=True)
    return path


def write_database_password(layout: Layout) -> Path:
    """The file in which PostgreSQL's clients look for the password of Airflow's database."""
    path = layout.secrets / "airflow-pgpass"
    layout.write(path, f"*:*:airflow:airflow:{read(layout, 'airflow-database')}\n", owned=True)
    return path


def write_airflow_users(layout: Layout) -> Path:
    """The file that Airflow's simple auth manager reads: the password of each user."""
    path = layout.folder("airflow", owned=True) / "users.json"
    layout.write(path, json.dumps({user: read(layout, password_file(user)) for user in USERS}) + "\n", owned=True)
    return path


def write_connections(layout: Layout, settings: Mapping[str, str]) -> Path:
    """Airflow's connections to the outside systems, as the settings name them."""
    path = layout.secrets / "airflow-connections.json"
    layout.write(path, json.dumps(connections(settings), indent=2, sort_keys=True) + "\n", owned=True)
    return path


def connections(settings: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """The connections by name, in the form of Airflow's local file backend."""
    storage: dict[str, object] = {"conn_type": "wasb", "host": settings.get("NIGHTFERRY_STORAGE_URL", "")}
    if file := settings.get("NIGHTFERRY_STORAGE_CONNECTION_FILE"):
        text = Path(file).read_text(encoding="utf-8").strip()
        storage = {"conn_type": "wasb", "extra": {"connection_string": text}}
    return {
        **_s3(settings),
        **_mlflow(settings),
        "nightferry_storage": storage,
        "nightferry_registry": {"conn_type": "docker", "host": settings.get("NIGHTFERRY_REGISTRY", "")},
        "nightferry_buildkit": {"conn_type": "generic", "host": settings.get("NIGHTFERRY_BUILDKIT", "")},
        "nightferry_cluster": {
            "conn_type": "kubernetes",
            "extra": {"kube_config_path": settings.get("NIGHTFERRY_KUBECONFIG", "")},
        },
    }


def _s3(settings: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """The S3 storage, where the settings know one."""
    named = {"endpoint_url": "NIGHTFERRY_S3_URL", "region_name": "NIGHTFERRY_S3_REGION"}
    extra = {key: settings[name] for key, name in named.items() if settings.get(name)}
    if not extra:
        return {}
    made: dict[str, object] = {"conn_type": "aws", "extra": extra}
    if file := settings.get("NIGHTFERRY_S3_KEY_FILE"):
        key = read_key(Path(file))
        made |= {"login": key.access, "password": key.secret}
        made |= {"extra": {**extra, "aws_session_token": key.token}} if key.token else {}
    return {"nightferry_s3": made}


def _mlflow(settings: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """The MLflow server, where the settings know one."""
    url = settings.get("NIGHTFERRY_MLFLOW_URL")
    if not url:
        return {}
    files = {name: settings.get(f"NIGHTFERRY_MLFLOW_{name}_FILE") for name in ("TOKEN", "PASSWORD")}
    token, password = (Path(file) if file else None for file in files.values())
    login = read_login(token, settings.get("NIGHTFERRY_MLFLOW_USER"), password)
    made: dict[str, object] = {"conn_type": "http", "host": url}
    made |= {"login": login.user} if login.user else {}
    secret = login.token or login.password
    return {"nightferry_mlflow": made | ({"password": secret} if secret else {})}
