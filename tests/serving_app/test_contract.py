"""/score, the Open Inference Protocol and the status routes, as their clients see them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from serving_app.app import create_app
from serving_app.errors import StartError
from serving_app.settings import Settings
from tests.serving_app.models import LABELS, picture, score_body, text, write_shades


@pytest.mark.parametrize(("value", "label"), [(0, "dark"), (128, "middling"), (255, "light")])
def test_the_tutorials_expression_finds_the_best_label(client: FlaskClient, value: int, label: str) -> None:
    answer = client.post("/score", json=score_body(picture(value)))
    assert answer.status_code == 200
    assert answer.json["result"][0][0][0][0] == label


def test_score_answers_each_picture_with_labels_and_percent(client: FlaskClient) -> None:
    result, computed = client.post("/score", json=score_body(picture(0), picture(255))).json["result"]
    assert [best[0][0] for best in result] == ["dark", "light"]
    for best in result:
        assert {label for label, _ in best} == set(LABELS)
        percents = [percent for _, percent in best]
        assert percents == sorted(percents, reverse=True)
        assert sum(percents) == pytest.approx(100, abs=1e-3)
    assert computed.startswith("Computed in ")
    assert computed.endswith(" ms")


def test_score_takes_pythons_bytes_text_and_a_plain_list(client: FlaskClient) -> None:
    as_bytes = f"b'{text(picture(255))}'"
    for value in (json.dumps([as_bytes]), [as_bytes]):
        assert client.post("/score", json={"input": value}).json["result"][0][0][0][0] == "light"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_every_kind_of_picture_is_read_and_made_to_fit(client: FlaskClient, kind: str) -> None:
    answer = client.post("/score", json=score_body(picture(255, size=40, kind=kind)))
    assert answer.json["result"][0][0][0][0] == "light"


def test_transparent_is_white_paper(client: FlaskClient) -> None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGBA", (3, 3), (0, 0, 0, 0)).save(buffer, "PNG")
    assert client.post("/score", json=score_body(buffer.getvalue())).json["result"][0][0][0][0] == "light"


@pytest.mark.parametrize(
    ("changes", "label"),
    [({"invert": True}, "dark"), ({"scale": 0.0}, "dark"), ({"mean": [1.0]}, "dark"), ({"std": [2.0]}, "middling")],
)
def test_preprocessing_is_what_model_json_says(tmp_path: Path, changes: dict[str, object], label: str) -> None:
    image = {"input": "image", "width": 2, "height": 2, "mode": "L", "layout": "flat", **changes}
    app = create_app(Settings(model_dir=write_shades(tmp_path / "m", image=image)))
    assert app.test_client().post("/score", json=score_body(picture(255))).json["result"][0][0][0][0] == label


def test_score_and_infer_are_one_path(client: FlaskClient) -> None:
    data = text(picture(90))
    best = client.post("/score", json={"input": json.dumps([data])}).json["result"][0][0]
    body = {"id": "x", "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [data]}]}
    answer = client.post("/v2/models/shades/infer", json=body).json
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("shades", "v1", "x")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("scores", "FP32", [1, 3])
    assert dict(best) == pytest.approx({label: 100 * p for label, p in zip(LABELS, output["data"], strict=True)})


@pytest.mark.parametrize("data", [[1, 2.5, 3, 4], [[1, 2.5], [3, 4]]])
def test_infer_takes_flat_and_nested_tensors_of_several_inputs(sum_client: FlaskClient, data: list[object]) -> None:
    body = {
        "inputs": [
            {"name": "b", "datatype": "INT64", "shape": [2, 2], "data": [10, 20, 30, 40]},
            {"name": "a", "datatype": "FP32", "shape": [2, 2], "data": data},
        ],
        "outputs": [{"name": "sum"}],
    }
    answer = sum_client.post("/v2/models/sum/versions/v1/infer", json=body)
    assert answer.json["outputs"] == [{"name": "sum", "datatype": "FP32", "shape": [2, 2], "data": [11, 22.5, 33, 44]}]


def test_score_of_numbers_for_a_model_without_pictures(tmp_path: Path) -> None:
    app = create_app(Settings(model_dir=write_shades(tmp_path / "m", image=None)))
    answer = app.test_client().post("/score", json={"input": "[[0, 0, 0, 0], [1, 1, 1, 1]]"})
    assert [best[0][0] for best in answer.json["result"][0]] == ["dark", "light"]


def test_logits_become_percent(tmp_path: Path) -> None:
    app = create_app(Settings(model_dir=write_shades(tmp_path / "m", scores="logits")))
    best = app.test_client().post("/score", json=score_body(picture(255))).json["result"][0][0]
    assert best[0][0] == "light"
    assert sum(percent for _, percent in best) == pytest.approx(100, abs=1e-3)


def test_metadata(client: FlaskClient) -> None:
    assert client.get("/v2").json["name"]
    for path in ("/v2/models/shades", "/v2/models/shades/versions/v1"):
        answer = client.get(path).json
        assert answer["name"] == "shades"
        assert answer["versions"] == ["v1"]
        assert answer["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 4]}]
        assert answer["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/shades/ready", "/livez", "/readyz"):
        assert client.get(path).status_code == 200


def test_home_is_healthy(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/").text.startswith("Healthy")


def test_passport(picture_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    sha256 = hashlib.sha256((picture_dir / "model.json").read_bytes()).hexdigest()
    told = {
        "RELEASE": "shades-2026-01-01.1",
        "IMAGE": "registry/shades@sha256:00",
        "MODEL": "v1",
        "MODEL_SHA256": sha256,
        "SOURCE": "abc",
        "SERVICE": "shades",
        "ENVIRONMENT": "staging",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"NIGHTFERRY_{name}", value)
    answer = create_app(Settings(model_dir=picture_dir)).test_client().get("/version")
    assert answer.json == {
        "service": "shades",
        "environment": "staging",
        "release": "shades-2026-01-01.1",
        "image": "registry/shades@sha256:00",
        "model": {"version": "v1", "sha256": sha256},
        "source": "abc",
    }


@pytest.mark.parametrize("name", ["SERVICE", "MODEL", "MODEL_SHA256"])
def test_a_passport_that_the_model_contradicts_is_not_issued(
    picture_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"NIGHTFERRY_{name}", "another")
    with pytest.raises(StartError, match=f"NIGHTFERRY_{name} says another"):
        create_app(Settings(model_dir=picture_dir))


def test_metrics_count_requests_rows_and_errors(client: FlaskClient) -> None:
    client.post("/score", json=score_body(picture(0), picture(1)))
    client.post("/score", json={})
    client.get("/no/such/path")
    lines = client.get("/metrics").text.splitlines()
    assert 'serving_requests_total{route="/score",status="200"} 1.0' in lines
    assert 'serving_requests_total{route="/score",status="400"} 1.0' in lines
    assert 'serving_requests_total{route="other",status="404"} 1.0' in lines
    assert "serving_batch_rows_sum 2.0" in lines
    assert "serving_requests_in_flight 1.0" in lines


def test_the_time_of_predictions_is_told_finely(client: FlaskClient) -> None:
    client.post("/score", json=score_body(picture(0)))
    client.post("/score", json={})
    client.get("/livez")
    lines = client.get("/metrics").text.splitlines()
    assert 'serving_prediction_seconds_bucket{le="+Inf"} 1.0' in lines
    told = [line.partition('le="')[2].partition('"')[0] for line in lines if line.startswith("serving_prediction_s")]
    bounds = [float(bound) for bound in told if bound]
    assert bounds[0] == 0.001
    assert max(high / low for low, high in itertools.pairwise(bounds[:-1])) < 1.15


def test_request_ids_go_in_and_out(client: FlaskClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    made_up = client.get("/livez", headers={"X-Request-Id": "with space"}).headers["X-Request-Id"]
    assert made_up
    assert made_up != "with space"
