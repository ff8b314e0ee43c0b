"""The JSON schemas in `/openapi.json`. They allow what the service takes: no less, and no more than JSON Schema can say
(that `data` has as many values as `shape` wants, it cannot)."""

from __future__ import annotations

from typing import Any

from serving_app.model.model_dir import ModelDir, Tensor

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
SIZE: Schema = {"type": "integer", "minimum": 0}
SCALARS = {"BOOL": "boolean", "BYTES": "string", "FP16": "number", "FP32": "number", "FP64": "number"}
WHITE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
"""A PNG of one white pixel."""
PICTURE: Schema = {
    "type": "string",
    "contentEncoding": "base64",
    "description": "A PNG, JPEG, GIF, WebP or BMP in base64, with or without padding, URL-safe too, or as a data: URL",
}
FLOATS = ("FP16", "FP32", "FP64")
NO_NUMBER: Schema = {"enum": ["NaN", "Infinity", "-Infinity"], "description": "what JSON has no number for"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def schemas(model: ModelDir, *, max_batch: int) -> dict[str, Schema]:
    """Return every schema by its name."""
    outputs = [_output(tensor) for tensor in model.outputs]
    signature = {
        "type": "array",
        "items": _object({"name": TEXT, "datatype": TEXT, "shape": {"type": "array", "items": {"type": "integer"}}}),
    }
    return {
        "ModelName": {"type": "string", "const": model.service},
        "ModelVersion": {"type": "string", "const": model.version},
        "ScoreRequest": _score_request(model, max_batch),
        "ScoreAnswer": _score_answer(model),
        "InferRequest": _infer_request(model, max_batch),
        "InferAnswer": _object(
            {
                "model_name": {"const": model.service},
                "model_version": {"const": model.version},
                "outputs": {"type": "array", "minItems": 1, "items": {"anyOf": outputs}},
            },
            id=TEXT,
        ),
        "ModelMetadata": _object(
            {
                "name": {"const": model.service},
                "versions": {"type": "array", "items": {"const": model.version}},
                "platform": TEXT,
                "inputs": signature,
                "outputs": signature,
            }
        ),
        "ModelReady": _object({"name": TEXT, "ready": {"type": "boolean"}}),
        "ServerMetadata": _object({"name": TEXT, "version": TEXT, "extensions": {"type": "array", "items": TEXT}}),
        "Live": _object({"live": {"const": True}}),
        "Ready": _object({"ready": {"type": "boolean"}}),
        "Passport": _object(
            {
                "service": TEXT,
                "environment": TEXT_OR_NULL,
                "release": TEXT_OR_NULL,
                "image": TEXT_OR_NULL,
                "model": _object({"version": TEXT, "sha256": SHA256}),
                "source": TEXT_OR_NULL,
            }
        ),
        "Problem": _object(
            {
                "type": TEXT,
                "title": TEXT,
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": TEXT,
                "error": {**TEXT, "description": "detail again, where Open Inference Protocol clients look for it"},
            },
            field={**TEXT, "description": "What was wrong, such as `inputs[0].shape`"},
            request_id=TEXT,
        ),
    }


def _score_request(model: ModelDir, max_batch: int) -> Schema:
    item: Schema = PICTURE if model.image else {}
    items: Schema = {"type": "array", "minItems": 1, "maxItems": max_batch, "items": item}
    about = "base64 pictures" if model.image else "rows of numbers"
    text = {"type": "string", "contentMediaType": "application/json", "description": f"JSON text of a list of {about}"}
    schema = _object({"input": {"anyOf": [text, items]}})
    return {**schema, "examples": [{"input": [WHITE_PIXEL]}]} if model.image else schema


def _score_answer(model: ModelDir) -> Schema:
    # Not prefixItems, which says it better: public tools stumble over it in answers.
    label = {"enum": list(model.labels)} if model.labels else TEXT
    percent = {"anyOf": [{"type": "number"}, NO_NUMBER], "description": "percent"}
    best = _list("best first", _list("label, percent", {"anyOf": [label, percent]}, count=2))
    computed = {"type": "string", "examples": ["Computed in 0.41 ms"]}
    answers = _list("one for each picture or row", best)
    return _object({"result": _list("the answers, the time", {"anyOf": [answers, computed]}, count=2)})


def _list(about: str, items: Schema, count: int | None = None) -> Schema:
    size = {} if count is None else {"minItems": count, "maxItems": count}
    return {"type": "array", "description": about, "items": items, **size}


def _infer_request(model: ModelDir, max_batch: int) -> Schema:
    entries = [_input(tensor, max_batch) for tensor in model.inputs]
    if model.image:
        entries.append(_pictures(model.inputs[0], max_batch))
    outputs = {
        "type": ["array", "null"],
        "items": _object({"name": {"enum": [t.name for t in model.outputs]}}, parameters=_binary("binary_data")),
    }
    return _object(
        {
            "inputs": {
                "type": "array",
                "minItems": len(model.inputs),
                "maxItems": len(model.inputs),
                "items": {"anyOf": entries},
            }
        },
        id=TEXT_OR_NULL,
        outputs=outputs,
        parameters=_binary("binary_data_output"),
    )


def _binary(flag: str) -> Schema:
    return {"type": ["object", "null"], "properties": {flag: {"type": "boolean"}}}


def _input(tensor: Tensor, max_batch: int) -> Schema:
    return _tensor(tensor, _shape(tensor, max_batch), {"minItems": 1})


def _output(tensor: Tensor) -> Schema:
    scalar: Schema = {"type": SCALARS.get(tensor.datatype, "integer")}
    if tensor.datatype in FLOATS:
        scalar = {"anyOf": [scalar, NO_NUMBER]}
    entry = _object(
        {
            "name": {"const": tensor.name},
            "datatype": {"const": tensor.datatype},
            "shape": {"type": "array", "items": SIZE},
        },
        data={"type": "array", "items": scalar},
        parameters=_object({"binary_data_size": SIZE}),
    )
    return {**entry, "oneOf": [{"required": ["data"]}, {"required": ["parameters"]}]}


def _pictures(tensor: Tensor, max_batch: int) -> Schema:
    count = {"type": "integer", "minimum": 1, "maximum": max_batch}
    shape = {"type": "array", "prefixItems": [count, {"const": 1}], "minItems": 1, "maxItems": 2}
    pictures = {"maxItems": max_batch, "minItems": 1, "items": PICTURE}
    return _tensor(Tensor(tensor.name, "BYTES", ()), shape, pictures)


def _tensor(tensor: Tensor, shape: Schema, data: Schema) -> Schema:
    kinds = [SCALARS.get(tensor.datatype, "integer"), "array"]
    about = "in row order, flat or nested"
    if tensor.datatype in FLOATS:
        kinds.append("null")
        about += "; null for a missing value"
    return _object(
        {
            "name": {"const": tensor.name},
            "datatype": {"const": tensor.datatype},
            "shape": shape,
            "data": {
                "type": "array",
                "description": about,
                "items": {"type": kinds},
                **data,
            },
        },
        parameters={"type": ["object", "null"]},
    )


def _shape(tensor: Tensor, max_batch: int) -> Schema:
    sizes: list[Schema] = [
        {"const": size} if size != -1 else {"type": "integer", "minimum": 1} for size in tensor.shape
    ]
    if tensor.shape and tensor.shape[0] == -1:
        sizes[0]["maximum"] = max_batch
    count = len(sizes)
    return {"type": "array", **({"prefixItems": sizes} if sizes else {}), "minItems": count, "maxItems": count}


def _object(properties: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": {**properties, **optional}}
