"""What publishing runs in a process of its own: the service's own loader opens the model, and answers.

`python -m nightferry.steps.model.trial DIR SECONDS` prints a TrialReport as its last line. `try_model` starts it and
reads that: a model that takes all memory, or ends the process, ends this one.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightferry.clients.service_client import Answer, ServiceClient
from nightferry.entities.frozen import Frozen
from nightferry.entities.model_version import ModelManifest
from nightferry.entities.probe_report import Fault
from nightferry.steps.judging.golden_examples import ask_golden
from nightferry.steps.model.mixed_rows import mixing
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.model.onnx_graph import read_graphs
from nightferry.steps.model.rows_trial import refuted
from nightferry.steps.model.scores import golden_inputs, look_at_scores, zeros

if TYPE_CHECKING:
    from flask import Flask

EXAMPLES = 100
"""Golden examples that are asked; the image's own test asks them all."""
FAULTS = 3


class TrialReport(Frozen):
    """How the model did."""

    missing: str = ""
    """A package that this Python lacks, so that nothing could be tried."""
    refused: str = ""
    """Why the service does not start with it, or does not answer."""
    faults: tuple[Fault, ...] = ()
    """Golden examples that got no answer or a wrong one."""
    outside: str = ""
    """Scores declared as probabilities that cannot be any."""
    sums: str = ""
    """Rows of them that do not add up to 1."""
    dependent: str = ""
    """What shows that rows declared as independent are not."""
    seconds: float = 0.0
    """That the start took."""
    memory: int = 0
    """Bytes: the most that the process had."""


class InProcess(ServiceClient):
    """Speaks to the app without a connection."""

    def __init__(self, app: Flask) -> None:
        super().__init__("the service")
        self._app = app.test_client()
        self.parts = app.extensions["serving"]

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        answer = self._app.open(path, method=method, data=body, headers=dict(headers))
        return Answer(answer.status_code, answer.get_data(as_text=True))


def try_here(folder: Path) -> TrialReport:
    """Start the service with the model in `folder`, in this process, and ask it."""
    manifest, _ = read_manifest(folder)
    start = time.monotonic()
    try:
        client = InProcess(app_of(folder))
    except ImportError as error:
        return TrialReport(missing=str(error.name or error))
    except Exception as error:  # whatever it is, the service would have ended with it
        return TrialReport(refused=" ".join(str(error).split()) or type(error).__name__)
    seconds = time.monotonic() - start
    report = _asked(client, manifest, folder)
    if not report.refused and manifest.rows == "independent":
        report = report.model_copy(update={"dependent": _dependent(client.parts, manifest, folder)})
    return report.model_copy(update={"seconds": round(seconds, 3), "memory": _memory()})


def app_of(folder: Path) -> Flask:
    """The service's app with the model in `folder`. Raises whatever would end the service."""
    from serving_app.app import create_app
    from serving_app.settings import Settings

    return create_app(Settings(model_dir=folder))


def _asked(client: ServiceClient, manifest: ModelManifest, folder: Path) -> TrialReport:
    refused = _first_answer(client, manifest)
    if refused:
        return TrialReport(refused=refused)
    found = look_at_scores(client, manifest, folder, EXAMPLES)
    faults = list(_faults(client, manifest, folder))
    return TrialReport(faults=tuple(faults), outside=found.outside, sums=found.sums)


def _dependent(parts: Any, manifest: ModelManifest, folder: Path) -> str:
    found = next(mixing(read_graphs(folder / manifest.model)), "")
    if found:
        return found
    golden = [inputs for _, inputs in golden_inputs(manifest, folder, EXAMPLES)]
    examples = [parts.service.read_infer(json.dumps({"inputs": inputs}).encode()).arrays for inputs in golden]
    return refuted(parts.predictor.run, manifest, examples)


def _first_answer(client: ServiceClient, manifest: ModelManifest) -> str:
    """Ask once with zeros: every declared output has to be written into an answer."""
    inputs = zeros(manifest)
    if inputs is None:
        return ""
    answer = client.post(f"/v2/models/{manifest.service}/infer", {"inputs": inputs})
    if answer.status == 200:
        return ""
    return f"an input of zeros got the answer {answer.status}: {answer.said()}"


def _faults(client: ServiceClient, manifest: ModelManifest, folder: Path) -> Iterator[Fault]:
    left = FAULTS
    for fault in ask_golden(client, manifest, folder, EXAMPLES):
        if fault is not None:
            yield fault
            left -= 1
        if not left:
            return


def _memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) there and here
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def end_after(seconds: int) -> None:
    """Let this process end by then, whoever started it, and before any other when memory runs out."""
    signal.alarm(seconds)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def main(argv: list[str]) -> None:
    """Try, and say how it went."""
    folder, seconds = Path(argv[0]), int(argv[1])
    end_after(seconds)
    report = try_here(folder)
    sys.stdout.write(f"\n{report.model_dump_json()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
