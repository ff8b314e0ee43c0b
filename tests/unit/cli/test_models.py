"""`nightferry models publish` and `list`."""

from __future__ import annotations

import json

import pytest
from nightferry.cli import main

from tests.fakes.model_versions import linear_onnx, write_version

pytestmark = pytest.mark.usefixtures("trial_here")


@pytest.fixture(autouse=True)
def _time(monkeypatch, clock):
    monkeypatch.setattr("nightferry.cli.models.SystemClock", lambda: clock)


def test_a_version_is_published_once_and_then_listed(capsys, tmp_path, models, services):
    folder = write_version(tmp_path)

    assert main(["models", "publish", "digits", str(folder), "--json"]) == 0
    assert "model.json" in json.loads(capsys.readouterr().out)["uploaded"]
    assert main(["models", "publish", "digits", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["uploaded"] == []
    assert main(["models", "list", "digits"]) == 0
    (_, listed) = capsys.readouterr().out.splitlines()
    assert listed.startswith("2026-11-21-a")
    assert "2026-11-21 01:00:00 CET" in listed
    assert "0.9700" in listed


def test_a_folder_without_a_manifest_is_bad_input(capsys, tmp_path, models, services):
    assert main(["models", "publish", "digits", str(tmp_path / "missing")]) == 2
    assert str(tmp_path / "missing") in capsys.readouterr().err
    assert models.blobs == {}


def test_other_content_under_a_published_name_is_refused(capsys, tmp_path, models, services):
    main(["models", "publish", "digits", str(write_version(tmp_path / "one"))])
    other = write_version(tmp_path / "two", author="someone else")

    assert main(["models", "publish", "digits", str(other)]) == 2
    assert "[model_exists]" in capsys.readouterr().err


def test_a_model_of_another_service_is_refused(capsys, tmp_path, models, services):
    folder = write_version(tmp_path, service="letters")

    assert main(["models", "publish", "digits", str(folder)]) == 2
    assert "letters" in capsys.readouterr().err
    assert models.blobs == {}


@pytest.mark.parametrize("command", [["models", "publish", "x", "."], ["models", "list", "x"]])
def test_an_unknown_service_is_bad_input(capsys, command, models, services):
    assert main(command) == 2
    assert "[service_unknown]" in capsys.readouterr().err


def test_no_versions_says_how_to_publish_one(capsys, models, services):
    assert main(["models", "list", "digits"]) == 0
    assert "nightferry models publish digits" in capsys.readouterr().out


def test_a_version_that_will_not_be_the_newest_is_told(capsys, tmp_path, models, services):
    main(["models", "publish", "digits", str(write_version(tmp_path, "new", created="2026-11-20T12:00:00Z"))])
    capsys.readouterr()
    old = write_version(tmp_path, "old", created="2026-11-20T00:00:00Z")

    assert main(["models", "publish", "digits", str(old)]) == 0
    shown = capsys.readouterr()
    assert "old is not the newest" in shown.err
    assert "old is not the newest" not in shown.out
    assert main(["models", "publish", "digits", str(old), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["newest"], len(document["notes"])) == (False, 1)


@pytest.fixture
def onnx(tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes(linear_onnx())
    return path


def test_a_model_without_a_manifest_is_described_and_published(capsys, tmp_path, onnx, models, services):
    examples = tmp_path / "test.csv"
    examples.write_text("a,b,c,d,label\n9,0,0,0,one\n0,0,9,0,three\n")
    words = ["models", "publish", "digits", str(onnx), "--metric", "accuracy=0.97", "--metric", "loss=0.1"]
    words += ["--labels", "one, two, three", "--examples", str(examples), "--author", "ana"]

    assert main([*words, "--dry-run"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert models.blobs == {}
    assert main([*words, "--json"]) == 0
    published = json.loads(capsys.readouterr().out)

    assert published["version"] == described["version"]
    (listed,) = models.listings()
    assert (listed.metrics, listed.author) == ({"accuracy": 0.97, "loss": 0.1}, "ana")
    assert described["labels"] == ["one", "two", "three"]
    assert [example["label"] for example in described["golden"]] == ["one", "three"]


def test_metrics_may_come_from_a_file(capsys, tmp_path, onnx, models, services):
    (tmp_path / "metrics.json").write_text('{"auc": 0.9, "loss": 0.2}')
    words = ["models", "publish", "digits", str(onnx), "--metrics", str(tmp_path / "metrics.json")]

    assert main([*words, "--metric", "loss=0.1"]) == 0
    assert models.listings()[0].metrics == {"auc": 0.9, "loss": 0.1}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--metrics", "none.json"], "none.json cannot be read"),
        (["--image", "{"], "--image is not a JSON object"),
        (["--examples", "none.csv"], "none.csv cannot be read"),
        (["--version", "my model"], "version"),
        (["--labels", "a,b"], "labels are 2"),
    ],
)
def test_what_is_said_wrongly_is_refused_and_nothing_is_published(capsys, onnx, models, services, words, named):
    assert main(["models", "publish", "digits", str(onnx), *words]) == 2
    assert named in capsys.readouterr().err
    assert models.blobs == {}


@pytest.mark.parametrize("metric", ["auc", "auc=", "=1", "auc=high", "auc=nan"])
def test_a_metric_is_a_name_and_a_number(capsys, onnx, models, services, metric):
    with pytest.raises(SystemExit) as ended:
        main(["models", "publish", "digits", str(onnx), "--metric", metric])
    assert ended.value.code == 2
    assert "auc=0.91" in capsys.readouterr().err


def test_what_a_manifest_says_is_not_said_beside_it(capsys, tmp_path, models, services):
    folder = write_version(tmp_path)

    assert main(["models", "publish", "digits", str(folder), "--metric", "auc=0.9"]) == 2
    assert "--metric" in capsys.readouterr().err
    assert models.blobs == {}


def test_a_metric_of_any_kind_hinders_no_list(capsys, tmp_path, models, services):
    for number, value in enumerate((10**400, True, "0.9", None)):
        main(["models", "publish", "digits", str(write_version(tmp_path, f"v{number}", metrics={"accuracy": value}))])
    capsys.readouterr()
    assert main(["models", "list", "digits"]) == 0
    assert capsys.readouterr().out.count("not measured") == 4


def test_an_account_without_a_name_is_asked_who_it_is(capsys, monkeypatch, onnx, models, services):
    monkeypatch.delenv("GIT_AUTHOR_NAME", raising=False)

    def nobody():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert main(["models", "publish", "digits", str(onnx)]) == 2
    assert "--author" in capsys.readouterr().err


def test_nothing_named_is_not_the_folder_that_one_is_in(capsys, services, models):
    """As where a variable of the shell is empty."""
    with pytest.raises(SystemExit) as ended:
        main(["models", "publish", "digits", "", "--dry-run"])
    assert ended.value.code == 2
    assert "PATH" in capsys.readouterr().err
