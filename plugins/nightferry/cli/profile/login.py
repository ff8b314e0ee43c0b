"""`nightferry login`: keep the addresses of an installation in a profile, and show which ones count."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from nightferry import profiles
from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.output import show_json, table
from nightferry.cli.profile.values import checked
from nightferry.clients import connect
from nightferry.clients.airflow.api import AirflowApi
from nightferry.clients.airflow.version import airflow_version
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.settings import Settings

EXAMPLES = """\
  nightferry login --storage-url https://acme.blob.core.windows.net --registry acme.azurecr.io \\
    --airflow-url https://airflow.acme.example --airflow-token-file ~/.airflow-token --services ~/acme/dags/services
  nightferry login                        what counts here, and where each value comes from
  nightferry login test --airflow-url …   a second installation, which is used from now on
  nightferry login --use default          go back to the first
  NIGHTFERRY_PROFILE=test nightferry history digits    for one command

Storage is reached as who you are (`az login`). A password or token is in a file that only you can read, never a value.
"""
_SHOWN = {
    "STORAGE_URL": ("URL", "the storage account, reached with your identity"),
    "STORAGE_CONNECTION_FILE": ("FILE", "a file with the account's connection string, instead"),
    "LEDGER": ("NAME", "the container with the record"),
    "REGISTRY": ("HOST", "the image registry"),
    "REGISTRY_AUTH_FILE": ("FILE", "a Docker config.json with its credentials"),
    "BASE_IMAGE": ("IMAGE", "the base image, by digest, for `release --dry-run`"),
    "S3_URL": ("URL", "the S3 storage that models are in; none: Amazon's own"),
    "S3_KEY_FILE": ("FILE", "a file with its key, as AWS's own tools keep one"),
    "S3_REGION": ("NAME", "its region"),
    "MLFLOW_URL": ("URL", "the MLflow server that models are in"),
    "MLFLOW_TOKEN_FILE": ("FILE", "a file with a token for it"),
    "MLFLOW_USER": ("NAME", "who we are there, instead of a token"),
    "MLFLOW_PASSWORD_FILE": ("FILE", "a file with this user's password"),
    "AIRFLOW_URL": ("URL", "Airflow"),
    "AIRFLOW_USER": ("NAME", "who asks it for a release"),
    "AIRFLOW_PASSWORD_FILE": ("FILE", "a file with this user's password"),
    "AIRFLOW_TOKEN_FILE": ("FILE", "a file with a token of Airflow's, instead of user and password"),
    "SERVICES": ("DIR", "the folder with the service files; repeatable"),
    "KUBECONFIG": ("FILE", "the kubeconfig of the cluster"),
}


def add_parsers(subparsers: Subparsers) -> None:
    """Add `login`."""
    parser = command(subparsers, "login", login, HELP["login"], EXAMPLES)
    parser.add_argument("name", metavar="NAME", nargs="?", help="the profile (the current one, else default)")
    kept = parser.add_argument_group("what is kept; an empty value takes it out")
    for name, (metavar, help) in _SHOWN.items():
        action = "append" if name == "SERVICES" else "store"
        kept.add_argument(f"--{name.lower().replace('_', '-')}", metavar=metavar, action=action, help=help)
    parser.add_argument("--offline", action="store_true", help="keep it without asking storage and Airflow")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--list", action="store_true", help="list the profiles")
    how.add_argument("--use", metavar="NAME", help="use this profile from now on")
    how.add_argument("--remove", metavar="NAME", help="remove this profile")


def login(arguments: argparse.Namespace) -> int:
    """Keep, choose, remove, list or show."""
    given = {name: value for name in _SHOWN if (value := getattr(arguments, name.lower())) is not None}
    if arguments.list or arguments.use is not None or arguments.remove is not None:
        if given or arguments.name:
            raise Permanent(
                Reason.REQUEST_INVALID,
                "--list, --use and --remove stand alone: leave out the other words.",
            )
        if arguments.list:
            return _list(arguments)
        if arguments.remove is not None:
            profiles.remove(arguments.remove)
            return _done(arguments, arguments.remove, "is removed")
        return _done(arguments, profiles.use(arguments.use).name, "is used from now on")
    if given:
        return _keep(arguments, given)
    if arguments.name:
        return _done(arguments, profiles.use(arguments.name).name, "is used from now on")
    return _show(arguments)


def _keep(arguments: argparse.Namespace, given: Mapping[str, str | list[str]]) -> int:
    name = arguments.name or profiles.current() or profiles.DEFAULT
    values = checked(
        {key: os.pathsep.join(value) if isinstance(value, list) else value for key, value in given.items()}
    )
    profile = profiles.changed(name, values)
    settings = Settings(settings_of.project_root(), settings_of.state_folder(), {}, profile)
    answered = [] if arguments.offline else _answers(settings)
    profiles.keep(name, values)
    for line in answered:
        print(line, file=sys.stderr)
    if not settings.airflow_token_file and settings.airflow_url and not settings.airflow_password_file:
        print("`nightferry release` will ask for Airflow's token file, or a user and a password file.", file=sys.stderr)
    return _done(arguments, name, "is kept, and used from now on")


def _answers(settings: Settings) -> list[str]:
    """Ask what the profile names.

    Raises:
        Permanent, Temporary: (as storage and Airflow) one refuses, or could not be looked at
    """
    said = []
    try:
        if settings.storage_url or settings.storage_connection_file:
            count = len(connect.ledger_store(settings).services())
            said.append(f"Storage answers: a record of {count} service{'' if count == 1 else 's'}.")
        if settings.airflow_url:
            said.append(f"Airflow {airflow_version(settings.airflow_url)} answers.")
            if settings.airflow_token_file or (settings.airflow_user and settings.airflow_password_file):
                AirflowApi.connect(settings).paused("nightferry_login")  # no such DAG: whether it lets us in counts
                said.append("Airflow takes the login.")
    except Temporary as fault:
        sentence = (
            f"It could not be looked at: {fault.sentence.rstrip('.')}. Nothing was kept; `--offline` keeps it unseen."
        )
        raise Temporary(fault.reason, sentence) from fault
    except Permanent as fault:
        raise Permanent(fault.reason, f"{fault.sentence.rstrip('.')}. Nothing was kept.") from fault
    return said


def _done(arguments: argparse.Namespace, name: str, what: str) -> int:
    if arguments.json:
        show_json({"profile": name, "current": profiles.current()})
        return OK
    print(f"Profile {name} {what}.")
    current = profiles.current()
    if current and not settings_of.current_profile_counts():
        print(_elsewhere(current), file=sys.stderr)
    elif current is None:
        print("No profile is used now.", file=sys.stderr)
    return OK


def _elsewhere(current: str) -> str:
    chosen = f"NIGHTFERRY_PROFILE={current} chooses it for a command"
    return f"It does not count here, in a checkout or beside a sandbox; {chosen}."


def _list(arguments: argparse.Namespace) -> int:
    known, current = profiles.names(), profiles.current()
    if arguments.json:
        show_json({"profiles": [_listed(name, current) for name in known]})
    elif known:
        rows = [("*" if name == current else "", name, str(profiles.path_of(name))) for name in known]
        table(("", "PROFILE", "FILE"), rows)
    else:
        print("No profile is kept; nightferry login --storage-url … --airflow-url … keeps one.")
    return OK


def _listed(name: str, current: str | None) -> dict[str, object]:
    return {"profile": name, "file": str(profiles.path_of(name)), "current": name == current}


def _show(arguments: argparse.Namespace) -> int:
    settings, current = settings_of.load(), profiles.current()
    rows = [_row(settings, name) for name in _SHOWN]
    if arguments.json:
        said = {name: {"value": value or None, "from": origin or None} for name, value, origin in rows}
        show_json({"profile": current, "counts": settings.keeper, "settings": said})
        return OK
    table(("SETTING", "VALUE", "FROM"), rows)
    if current is None:
        print("No profile is used.", file=sys.stderr)
    elif settings.keeper != f"profile {current}":
        print(f"The current profile is {current}. {_elsewhere(current)}", file=sys.stderr)
    return OK


def _row(settings: Settings, name: str) -> tuple[str, str, str]:
    """A setting, its value, and where that comes from: nothing for none."""
    value, default = settings.get(name), Settings.model_fields[name.lower()].default
    if not value and not isinstance(default, str):
        return f"NIGHTFERRY_{name}", "", ""
    return f"NIGHTFERRY_{name}", value or default, settings.origin(name)
