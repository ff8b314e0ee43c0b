"""What several commands look up first."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from nightferry import settings as settings_of
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError, Permanent
from nightferry.settings import Settings
from nightferry.steps.services.load_services import load_service


def require_checkout() -> None:
    """Complain where the sandbox and the sample, which are parts of the project's folder, cannot be.

    Raises:
        Permanent: (request_invalid)
    """
    if settings_of.installed():
        raise Permanent(
            Reason.REQUEST_INVALID,
            "This command is for a checkout of the project, where `make` installs what the sandbox needs; "
            "the installed package has not got it.",
        )
    if chosen := settings_of.load().profile:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"This command is for this checkout's sandbox, and NIGHTFERRY_PROFILE={chosen} names an installation; "
            "leave it out.",
        )


def spec_of(settings: Settings, service: str) -> ServiceSpec:
    """The service's file.

    Raises:
        Permanent: (service_unknown, service_file_invalid, service_duplicated, setting_missing)
    """
    return load_service(settings.services_folders, settings.expandable, service)


def zone_of(settings: Settings, service: str) -> ZoneInfo:
    """The service's zone; UTC where its file is gone or broken: the record is readable all the same."""
    try:
        return spec_of(settings, service).timezone
    except NightferryError:
        return ZoneInfo("UTC")


def known(settings: Settings, store: LedgerStore, service: str) -> None:
    """Complain about a service that has neither a record nor a file: its name is misspelt.

    Raises:
        Permanent: (service_unknown)
    """
    if service in store.services():
        return
    try:
        spec_of(settings, service)
    except NightferryError as fault:
        if fault.reason is Reason.SERVICE_UNKNOWN:
            raise
