"""Look whether Airflow can reach an app's code."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from nightferry.clients.doors.source_repository import SourceRepository
from nightferry.clients.git.submodules import is_local
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.git_address import OWN
from nightferry.entities.service_spec import ServiceSpec, Source
from nightferry.errors import NightferryError, Permanent, Temporary

UNSEEN = "`--no-check` adds it all the same"


def reach_source(spec: ServiceSpec, airflow: str | None, repository: Callable[[Source], SourceRepository]) -> None:
    """Look at the code of a service as Airflow will: branch, app's folder and tests' folder.

    Args:
        spec: the service.
        airflow: Airflow's address; None: it is not known, and nothing tells it from this machine.
        repository: opens the repository of a source.

    Raises:
        Permanent: (source_repository_unavailable, source_repository_denied, source_ref_unknown, source_path_missing)
            Airflow cannot reach it.
        Temporary: (source_repository_unavailable) it could not be looked at.
    """
    source = spec.source
    if source is None or source.repository == OWN:  # the installation's own: it is wherever Airflow is
        return
    here = airflow is None or is_loopback(airflow)
    if not here and is_local(source.repository):
        raise Permanent(
            Reason.SOURCE_REPOSITORY_UNAVAILABLE,
            f"Airflow cannot reach {source.repository}, a folder of this machine: it runs elsewhere, at {airflow}. "
            "Push the repository to a server, and say its address in source.repository; nothing was added.",
        )
    try:
        repository(source).pin(source.ref, source.path, source.tests)
    except Temporary as fault:
        raise Temporary(fault.reason, _unseen(fault)) from fault
    except Permanent as fault:
        if fault.reason is Reason.DISK_FULL:
            raise Permanent(fault.reason, _unseen(fault)) from fault
        who = "Airflow cannot reach the app's code" if here else "The app's code cannot be reached from here"
        sentence = f"{who}: {fault.sentence.rstrip('.')}. Nothing was added; {UNSEEN}."
        raise Permanent(fault.reason, sentence) from fault


def is_loopback(address: str) -> bool:
    """Whether a URL leads to this machine itself."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _unseen(fault: NightferryError) -> str:
    return (
        f"Whether Airflow can reach the app's code could not be looked at: {fault.sentence.rstrip('.')}. Nothing was "
        f"added; try again, or {UNSEEN}."
    )
