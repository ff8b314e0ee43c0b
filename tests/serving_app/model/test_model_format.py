"""The reader of model.json is taken into images that have no packages at all."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import serving_app
from serving_app.errors import StartError
from serving_app.model.model_dir import read
from serving_app.model_format import LabelsFault, ManifestFault, parse_manifest

ROOT = Path(serving_app.__file__).parents[1]


def test_it_needs_the_standard_library_alone() -> None:
    script = f"""
import sys
sys.path.append({str(ROOT)!r})
import serving_app.model_format
used = {{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)
print(" ".join(sorted(used - {{"__main__"}})))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["serving_app"]


@pytest.mark.parametrize(
    "created", ["2026-11-21T13:00:00Z", "2026-11-21t13:00:00.123456789+01:00", "2026-11-21 13:00Z"]
)
def test_a_time_with_its_zone_is_read(created: str) -> None:
    assert parse_manifest(document(f'"created": "{created}"')).created.utcoffset() is not None


@pytest.mark.parametrize(
    "created",
    ["2026-11-21", "2026-11-21T13:00:00", "2026-13-21T13:00:00Z", "now", "1763730000", "0001-01-01T00:00:00+14:00"],
)
def test_what_is_no_time_with_its_zone_is_refused(created: str) -> None:
    with pytest.raises(ManifestFault, match=re.escape(f"created is '{created}'")):
        parse_manifest(document(f'"created": "{created}"'))


@pytest.mark.parametrize(
    "name", ["../m.onnx", "/m.onnx", "a//m.onnx", ".m.onnx", "a/../m.onnx", "m.onnx\\n", "model.json"]
)
def test_a_file_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ManifestFault, match="files"):
        parse_manifest(document(f'"files": [{{"name": "{name}", "size": 0, "sha256": "{"0" * 64}"}}]'))


def test_left_out_and_null_are_the_same() -> None:
    nothing = '"labels": null, "image": null, "metrics": null, "golden": null, "commit": null, "scores": null'
    assert parse_manifest(document(nothing)) == parse_manifest(document('"commit": null'))


def test_labels_that_are_not_one_for_each_class_are_a_fault_of_their_own() -> None:
    with pytest.raises(LabelsFault, match="labels are 2, but output y is \\[-1, 3\\]"):
        parse_manifest(document('"labels": ["a", "b"]'))


def document(last: str) -> bytes:
    """A small model.json whose last members, which count, are these."""
    file = f'{{"name": "m.onnx", "size": 0, "sha256": "{"0" * 64}"}}'
    tensor = '{"name": "%s", "datatype": "FP32", "shape": [-1, 3]}'
    members = [
        '"format": "onnx", "service": "s", "version": "v", "author": "a", "created": "2026-01-01T00:00:00Z"',
        f'"files": [{file}], "model": "m.onnx", "inputs": [{tensor % "x"}], "outputs": [{tensor % "y"}]',
        last,
    ]
    return f"{{{', '.join(members)}}}".encode()


def files(last: str, *names: str) -> bytes:
    """A small model.json of the format files whose last members, which count, are these."""
    listed = ", ".join(f'{{"name": "{name}", "size": 1, "sha256": "{"0" * 64}"}}' for name in names or ("m.joblib",))
    members = [
        '"format": "files", "service": "s", "version": "v", "author": "a", "created": "2026-01-01T00:00:00Z"',
        f'"files": [{listed}]',
        *([last] if last else []),
    ]
    return f"{{{', '.join(members)}}}".encode()


@pytest.mark.parametrize(
    ("names", "said", "model"),
    [
        (("m.joblib",), "", "m.joblib"),
        (("m.joblib",), '"model": null', "m.joblib"),
        (("a/b/m.pt", "tokenizer.json"), '"model": "a/b/m.pt"', "a/b/m.pt"),
        (("a/b/m.pt", "tokenizer.json"), '"model": "a/b"', "a/b"),
        (("a/b/m.pt", "tokenizer.json"), '"model": "a/"', "a"),
        (("a/__init__.py", "m.pt"), '"model": "."', "."),
    ],
)
def test_a_model_that_only_its_app_opens_is_a_file_a_folder_or_all_of_them(
    names: tuple[str, ...], said: str, model: str
) -> None:
    manifest = parse_manifest(files(said, *names))
    assert (manifest.format, manifest.model, manifest.inputs, manifest.outputs) == ("files", model, (), ())


def test_the_examples_of_such_a_model_are_kept_as_they_are_and_name_no_files() -> None:
    exchange = '{"request": {"post": "/predict", "json": [1]}, "answer": {"json": [2]}, "image": 3}'
    manifest = parse_manifest(files(f'"golden": [{exchange}], "metrics": {{"auc": 0.9}}'))
    assert manifest.golden[0]["answer"] == {"json": [2]}
    assert manifest.golden_files == frozenset()
    assert manifest.metrics == {"auc": 0.9}


@pytest.mark.parametrize("member", ["inputs", "outputs", "labels", "scores", "rows", "image"])
def test_what_only_onnx_has_is_named(member: str) -> None:
    with pytest.raises(ManifestFault, match=f"^{member} is not a member of the format files"):
        parse_manifest(files(f'"{member}": []'))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (files("", "a.pt", "b.pt"), "model is missing"),
        (files('"model": "a"', "ab/m.pt", "b.pt"), "model is 'a', which is neither"),
        (files('"model": "/"'), "model is ''"),
        (files('"golden": [3]'), "golden.0. is not an object"),
        (files('"modle": "m"'), "modle is not a member; did you mean model"),
        (files("", "für.pt"), "files.0..name"),
        (files("", "a b.pt"), "files.0..name"),
        (files("", "a/.b.pt"), "files.0..name"),
        (files("", "../b.pt"), "files.0..name"),
        (files("", "a" * 101), "files.0..name"),
        (files('"format": "pickle"'), "format is 'pickle'; there are onnx and files"),
        (files('"format": ["files"]'), "format is"),
        (files('"format": null'), "format is missing"),
        (b"[]", "not a JSON object"),
    ],
)
def test_what_is_wrong_in_such_a_model_is_said(content: bytes, named: str) -> None:
    with pytest.raises(ManifestFault, match=named):
        parse_manifest(content)


def test_the_stock_service_refuses_it_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(files(""))
    with pytest.raises(StartError, match="is of the format files, which only an app of its own opens"):
        read(tmp_path)
