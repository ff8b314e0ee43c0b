"""Probing apps of others: what is asked is what their contract names, and what was seen is said."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.probe_report import EXIT_CONTRACT, EXIT_GOLDEN, EXIT_NOT_STARTED, EXIT_OK, ProbeReport
from nightferry.steps.judging.listeners import listeners
from nightferry.steps.judging.probe_app import probe_app

from tests.fakes.scripted_app import Asked, Said, ScriptedApp, served
from tests.fakes.still_clock import StillClock

RELEASE = "churn-2026-11-21.1"
HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
ANY, LOOPBACK, LOOPBACK_6 = "00000000", "0100007F", "00000000000000000000000001000000"
DOCKERS_DNS = "0B00007F"


def check(answer: dict[str, Any], path: str = "/predict") -> Exchange:
    return Exchange.model_validate({"request": {"post": path, "json": {}}, "answer": answer})


class Scene:
    """A probe of an app, and what the kernel says of its network namespace (as a little-endian machine has it)."""

    def __init__(self, app: ScriptedApp, proc: Path) -> None:
        self.app, self.proc, self.clock = app, proc, StillClock()
        self.port = app.port
        self.listens((ANY, app.port))

    def listens(self, *places: tuple[str, int], state: str = "0A") -> None:
        rows: dict[str, list[str]] = {"tcp": [HEADING], "tcp6": [HEADING]}
        for address, port in places:
            name = "tcp" if len(address) == 8 else "tcp6"
            rows[name].append(f"   0: {address}:{port:04X} {'0' * len(address)}:0000 {state} 00000000:00000000 00:0")
        for name, lines in rows.items():
            (self.proc / name).write_text("\n".join(lines) + "\n")

    def probe(
        self, golden: list[Exchange] | None = None, release: str | None = RELEASE, **contract: Any
    ) -> ProbeReport:
        address = f"http://127.0.0.1:{self.port}"
        said = AppContract(port=self.port, **contract)
        return probe_app(address, said, golden or [], release, self.clock, 7, proc=self.proc)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with served() as app:
        yield Scene(app, tmp_path)


@pytest.fixture
def nobody(scene: Scene) -> Scene:
    """Nobody listens on the port that the contract names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        scene.port = free.getsockname()[1]
    return scene


def seen(report: ProbeReport) -> tuple[str, str]:
    (fault,) = report.faults
    return fault.kind, fault.sentence


def test_all_that_the_contract_names_is_asked(scene: Scene) -> None:
    for path in ("/health", "/live"):
        scene.app.says(path)
    scene.app.says("/version", {"release": RELEASE})
    scene.app.says("/predict", {"churn": [0.11]})
    right = [check({"json": {"churn": [0.11]}})]
    report = scene.probe(right * 3, ready="/health", live="/live", version="/version", checks=tuple(right * 2))
    assert (report.faults, report.exit_code) == ((), EXIT_OK)
    assert report.checked == 1 + 1 + 2 + 2 + 3
    assert [one.path for one in scene.app.asked] == ["/health", "/live", "/version", *["/predict"] * 5]


def test_what_the_contract_does_not_name_is_not_asked(scene: Scene) -> None:
    assert scene.probe().faults == ()
    assert scene.app.asked == []


def test_it_waits_until_the_app_is_ready(scene: Scene) -> None:
    def later(_: Asked) -> Said:
        return (200 if len(scene.app.asked) > 3 else 503), b"starting", {}

    scene.app.answers["/health"] = later
    assert scene.probe(ready="/health").faults == ()
    assert len(scene.app.asked) == 4


def test_an_app_that_says_something_else_than_ready(scene: Scene) -> None:
    scene.app.says("/health", "loading the model", 503)
    report = scene.probe(ready="/health")
    kind, sentence = seen(report)
    assert (kind, report.exit_code, report.checked) == ("start", EXIT_NOT_STARTED, 1)
    assert sentence.endswith("was not ready within 7 s: GET /health answers 503 (loading the model).")
    assert scene.clock.slept == pytest.approx(7, abs=0.2)


@pytest.mark.parametrize("ready", [None, "/health"])
def test_a_port_that_nobody_listens_on_is_said_with_those_that_are(nobody: Scene, ready: str | None) -> None:
    nobody.listens((ANY, 5000), (LOOPBACK_6, 6000), (DOCKERS_DNS, 40_000))
    kind, sentence = seen(nobody.probe(ready=ready))
    assert kind == "contract"
    assert f"nobody listens on port {nobody.port}; it listens on 5000, 6000: let `port`" in sentence


def test_connections_are_no_listeners(nobody: Scene) -> None:
    nobody.listens((ANY, nobody.port), state="01")
    assert f"nobody listens on port {nobody.port}, nor on any other" in seen(nobody.probe())[1]


def test_of_another_machine_the_kernel_is_not_asked(nobody: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody.listens((ANY, 5000))
    monkeypatch.setattr("nightferry.steps.judging.probe_app._is_loopback", lambda host: False)
    assert "5000" not in seen(nobody.probe())[1]


def test_where_the_kernel_does_not_tell_the_connection_is_said(nobody: Scene) -> None:
    (nobody.proc / "tcp").unlink()
    (nobody.proc / "tcp6").unlink()
    assert seen(nobody.probe())[1].endswith("within 7 s: the connection was refused or broken.")


@pytest.mark.parametrize("places", [(LOOPBACK,), (LOOPBACK_6,), (LOOPBACK, LOOPBACK_6)])
def test_an_app_that_no_other_pod_reaches_is_wrong(scene: Scene, places: tuple[str, ...]) -> None:
    scene.listens(*((place, scene.port) for place in places))
    report = scene.probe()
    kind, sentence = seen(report)
    assert (kind, report.exit_code) == ("contract", EXIT_CONTRACT)
    assert f"alone, port {scene.port}, where other pods cannot reach it: bind 0.0.0.0." in sentence


@pytest.mark.parametrize("place", [ANY, ANY * 4])
def test_one_listener_for_all_is_enough(scene: Scene, place: str) -> None:
    scene.listens((LOOPBACK, scene.port), (place, scene.port), (LOOPBACK, 5000))
    assert scene.probe().faults == ()


def test_an_app_that_listens_for_itself_and_does_not_answer(nobody: Scene) -> None:
    nobody.listens((LOOPBACK, nobody.port))
    assert "bind 0.0.0.0" in seen(nobody.probe(ready="/health"))[1]


def test_whoever_does_not_want_it_does_not_look(scene: Scene) -> None:
    scene.listens((LOOPBACK, scene.port))
    contract = AppContract(port=scene.port)
    report = probe_app(scene.app.address, contract, [], None, scene.clock, 7, proc=None)
    assert report.faults == ()


@pytest.mark.parametrize(
    ("said", "status", "kind"),
    [
        (f"release {RELEASE}.", 200, None),
        (f'{{"release":"{RELEASE}"}}', 200, None),
        (RELEASE, 200, None),
        (f"{RELEASE}0", 200, "passport"),
        (f"{RELEASE}.1", 200, "passport"),
        (f"old-{RELEASE}", 200, "passport"),
        ("", 200, "passport"),
        (RELEASE, 404, "contract"),
    ],
)
def test_the_version_says_the_release(scene: Scene, said: str, status: int, kind: str | None) -> None:
    scene.app.says("/version", said, status)
    assert [fault.kind for fault in scene.probe(version="/version").faults] == ([kind] if kind else [])


def test_without_a_release_the_version_has_but_to_answer(scene: Scene) -> None:
    scene.app.says("/version", "nothing yet")
    assert scene.probe(version="/version", release=None).faults == ()


def test_a_liveness_that_is_not_there_is_wrong(scene: Scene) -> None:
    report = scene.probe(live="/live")
    assert seen(report) == ("contract", "GET /live should answer 200, got 404. Ask the app's developers.")


def test_who_is_asked_to_look_depends_on_whose_the_question_is(scene: Scene) -> None:
    scene.app.says("/predict", {"churn": [0.42]})
    wrong = check({"json": {"churn": [0.11]}})
    golden = scene.probe([wrong])
    assert golden.exit_code == EXIT_GOLDEN
    assert "Look at the model" in seen(golden)[1]
    both = scene.probe([wrong], checks=(wrong,))
    assert both.exit_code == EXIT_CONTRACT
    assert [fault.kind for fault in both.faults] == ["contract", "golden"]
    assert "Ask the app's developers." in both.faults[0].sentence


def test_a_report_of_many_faults_is_cut_short(scene: Scene) -> None:
    assert len(scene.probe([check({})] * 200).faults) == 50


def test_one_lost_connection_is_asked_again_and_an_app_that_goes_on_so_is_named(scene: Scene) -> None:
    def once(_: Asked) -> Said:
        return (0 if len(scene.app.asked) == 1 else 200), b"", {}

    scene.app.answers["/predict"] = once
    assert scene.probe([check({})]).faults == ()
    scene.app.answers["/predict"] = (0, b"", {})
    kind, sentence = seen(scene.probe([check({})]))
    assert kind == "silent"
    assert "golden example 0, POST /predict" in sentence


def test_the_kernel_says_who_listens_here() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        found = {(str(one.address), one.port): one.is_alone for one in listeners() or ()}
        assert found["127.0.0.1", four.getsockname()[1]]
        assert found["::1", six.getsockname()[1]]
