"""Apps that cannot be released: one sentence each, and nothing half-done. And one whose packages move."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from nightferry.clients import connect
from nightferry.entities.reason import Reason

from tests.e2e.app_stage import AppStage, Ended, side_by_side

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(900), pytest.mark.xdist_group("releases")]
APP = """\
import os, pickle
from pathlib import Path
from flask import Flask

app = Flask(__name__)
model = pickle.loads((Path(os.environ["MODEL_DIR"]) / "model.pkl").read_bytes())


@app.get("/answer")
def answer():
    return {"answer": model["answer"]}


@app.get("/trace")
def trace():
    return {"trace": Path("/tmp/nightferry-trace").exists()}


@app.get("/written")
def written():
    (Path.home() / "note").write_text("1")
    return {"written": (Path.home() / "note").read_text()}
"""
REQUIREMENTS = "flask\n"
TRACE = Path("/tmp/nightferry-trace")
CONTRACT = "ready: /answer\n"
RIGHT = ({"request": {"get": "/answer"}, "answer": {"json": {"answer": 42}}},)
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY app.py /app/app.py
"""
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SERVER = """\
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"answer": 42}')


HTTPServer(("0.0.0.0", 8080), Answers).serve_forever()
"""


def an_app(**changes: str) -> dict[str, str]:
    files = {"app.py": APP, "requirements.txt": REQUIREMENTS, "nightferry.yaml": CONTRACT}
    return {f"app/{name}": content for name, content in (files | changes).items()}


class Acts:
    """A model whose pickle writes a file where it is opened."""

    def __reduce__(self) -> Any:
        return (eval, (f"__import__('pathlib').Path({str(TRACE)!r}).write_text('1') and {{'answer': 42}}",))


class OfAnotherVersion:
    """Pickled as a class of a library that the image does not have."""

    def __reduce__(self) -> Any:
        return (_Missing, ())


class _Missing: ...


def of_another_version() -> bytes:
    return pickle.dumps(OfAnotherVersion()).replace(b"tests.e2e.test_bad_apps", b"sklearn.of_another.vers")


@dataclass(frozen=True)
class Bad:
    """An app that is wrong in one way, and what is said of it."""

    files: Mapping[str, str]
    reason: Reason
    said: tuple[str, ...]
    model: bytes = field(default_factory=lambda: pickle.dumps({"answer": 42}))
    examples: tuple[Mapping[str, Any], ...] = RIGHT


BAD = {
    "no-app": Bad(
        an_app(**{"app.py": "x = 1\n"}), Reason.APP_CONTRACT_INVALID, ("app.py has neither app nor create_app()",)
    ),
    "no-package": Bad(
        an_app(**{"requirements.txt": "flask\nno-such-package-of-nightferry==1\n"}),
        Reason.APP_REQUIREMENTS_WRONG,
        ("requirements.txt:2", "no-such-package-of-nightferry"),
    ),
    "other-port": Bad(
        an_app(
            **{"nightferry.yaml": CONTRACT + "start: granian --interface wsgi --host 0.0.0.0 --port 5000 app:app\n"}
        ),
        Reason.IMAGE_CONTRACT_BROKEN,
        ("nobody listens on port 8080", "5000"),
    ),
    "networked-tests": Bad(
        an_app()
        | {"tests/test_app.py": "import socket\n\n\ndef test():\n    socket.create_connection(('192.0.2.1', 80), 2)\n"},
        Reason.IMAGE_TESTS_FAILED,
        ("Network is unreachable",),
    ),
    "other-pickle": Bad(
        an_app(), Reason.IMAGE_START_FAILED, ("No module named 'sklearn'",), model=of_another_version()
    ),
    "read-only": Bad(
        an_app(**{"app.py": APP + "\nPath('/app/note').write_text('1')\n"}),
        Reason.IMAGE_START_FAILED,
        ("Read-only file system",),
    ),
    "deaf": Bad(
        an_app(**{"app.py": DEAF + SERVER, "nightferry.yaml": CONTRACT + "start: python app.py\n"}),
        Reason.IMAGE_CONTRACT_BROKEN,
        ("after SIGTERM",),
    ),
    "root": Bad(
        an_app(
            **{
                "Dockerfile": DOCKERFILE + 'ENTRYPOINT ["python3", "/app/app.py"]\n',
                "nightferry.yaml": "dockerfile: Dockerfile\n",
            }
        ),
        Reason.APP_CONTRACT_INVALID,
        ("runs as root", "USER 65532:65532"),
    ),
    "no-entry": Bad(
        an_app(**{"Dockerfile": DOCKERFILE + "USER 65532\nCMD []\n", "nightferry.yaml": "dockerfile: Dockerfile\n"}),
        Reason.APP_CONTRACT_INVALID,
        ("starts nothing",),
    ),
    "wrong-answers": Bad(
        an_app(),
        Reason.IMAGE_GOLDEN_WRONG,
        ("olden example 1", "GET /answer", "41", "42"),
        examples=(*RIGHT, {"request": {"get": "/answer"}, "answer": {"json": {"answer": 41}}}),
    ),
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AppStage]]:
    folder = tmp_path_factory.mktemp("bad")
    stages = {name: AppStage(folder / name, f"e2e-{name}") for name in BAD}
    try:
        for name, bad in BAD.items():
            stage = stages[name]
            stage.begin_app(bad.files)
            (stage.folder / "model.pkl").write_bytes(bad.model)
            stage.publish(stage.folder / "model.pkl", bad.examples)
        yield stages
    finally:
        for stage in stages.values():
            stage.remove()


@pytest.fixture(scope="module")
def ended(stages: dict[str, AppStage]) -> dict[str, Ended]:
    return side_by_side(stages.values())


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_an_app_is_one_sentence_and_nothing_is_half_done(
    stages: dict[str, AppStage], ended: dict[str, Ended], name: str
) -> None:
    stage, one, bad = stages[name], ended[f"e2e-{name}"], BAD[name]
    assert (one.reason, one.code) == (bad.reason, 1 if one.outcome else one.code), one
    assert one.outcome != "released"
    assert [words for words in bad.said if words not in one.sentence] == [], one.sentence
    assert "https://" not in one.sentence  # no address of a package index
    assert stage.deployments("production") == []
    assert stage.tags(stage.service) == {}


def test_packages_that_moved_are_named_by_the_decision(tmp_path: Path) -> None:
    """Given a lock of older packages, when it is upgraded, then the next release is made of the newer ones, and says
    which; without that, a night is unchanged."""
    stage = AppStage(tmp_path / "moved", "e2e-moved")
    try:
        # Nothing is taken away from an app's packages, whatever the stock service can do without.
        app, others = f"import google.protobuf, packaging\n{APP}", "flask\npackaging\nprotobuf\n"
        stage.begin_app(an_app(**{"app.py": app, "requirements.txt": f"{others}markupsafe==3.0.2\n"}))
        (stage.folder / "model.pkl").write_bytes(pickle.dumps(Acts()))
        stage.publish(stage.folder / "model.pkl", RIGHT)
        assert stage.nightferry("app", "lock", stage.service).returncode == 0
        older = next(iter(_locks(stage)))
        # What is planted under the key of the unpinned requirements is what they resolved to some weeks ago.
        stage.write({"app/requirements.txt": f"{others}markupsafe\n"})
        assert stage.nightferry("app", "lock", stage.service).returncode == 0
        newer = next(key for key in _locks(stage) if key != older)
        _replant(stage, older, newer)

        first = stage.release()
        assert first.outcome == "released", first
        assert first.decision["candidate"]["lock"]["packages"]["markupsafe"] == "3.0.2"
        assert requests.get(f"{stage.url()}/written", timeout=10).json() == {"written": "1"}
        # The model was opened in the app, and by nobody on Airflow's side, which is this machine.
        assert requests.get(f"{stage.url()}/trace", timeout=10).json() == {"trace": True}
        assert not TRACE.exists()
        assert stage.release().decision["reason"] == "unchanged"

        upgraded = stage.nightferry("app", "lock", stage.service, "--upgrade")
        assert "markupsafe 3.0.2 → " in upgraded.stdout, upgraded
        second = stage.release()
        assert second.decision["reason"] == "new_packages"
        assert "markupsafe 3.0.2 → " in second.decision["sentence"]
        assert second.outcome == "released", second
    finally:
        stage.remove()


def _locks(stage: AppStage) -> set[str]:
    names = (
        connect.storage(stage.settings)
        .get_container_client("models")
        .list_blob_names(name_starts_with=f"{stage.service}/.locks/")
    )
    return {name.split("/")[2] for name in names}


def _replant(stage: AppStage, source: str, target: str) -> None:
    container = connect.storage(stage.settings).get_container_client("models")
    found = connect.locks(stage.settings, stage.spec).newest(source)
    assert found is not None
    for name in list(container.list_blob_names(name_starts_with=f"{stage.service}/.locks/{target}/")):
        container.upload_blob(name, found[1], overwrite=True)
