"""An Airflow of the tests' own: its settings are in place before anything imports Airflow."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_home = tempfile.TemporaryDirectory(prefix="nightferry-dags-")
os.environ.update(
    AIRFLOW_HOME=_home.name,
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL="error",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_home.name}/airflow.db",
    AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
)
for _name in ("AIRFLOW_CONFIG", "AIRFLOW__CORE__AUTH_MANAGER"):
    os.environ.pop(_name, None)

import pytest  # noqa: E402

from tests.fakes.a_release import SERVICE_FILE  # noqa: E402


@pytest.fixture(autouse=True)
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of service files, with one service; nothing else of the machine's settings counts."""
    for name in [name for name in os.environ if name.startswith(("NIGHTFERRY_", "AIRFLOW_CONN_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "services"
    folder.mkdir()
    (folder / "digits.yaml").write_text(SERVICE_FILE, encoding="utf-8")
    monkeypatch.setenv("NIGHTFERRY_ROOT", str(ROOT))
    monkeypatch.setenv("NIGHTFERRY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NIGHTFERRY_SERVICES", str(folder))
    return folder


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's database, made anew."""
    from airflow.utils import db

    db.initdb()
