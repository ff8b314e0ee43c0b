"""The secrets of the webhooks: from a file that a setting names, else from an Airflow connection; else none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from nightferry import settings
from nightferry.errors import NightferryError

CONNECTION = "nightferry_hook_"
"""Begins the name of the connection: its password is the secret; with a login, `login:password` is Azure's."""
KEPT_SECONDS = 30.0
"""How long what was found is taken for true: a secret that is changed counts after that."""


class Secrets:
    """Finds each sender's secret, and asks neither disk nor database more often than it has to."""

    def __init__(self, find: Callable[[str], str] | None = None) -> None:
        self._find = find or found
        self._kept: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def of(self, sender: str) -> str:
        """The secret; "" where there is none."""
        with self._lock:
            since, secret = self._kept.get(sender, (-KEPT_SECONDS, ""))
            if time.monotonic() - since >= KEPT_SECONDS:
                secret = self._find(sender)
                self._kept[sender] = time.monotonic(), secret
            return secret


def found(sender: str) -> str:
    """The secret as it is now; "" where there is none, or where it cannot be read."""
    try:
        file = getattr(settings.load(), f"hook_{sender}_secret_file")
    except NightferryError:
        return ""
    if file:
        try:
            return str(file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            return ""
    return _of_connection(f"{CONNECTION}{sender}")


def _of_connection(name: str) -> str:
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get_connection_from_secrets(name)
    except AirflowNotFoundException:
        return ""
    secret = connection.password or ""
    return f"{connection.login}:{secret}" if connection.login and secret and name.endswith("azure") else secret
