"""What MLflow's refusals mean: the one place that knows its codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

if TYPE_CHECKING:
    import requests

MISSING = "RESOURCE_DOES_NOT_EXIST"
EXISTS = "RESOURCE_ALREADY_EXISTS"
NO_ALIAS = "INVALID_PARAMETER_VALUE"
"""What MLflow answers, with 400, where a registered model has no such alias."""
_BUSY = {408, 409, 425, 429}


class Refusal(Exception):
    """MLflow answered, and not with what was asked for."""

    def __init__(self, status: int, code: str, said: str) -> None:
        self.status = status
        self.code = code
        """MLflow's own word, e.g. RESOURCE_DOES_NOT_EXIST; empty where something else answered."""
        self.said = said
        super().__init__(f"{status} {code}")


def refusal_of(answer: requests.Response) -> Refusal:
    """What an answer that is no success says."""
    try:
        document = answer.json()
        code, said = str(document.get("error_code", "")), str(document.get("message") or document.get("detail") or "")
    except (ValueError, AttributeError):
        code, said = "", answer.text if len(answer.content) < 300 else ""
    line = (said.strip().splitlines() or [""])[0]
    return Refusal(answer.status_code, code, (line or answer.reason or "no reason given")[:300].rstrip("."))


@contextmanager
def mlflow_errors(where: str) -> Iterator[None]:
    """Turn what goes wrong between here and an MLflow server into one of Nightferry's errors.

    Args:
        where: the server's host, for the sentence.

    Raises:
        Permanent: (storage_denied)   Temporary: (storage_unavailable)
    """
    import requests

    try:
        yield
    except Refusal as refusal:
        raise _meaning(refusal, where) from refusal
    except requests.RequestException as error:
        raise Temporary(
            Reason.STORAGE_UNAVAILABLE,
            f"The MLflow server {where} does not answer as it should ({type(error).__name__}): is it running, and can "
            "it be reached from here?",
        ) from error


def _meaning(refusal: Refusal, where: str) -> NightferryError:
    status, said = refusal.status, f"{refusal.status} {refusal.code} {refusal.said}".replace("  ", " ")
    if status in _BUSY or status >= 500:
        return Temporary(Reason.STORAGE_UNAVAILABLE, f"The MLflow server {where} is not able to answer ({said}).")
    if status in (401, 403):
        return Permanent(
            Reason.STORAGE_DENIED,
            f"The MLflow server {where} refuses ({said}): check the login (the Airflow connection "
            "nightferry_mlflow, or NIGHTFERRY_MLFLOW_TOKEN_FILE), what it may do there, and that the server allows "
            "this host name.",
        )
    if 300 <= status < 400:
        return Permanent(
            Reason.STORAGE_DENIED,
            f"The MLflow server {where} sends us to another address, which is not followed, as it would get our login: "
            "set NIGHTFERRY_MLFLOW_URL to where the server is.",
        )
    if status < 300 or not refusal.code:
        return Permanent(
            Reason.STORAGE_DENIED,
            f"What answers at {where} does not speak MLflow's REST ({said}): is NIGHTFERRY_MLFLOW_URL right, and does "
            "the server serve artifacts?",
        )
    return Permanent(Reason.STORAGE_DENIED, f"The MLflow server {where} refuses a request ({said}).")
