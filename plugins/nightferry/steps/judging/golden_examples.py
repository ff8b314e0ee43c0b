"""The requests with known answers that a model carries, asked of a running service."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nightferry.clients.service_client import Answer, ServiceClient
from nightferry.entities.model_version import ModelManifest
from nightferry.entities.probe_report import Fault

TOLERANCE = 1e-3
"""Relative and absolute: another CPU rounds otherwise, another model differs by more."""
BATCH = 16
"""Pictures in the one request that asks for several at once."""
PHOTOS = 200_000
"""Characters of pictures that may be too much for one request. Small ones have to be taken together."""


def ask_golden(
    client: ServiceClient, manifest: ModelManifest, folder: Path, most: int | None = None
) -> Iterator[Fault | None]:
    """Ask each example, or the first ones; yields one fault or None for each answer that was compared.

    Raises:
        Unanswered: the service stopped answering.
        OSError: an example's file cannot be read.
    """
    golden = manifest.golden[:most]
    pictures = [example for example in golden if "image" in example]
    for example in pictures:
        yield _ask_picture(client, manifest, folder, example)
    if pictures:
        yield _ask_batch(client, manifest, folder, pictures[:BATCH])
        yield _ask_protocol(client, manifest, folder, pictures[0])
    for index, example in enumerate(golden):
        if "inputs" in example:
            yield _ask_tensors(client, manifest, example, f"golden example {index}")


def _text(folder: Path, example: Mapping[str, Any]) -> str:
    return base64.b64encode((folder / str(example["image"])).read_bytes()).decode()


def _score(client: ServiceClient, pictures: Sequence[str]) -> tuple[Answer, list[list[list[Any]]] | None]:
    """Ask /score as the tutorial's clients do; the best labels of each picture, None when the form is wrong."""
    answer = client.post("/score", {"input": json.dumps(list(pictures))})
    document = answer.document()
    result = document.get("result") if isinstance(document, dict) else None
    if answer.status != 200 or not isinstance(result, list) or len(result) != 2:
        return answer, None
    best, computed = result
    right = (
        isinstance(computed, str)
        and computed.startswith("Computed in ")
        and isinstance(best, list)
        and len(best) == len(pictures)
        and all(isinstance(rows, list) and rows and all(_row(row) for row in rows) for rows in best)
    )
    return answer, best if right else None


def _row(row: object) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 2
        and isinstance(row[0], str)
        and isinstance(row[1], int | float)
        and 0 <= row[1] <= 100.0001
    )


def _form(path: str, answer: Answer, name: str) -> Fault:
    how = "in another form" if answer.status == 200 else str(answer.status)
    return Fault(kind="contract", sentence=f"POST {path} with {name} answered {how}: {answer.said().rstrip('.')}.")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line[:200] + ("…" if len(line) > 200 else "")


def _wrong(name: str, expected: object, got: object) -> Fault:
    return Fault(kind="golden", sentence=f"{name} should give {expected}, got {got}.")


def _ask_picture(
    client: ServiceClient, manifest: ModelManifest, folder: Path, example: Mapping[str, Any]
) -> Fault | None:
    answer, best = _score(client, [_text(folder, example)])
    if best is None:
        return _form("/score", answer, str(example["image"]))
    got, percent = best[0][0]
    if got != str(example["label"]):
        return _wrong(example["image"], example["label"], f"{got} ({percent:.1f} %)")
    if manifest.labels and got not in manifest.labels:
        return Fault(
            kind="contract", sentence=f"POST /score answered the label {got!r}, which the model does not have."
        )
    return None


def _ask_batch(
    client: ServiceClient, manifest: ModelManifest, folder: Path, examples: Sequence[Mapping[str, Any]]
) -> Fault | None:
    # Python 2's clients of the tutorial sent str(bytes): b'…'. The first picture goes in that form.
    texts = [_text(folder, example) for example in examples]
    answer, best = _score(client, [f"b'{texts[0]}'", *texts[1:]])
    if answer.status in (400, 413) and len(texts) > 1 and sum(map(len, texts)) > PHOTOS:
        # A service limits what one request holds; each of these was taken alone.
        return _ask_batch(client, manifest, folder, examples[: len(examples) // 2])
    if best is None:
        return _form("/score", answer, f"{len(examples)} pictures at once")
    for example, rows in zip(examples, best, strict=True):
        if rows[0][0] != str(example["label"]):
            return _wrong(f"{example['image']} among {len(examples)} pictures", example["label"], rows[0][0])
    return None


def _ask_protocol(
    client: ServiceClient, manifest: ModelManifest, folder: Path, example: Mapping[str, Any]
) -> Fault | None:
    """The same picture through the Open Inference Protocol has to get the same label."""
    name = manifest.image.input if manifest.image else manifest.inputs[0].name
    tensor = {"name": name, "datatype": "BYTES", "shape": [1], "data": [_text(folder, example)]}
    return _ask_tensors(
        client, manifest, {"inputs": [tensor], "label": example["label"]}, f"{example['image']} by infer"
    )


def _ask_tensors(client: ServiceClient, manifest: ModelManifest, example: Mapping[str, Any], name: str) -> Fault | None:
    path = f"/v2/models/{manifest.service}/infer"
    answer = client.post(path, {"inputs": example["inputs"]})
    outputs = outputs_of(answer)
    missing = [tensor.name for tensor in manifest.outputs if tensor.name not in outputs]
    if answer.status != 200 or missing:
        return _form(path, answer, name)
    if "label" in example:
        return _label_fault(manifest, outputs, example, name)
    for expected in example.get("outputs", []):
        got = outputs.get(expected["name"])
        if got is None or not _close(expected["data"], got):
            return _wrong(f"{name}, output {expected['name']},", _short(str(expected["data"])), _short(str(got)))
    return None


def _label_fault(
    manifest: ModelManifest, outputs: dict[str, list[Any]], example: Mapping[str, Any], name: str
) -> Fault | None:
    scores = outputs[manifest.scored.name]
    if len(scores) == 1 and len(manifest.labels) == 2 and isinstance(scores[0], int | float):
        # How sure the model is of the second label.
        scores = [0.0 if manifest.scores == "logits" else 1 - scores[0], scores[0]]
    if len(scores) != len(manifest.labels) or not all(isinstance(score, int | float) for score in scores):
        return Fault(
            kind="contract",
            sentence=f"{name}: {len(scores)} scores came for {len(manifest.labels)} labels.",
        )
    got = manifest.labels[max(range(len(scores)), key=scores.__getitem__)]
    return None if got == str(example["label"]) else _wrong(name, example["label"], got)


def outputs_of(answer: Answer) -> dict[str, list[Any]]:
    """The outputs in an infer request's answer, each as one list; none where it is no such answer."""
    document = answer.document()
    tensors = document.get("outputs") if isinstance(document, dict) else None
    if not isinstance(tensors, list):
        return {}
    return {
        str(tensor["name"]): _flat(tensor["data"])
        for tensor in tensors
        if isinstance(tensor, dict) and isinstance(tensor.get("data"), list) and "name" in tensor
    }


def _flat(data: list[Any]) -> list[Any]:
    return [value for item in data for value in (_flat(item) if isinstance(item, list) else [item])]


def _close(expected: list[Any], got: list[Any]) -> bool:
    wanted = _flat(expected)
    return len(wanted) == len(got) and all(
        math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        if isinstance(a, int | float) and isinstance(b, int | float)
        else a == b
        for a, b in zip(wanted, got, strict=True)
    )
