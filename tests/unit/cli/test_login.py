"""`nightferry login`: the addresses of an installation, kept for a person."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from nightferry import profiles, settings
from nightferry.cli import main
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

from tests.fakes.memory.memory_ledger import MemoryLedger

STORAGE = "https://acme.blob.core.windows.net"
TOKEN = "token-of-ana"


class Airflow(ThreadingHTTPServer):
    """Says its version to everybody, and the rest to whoever has the token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.document: object = {"version": "3.3.2"}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Airflow

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/api/v2/version":
            return self._send(self.server.status, self.server.document)
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        return self._send(404 if known else 401, {"detail": "?"})

    def _send(self, status: int, document: object) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    with Airflow() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A laptop with the wheel, and a person's home."""
    place = tmp_path / "ana"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.delenv("NIGHTFERRY_HOME")
    monkeypatch.setattr(settings, "installed", lambda: True)
    return place


@pytest.fixture
def token(home: Path) -> Path:
    """A file that only its owner can read."""
    file = home / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose sandbox has started."""
    monkeypatch.setattr(settings, "installed", lambda: False)
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "sandbox.json").write_text(json.dumps({"settings": {"NIGHTFERRY_REGISTRY": "127.0.0.1:5100"}}))
    monkeypatch.setenv("NIGHTFERRY_HOME", str(folder))
    return folder


def kept(home: Path, name: str = "default") -> dict[str, str]:
    return dict(json.loads((home / ".nightferry/profiles" / f"{name}.json").read_text())["settings"])


def offline(*words: str) -> int:
    return main(["login", *words, "--offline"])


def test_what_is_kept_counts_for_the_commands_of_a_wheel(home: Path, tmp_path: Path) -> None:
    services = tmp_path / "files"
    services.mkdir()
    assert offline("--storage-url", STORAGE, "--registry", "acme.azurecr.io", "--services", str(services)) == 0
    loaded = settings.load()
    assert (loaded.storage_url, loaded.registry) == (STORAGE, "acme.azurecr.io")
    assert loaded.services_folders == (services,)
    assert loaded.expandable["NIGHTFERRY_REGISTRY"] == "acme.azurecr.io"


def test_only_its_owner_can_read_it(home: Path) -> None:
    (home / ".nightferry/profiles").mkdir(parents=True, mode=0o755)
    assert offline("--storage-url", STORAGE) == 0
    folder = home / ".nightferry/profiles"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o077 for file in folder.glob("*.json")} == {0}
    assert sorted(file.name for file in folder.iterdir()) == [".lock", "current", "default.json"]


def test_the_environment_goes_before_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    offline("--registry", "acme.azurecr.io", "--ledger", "record")
    monkeypatch.setenv("NIGHTFERRY_REGISTRY", "mine.example")
    loaded = settings.load()
    assert (loaded.registry, loaded.ledger) == ("mine.example", "record")
    assert (loaded.origin("REGISTRY"), loaded.origin("LEDGER"), loaded.origin("BUILDCTL")) == (
        "environment",
        "profile default",
        "default",
    )


def test_a_checkout_does_as_before_whoever_logs_in(checkout: Path) -> None:
    before = settings.load()
    assert offline("--storage-url", STORAGE, "--registry", "acme.azurecr.io") == 0
    now = settings.load()
    assert now == before
    assert (now.registry, now.storage_url) == ("127.0.0.1:5100", None)


def test_a_checkout_without_a_sandbox_takes_no_profile_unasked(checkout: Path) -> None:
    (checkout / "sandbox.json").unlink()
    offline("--registry", "acme.azurecr.io")
    assert settings.load().registry is None


def test_a_wheel_that_finds_a_sandbox_stays_with_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "installed", lambda: True)
    offline("--registry", "acme.azurecr.io")
    assert settings.load().registry == "127.0.0.1:5100"


def test_a_profile_that_is_chosen_counts_in_a_checkout_and_none_of_its_sandbox(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of each would write the record of one installation into the storage of the other."""
    offline("prod", "--storage-url", STORAGE)
    monkeypatch.setenv("NIGHTFERRY_PROFILE", "prod")
    loaded = settings.load()
    assert (loaded.storage_url, loaded.registry, loaded.keeper) == (STORAGE, None, "profile prod")


@pytest.mark.parametrize("command", ["up", "down", "status", "logs", "clean", "sample"])
def test_the_sandbox_is_not_touched_with_a_profile(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def touched(**_: object) -> None:
        raise AssertionError("nothing of the sandbox may be touched")

    monkeypatch.setattr("nightferry.cli.sandbox.Layout", touched)
    offline("prod", "--storage-url", STORAGE)
    monkeypatch.setenv("NIGHTFERRY_PROFILE", "prod")
    assert main([command]) == 2
    assert "NIGHTFERRY_PROFILE=prod" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {"NIGHTFERRY_LEDGER": 3}}', "\udcff"])
def test_a_chosen_profile_that_is_missing_or_broken_stops_the_command(
    checkout: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    monkeypatch.setenv("NIGHTFERRY_PROFILE", "prod")
    assert main(["services", "check"]) == 2
    assert "There is no profile 'prod'" in capsys.readouterr().err
    offline("prod", "--storage-url", STORAGE)
    (home / ".nightferry/profiles/prod.json").write_bytes(content.encode(errors="surrogateescape"))
    capsys.readouterr()
    assert main(["services", "check"]) == 2
    assert "login --remove prod" in capsys.readouterr().err
    assert main(["login", "--remove", "prod"]) == 0
    assert profiles.names() == []


def test_what_a_hand_wrote_into_it_and_no_profile_can_say_does_not_count(home: Path, tmp_path: Path) -> None:
    offline("--ledger", "record")
    file = home / ".nightferry/profiles/default.json"
    file.write_text(json.dumps({"settings": {"NIGHTFERRY_ROOT": "/x", "NIGHTFERRY_BUILDCTL": "/x", "OTHER": "x"}}))
    loaded = settings.load()
    assert (loaded.root, loaded.buildctl) == (home / ".nightferry", "buildctl")
    assert loaded.expandable == {}


def test_a_profile_that_others_can_change_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says where a person's identity is sent."""
    offline("--storage-url", STORAGE)
    file = home / ".nightferry/profiles/default.json"
    file.chmod(0o620)
    assert main(["services", "check"]) == 2
    assert f"chmod 600 {file}" in capsys.readouterr().err


SECRETS = [
    ("--storage-url", f"{STORAGE}/?sv=2024&sig=Zm9vYmFyYmF6cXV4"),
    ("--storage-url", "https://ana:hunter2hunter2@acme.blob.core.windows.net"),
    ("--storage-url", "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=Zm9vYmFyYmF6cXV4;"),
    ("--storage-connection-file", "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=Zm9vYmFyYmF6cXV4;"),
    ("--airflow-url", "https://ana:hunter2hunter2@airflow.acme.example"),
    ("--airflow-token-file", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.Zm9vYmFyYmF6cXV4"),
    ("--airflow-user", "ana:hunter2hunter2@acme.example/"),
    ("--registry", "password=hunter2hunter2"),
]


@pytest.mark.parametrize(("option", "value"), SECRETS)
def test_a_secret_is_refused_and_not_repeated(
    home: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert offline(option, value) == 2
    said = capsys.readouterr()
    assert "az login" in said.err
    assert f"{option} holds a password, key or token" in said.err
    assert "hunter2" not in said.err + said.out
    assert "Zm9v" not in said.err + said.out
    assert not (home / ".nightferry").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--storage-url", "http://acme.blob.core.windows.net"),
        ("--storage-url", "acme"),
        ("--airflow-url", "airflow.acme.example"),
        ("--airflow-url", "https://airflow.acme.example:port"),
        ("--airflow-url", "https://a b"),
        ("--airflow-url", "https://a\nb"),
        ("--registry", "acme"),
        ("--registry", "https://acme.azurecr.io"),
        ("--registry", "ana@acme.azurecr.io"),
        ("--services", "/none"),
        ("--kubeconfig", "/none"),
        ("--ledger", "Led_ger"),
        ("--airflow-user", "a\x1bb"),
    ],
)
def test_what_is_no_address_and_no_file_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert offline(option, value) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "[setting_invalid]" in said
    assert not (home / ".nightferry").exists()


@pytest.mark.parametrize(
    "option", ["storage-connection-file", "airflow-password-file", "airflow-token-file", "kubeconfig"]
)
def test_a_file_with_a_secret_that_others_can_read_is_refused_when_kept_and_when_used(
    token: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    token.chmod(0o640)
    assert offline(f"--{option}", str(token)) == 2
    assert f"chmod 600 {token}" in capsys.readouterr().err
    token.chmod(0o600)
    assert offline(f"--{option}", str(token)) == 0
    token.chmod(0o604)
    assert main(["services", "check"]) == 2
    assert f"chmod 600 {token}" in capsys.readouterr().err


def test_a_file_is_kept_with_its_whole_path(home: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    for written in ("token", "~/token"):
        assert offline("--airflow-token-file", written) == 0
        assert kept(home) == {"NIGHTFERRY_AIRFLOW_TOKEN_FILE": str(token)}


def test_what_is_said_later_is_added_and_an_empty_value_takes_it_out(home: Path) -> None:
    offline("--storage-url", STORAGE, "--registry", "acme.azurecr.io")
    offline("--ledger", "record", "--registry", "")
    assert kept(home) == {"NIGHTFERRY_STORAGE_URL": STORAGE, "NIGHTFERRY_LEDGER": "record"}


def test_no_credentials_go_to_an_address_that_they_were_not_given_for(
    home: Path, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline("--airflow-url", "https://a.example", "--airflow-token-file", str(token), "--storage-url", STORAGE)
    monkeypatch.setenv("NIGHTFERRY_AIRFLOW_URL", "https://b.example")
    assert settings.load().airflow_token_file is None
    monkeypatch.delenv("NIGHTFERRY_AIRFLOW_URL")
    assert settings.load().airflow_token_file == token
    offline("--airflow-url", "https://b.example")
    offline("--storage-connection-file", str(token))
    assert kept(home) == {
        "NIGHTFERRY_AIRFLOW_URL": "https://b.example",
        "NIGHTFERRY_STORAGE_CONNECTION_FILE": str(token),
    }
    monkeypatch.setenv("NIGHTFERRY_STORAGE_URL", STORAGE)
    assert settings.load().storage_connection_file is None


def test_two_ways_to_say_one_thing_are_refused(token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert offline("--storage-url", STORAGE, "--storage-connection-file", str(token)) == 2
    assert "give one of them" in capsys.readouterr().err


def test_storage_and_airflow_are_asked_first(
    home: Path, token: Path, airflow: Airflow, ledger: MemoryLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--storage-url", STORAGE, "--airflow-url", airflow.url, "--airflow-token-file", str(token)]
    assert main(["login", *words]) == 0
    assert ledger.asked == 1
    assert airflow.asked == ["/api/v2/version", "/api/v2/dags/nightferry_login"]
    assert "Airflow 3.3.2 answers" in capsys.readouterr().err
    assert set(kept(home)) == {f"NIGHTFERRY_{name}" for name in ("STORAGE_URL", "AIRFLOW_URL", "AIRFLOW_TOKEN_FILE")}


def test_offline_nothing_is_asked(home: Path, airflow: Airflow, ledger: MemoryLedger) -> None:
    assert offline("--storage-url", STORAGE, "--airflow-url", airflow.url) == 0
    assert (ledger.asked, airflow.asked) == (0, [])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Temporary(Reason.STORAGE_UNAVAILABLE, "It is silent."), "could not be looked at: It is silent"),
        (Permanent(Reason.STORAGE_DENIED, "It refuses you."), "It refuses you"),
    ],
)
def test_a_storage_that_does_not_let_in_keeps_nothing(
    home: Path, ledger: MemoryLedger, capsys: pytest.CaptureFixture[str], fault: Temporary | Permanent, said: str
) -> None:
    ledger.fault = fault
    assert main(["login", "--storage-url", STORAGE]) == 3
    shown = capsys.readouterr().err
    assert said in shown
    assert ("could not be looked at" in shown) == isinstance(fault, Temporary)
    assert not (home / ".nightferry/profiles").exists()


def test_an_airflow_that_fails_could_not_be_looked_at_and_one_that_is_none_is_wrong(
    airflow: Airflow, capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.status = 503
    assert main(["login", "--airflow-url", airflow.url]) == 3
    assert "could not be looked at" in capsys.readouterr().err
    for airflow.status, airflow.document in ((200, []), (200, {}), (404, {"detail": "no"}), (403, "no")):
        assert main(["login", "--airflow-url", airflow.url]) == 2
        said = capsys.readouterr().err
        assert "is no Airflow 3" in said
        assert "could not" not in said
    airflow.shutdown()
    airflow.server_close()
    assert main(["login", "--airflow-url", airflow.url]) == 3
    assert "could not be looked at" in capsys.readouterr().err
    assert profiles.names() == []


def test_a_token_that_airflow_does_not_take_keeps_nothing(
    token: Path, airflow: Airflow, capsys: pytest.CaptureFixture[str]
) -> None:
    token.write_text("another")
    assert main(["login", "--airflow-url", airflow.url, "--airflow-token-file", str(token)]) == 3
    said = capsys.readouterr().err
    assert str(token) in said
    assert "another" not in said
    assert profiles.names() == []


def test_it_shows_what_counts_and_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offline("prod", "--storage-url", STORAGE)
    monkeypatch.setenv("NIGHTFERRY_REGISTRY", "mine.example")
    capsys.readouterr()
    assert main(["login", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["profile"], said["counts"]) == ("prod", "profile prod")
    assert said["settings"]["NIGHTFERRY_STORAGE_URL"] == {"value": STORAGE, "from": "profile prod"}
    assert said["settings"]["NIGHTFERRY_REGISTRY"] == {"value": "mine.example", "from": "environment"}
    assert said["settings"]["NIGHTFERRY_LEDGER"] == {"value": "ledger", "from": "default"}
    assert said["settings"]["NIGHTFERRY_AIRFLOW_URL"] == {"value": None, "from": None}
    assert main(["login"]) == 0
    assert STORAGE in capsys.readouterr().out


def test_in_a_checkout_it_says_that_the_profile_does_not_count(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offline("prod", "--storage-url", STORAGE) == 0
    assert "NIGHTFERRY_PROFILE=prod" in capsys.readouterr().err
    assert main(["login"]) == 0
    said = capsys.readouterr()
    assert STORAGE not in said.out
    assert "NIGHTFERRY_PROFILE=prod" in said.err


def test_profiles_are_listed_chosen_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    offline("prod", "--storage-url", STORAGE)
    offline("test", "--ledger", "record")

    def listed() -> dict[str, bool]:
        capsys.readouterr()
        assert main(["login", "--list", "--json"]) == 0
        return {one["profile"]: one["current"] for one in json.loads(capsys.readouterr().out)["profiles"]}

    assert listed() == {"prod": False, "test": True}
    assert main(["login", "--use", "prod"]) == 0
    assert listed() == {"prod": True, "test": False}
    assert main(["login", "test"]) == 0
    assert settings.load().ledger == "record"
    assert main(["login", "--remove", "test", "--json"]) == 0
    assert profiles.current() is None
    assert listed() == {"prod": False}
    assert settings.load().ledger == "ledger"


@pytest.mark.parametrize("words", [["--use", "none"], ["--remove", "none"], ["none"]])
def test_a_profile_that_is_not_there_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login", *words]) == 2
    assert "There is no profile 'none'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../x", "Prod", "", "x" * 41, "a b"])
def test_a_name_that_is_no_file_name_is_refused(home: Path, name: str) -> None:
    for words in (["--use", name], ["--remove", name], [name or "../y", "--ledger", "record", "--offline"]):
        assert main(["login", *words]) == 2
    assert not (home / ".nightferry").exists()


def test_what_stands_alone_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login", "--list", "--ledger", "record"]) == 2
    assert "stand alone" in capsys.readouterr().err


def test_of_what_two_say_at_once_nothing_is_lost(home: Path) -> None:
    offline("--ledger", "record")
    given = [
        *({"NIGHTFERRY_STORAGE_URL": STORAGE}, {"NIGHTFERRY_REGISTRY": "acme.azurecr.io"}),
        *({"NIGHTFERRY_AIRFLOW_USER": "ana"}, {"NIGHTFERRY_BASE_IMAGE": "base"}),
    ]
    together = threading.Barrier(len(given))

    def keep(values: dict[str, str]) -> None:
        together.wait(10)
        profiles.keep("default", values)

    with ThreadPoolExecutor(len(given)) as pool:
        list(pool.map(keep, given))
    assert len(kept(home)) == 5


def test_a_home_that_cannot_be_written_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".nightferry").write_text("a file")
    assert offline("--ledger", "record") == 2
    assert "nothing was changed" in capsys.readouterr().err
