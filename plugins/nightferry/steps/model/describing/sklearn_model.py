"""A model of scikit-learn as ONNX, held against the original on examples of its author's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.onnx_session import open_model

OPSETS = {"": 17, "ai.onnx.ml": 3}
"""Versions that the service's ONNX Runtime and many a release before it serve."""
TOLERANCE = 1e-3
"""Relative and absolute, as golden examples are compared."""
MOST = 100
"""Examples that are kept."""


@dataclass(frozen=True)
class Converted:
    """A model as ONNX, and what the original says."""

    path: Path
    golden: tuple[dict[str, Any], ...]
    """Infer requests with the original's answers."""
    labels: tuple[str, ...]
    """Of a classifier."""


def is_sklearn(model: object) -> bool:
    """Whether it is an estimator of scikit-learn, or speaks like one."""
    return all(hasattr(model, name) for name in ("get_params", "fit", "predict"))


def convert(model: Any, rows: Any, folder: Path) -> Converted:
    """Convert a fitted estimator, and compare what both make of the rows.

    Args:
        model: the estimator.
        rows: a DataFrame, or an array [n, columns] of texts and numbers, each column of which becomes an input of its
            own; or an array of numbers, which becomes one input.
        folder: where `model.onnx` is written.

    Raises:
        Permanent: (setting_missing: skl2onnx is not installed; model_not_onnx: it cannot be converted;
            model_not_servable: the converted model answers otherwise than the original; model_examples_wrong)
    """
    try:
        import skl2onnx  # noqa: F401 (looks whether it is there)
    except ImportError as fault:
        raise Permanent(
            Reason.SETTING_MISSING, "A model of scikit-learn is converted with skl2onnx: pip install skl2onnx."
        ) from fault
    classes = getattr(model, "classes_", None)
    tensors, made = _converted(model, _tensors(rows), {"zipmap": False} if classes is not None else None)
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    session = open_model(path, f"The converted {type(model).__name__}")
    outputs = [output.name for output in session.get_outputs()]
    expected, given = _predicted(model, rows), session.run(outputs, tensors)
    _compare(type(model).__name__, expected, given[0])
    labels = tuple(str(label) for label in classes) if classes is not None else ()
    return Converted(path, tuple(_golden(tensors, outputs[0], expected, bool(labels))), labels)


def _predicted(model: Any, rows: Any) -> list[Any]:
    """The original's answers, one for each row."""
    import numpy as np

    try:
        answers = np.asarray(model.predict(rows))
    except Exception as fault:  # whatever the estimator raises is about these rows
        raise _wrong(
            f"{type(model).__name__} does not take these rows: {' '.join(str(fault).split())[:300]}"
        ) from fault
    if answers.size != len(answers):
        raise _wrong(f"{type(model).__name__} answers several numbers for a row; one is compared, export it to ONNX")
    flat: list[Any] = answers.reshape(-1).tolist()
    return flat


def _converted(model: Any, tensors: dict[str, Any], options: dict[str, Any] | None) -> tuple[dict[str, Any], Any]:
    """The inputs that the model takes, and the model: most estimators take all columns as one input."""
    import numpy as np
    from skl2onnx import to_onnx

    ways = [tensors]
    if len(tensors) > 1 and all(values.dtype.kind in "fi" for values in tensors.values()):
        ways.append({"rows": np.hstack([values.astype(np.float32) for values in tensors.values()])})
    for number, way in enumerate(ways, 1):
        types = [(name, _onnx_type(values)) for name, values in way.items()]
        try:
            return way, to_onnx(model, initial_types=types, options=options, target_opset=OPSETS)
        except Exception as fault:  # the converters of many packages raise what they like
            if number == len(ways):
                why = " ".join(str(fault).split())[:300].rstrip(".")
                raise Permanent(
                    Reason.MODEL_NOT_ONNX, f"skl2onnx cannot convert {type(model).__name__}: {why}."
                ) from fault
    raise AssertionError("there is always a way")


def _tensors(rows: Any) -> dict[str, Any]:
    """Input name -> array [n, columns]."""
    import numpy as np

    if hasattr(rows, "columns"):
        found = {str(name): _column(str(name), rows[name].to_numpy()) for name in rows.columns}
    else:
        array = np.asarray(rows)
        if array.ndim != 2:
            raise _wrong("Rows are a DataFrame, or an array with a row for each example")
        if array.dtype.kind in "biuf":
            found = {"rows": array.astype(np.float32)}
        else:
            found = {f"column_{i}": _column(str(i), np.array(array[:, i].tolist())) for i in range(array.shape[1])}
    if not found or not len(next(iter(found.values()))):
        raise _wrong("There are no rows to try the model with; give examples=(rows, answers)")
    return found


def _column(name: str, values: Any) -> Any:
    import numpy as np

    if values.dtype.kind in "biu":
        return values.astype(np.int64).reshape(-1, 1)
    if values.dtype.kind == "f":
        return values.astype(np.float32).reshape(-1, 1)
    if len(values) and all(isinstance(value, str) for value in values):
        return values.astype(object).reshape(-1, 1)
    raise _wrong(f"Column {name} holds something else than numbers or texts")


def _onnx_type(values: Any) -> Any:
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    kinds = {"f": FloatTensorType, "i": Int64TensorType, "O": StringTensorType}
    return kinds[values.dtype.kind]([None, values.shape[1]])


def _compare(model: str, expected: Sequence[Any], given: Any) -> None:
    answers = given.reshape(-1).tolist()
    different = [number for number, value in enumerate(expected) if not _equal(value, answers[number])]
    if different:
        first = different[0]
        raise Permanent(
            Reason.MODEL_NOT_SERVABLE,
            f"The converted {model} answers {len(different)} of {len(answers)} examples otherwise than the original; "
            f"example {first} gives {answers[first]} and not {expected[first]}.",
        )


def _equal(one: Any, other: Any) -> bool:
    """Whether answers are the same; ONNX has whole numbers for labels that are truth values or floats."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return str(one) == str(other)


def _golden(tensors: dict[str, Any], output: str, expected: Sequence[Any], labelled: bool) -> list[dict[str, Any]]:
    found = []
    for number, answer in enumerate(expected[:MOST]):
        inputs = [_input(name, values[number]) for name, values in tensors.items()]
        known = {"label": str(answer)} if labelled else {"outputs": [{"name": output, "data": [float(answer)]}]}
        found.append({"inputs": inputs, **known})
    return found


def _input(name: str, row: Any) -> dict[str, Any]:
    datatype = {"f": "FP32", "i": "INT64", "O": "BYTES"}[row.dtype.kind]
    data = [None if isinstance(value, float) and math.isnan(value) else value for value in row.tolist()]
    return {"name": name, "datatype": datatype, "shape": [1, len(data)], "data": data}


def _wrong(fact: str) -> Permanent:
    return Permanent(Reason.MODEL_EXAMPLES_WRONG, f"{fact}.")
