"""Each cell of the table that Airflow decides, over REST and by the command line, with both of its auth managers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nightferry import settings as settings_of
from nightferry.cli import main
from nightferry.entities.reason import Reason

from tests.fakes.locked_python import locked_python
from tests.rights.airflow_of_our_own import ROOT, AirflowOfOurOwn
from tests.rights.table import ROLES, Row, cells, release_of, shown

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1800)]  # the first one installs FAB
LOCK = ROOT / "docker" / "airflow" / "requirements-fab.txt"
BOTH = pytest.mark.parametrize(
    "airflow",
    [pytest.param(name, marks=pytest.mark.xdist_group(f"rights-{name}")) for name in ("simple", "fab")],
    indirect=True,
    scope="module",
)


@pytest.fixture(scope="module")
def airflow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowOfOurOwn]:
    """Airflow's API server with one of the auth managers."""
    manager = request.param
    python = fab_python() if manager == "fab" else Path(sys.executable)
    server = AirflowOfOurOwn(python, tmp_path_factory.mktemp(f"rights-{manager}"), manager)
    try:
        yield server.start()
    finally:
        server.stop()


def fab_python() -> Path:
    """The interpreter of an environment with FAB, which brings some thirty packages that nothing else needs."""
    return locked_python("airflow-fab", LOCK)


@BOTH
@pytest.mark.parametrize("cell", cells("Airflow"), ids=shown)
def test_a_cell_over_rest(airflow: AirflowOfOurOwn, cell: tuple[Row, str]) -> None:
    row, role = cell
    if airflow.manager not in row.managers:
        return  # the simple auth manager has no users that one could see
    for call in row.calls:
        answer = airflow.call(role, *call.of(role))
        assert answer.status_code < 300 if role in row.allowed else answer.status_code == 403, (
            f"{role}: {call.of(role)}: {answer.status_code} {answer.text[:300]}"
        )


@BOTH
@pytest.mark.sandbox  # `preview` reads the record, for the name of its run
@pytest.mark.parametrize("cell", [cell for cell in cells("Airflow") if cell[0].commands], ids=shown)
def test_a_cell_by_command(
    airflow: AirflowOfOurOwn,
    cell: tuple[Row, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row, role = cell
    act_as(airflow, role, monkeypatch)
    for words in row.commands:
        named = {"LISTED": release_of(role, "listed"), "OTHER": release_of(role, "other")}
        code = main([named.get(word, word).replace("ROLE", role) for word in words] + ["--json"])
        said = json.loads(capsys.readouterr().out)
        if role in row.allowed:
            assert code == 0, said
        else:
            assert said["error"]["reason"] in (Reason.AIRFLOW_DENIED, Reason.NOT_COUNTED), said


def act_as(airflow: AirflowOfOurOwn, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a person of that role."""
    storage = settings_of.load().require("STORAGE_CONNECTION_FILE")
    for name in [name for name in os.environ if name.startswith("NIGHTFERRY_")]:
        monkeypatch.delenv(name)
    settings = {
        "ROOT": ROOT,
        "HOME": airflow.folder,
        "SERVICES": airflow.folder / "services",
        "STORAGE_CONNECTION_FILE": storage,
        "AIRFLOW_URL": airflow.address,
        "AIRFLOW_USER": role,
        "AIRFLOW_PASSWORD_FILE": airflow.folder / "secrets" / role,
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"NIGHTFERRY_{name}", str(value))


def paused(airflow: AirflowOfOurOwn, dag: str) -> bool:
    return bool(airflow.call("admin", "GET", f"/api/v2/dags/{dag}").json()["is_paused"])


@BOTH
def test_a_user_changes_many_at_once_and_none_of_nightferrys(airflow: AirflowOfOurOwn) -> None:
    """What Airflow changes by a pattern, it changes only where the user may."""
    for dag in ("roll_back", "release_digits"):
        airflow.call("user", "PATCH", f"/api/v2/dags?dag_id_pattern={dag}", {"is_paused": True})
        assert not paused(airflow, dag)
    airflow.call("op", "PATCH", "/api/v2/dags?dag_id_pattern=roll_back", {"is_paused": True})  # the control
    assert paused(airflow, "roll_back")
    airflow.call("op", "PATCH", "/api/v2/dags/roll_back", {"is_paused": False})


@BOTH
@pytest.mark.parametrize("role", ROLES)
def test_by_the_bulk_endpoints_nobody_may_more(airflow: AirflowOfOurOwn, role: str) -> None:
    run = {"dag_id": "release_digits", "dag_run_id": "of-viewer"}
    body: dict[str, Any] = {"actions": [{"action": "update", "entities": [{**run, "note": "a test"}]}]}
    answer = airflow.call(role, "PATCH", "/api/v2/dags/~/dagRuns", body)
    assert (answer.status_code == 403) is (role in ("viewer", "user")), answer.text


@BOTH
def test_dags_of_others_are_as_airflow_has_them(airflow: AirflowOfOurOwn) -> None:
    start = ("POST", "/api/v2/dags/somebody_elses/dagRuns", {"logical_date": None})
    assert airflow.call("viewer", *start).status_code == 403
    assert airflow.call("user", *start).status_code == 200
    assert airflow.call("user", "PATCH", "/api/v2/dags/somebody_elses", {"is_paused": False}).status_code == 200


@BOTH
def test_without_a_login_there_is_nothing(airflow: AirflowOfOurOwn) -> None:
    import requests

    for path in ("/api/v2/dags", "/api/v2/connections", "/api/v2/dags/release_digits/dagRuns"):
        assert requests.get(airflow.address + path, timeout=30).status_code == 401
