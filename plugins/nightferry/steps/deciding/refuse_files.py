"""Refuse a model that only an app of its own opens, where there is none."""

from __future__ import annotations

from nightferry.entities.model_version import FILES, ModelManifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


def refuse_files(manifest: ModelManifest, service: str, *, stock: bool) -> None:
    """Refuse a model of the format files where the stock service would have to open it.

    Raises:
        Permanent: (model_not_onnx)
    """
    if stock and manifest.format == FILES:
        raise Permanent(
            Reason.MODEL_NOT_ONNX,
            f"Model {manifest.version} is of the format files, and {service} is served by the stock service, which "
            "opens ONNX alone; export the model to ONNX, or give the service an app of its own (`source` in its file).",
        )
