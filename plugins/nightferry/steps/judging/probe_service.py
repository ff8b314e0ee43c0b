"""Probe: does the service that answers here keep its contract, say who it is, and know its golden examples?

Used on a candidate image (by the prober in its network namespace), on a release beside the one in use, and on a live
Service, always the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.service_client import ServiceClient
from nightferry.entities.model_version import MANIFEST, ModelManifest, Tensor, manifest_sha256
from nightferry.entities.probe_report import (
    EXIT_CONTRACT,
    EXIT_GOLDEN,
    EXIT_NOT_STARTED,
    EXIT_OK,
    Fault,
    ProbeReport,
)
from nightferry.steps.judging.golden_examples import ask_golden
from nightferry.steps.judging.patient_asking import ask_patiently, await_answer

__all__ = ["EXIT_CONTRACT", "EXIT_GOLDEN", "EXIT_NOT_STARTED", "EXIT_OK", "Fault", "ProbeReport", "probe_service"]

PASSPORT = {
    "NIGHTFERRY_SERVICE": ("service",),
    "NIGHTFERRY_ENVIRONMENT": ("environment",),
    "NIGHTFERRY_RELEASE": ("release",),
    "NIGHTFERRY_IMAGE": ("image",),
    "NIGHTFERRY_MODEL": ("model", "version"),
    "NIGHTFERRY_MODEL_SHA256": ("model", "sha256"),
    "NIGHTFERRY_SOURCE": ("source",),
}
"""The container's variable -> where /version has to say the same."""


def probe_service(
    address: str,
    manifest: ModelManifest,
    model_folder: Path,
    passport: Mapping[str, str] | None,
    clock: Clock,
    ready_seconds: float,
) -> ProbeReport:
    """Ask everything once; every fault is found, not the first alone, up to fifty.

    Args:
        address: `http://host:port`.
        manifest: of the model that has to answer.
        model_folder: where model.json and the golden examples' files are.
        passport: the NIGHTFERRY_… variables that the container was given; what is in it has to come back.
        clock: for the wait and the time taken.
        ready_seconds: how long to wait for /readyz.

    Raises:
        OSError: model.json or a golden example's file cannot be read.
    """
    client = ServiceClient(address)
    return ask_patiently(
        lambda: _wait_ready(client, clock, ready_seconds),
        lambda: _checks(client, manifest, model_folder, passport or {}),
        clock,
    )


def _wait_ready(client: ServiceClient, clock: Clock, seconds: float) -> Fault | None:
    def look() -> str:
        status = client.get("/readyz").status
        return "" if status == 200 else f"/readyz says {status}"

    said = await_answer(look, clock, seconds)
    if not said:
        return None
    return Fault(kind="start", sentence=f"{client.address} was not ready within {seconds:g} s: {said}.")


def _checks(
    client: ServiceClient, manifest: ModelManifest, folder: Path, passport: Mapping[str, str]
) -> Iterator[Fault | None]:
    yield _status(client, "/livez")
    yield _status(client, "/", "Healthy")
    if client.get("/metrics").status != 404:  # they may be on a port of their own, which users do not reach
        yield _status(client, "/metrics", "# TYPE ", anywhere=True)
    yield _status(client, "/v2/health/live")
    yield _status(client, "/v2/health/ready")
    yield from _passport(client, _identity(manifest, folder) | dict(passport))
    yield _metadata(client, manifest)
    yield _content_type(client)
    yield from ask_golden(client, manifest, folder)


def _status(client: ServiceClient, path: str, text: str = "", *, anywhere: bool = False) -> Fault | None:
    answer = client.get(path)
    if answer.status != 200:
        return Fault(kind="contract", sentence=f"GET {path} should answer 200, got {answer.status}.")
    if not (text in answer.text if anywhere else answer.text.startswith(text)):
        return Fault(kind="contract", sentence=f"GET {path} should say {text.strip()!r}, got {answer.text[:80]!r}.")
    return None


def _identity(manifest: ModelManifest, folder: Path) -> dict[str, str]:
    """What /version has to say whoever started the container."""
    return {
        "NIGHTFERRY_SERVICE": manifest.service,
        "NIGHTFERRY_MODEL": manifest.version,
        "NIGHTFERRY_MODEL_SHA256": manifest_sha256((folder / MANIFEST).read_bytes()),
    }


def _passport(client: ServiceClient, expected: Mapping[str, str]) -> Iterator[Fault | None]:
    answer = client.get("/version")
    document = answer.document()
    if answer.status != 200 or not isinstance(document, dict):
        yield Fault(kind="contract", sentence=f"GET /version should answer the passport as JSON, got {answer.status}.")
        return
    for variable, where in PASSPORT.items():
        if variable not in expected:
            continue
        got: Any = document
        for key in where:
            got = got.get(key) if isinstance(got, dict) else None
        if got == expected[variable]:
            yield None
        else:
            sentence = f"GET /version should say {'.'.join(where)} {expected[variable]}, got {got}."
            yield Fault(kind="passport", sentence=sentence)


def _metadata(client: ServiceClient, manifest: ModelManifest) -> Fault | None:
    path = f"/v2/models/{manifest.service}"
    answer = client.get(path)
    document = answer.document()
    if answer.status != 200 or not isinstance(document, dict):
        return Fault(kind="contract", sentence=f"GET {path} should answer the model's metadata, got {answer.status}.")
    for member, declared in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        if document.get(member) != [_tensor(tensor) for tensor in declared]:
            return Fault(
                kind="contract", sentence=f"GET {path} says other {member} than model.json: {document.get(member)}."
            )
    return None


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _content_type(client: ServiceClient) -> Fault | None:
    answer = client.post("/score", {"input": "[]"}, content_type="text/plain")
    if answer.status == 415:
        return None
    return Fault(kind="contract", sentence=f"POST /score as text/plain should answer 415, got {answer.status}.")
