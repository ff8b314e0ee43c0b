"""/try and /openapi.json: what they promise of themselves. A browser's view of the page is in tests/browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from serving_app.app import create_app
from serving_app.routes import page
from serving_app.settings import Settings
from tests.serving_app.models import picture, score_body, write_shades, write_sum

FILES = (*(file.path for file in page.FILES), "/try.json", "/openapi.json")


@pytest.mark.parametrize("path", FILES)
def test_the_page_allows_nothing_from_elsewhere(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {word for rule in policy.values() for word in rule.split()} <= {"'none'", "'self'", "blob:"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", FILES)
def test_an_unchanged_file_is_not_sent_again(client: FlaskClient, path: str) -> None:
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_the_page_names_no_other_host_and_holds_nothing_inline(client: FlaskClient) -> None:
    html = client.get("/try").text
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:", html)
    for file in page.FILES:
        if file.kind != "image/svg+xml":  # which names its XML namespace
            assert not re.search(r"https?://|(?:src|href|url|from)\W{0,3}//", client.get(file.path).text)


def test_what_the_page_loads_is_there(client: FlaskClient) -> None:
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', client.get("/try").text)
    assert {"try.js", "try.css", "try.svg", "openapi.json"} <= set(loaded)
    for name in loaded:
        assert client.get(f"/{name}").status_code == 200


def test_every_script_is_loaded_and_none_that_is_not_there() -> None:
    folder = Path(page.__file__).parents[1] / "web"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.js")}
    assert {file.name for file in page.FILES if file.kind == page.SCRIPT} == there
    loaded = {"try.js"}
    for name in there:
        for target in re.findall(r'^import .* from "\./([^"]+)";$', (folder / name).read_text(), re.MULTILINE):
            loaded.add(str(Path(name).parent / target))
    assert loaded == there


def test_what_the_page_knows(client: FlaskClient, sum_client: FlaskClient) -> None:
    facts = client.get("/try.json").json
    assert facts["image"] == {
        **{"width": 2, "height": 2, "mode": "L", "invert": False},
        **{"fit": "stretch", "resize": 0, "padding": [0]},
    }
    assert facts["labels"] == ["dark", "middling", "light"]
    assert sum_client.get("/try.json").json["inputs"] == [
        {"name": "a", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "b", "datatype": "INT64", "shape": [-1, 2]},
    ]


def apps(tmp_path: Path) -> dict[str, Flask]:
    kinds = {"pictures": write_shades(tmp_path / "a"), "rows": write_shades(tmp_path / "b", image=None)}
    kinds["tensors"] = write_sum(tmp_path / "c")
    return {kind: create_app(Settings(model_dir=path)) for kind, path in kinds.items()}


def test_every_route_is_described_and_every_description_is_a_route(tmp_path: Path) -> None:
    for kind, app in apps(tmp_path).items():
        document = app.test_client().get("/openapi.json").json
        described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
        routes = {
            (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method)
            for rule in app.url_map.iter_rules()
            for method in rule.methods - {"HEAD", "OPTIONS"}
        }
        if kind == "tensors":  # without labels /score can only refuse
            routes.remove(("/score", "POST"))
        assert described == routes


def test_every_reference_leads_somewhere_and_names_are_used_once(tmp_path: Path) -> None:
    for app in apps(tmp_path).values():
        answer = app.test_client().get("/openapi.json")
        schemas = answer.json["components"]["schemas"]
        assert set(re.findall(r'"#/components/schemas/(\w+)"', answer.text)) <= set(schemas)
        operations = [operation for item in answer.json["paths"].values() for operation in item.values()]
        names = [operation["operationId"] for operation in operations]
        assert len(set(names)) == len(names)


def test_answers_are_as_described(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    app = apps(tmp_path)["pictures"]
    client = app.test_client()
    document = client.get("/openapi.json").json

    def check(name: str, value: Any) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(value)

    row = {"name": "image", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}
    infer = {"id": "1", "inputs": [row], "outputs": [{"name": "scores"}]}
    check("InferRequest", infer)
    check("InferAnswer", client.post("/v2/models/shades/infer", json=infer).json)
    check("ScoreRequest", score_body(picture(0)))
    check("ScoreAnswer", client.post("/score", json=score_body(picture(0), picture(9))).json)
    check("Problem", client.post("/score", json={}).json)
    check("Passport", client.get("/version").json)
    check("ModelMetadata", client.get("/v2/models/shades").json)
    check("ModelReady", client.get("/v2/models/shades/ready").json)
    check("ServerMetadata", client.get("/v2").json)
