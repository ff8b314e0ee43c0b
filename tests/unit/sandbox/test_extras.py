"""Parts that only those who ask for them get: asked for once, they stay until `clean`."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.clients.s3.connection import read_key
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox import choices, extras, secrets_files, state
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import ports
from nightferry.sandbox.state import State
from nightferry.sandbox.stores import mlflow_server
from nightferry.settings import Settings

PORTS = {port.name: port.usual for port in ports.PORTS}


def made(layout: Layout, wanted: tuple[str, ...], **given: str) -> dict[str, str]:
    secrets_files.ensure(layout)
    environment = {"NIGHTFERRY_DOCKER_HOST": "unix:///theirs", **given}
    settings = Settings(root=layout.root, home=layout.home, environment=environment)
    return choices.sandbox_settings(settings, layout, choices.make(settings, layout, wanted), PORTS)


def test_a_plain_up_has_none(layout: Layout) -> None:
    assert not [name for name in made(layout, ()) if "S3" in name]
    assert "nightferry_s3" not in secrets_files.connections(made(layout, ()))


def test_who_asks_for_s3_gets_settings_a_key_and_a_connection(layout: Layout) -> None:
    settings = made(layout, ("s3",))
    assert settings["NIGHTFERRY_S3_URL"] == "http://10.244.0.1:7070"
    file = Path(settings["NIGHTFERRY_S3_KEY_FILE"])
    assert file.stat().st_mode & 0o777 == 0o600
    key = read_key(file)
    held = secrets_files.connections(settings)["nightferry_s3"]
    assert (held["conn_type"], held["login"], held["password"]) == ("aws", key.access, key.secret)
    assert held["extra"] == {"endpoint_url": "http://10.244.0.1:7070"}
    assert key.secret not in str(settings)


def test_a_storage_of_the_users_is_not_started_and_is_told_to_airflow(layout: Layout) -> None:
    settings = made(layout, ("s3",), NIGHTFERRY_S3_URL="https://s3.example.org", NIGHTFERRY_S3_REGION="eu-north-1")
    assert "NIGHTFERRY_S3_KEY_FILE" not in settings
    held = secrets_files.connections(settings)["nightferry_s3"]
    assert held == {
        "conn_type": "aws",
        "extra": {"endpoint_url": "https://s3.example.org", "region_name": "eu-north-1"},
    }


def test_who_asks_for_mlflow_gets_its_address_and_a_connection(layout: Layout) -> None:
    settings = made(layout, ("mlflow",))
    assert settings["NIGHTFERRY_MLFLOW_URL"] == "http://10.244.0.1:5000"
    held = secrets_files.connections(settings)["nightferry_mlflow"]
    assert held == {"conn_type": "http", "host": "http://10.244.0.1:5000"}


def test_a_killed_mlflow_is_started_again_without_what_it_left(layout: Layout) -> None:
    """Its worker would hold the port; and it is reached from pods, and by no other name."""
    part = mlflow_server.part(layout, PORTS, Path("/cache/bin/python"))
    assert part.command[1:4] == ("-m", "nightferry.sandbox.supervise.restart", "/cache/bin/python")
    assert {"--host=10.244.0.1", "--allowed-hosts=10.244.0.1:*,127.0.0.1:*", "--workers=1"} <= set(part.command)
    assert part.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_an_mlflow_of_the_users_is_told_to_airflow_with_its_login(layout: Layout, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("tok-1234567\n")
    given = {"NIGHTFERRY_MLFLOW_URL": "https://mlflow.example.org", "NIGHTFERRY_MLFLOW_TOKEN_FILE": str(token)}
    held = secrets_files.connections(made(layout, ("mlflow",), **given))["nightferry_mlflow"]
    assert held == {"conn_type": "http", "host": "https://mlflow.example.org", "password": "tok-1234567"}


def test_what_was_asked_for_is_remembered(layout: Layout) -> None:
    state.write(layout, State({}, {}, ("s3",)))
    assert state.read(layout).extras == ("s3",)


def test_a_sandbox_of_before_has_none(layout: Layout) -> None:
    layout.write(layout.settings_file, '{"settings": {"NIGHTFERRY_LEDGER": "ledger"}, "ports": {}}')
    assert state.read(layout) == State({"NIGHTFERRY_LEDGER": "ledger"}, {}, ())


def test_several_are_named_at_once_and_what_is_none_is_said() -> None:
    assert extras.read(" s3, ") == {"s3"}
    assert extras.read("") == frozenset()
    with pytest.raises(Permanent) as refused:
        extras.read("s3,minio")
    assert refused.value.reason is Reason.REQUEST_INVALID
    assert "minio" in refused.value.sentence
