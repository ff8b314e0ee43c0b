"""Probing: the real serving app passes, and every way of not keeping the contract is found."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from nightferry.clients.clock import SystemClock
from nightferry.entities.model_version import ModelManifest, manifest_sha256
from nightferry.entities.probe_report import (
    EXIT_CONTRACT,
    EXIT_GOLDEN,
    EXIT_NOT_STARTED,
    EXIT_OK,
    Fault,
    ProbeReport,
)
from nightferry.steps.judging.probe_service import probe_service
from PIL import Image

from tests.fakes import golden_models
from tests.fakes.still_clock import StillClock
from tests.serving_app.running import Service

PASSPORT = {
    "NIGHTFERRY_SERVICE": "shades",
    "NIGHTFERRY_ENVIRONMENT": "staging",
    "NIGHTFERRY_RELEASE": "shades-2026-11-21.1",
    "NIGHTFERRY_IMAGE": "127.0.0.1:5000/shades@sha256:" + "a" * 64,
    "NIGHTFERRY_MODEL": "v1",
    "NIGHTFERRY_SOURCE": "c" * 40,
}


@dataclass
class Shades:
    """The serving app with the model for pictures."""

    manifest: ModelManifest
    folder: Path
    address: str
    ready_seconds: float = 60

    def probe(self, address: str = "", passport: dict[str, str] | None = PASSPORT) -> ProbeReport:
        where = address or self.address
        return probe_service(where, self.manifest, self.folder, passport, SystemClock(), self.ready_seconds)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shades]:
    folder = tmp_path_factory.mktemp("shades") / "v1"
    manifest = golden_models.write_shades(folder)
    service = Service(folder, {**PASSPORT, "SERVING_WORKERS": "1"})
    try:
        service.wait_ready()
        yield Shades(manifest, folder, f"http://127.0.0.1:{service.port}")
    finally:
        service.kill()


@pytest.fixture
def shades(running: Shades) -> Shades:
    return replace(running)


@dataclass
class Twisted:
    """Passes requests on to the real service and changes what it answers."""

    real: str
    twists: dict[str, Callable[[int, bytes], tuple[int, bytes]]] = field(default_factory=dict)
    """Path -> what becomes of status and body."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing is said."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        twisted = self.server.twisted
        headers = {"Content-Type": self.headers.get("Content-Type") or "text/plain"}
        request = Request(twisted.real + self.path, body or None, headers)
        try:
            with urlopen(request, timeout=10) as answer:
                status, content = answer.status, answer.read()
        except HTTPError as refused:
            status, content = refused.code, refused.read()
        status, content = twisted.twists.get(self.path, lambda *same: same)(status, content)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, twisted: Twisted) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.twisted = twisted


Twist = Callable[..., ProbeReport]


@pytest.fixture
def twist(shades: Shades) -> Iterator[Twist]:
    """Probe through a proxy that changes the answers of one path."""
    twisted = Twisted(shades.address)
    server = _Server(twisted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()

    def probe(path: str, change: Callable[[int, bytes], tuple[int, bytes]]) -> ProbeReport:
        twisted.twists[path] = change
        return shades.probe(f"http://127.0.0.1:{server.server_address[1]}")

    yield probe
    server.shutdown()
    thread.join()
    server.server_close()


def edited(change: Callable[[dict], object]) -> Callable[[int, bytes], tuple[int, bytes]]:
    """A twist that edits the JSON of an answer that succeeded."""

    def twist(status: int, body: bytes) -> tuple[int, bytes]:
        if status != 200:
            return status, body
        document = json.loads(body)
        change(document)
        return status, json.dumps(document).encode()

    return twist


def kinds(report: ProbeReport) -> set[str]:
    return {fault.kind for fault in report.faults}


def test_the_real_service_passes(shades: Shades):
    report = shades.probe()
    assert report.faults == ()
    assert report.exit_code == EXIT_OK
    assert report.checked >= len(PASSPORT) + len(shades.manifest.golden)


def test_a_golden_example_with_another_label_is_wrong(shades: Shades):
    golden = [{"image": "golden/dark.png", "label": "light"}, *shades.manifest.golden[1:]]
    wrong = Shades(replace(shades.manifest, golden=tuple(golden)), shades.folder, shades.address)
    report = wrong.probe()
    assert (kinds(report), report.exit_code) == ({"golden"}, EXIT_GOLDEN)
    assert report.faults[0].sentence.startswith("golden/dark.png should give light, got dark")


def test_a_report_of_thousands_of_faults_is_cut_short(shades: Shades):
    golden = [{"image": "golden/dark.png", "label": "light"}] * 1000
    report = replace(shades, manifest=replace(shades.manifest, golden=tuple(golden))).probe()
    assert report.exit_code == EXIT_GOLDEN
    assert len(report.faults) == 50


def test_golden_photos_that_are_too_many_pixels_for_one_request_are_asked_in_smaller_ones(tmp_path: Path):
    """Four of 9 million pixels: each is taken alone, and two together."""
    folder = tmp_path / "v1"
    golden_models.write_shades(folder)
    noise = Image.effect_noise((3000, 3000), 9).point(lambda value: value // 4)
    for number in range(4):
        noise.save(folder / "golden" / f"photo{number}.jpg", quality=10)
    golden = [{"image": f"golden/photo{number}.jpg", "label": "dark"} for number in range(4)]
    manifest = golden_models.listed(folder, {"golden": golden})
    service = Service(folder, {"SERVING_WORKERS": "1"})
    try:
        service.wait_ready()
        report = Shades(manifest, folder, f"http://127.0.0.1:{service.port}").probe(passport=None)
    finally:
        service.kill()
    assert report.faults == ()


@pytest.mark.parametrize(
    ("variable", "value"), [("NIGHTFERRY_RELEASE", "shades-2026-11-20.1"), ("NIGHTFERRY_SOURCE", "d" * 40)]
)
def test_another_release_that_answers_is_found(shades: Shades, variable: str, value: str):
    report = shades.probe(passport={**PASSPORT, variable: value})
    assert (kinds(report), report.exit_code) == ({"passport"}, EXIT_CONTRACT)
    assert value in report.faults[0].sentence
    assert PASSPORT[variable] in report.faults[0].sentence


def test_another_model_is_found_without_a_passport(shades: Shades, tmp_path: Path):
    manifest = golden_models.write_shades(tmp_path / "v2", version="v2")
    report = Shades(manifest, tmp_path / "v2", shades.address).probe(passport=None)
    assert kinds(report) == {"passport"}
    assert len(report.faults) == 2  # version and sha256


def test_other_content_of_the_same_version_is_found(shades: Shades, tmp_path: Path):
    manifest = golden_models.write_shades(tmp_path / "v1", created="2026-02-02T00:00:00Z")
    report = Shades(manifest, tmp_path / "v1", shades.address).probe(passport=None)
    sha256 = manifest_sha256((tmp_path / "v1" / "model.json").read_bytes())
    assert [sha256 in fault.sentence for fault in report.faults] == [True]


CONTRACT = [
    ("/", lambda status, body: (200, b"Hello")),
    ("/", lambda status, body: (503, body)),
    ("/livez", lambda status, body: (404, b"")),
    ("/metrics", lambda status, body: (200, b"nothing")),
    ("/version", lambda status, body: (200, b"v1")),
    ("/v2/health/ready", lambda status, body: (503, body)),
    ("/v2/models/shades", lambda status, body: (404, body)),
    ("/v2/models/shades", edited(lambda document: document["inputs"][0].update(datatype="FP64"))),
    ("/v2/models/shades", edited(lambda document: document["outputs"].pop())),
    ("/v2/models/shades/infer", edited(lambda document: document.pop("outputs"))),
    ("/v2/models/shades/infer", edited(lambda document: document["outputs"][0]["data"].pop())),
    ("/score", lambda status, body: (200 if status == 415 else status, body)),
    ("/score", lambda status, body: (500 if status == 200 else status, body)),
    ("/score", lambda status, body: (status, b"{" if status == 200 else body)),
    ("/score", edited(lambda document: document["result"].pop())),
    ("/score", edited(lambda document: document["result"].__setitem__(0, []))),
    ("/score", edited(lambda document: document["result"][0].append(document["result"][0][0]))),
    ("/score", edited(lambda document: document["result"][0][0][0].__setitem__(1, 101.0))),
    ("/score", edited(lambda document: document["result"][0][0][0].reverse())),
]


def test_metrics_may_be_on_a_port_of_their_own(twist: Twist):
    assert twist("/metrics", lambda status, body: (404, b"")).faults == ()


@pytest.mark.parametrize(("path", "change"), CONTRACT)
def test_what_breaks_the_contract_is_found(twist: Twist, path: str, change: Callable[[int, bytes], tuple[int, bytes]]):
    report = twist(path, change)
    assert (kinds(report), report.exit_code) == ({"contract"}, EXIT_CONTRACT)
    assert all(path in fault.sentence or "infer" in fault.sentence for fault in report.faults)


def test_a_service_that_stops_answering_is_found(twist: Twist):
    report = twist("/score", lambda status, body: (0, b""))
    assert (kinds(report), report.exit_code) == ({"silent"}, EXIT_CONTRACT)


def test_one_lost_connection_is_the_networks_doing_and_asked_again(twist: Twist):
    lost = []

    def once(status: int, body: bytes) -> tuple[int, bytes]:
        lost.append(status)
        return (0, b"") if len(lost) == 1 else (status, body)

    report = twist("/score", once)
    assert (report.faults, report.exit_code) == ((), EXIT_OK)


def test_infer_that_disagrees_with_score_is_wrong(twist: Twist):
    report = twist("/v2/models/shades/infer", edited(lambda document: document["outputs"][0]["data"].reverse()))
    assert (kinds(report), report.exit_code) == ({"golden"}, EXIT_GOLDEN)


def test_labels_mixed_up_among_several_pictures_are_wrong(twist: Twist):
    report = twist("/score", edited(lambda document: document["result"][0].reverse()))
    assert [fault.sentence for fault in report.faults if "among 3 pictures" in fault.sentence]
    assert report.exit_code == EXIT_GOLDEN


@pytest.mark.parametrize(("outputs", "expected"), [([4.5, 6.0], EXIT_OK), ([4.5, 6.5], EXIT_GOLDEN)])
def test_a_model_of_tensors_is_asked_by_infer(tmp_path: Path, outputs: list[float], expected: int):
    manifest = golden_models.write_sum(tmp_path / "v1", outputs)
    service = Service(tmp_path / "v1", {"SERVING_WORKERS": "1"})
    try:
        service.wait_ready()
        address = f"http://127.0.0.1:{service.port}"
        assert probe_service(address, manifest, tmp_path / "v1", None, SystemClock(), 20).exit_code == expected
    finally:
        service.kill()


def test_no_answer_in_time_is_a_start_that_failed(shades: Shades):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    clock = StillClock()
    report = probe_service(address, shades.manifest, shades.folder, None, clock, 7)
    assert (kinds(report), report.exit_code) == ({"start"}, EXIT_NOT_STARTED)
    assert clock.slept == pytest.approx(7, abs=0.2)


def test_a_service_that_is_not_ready_is_asked_nothing_else(twist: Twist, shades: Shades):
    shades.ready_seconds = 0.3
    report = twist("/readyz", lambda status, body: (503, b"starting"))
    assert (kinds(report), report.checked) == ({"start"}, 1)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), EXIT_OK),
        (("golden", "contract"), EXIT_CONTRACT),
        (("golden",), EXIT_GOLDEN),
        (("start",), EXIT_NOT_STARTED),
    ],
)
def test_the_exit_code_says_the_first_thing_to_mend(found: tuple[str, ...], code: int):
    faults = tuple(Fault(kind=kind, sentence="It is so.") for kind in found)
    assert ProbeReport(faults=faults, checked=1, seconds=0.1).exit_code == code
