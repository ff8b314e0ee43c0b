"""What is ours and what the user's, and the settings and secrets that follow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry import settings as settings_of
from nightferry.sandbox import choices, secrets_files, state
from nightferry.sandbox.choices import Choices
from nightferry.sandbox.layout import Layout, Owner
from nightferry.sandbox.machine import ports
from nightferry.sandbox.state import State
from nightferry.sandbox.stores import engine
from nightferry.settings import Settings

PORTS = {port.name: port.usual for port in ports.PORTS}


def settings(layout: Layout, **given: str) -> Settings:
    environment = {f"NIGHTFERRY_{name}": value for name, value in given.items()}
    return Settings(root=layout.root, home=layout.home, environment=environment)


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a Docker engine."""
    monkeypatch.setattr(engine.running, "__defaults__", (Path("/nowhere/docker.sock"),))


def test_all_is_ours_by_default(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a kubeconfig and a Docker context lying about: those are somebody's production."""
    monkeypatch.setenv("KUBECONFIG", "/production")
    monkeypatch.setenv("DOCKER_HOST", "tcp://production:2376")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "production")
    ours = f"unix://{layout.docker_socket}"
    assert choices.make(settings(layout), layout) == Choices(True, True, True, True, True, ours)


PART_OF = {
    "STORAGE_URL": "storage",
    "REGISTRY": "registry",
    "BUILDKIT": "buildkit",
    "KUBECONFIG": "cluster",
    "DOCKER_HOST": "docker",
}


@pytest.mark.parametrize(("name", "part"), PART_OF.items())
def test_a_setting_makes_one_part_the_users(layout: Layout, name: str, part: str) -> None:
    made = vars(choices.make(settings(layout, **{name: "theirs"}), layout))
    assert [key for key in vars(Choices(*[False] * 5, "")) if made[key] is False] == [part]  # type: ignore[arg-type]


def test_what_the_last_up_wrote_does_not_make_a_part_the_users(layout: Layout) -> None:
    state.write(layout, State({"NIGHTFERRY_REGISTRY": "127.0.0.1:5100"}, {}))
    assert choices.make(settings(layout), layout).registry


def all_settings(layout: Layout, **given: str) -> dict[str, str]:
    secrets_files.ensure(layout)
    made = settings(layout, **given)
    return choices.sandbox_settings(made, layout, choices.make(made, layout), PORTS)


def test_the_settings_say_where_our_parts_are(layout: Layout) -> None:
    made = all_settings(layout)
    assert made["NIGHTFERRY_REGISTRY"] == "127.0.0.1:5100"
    assert made["NIGHTFERRY_STORAGE_URL"] == "http://10.244.0.1:10000/nightferry"
    assert made["NIGHTFERRY_SERVICE_TYPE"] == "NodePort"
    assert made["NIGHTFERRY_GATEWAY_PORT"] == "8880"
    assert made["NIGHTFERRY_GATEWAY_METRICS"] == "http://10.244.0.1:8002"
    assert Path(made["NIGHTFERRY_AIRFLOW_PASSWORD_FILE"]).read_text()
    text = Path(made["NIGHTFERRY_STORAGE_CONNECTION_FILE"]).read_text()
    assert "BlobEndpoint=http://10.244.0.1:10000/nightferry" in text
    assert "QueueEndpoint=http://10.244.0.1:10001/nightferry" in text


def test_a_users_part_has_no_secret_or_default_of_ours(layout: Layout) -> None:
    made = all_settings(layout, STORAGE_URL="https://a.blob.core.windows.net", KUBECONFIG="/aks")
    assert "NIGHTFERRY_STORAGE_CONNECTION_FILE" not in made
    assert "NIGHTFERRY_SERVICE_TYPE" not in made
    assert "NIGHTFERRY_GATEWAY_PORT" not in made
    assert "NIGHTFERRY_GATEWAY_METRICS" not in made
    assert made["NIGHTFERRY_KUBECONFIG"] == "/aks"
    held = secrets_files.connections(made)
    assert held["nightferry_storage"] == {"conn_type": "wasb", "host": "https://a.blob.core.windows.net"}
    assert held["nightferry_cluster"] == {"conn_type": "kubernetes", "extra": {"kube_config_path": "/aks"}}


def test_the_place_of_the_sandbox_is_no_setting_of_the_users(layout: Layout) -> None:
    assert choices.given(settings(layout, HOME="/x", ROOT="/y", LEDGER="mine")) == {"NIGHTFERRY_LEDGER": "mine"}


def test_later_commands_read_what_was_chosen(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write(layout, State(all_settings(layout), PORTS))
    monkeypatch.setenv("NIGHTFERRY_HOME", str(layout.home))
    assert settings_of.load().require("REGISTRY") == "127.0.0.1:5100"
    assert state.read(layout).ports == PORTS


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 1, "ports": {}}', '{"settings": {}}'])
def test_a_broken_file_is_no_choice(layout: Layout, text: str) -> None:
    layout.settings_file.write_text(text)
    assert state.read(layout) == State()


def test_secrets_are_made_once_and_differ_between_sandboxes(layout: Layout) -> None:
    secrets_files.ensure(layout)
    before = {name: secrets_files.read(layout, name) for name in secrets_files.GENERATED}
    secrets_files.ensure(layout)
    assert {name: secrets_files.read(layout, name) for name in secrets_files.GENERATED} == before
    assert all(len(value) >= 24 for value in before.values())
    assert {path.stat().st_mode & 0o777 for path in layout.secrets.iterdir()} == {0o600}
    for path in layout.secrets.iterdir():
        path.unlink()
    secrets_files.ensure(layout)
    assert all(secrets_files.read(layout, name) != before[name] for name in before)


def test_a_secrets_mode_is_mended(layout: Layout) -> None:
    secrets_files.ensure(layout)
    (layout.secrets / "airflow-jwt").chmod(0o644)
    secrets_files.ensure(layout)
    assert (layout.secrets / "airflow-jwt").stat().st_mode & 0o777 == 0o600


def test_airflows_user_has_the_generated_password(layout: Layout) -> None:
    secrets_files.ensure(layout)
    users = json.loads(secrets_files.write_airflow_users(layout).read_text())
    assert users["admin"] == secrets_files.read(layout, "airflow-password")
    assert users.keys() == secrets_files.USERS.keys()
    assert len(set(users.values())) == len(users), "two users have one password"


def test_an_engine_that_does_not_answer_is_not_used() -> None:
    assert engine.running(Owner.current()) is None
