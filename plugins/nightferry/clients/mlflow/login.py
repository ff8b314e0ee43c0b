"""Who we are to an MLflow server."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from nightferry.clients.registry.auth import is_loopback
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


@dataclass(frozen=True)
class Login:
    """A bearer token, or a user with a password; neither where the server asks for none."""

    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def header(self) -> str | None:
        """The Authorization header; None: there is nothing to show."""
        if self.token:
            return f"Bearer {self.token}"
        if self.user:
            return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return None


def read_login(token_file: Path | None, user: str | None, password_file: Path | None) -> Login:
    """The login that files hold.

    Raises:
        Permanent: (setting_missing) a file cannot be read or is empty, or a user has no password's file.
    """
    if token_file:
        return Login(token=_secret(token_file, "NIGHTFERRY_MLFLOW_TOKEN_FILE"))
    if not user:
        return Login()
    if not password_file:
        raise Permanent(
            Reason.SETTING_MISSING,
            f"NIGHTFERRY_MLFLOW_USER is {user}, and no file has the password: set NIGHTFERRY_MLFLOW_PASSWORD_FILE.",
        )
    return Login(user=user, password=_secret(password_file, "NIGHTFERRY_MLFLOW_PASSWORD_FILE"))


def check_secure(url: str, login: Login) -> None:
    """Refuse to send a login over a network in the clear. A server without one may be spoken to by http.

    Raises:
        Permanent: (setting_invalid)
    """
    parts = urlsplit(url)
    if login.header and parts.scheme != "https" and not is_loopback(parts.netloc):
        raise Permanent(
            Reason.SETTING_INVALID,
            f"The MLflow server's address is {url}: without TLS no token or password is sent to another machine; use "
            "https://.",
        )


def _secret(file: Path, setting: str) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise Permanent(
            Reason.SETTING_MISSING, f"{setting} names {file}, which cannot be read; correct it, or leave it out."
        ) from fault
    if not text or not text.isascii() or any(character.isspace() for character in text):
        raise Permanent(Reason.SETTING_MISSING, f"{setting} names {file}, which holds no single word of a secret.")
    return text
