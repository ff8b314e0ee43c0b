"""Airflow's database: whose data it is, what is made anew, and that no secret is where others can see it."""

from __future__ import annotations

import base64
import configparser
import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from nightferry.sandbox import down, secrets_files
from nightferry.sandbox.airflow import database
from nightferry.sandbox.airflow import parts as airflow_parts
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import leftovers, orphans, packages
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.supervise.supervision import configuration

SLEEP = shutil.which("sleep") or "sleep"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with the programs of versions 9.6, 15 and 16."""
    for version in ("9.6", "15", "16"):
        folder = tmp_path / "postgresql" / version / "bin"
        folder.mkdir(parents=True)
        (folder / "postgres").write_text("")
    monkeypatch.setattr(packages, "POSTGRESQL", tmp_path / "postgresql")
    return tmp_path / "postgresql"


@pytest.fixture
def data(layout: Layout) -> Path:
    """Data of version 15 that belongs to the state folder."""
    folder = layout.database / "data"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("15\n")
    layout.write(layout.database / "sandbox", "a word")
    layout.write(layout.home / "airflow" / "database", "a word")
    return folder


@pytest.fixture
def server(data: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like a server at work on the data."""
    program = tmp_path / "postgres"
    shutil.copy(SLEEP, program)
    with subprocess.Popen([program, "60"], cwd=data) as running:
        yield running
        running.kill()


def test_the_newest_version_is_by_number(programs: Path) -> None:
    assert list(packages.postgresql()) == ["16", "15", "9.6"]


def test_data_is_opened_by_the_programs_that_made_it(layout: Layout, programs: Path, data: Path) -> None:
    assert database.programs(layout) == programs / "15" / "bin"


def test_data_whose_programs_are_gone_is_made_anew(layout: Layout, programs: Path, data: Path) -> None:
    shutil.rmtree(programs / "15")
    assert database.programs(layout) is None


def test_data_of_a_state_folder_that_is_gone_is_made_anew(layout: Layout, programs: Path, data: Path) -> None:
    shutil.rmtree(layout.home / "airflow")
    assert database.programs(layout) is None


def test_half_made_data_is_made_anew(layout: Layout, programs: Path, data: Path) -> None:
    (layout.database / "sandbox").unlink()
    assert database.programs(layout) is None


def test_no_secret_is_in_what_is_started(layout: Layout, programs: Path) -> None:
    """Neither in an argument nor in the environment: the password's file alone is named."""
    secrets_files.ensure(layout)
    password = secrets_files.read(layout, "airflow-database")
    parts = airflow_parts.all_parts(layout, {"airflow": 8080}, {})
    assert all(password not in str((part.command, part.environment)) for part in parts)
    file = Path(parts[0].environment["PGPASSFILE"])
    assert password in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "changed",
    ["airflow.cfg", "plugins/nightferry/steps.py", "serving_app/model_format/reader.py", "serving_app/settings.py"],
)
def test_airflow_is_started_anew_with_other_code(layout: Layout, tmp_path: Path, changed: str) -> None:
    """What its processes imported once stays as it was: new DAGs would meet old modules."""
    for name in (
        "airflow.cfg",
        "plugins/nightferry/steps.py",
        "serving_app/model_format/reader.py",
        "serving_app/settings.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    copy = replace(layout, root=tmp_path)
    before = airflow_parts.environment(copy, {"airflow": 8080}, {})
    assert airflow_parts.environment(copy, {"airflow": 8080}, {}) == before
    (tmp_path / changed).write_text("two")
    assert airflow_parts.environment(copy, {"airflow": 8080}, {}) != before


def test_airflows_api_server_has_more_connections_than_threads(layout: Layout) -> None:
    """With fewer, all its threads wait for each other once enough clients ask at once, and never answer again."""

    async def threads() -> float:
        return anyio.to_thread.current_default_thread_limiter().total_tokens

    settings = configparser.ConfigParser(interpolation=None)
    settings.read(layout.root / "airflow.cfg")
    pool = 5  # Airflow's default
    connections = pool + int(settings.get("database", "sql_alchemy_max_overflow", fallback="10"))
    assert connections > anyio.run(threads)
    assert int(database.OPTIONS["max_connections"]) >= 2 * connections


def test_what_the_server_keeps_is_as_the_standard_says() -> None:
    """The example of RFC 7677."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    stored, server = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    assert database.verifier("pencil", salt) == f"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${stored}:{server}"


def test_the_note_of_a_server_that_is_gone_is_forgotten(layout: Layout, data: Path) -> None:
    """After a restart of the machine its number may be another program's, even this one's."""
    note = data / "postmaster.pid"
    note.write_text("1\n")
    database.forget_the_dead(layout)
    assert not note.exists()


def test_the_note_of_one_that_runs_stays(layout: Layout, data: Path, server: subprocess.Popen[bytes]) -> None:
    note = data / "postmaster.pid"
    note.write_text(f"{server.pid}\n")
    database.forget_the_dead(layout)
    assert note.exists()


def test_servers_without_a_mark_are_found_by_where_they_work(
    layout: Layout, data: Path, server: subprocess.Popen[bytes]
) -> None:
    assert server.pid in leftovers.remaining(layout)
    orphans.end({server.pid}, patience=0)
    assert server.wait(10) != 0
    assert leftovers.remaining(layout) == set()


def test_each_state_folder_has_its_own(layout: Layout) -> None:
    assert layout.database != Layout(layout.root, layout.home / "other", layout.owner).database


def test_clean_removes_it(layout: Layout, data: Path) -> None:
    down.clean(layout, Progress(io.StringIO()))
    assert not layout.database.exists()
    assert not layout.data.exists()


def test_clean_leaves_that_of_another_sandbox(layout: Layout, data: Path) -> None:
    other = layout.data / "other"
    other.mkdir()
    down.clean(layout, Progress(io.StringIO()))
    assert other.exists()


def test_it_runs_as_its_user_in_its_folder_and_is_stopped_at_once(
    layout: Layout, programs: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_give", lambda path, group=None: None)  # the user is made by the package
    text = configuration(layout, [database.part(layout, programs / "15" / "bin")])
    assert "user = postgres\n" in text
    assert f"directory = {data}\n" in text
    assert "stopsignal = INT\n" in text
    assert layout.database_socket.stat().st_mode & 0o777 == 0o750
    assert "scram-sha-256" in (layout.database / "pg_hba.conf").read_text()
    assert "trust" not in (layout.database / "pg_hba.conf").read_text()


def test_a_sandbox_that_had_sqlite_is_told_what_it_loses(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    home = layout.folder("airflow")
    for name in ("airflow.db", "airflow.db-wal", "migrated"):
        (home / name).write_text("of before")
    ran: list[object] = []
    monkeypatch.setattr(airflow_parts, "run_logged", lambda command, *rest: ran.append(command))
    said = io.StringIO()
    for _ in range(2):
        airflow_parts.migrate(layout, {"airflow": 8080}, {}, Progress(said))
    assert len(ran) == 1
    assert sorted(path.name for path in home.iterdir()) == ["migrated"]
    assert said.getvalue().count("PostgreSQL") == 1
