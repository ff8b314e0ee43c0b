"""Test: the very image that would be released is started as production starts it, and has to answer.

The candidate runs without a network. The prober (`probe_service`, run from the deployer image) shares its network
namespace and talks to it over loopback, so nothing else can answer in its place and it can reach nothing.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping

from pydantic import ValidationError

from nightferry.clients.clock import Clock
from nightferry.clients.doors.container_runner import ContainerRunner
from nightferry.entities.app.contract import AppContract
from nightferry.entities.app.variables import variables
from nightferry.entities.frozen import Frozen
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.probe_report import EXIT_CONTRACT, EXIT_NOT_STARTED, EXIT_OK, ProbeReport
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.quantity import memory
from nightferry.entities.service_spec import Environment, ServiceSpec
from nightferry.errors import NightferryError, Permanent, Temporary

log = logging.getLogger(__name__)

PORT = 8080
END_SECONDS = 20
"""What is left of a pod's 30 s when it has answered on for 5, and something for a node with much to do."""
LOG_LINES = 12
"""How much of a failed candidate's output goes into the sentence."""
READY = (
    "python3",
    "-c",
    f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/readyz', timeout=2).read()",
)
"""What the kubelet's readiness probe does in production, done inside the candidate: it has no network."""


class TestedImage(Frozen):
    """An image that passed its tests. Only `explain_probe` makes one, and only of one can a release be published."""

    __test__ = False  # the name starts like a test class's; pytest must not collect it

    image: str
    """`repository@sha256:…`."""
    checked: int
    """How many answers were compared."""
    seconds: float


def candidate_name(release: str) -> str:
    """The candidate's container name: `nf-test-<release>`."""
    return f"nf-test-{release}"


def ready_seconds(spec: ServiceSpec) -> int:
    """How long the candidate may take to be ready: as long as the most patient environment waits for a pod."""
    return max(environment.ready_seconds for environment in spec.environments)


def start_candidate(
    runner: ContainerRunner,
    image: ImageRef,
    name: str,
    environment: Environment,
    passport: Mapping[str, str],
    app: AppContract | None = None,
) -> None:
    """Start the candidate as the environment would; one that an earlier try left behind under this name is removed
    first.

    Args:
        runner: the engine.
        image: the candidate, by digest.
        name: from `candidate_name`.
        environment: the last of the service's, whose settings and limit of memory the candidate gets.
        passport: its variables.
        app: its contract; None: it is the stock service, of which the engine itself can see whether it is ready.

    Raises:
        Permanent: (image_start_failed: the engine cannot run it, image_unknown, registry_denied, disk_full)
        Temporary: (docker_unavailable, registry_unavailable)
    """
    if remove(runner, name):
        log.info("Removed %s, which an earlier try left behind", name)
    given = variables(app, environment) | dict(passport)
    limit = memory(environment.resources.memory_limit)
    if app is None:
        runner.start(image, name, given, limit, READY)
    else:
        runner.start(image, name, given, limit, scratch=memory(app.scratch))


def wait_ready(runner: ContainerRunner, name: str, clock: Clock, seconds: float) -> None:
    """Wait until the candidate is ready; one that ends on its own fails at once.

    Raises:
        Permanent: (image_start_failed: it ended; with its last lines)
        Temporary: (image_start_failed: it was not ready in time, as on a machine that has too much to do;
            docker_unavailable)
    """
    deadline = clock.monotonic() + seconds
    while True:
        state = runner.state(name)
        if state is None:
            raise Temporary(Reason.DOCKER_UNAVAILABLE, f"The container {name} was removed while it was being tested.")
        if state.running and state.healthy:
            return
        if not state.running:
            raise start_failed(f"it {has_ended(runner, name)}", runner.logs(name, LOG_LINES))
        if clock.monotonic() > deadline:
            late = f"/readyz was not ready within {seconds:g} s"
            raise start_failed(late, runner.logs(name, LOG_LINES), Temporary)
        clock.sleep(0.2)


def has_ended(runner: ContainerRunner, name: str) -> str:
    """How a candidate ended by itself; empty while it runs. Raises Temporary (docker_unavailable)."""
    state = runner.state(name)
    if state is None or state.running:
        return ""
    return "ran out of memory" if state.out_of_memory else f"ended with exit code {state.exit_code}"


def check_end(runner: ContainerRunner, name: str, clock: Clock) -> None:
    """Ask an app's candidate to end, as Kubernetes does with each pod of a release before.

    Raises:
        Permanent: (image_contract_broken) it goes on.
        Temporary: (docker_unavailable)
    """
    runner.stop(name)
    deadline = clock.monotonic() + END_SECONDS
    while not has_ended(runner, name):
        if clock.monotonic() > deadline:
            raise Permanent(
                Reason.IMAGE_CONTRACT_BROKEN,
                f"The app goes on for {END_SECONDS} s after SIGTERM, so each release would break off its last answers. "
                "A shell that starts it keeps the signal to itself unless its last line begins with exec.",
            )
        clock.sleep(0.1)


def remove(runner: ContainerRunner, name: str) -> bool:
    """Remove the candidate; whether there was one. Raises Temporary (docker_unavailable)."""
    return runner.remove(name)


def explain_probe(
    image: ImageRef,
    exit_code: int,
    stdout: str,
    candidate_logs: str,
    late: type[NightferryError] = Permanent,
) -> TestedImage:
    """Turn what the prober reported into a result.

    Args:
        image: the candidate.
        exit_code: the prober's.
        stdout: its last line is the report as JSON.
        candidate_logs: the candidate's last lines.
        late: what an image is called that the prober did not find ready: Temporary where nobody waited before.

    Raises:
        Permanent: (image_start_failed, image_contract_broken, image_golden_wrong)
        Temporary: (docker_unavailable: the prober itself did not work; image_start_failed)
    """
    report = _report(stdout)
    if report is not None and exit_code == report.exit_code:
        if exit_code == EXIT_OK:
            return TestedImage(image=str(image), checked=report.checked, seconds=report.seconds)
        said = _some([fault.sentence for fault in report.faults])
        if exit_code == EXIT_NOT_STARTED:
            raise start_failed(said, candidate_logs, late)
        if exit_code == EXIT_CONTRACT:
            sentence = f"The image does not keep the service's HTTP contract: {said} Mend the app."
            raise Permanent(Reason.IMAGE_CONTRACT_BROKEN, sentence)
        sentence = f"The image gets the model's golden examples wrong: {said} Do app and model fit together?"
        raise Permanent(Reason.IMAGE_GOLDEN_WRONG, sentence)
    last = (stdout.strip().splitlines() or ["it wrote nothing"])[-1]
    raise Temporary(
        Reason.DOCKER_UNAVAILABLE, f"The prober ended with exit code {exit_code} and no report of its own: {last[:300]}"
    )


def start_failed(why: str, logs: str, kind: type[NightferryError] = Permanent) -> NightferryError:
    """The error of an image that does not start."""
    lines = " | ".join(line.strip() for line in logs.strip().splitlines()[-LOG_LINES:]) or "nothing"
    return kind(Reason.IMAGE_START_FAILED, f"The image does not start: {why.rstrip('.')}. Its last lines: {lines}")


def _some(faults: list[str]) -> str:
    more = f" And {len(faults) - 3} more." if len(faults) > 3 else ""
    return " ".join(faults[:3]) + more


def _report(stdout: str) -> ProbeReport | None:
    for line in reversed(stdout.strip().splitlines()):
        with contextlib.suppress(ValidationError):
            return ProbeReport.model_validate_json(line)
    return None
