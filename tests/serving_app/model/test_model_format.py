"""The reader of model.json is taken into images that have no packages at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import serving_app
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


@pytest.mark.parametrize("created", ["2026-11-21", "2026-11-21T13:00:00", "2026-13-21T13:00:00Z", "now", "1763730000"])
def test_what_is_no_time_with_its_zone_is_refused(created: str) -> None:
    with pytest.raises(ManifestFault, match=f"created is '{created}'"):
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
