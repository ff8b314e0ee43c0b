"""Ask whether an Airflow is there, without any login."""

from __future__ import annotations

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

TIMEOUT = (5, 10)
"""Seconds to connect, and for an answer."""


def airflow_version(address: str) -> str:
    """The version of the Airflow at an address (`GET /api/v2/version`, which everybody may ask).

    Raises:
        Permanent: (setting_invalid) what answers there is no Airflow of version 3.
        Temporary: (airflow_unavailable) nothing answers, or it fails.
    """
    import requests

    url = f"{address.rstrip('/')}/api/v2/version"
    try:
        with requests.Session() as session:
            session.trust_env = False  # as in `AirflowApi`
            answer = session.get(url, timeout=TIMEOUT)
    except requests.RequestException as fault:
        sentence = f"Airflow at {address} does not answer ({type(fault).__name__})."
        raise Temporary(Reason.AIRFLOW_UNAVAILABLE, sentence) from fault
    if answer.status_code >= 500:
        raise Temporary(Reason.AIRFLOW_UNAVAILABLE, f"Airflow at {address} answers {answer.status_code}.")
    try:
        return str(answer.json()["version"])
    except (ValueError, TypeError, KeyError) as fault:
        sentence = f"What answers at {address} is no Airflow 3 ({answer.status_code} to GET /api/v2/version)."
        raise Permanent(Reason.SETTING_INVALID, sentence) from fault
