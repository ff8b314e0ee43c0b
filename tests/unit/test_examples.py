"""The examples: what their scripts train is what Nightferry takes, and their apps answer rightly with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from types import ModuleType

import onnx
import pytest
from nightferry.clients.clock import SystemClock
from nightferry.clients.service_client import ServiceClient
from nightferry.entities.app.contract import DEBIAN_13
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.model_version import parse_manifest
from nightferry.entities.service_spec import STOCK, ServiceSpec
from nightferry.steps.app.dockerfile import CHECKS, PYTEST
from nightferry.steps.app.read_contract import read_contract
from nightferry.steps.judging.exchanges import ask_exchanges
from nightferry.steps.model.describing.describe import Said, describe
from nightferry.steps.model.try_model import try_model
from nightferry.steps.services.load_services import load_services
from werkzeug.serving import make_server

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
WRITTEN = {
    "churn": {"model.joblib", "metrics.json", "examples.jsonl"},
    "sentiment": {"model.onnx", "metrics.json", "examples.csv"},
    "tutorial": {"model.pkl", "metrics.json", "examples.jsonl"},
}
APPS = ("churn", "tutorial")
SECONDS = 60

# What the scripts write is made once, by whoever runs these tests.
pytestmark = pytest.mark.xdist_group("examples")


def module(name: str, file: Path) -> ModuleType:
    """A module under a name of its own: what two examples call the same is not the same."""
    found = util.spec_from_file_location(name, file)
    assert found is not None
    assert found.loader is not None
    made = util.module_from_spec(found)
    path, loaded = [*sys.path], {*sys.modules}
    try:
        found.loader.exec_module(made)
    finally:
        sys.path[:] = path
        for beside in ("app", "sentences"):
            if beside not in loaded:
                sys.modules.pop(beside, None)
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each example's output, as its script writes it."""
    out = tmp_path_factory.mktemp("trained")
    started = [
        subprocess.Popen(
            [sys.executable, EXAMPLES / name / "train.py", "--out", out / name],
            env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": ""},
            stdout=subprocess.DEVNULL,
        )
        for name in WRITTEN
    ]
    assert [process.wait(SECONDS) for process in started] == [0] * len(WRITTEN)
    return out


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServiceSpec]:
    """The examples' service files, read by the rules of a night."""
    folder = tmp_path_factory.mktemp("services")
    for name in WRITTEN:
        shutil.copy(EXAMPLES / name / "service.yaml", folder / f"{name}.yaml")
    loaded = load_services(folder, {"NIGHTFERRY_REGISTRY": "registry.example:5000"})
    assert loaded.problems == []
    return {name: spec for name, (spec, _) in loaded.specs.items()}


def exchanges(folder: Path) -> list[Exchange]:
    lines = (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    return [Exchange.model_validate_json(line) for line in lines]


@pytest.mark.parametrize("name", WRITTEN)
def test_an_example_writes_its_files_the_same_again_and_leaves_a_folder_in_use_alone(
    name: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Again in this process, whose texts have other hashes than those of the script's."""
    script = module(f"train_{name}", EXAMPLES / name / "train.py")
    first, again = trained / name, tmp_path / name
    assert script.main(["--out", str(again)]) == 0
    assert {path.name for path in again.iterdir()} == {path.name for path in first.iterdir()} == WRITTEN[name]
    assert [file for file in WRITTEN[name] if (first / file).read_bytes() != (again / file).read_bytes()] == []

    (again / "metrics.json").write_text("mine")
    assert script.main(["--out", str(again)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert (again / "metrics.json").read_text() == "mine"


def test_every_service_file_is_sound_and_names_what_is_there(specs: dict[str, ServiceSpec]) -> None:
    assert specs.keys() == WRITTEN.keys()
    for name in APPS:
        source = specs[name].source
        assert source is not None
        assert (source.path, source.tests) == (f"examples/{name}/app", f"examples/{name}/tests")
        assert (ROOT / source.path / "nightferry.yaml").is_file()
        assert list((ROOT / str(source.tests)).glob("test_*.py"))
    stock = specs["sentiment"].source
    assert stock is None or stock.path == STOCK
    for name in WRITTEN:
        assert (specs[name].model.prefix, specs[name].image.repository) == (name, f"registry.example:5000/{name}")
        assert not (ROOT / "dags" / "services" / f"{name}.yaml").exists(), "added by who wants it"


def test_every_model_passes_the_gates_of_its_service(trained: Path, specs: dict[str, ServiceSpec]) -> None:
    for name, spec in specs.items():
        metrics = json.loads((trained / name / "metrics.json").read_text())
        assert spec.gates
        assert {metric: gate.passes(metrics[metric]) for metric, gate in spec.gates.items()} == dict.fromkeys(
            spec.gates, True
        )


def test_one_app_is_made_by_the_recipe_on_debian_13_and_one_by_its_own_dockerfile() -> None:
    churn, tutorial = (read_contract(EXAMPLES / name / "app") for name in APPS)
    assert (churn.base, churn.system, churn.dockerfile) == (DEBIAN_13, ("libgomp1",), None)
    assert "app:create_app" in churn.start
    assert (tutorial.dockerfile, tutorial.start, tutorial.tests_need_model) == ("Dockerfile", (), True)
    assert all(contract.checks and contract.ready and contract.version for contract in (churn, tutorial))


@pytest.mark.parametrize("name", APPS)
def test_what_an_app_pins_is_what_its_model_is_trained_with_here(name: str) -> None:
    """A pickle is opened with the versions that wrote it; `make lock` moves those of this project."""
    pinned = re.findall(r"^\S+==\S+$", (EXAMPLES / name / "app" / "requirements.txt").read_text(), re.MULTILINE)
    locked = (ROOT / "requirements-dev.txt").read_text()
    assert "scikit-learn" in {pin.partition("==")[0] for pin in pinned}
    assert [pin for pin in pinned if not re.search(rf"^{re.escape(pin)}[ ;]", locked, re.MULTILINE)] == []


def test_an_apps_own_tests_pass_as_its_image_runs_them(trained: Path, tmp_path: Path) -> None:
    started = {name: _tests_of(name, trained, tmp_path) for name in APPS}
    said = {name: process.communicate(timeout=SECONDS)[0] for name, process in started.items()}
    for name, process in started.items():
        assert process.returncode == 0, said[name]
        assert re.search(r"[1-9]\d* passed|Ran [1-9]\d* tests", said[name])


def _tests_of(name: str, trained: Path, folder: Path) -> subprocess.Popen[str]:
    app, checks = EXAMPLES / name / "app", folder / name
    shutil.copytree(EXAMPLES / name / "tests", checks, ignore=shutil.ignore_patterns("__pycache__"))
    contract = read_contract(app)
    words = [str(checks) if word == CHECKS else word for word in contract.test or PYTEST]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(app), "PYTHONDONTWRITEBYTECODE": "1"}
    if contract.tests_need_model:
        variables["MODEL_DIR"] = str(trained / name)
    return subprocess.Popen(
        [sys.executable, *words[1:]],
        cwd=app,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def served(name: str) -> Iterator[ServiceClient]:
    """The example's app, with the model that MODEL_DIR names."""
    made = module(f"app_{name}", EXAMPLES / name / "app" / {"churn": "app.py", "tutorial": "main.py"}[name])
    app = made.create_app() if hasattr(made, "create_app") else made.app
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield ServiceClient(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", APPS)
def test_an_app_answers_its_checks_and_its_models_examples_rightly_and_says_its_release(
    name: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(trained / name))
    monkeypatch.setenv("NIGHTFERRY_RELEASE", f"{name}-2026-11-21.1")
    contract, golden = read_contract(EXAMPLES / name / "app"), exchanges(trained / name)
    assert len(golden) >= 9
    with served(name) as client:
        assert [fault for fault in ask_exchanges(client, contract.checks, "check") if fault] == []
        assert [fault for fault in ask_exchanges(client, golden, "golden example") if fault] == []
        assert client.get(str(contract.ready)).status == 200
        assert f"{name}-2026-11-21.1" in client.get(str(contract.version)).text


def test_churns_examples_have_texts_numbers_and_what_nobody_knows(trained: Path) -> None:
    rows = [row for exchange in exchanges(trained / "churn") for row in exchange.request.json_["rows"]]
    values = [value for row in rows for value in row.values()]
    assert {str, int, float, type(None)} <= {type(value) for value in values}


def test_the_tutorials_examples_are_all_ten_digits(trained: Path) -> None:
    labels = [exchange.answer.label for exchange in exchanges(trained / "tutorial")]
    assert labels == [str(digit) for digit in range(10)]


def test_sentiment_is_served_where_there_is_no_locale_but_c_utf_8(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service itself opens the model and answers every example, as before it is published."""
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    folder = trained / "sentiment"
    graph = onnx.load(folder / "model.onnx").graph
    locales = {
        a.s for node in graph.node for a in node.attribute if (node.op_type, a.name) == ("StringNormalizer", "locale")
    }
    assert locales == {b"C.UTF-8"}, "this machine may have others too"

    said = Said(metrics=json.loads((folder / "metrics.json").read_text()), examples=folder / "examples.csv")
    described = describe(folder / "model.onnx", "sentiment", said, [], SystemClock(), tmp_path)
    manifest = parse_manifest((described.folder / "model.json").read_bytes())
    assert {example["label"] for example in manifest.golden} == {"glad", "angry"}
    report = try_model(described.folder, manifest, SECONDS)
    assert (report.faults, report.refused) == ((), "")
