"""What to say of a version that MLflow has and that is none of ours."""

from __future__ import annotations

from nightferry.clients.mlflow.errors import MISSING, Refusal
from nightferry.clients.mlflow.registry import Registered, Registry
from nightferry.clients.mlflow.server import MlflowServer
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

_DESCRIPTION = "MLmodel"
_LONGEST = 1024 * 1024


def not_ours(server: MlflowServer, registry: Registry, where: str, one: Registered) -> Permanent:
    """Why a version of MLflow is not released, and what to do."""
    version, name = f"version {one.number} of {registry.name}", f"models:/{registry.name}/{one.number}"
    if one.version:
        first = next(iter(registry.ours(one.version)), one)
        if first.number == one.number or first.sha256 == one.sha256:
            return Permanent(
                Reason.MODEL_UNKNOWN,
                f"There is no model {one.number} in {where}: MLflow's {version} is called {one.version} here.",
            )
        return Permanent(
            Reason.MODEL_EXISTS,
            f"MLflow's {version} calls itself {one.version}, as version {first.number} does, with other content; "
            "versions never change: publish it under a new name with `nightferry models publish`.",
        )
    if _is_onnx(server, registry, one):
        return Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"MLflow's {version} was registered without Nightferry and has no model.json that says what it is checked "
            f"against. Fetch it (`mlflow artifacts download -u {name} -d FOLDER`) and publish the folder: `nightferry "
            "models publish SERVICE FOLDER`.",
        )
    return Permanent(
        Reason.MODEL_NOT_ONNX,
        f"MLflow's {version} was registered without Nightferry and has no flavor onnx: opening it would run whatever "
        "code it holds. Log it with mlflow.onnx, or publish its file for an app of its own, with `nightferry models "
        "publish`.",
    )


def _is_onnx(server: MlflowServer, registry: Registry, one: Registered) -> bool:
    """Whether MLflow's own description names a flavor that can be served."""
    import yaml

    pieces: list[bytes] = []

    def sink(piece: bytes) -> None:
        pieces.append(piece)
        if sum(map(len, pieces)) > _LONGEST:
            raise ValueError("no description is so long")

    try:
        server.download(f"{registry.folder(one.number)}/{_DESCRIPTION}", sink)
        return "onnx" in yaml.safe_load(b"".join(pieces))["flavors"]
    except Refusal as refusal:
        if refusal.code != MISSING:
            raise
        return False
    except Permanent:  # its artifacts are elsewhere
        return False
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        return False
