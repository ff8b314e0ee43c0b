"""Would the service start with this model, and answer? Asked of the service itself, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from nightferry.entities.model_version import ModelManifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.trial import TrialReport

ANSWERS = 60
"""Seconds for the examples, beside those for the start."""
NEEDED = {"flask": "flask", "numpy": "numpy", "onnxruntime": "onnxruntime", "orjson": "orjson", "pillow": "PIL"}
"""The packages that the service's app is made of, and the modules that are in them: the extra `onnx`."""
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
"""Of the environment, what the trial gets: no setting of the service, no secret."""


def check_installed() -> None:
    """Complain at once where the service cannot be started here, before anything is read or asked.

    Raises:
        Permanent: (setting_missing)
    """
    lacking = [package for package, module in NEEDED.items() if find_spec(module) is None]
    if lacking:
        raise Permanent(
            Reason.SETTING_MISSING,
            "The service is started with a model before that is published, and not all that it needs is installed "
            f"here ({', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing): "
            "pip install 'nightferry[onnx]'.",
        )


def try_model(folder: Path, manifest: ModelManifest, ready_seconds: float) -> TrialReport:
    """Have the service's own loader open the model, compute, and answer the first golden examples.

    Args:
        folder: the version's folder, its files already verified.
        manifest: its model.json.
        ready_seconds: how long the service may take to start: what its most patient environment waits.

    Raises:
        Permanent: (model_not_servable, model_scores_wrong, model_golden_wrong, model_rows_dependent;
            setting_missing: a package is not installed, so nothing was tried)
    """
    limit = int(ready_seconds) + ANSWERS
    report = _run(folder, manifest, limit)
    model = f"model {manifest.version}"
    name = f"Model {manifest.version}"
    if report.missing:
        raise Permanent(
            Reason.SETTING_MISSING,
            f"{name} cannot be tried, as {sys.executable} lacks {report.missing}: pip install 'nightferry[onnx]'.",
        )
    if report.refused:
        why = report.refused.rstrip(".").replace(f"{folder.resolve()}/", "")
        raise Permanent(Reason.MODEL_NOT_SERVABLE, f"The service does not start with {model}: {why}.")
    if report.seconds > ready_seconds:
        raise Permanent(
            Reason.MODEL_NOT_SERVABLE,
            f"{name} took {report.seconds:.0f} s to start here, and the service's environments wait "
            f"{ready_seconds:g} s; make it smaller, or raise ready_seconds in the service file.",
        )
    if report.outside:
        raise Permanent(
            Reason.MODEL_SCORES_WRONG,
            f"{name} declares its scores as probabilities, but {report.outside}; end it with a softmax, or declare "
            '"scores": "logits" in model.json (--scores logits).',
        )
    _check_golden(name, report)
    if report.dependent:
        raise Permanent(
            Reason.MODEL_ROWS_DEPENDENT,
            f'{name} declares "rows": "independent", but {report.dependent}; leave rows out of model.json, and each '
            "request is computed alone.",
        )
    return report


def _check_golden(name: str, report: TrialReport) -> None:
    if not report.faults:
        return
    said = " ".join(fault.sentence for fault in report.faults)
    if any(fault.kind == "contract" for fault in report.faults):
        raise Permanent(
            Reason.MODEL_NOT_SERVABLE, f"{name} has golden examples that the service does not answer: {said}"
        )
    raise Permanent(
        Reason.MODEL_GOLDEN_WRONG,
        f"{name} does not give what its golden examples say: {said} Mend the examples, the member image, or the model.",
    )


def _run(folder: Path, manifest: ModelManifest, limit: int) -> TrialReport:
    done = run_apart("nightferry.steps.model.trial", folder, limit, manifest.version)
    try:
        return TrialReport.model_validate_json((done.stdout.splitlines() or [""])[-1])
    except ValidationError:
        return TrialReport(refused=how_it_ended(done))


def run_apart(module: str, folder: Path, limit: int, version: str) -> subprocess.CompletedProcess[str]:
    """Run a module with a version's folder in a process of its own, which may take `limit` seconds.

    Raises:
        Permanent: (model_not_servable) it took longer.
    """
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    words = [sys.executable, "-m", module, str(folder.resolve()), str(limit + 5)]
    try:
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as expired:
        raise Permanent(
            Reason.MODEL_NOT_SERVABLE,
            f"Model {version} did not start and answer within {limit} s; make it smaller, or raise ready_seconds in "
            "the service file.",
        ) from expired


def how_it_ended(done: subprocess.CompletedProcess[str]) -> str:
    """Why a process of `run_apart` said nothing."""
    if done.returncode == -signal.SIGKILL:
        return "it was killed while it opened the model, as when memory runs out"
    if done.returncode < 0:
        return f"opening the model ended the process ({signal.Signals(-done.returncode).name})"
    return (done.stderr.strip().splitlines() or [f"it ended with exit code {done.returncode}"])[-1][:300]
