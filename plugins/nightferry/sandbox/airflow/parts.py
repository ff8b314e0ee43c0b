"""Airflow's four processes, as the repository's airflow.cfg says and with what belongs to this sandbox."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from nightferry.sandbox import secrets_files
from nightferry.sandbox.airflow import database
from nightferry.sandbox.build.cache import fingerprint
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine.privileges import as_user
from nightferry.sandbox.progress import Progress, run_logged
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import AirflowHeartbeat, Http

STARTUP_SECONDS = 180.0
"""On a small machine that compiles and starts everything else at the same time."""


def url(ports: Mapping[str, int]) -> str:
    """Airflow's address."""
    return f"http://127.0.0.1:{ports['airflow']}"


def environment(layout: Layout, ports: Mapping[str, int], given: Mapping[str, str]) -> dict[str, str]:
    """What Airflow's processes need to know. Secrets are in files that it names.

    Args:
        given: the NIGHTFERRY_… settings that the user gave: tasks must see them too.
    """
    home = layout.home / "airflow"
    return {
        **given,
        "NIGHTFERRY_ROOT": str(layout.root),
        "NIGHTFERRY_HOME": str(layout.home),
        # This project's code, whichever checkout the Python environment was made for.
        "PYTHONPATH": str(layout.root / "plugins"),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(layout.root / "airflow.cfg"),
        "AIRFLOW__API__PORT": str(ports["airflow"]),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__BASE_URL": url(ports),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url(ports)}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in secrets_files.USERS.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "users.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url(layout),
        # Without the password, which is in this file.
        "PGPASSFILE": str(layout.secrets / "airflow-pgpass"),
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARG__CONNECTIONS_FILE_PATH": str(layout.secrets / "airflow-connections.json"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        # Its processes keep what they imported: with other code, `up` starts them anew.
        "SANDBOX_CODE": _code(layout.root),
    }


def _code(root: Path) -> str:
    """A digest of what Airflow's processes read once, when they start."""
    folders = (root / "plugins", root / "serving_app")
    modules = [file for folder in folders for file in folder.rglob("*.py")]
    return fingerprint(root, [root / "airflow.cfg", *modules])


def all_parts(layout: Layout, ports: Mapping[str, int], given: Mapping[str, str]) -> list[Part]:
    """The API server, the scheduler, the DAG processor and the triggerer."""
    secrets_files.write_airflow_users(layout)
    secrets_files.write_database_password(layout)
    settings = environment(layout, ports, given)
    # The scheduler's and triggerer's log servers listen on every address of the machine and cannot be told otherwise;
    # the API server reads the log files themselves.
    arguments = {
        "api-server": ["api-server"],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }
    components = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
    return [
        Part(
            name=f"airflow-{name}",
            command=(sys.executable, "-m", "nightferry.sandbox.supervise.restart", *_airflow(), *words),
            environment=settings,
            probe=AirflowHeartbeat(url(ports), components[name])
            if name in components
            else Http(f"{url(ports)}/api/v2/version"),
            address=url(ports) if name == "api-server" else "",
            owned=True,
            deadline=STARTUP_SECONDS,
            stop_seconds=10,
        )
        for name, words in arguments.items()
    ]


def _airflow() -> list[str]:
    return [sys.executable, str(Path(sys.executable).with_name("airflow"))]


def migrate(layout: Layout, ports: Mapping[str, int], base: Mapping[str, str], progress: Progress) -> None:
    """Fill Airflow's database, or bring it to the installed version. Skipped where that version did it before.

    Args:
        base: the environment that all parts share.
    """
    home = layout.folder("airflow", owned=True)
    done = home / "migrated"
    versions = sorted(f"{d.name}=={d.version}" for d in distributions() if d.name.startswith("apache-airflow"))
    wanted = "\n".join([*versions, database.word(layout)])
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return
    done.unlink(missing_ok=True)
    command = [*as_user(layout.owner.name), *_airflow(), "db", "migrate"]
    with progress.step("make Airflow's database", log=layout.log("airflow-database"), expected=12):
        run_logged(command, layout.log("airflow-database"), {**base, **environment(layout, ports, {})})
    layout.write(done, wanted, owned=True)
    _leave_sqlite(home, progress)


def _leave_sqlite(home: Path, progress: Progress) -> None:
    """Remove the database of a sandbox that was made before Airflow had PostgreSQL, and say what that means."""
    if (home / "airflow.db").exists():
        progress.say(
            "Airflow has a new database, PostgreSQL: its pages begin anew, without the runs of before (the record has "
            "them all), and a DAG that was paused is not any more: pause it again."
        )
        for file in home.glob("airflow.db*"):
            file.unlink()
