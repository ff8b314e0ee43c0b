"""Nightferry: nightly releases of AI services, with a record that answers an auditor."""

from typing import Any

__version__ = "0.1.0"


def publish(service: str, model: Any, **said: Any) -> str:
    """Publish a model from a notebook; the name of its version.

    Args:
        service: the service, as in its service file.
        model: an estimator of scikit-learn, which is converted to ONNX and compared with the original on the examples,
            or, where the service has an app of its own, kept as `model.joblib`; an ONNX model; or the path of a file or
            folder, as `nightferry models publish` takes it.
        said: `examples`, of an estimator `(rows, answers)` or `rows`, else a path, or, for an app of its own, a list of
            exchanges `{"request": {"post": "/predict", "json": …}, "answer": {"json": …}}`; `metrics={"auc": 0.91}`;
            `labels`; `scores`; `version`; `author`.

    Raises:
        NightferryError: it is not published; the sentence says why.
    """
    from nightferry.notebook import publish as published

    return published(service, model, **said)
