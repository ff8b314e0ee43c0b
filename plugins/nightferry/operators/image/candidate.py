"""What the tasks that start a candidate image and have it asked share: the prober is the operator's own container, in
the candidate's network namespace, where nothing else can answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator

from nightferry import settings
from nightferry.clients.clock import Clock
from nightferry.clients.docker_engine.runner import DockerRunner, connect_docker
from nightferry.entities.candidate import Candidate
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.hooks.connections import connection
from nightferry.hooks.registry import REGISTRY
from nightferry.hooks.storage import STORAGE
from nightferry.operators.image.candidate_watch import ending_with
from nightferry.operators.of_service import OfService
from nightferry.operators.run_facts import DECISION
from nightferry.steps.image import test_image as tests

MODEL, ASKED = "/model", "/asked"


@dataclass(frozen=True)
class Started:
    """A candidate that is to be started and asked."""

    candidate: Candidate
    image: ImageRef
    model: Path
    """The folder of its model, readable for the prober."""
    name: str
    """Its container's."""
    release: str
    """What it is told that it is."""
    spec: ServiceSpec


@dataclass(frozen=True)
class Asking:
    """What the prober is told."""

    task: str = "probe"
    words: tuple[str, ...] = ()
    asked: Path | None = None
    """Another folder of a model that it reads, at /asked."""


class CandidateOperator(OfService, DockerOperator):
    """Runs the prober (the deployer image) beside a candidate, which has no network but its namespace, is started
    before it and removed after it, whatever happens."""

    _candidate_name = ""
    template_fields: Sequence[str] = (*DockerOperator.template_fields, "decision")

    def __init__(
        self,
        *,
        spec: ServiceSpec | None = None,
        decision: str = DECISION,
        storage_conn_id: str = STORAGE,
        registry_conn_id: str = REGISTRY,
        **kwargs: Any,
    ) -> None:
        super().__init__(image="", mount_tmp_dir=False, auto_remove="never", mem_limit="512m", xcom_all=True, **kwargs)
        self._spec = spec
        self.decision = decision
        self.storage_conn_id = storage_conn_id
        self.registry_conn_id = registry_conn_id

    def on_kill(self) -> None:
        """End the prober, and the candidate with it."""
        super().on_kill()
        if self.hook.client_created:
            tests.remove(DockerRunner(self.cli), self._candidate_name)

    @contextmanager
    def asked(self, context: Any, started: Started, clock: Clock, asking: Asking) -> Iterator[tuple[int, str, str]]:
        """Start the candidate, and ask it when it is ready: the prober's exit code and output, and the candidate's last
        lines. It runs while the block does.

        Raises:
            As `start_candidate` and `wait_ready`; Permanent (image_start_failed) it ended meanwhile.
        """
        self._candidate_name, self.container = started.name, None  # type: ignore[assignment]
        self._connect()
        runner, passport = DockerRunner(self.cli), _passport(started)
        try:
            environment, app = started.spec.environments[-1], started.candidate.app
            tests.start_candidate(runner, started.image, started.name, environment, passport, app)
            code, output = self._when_ready(context, started, clock, passport, asking)
            said = runner.logs(started.name, tests.LOG_LINES)
            ended = tests.has_ended(runner, started.name)
            if ended:
                raise tests.start_failed(f"it {ended}", said)
            yield code, output, said
        finally:
            tests.remove(runner, started.name)
            with suppress(NightferryError):  # the next test clears up more
                runner.keep_only(started.image)

    def tested(self, context: Any, started: Started, clock: Clock) -> tests.TestedImage:
        """Start the candidate, and ask it everything once. Raises as `asked`, `explain_probe` and `check_end`."""
        app = started.candidate.app
        with self.asked(context, started, clock, Asking()) as (code, output, said):
            found = tests.explain_probe(started.image, code, output, said, late=Temporary if app else Permanent)
            if app is not None:
                tests.check_end(DockerRunner(self.cli), started.name, clock)
            return found

    def _when_ready(
        self, context: Any, started: Started, clock: Clock, passport: dict[str, str], asking: Asking
    ) -> tuple[int, str]:
        app, seconds = started.candidate.app, tests.ready_seconds(started.spec)
        if app is None:
            tests.wait_ready(DockerRunner(self.cli), started.name, clock, seconds)
            return self._prober(context, started, passport, asking, [])
        # The prober waits itself until the app is ready: nothing is known of what is in its image.
        words = ["--app", json.dumps(app.to_json()), "--ready-seconds", str(seconds)]
        words += ["--address", f"http://127.0.0.1:{app.port}"]
        watching = DockerRunner(connect_docker(str(self.docker_url)))
        with ending_with(started.name, watching, lambda: self.container["Id"] if self.container else ""):
            return self._prober(context, started, passport, asking, words)

    def _connect(self) -> None:
        """Connect to the engine of this installation, with the registry's credentials."""
        now = settings.load()
        self.image = now.require("DEPLOYER_IMAGE")
        self.docker_url = now.docker_host
        if connection(self.registry_conn_id).login:
            self.docker_conn_id = self.registry_conn_id
        with _engine(self.docker_url):
            if now.registry_auth_file and not self.docker_conn_id:
                self.cli.reload_config(str(now.registry_auth_file))
            self.cli.ping()

    def _prober(
        self, context: Any, started: Started, passport: dict[str, str], asking: Asking, words: list[str]
    ) -> tuple[int, str]:
        """Run the operator's own container; its exit code and output."""
        self.network_mode = f"container:{started.name}"
        said = ["--passport", json.dumps(passport)] if asking.task == "probe" else []
        self.command = [asking.task, "--model", MODEL, *said, *words, *asking.words]
        folders = {MODEL: started.model} | ({ASKED: asking.asked} if asking.asked else {})
        self.mounts = [
            {"type": "bind", "source": str(folder), "target": place, "read_only": True}
            for place, folder in folders.items()
        ]
        owner = started.model.stat()
        if owner.st_uid:
            self.user = f"{owner.st_uid}:{owner.st_gid}"  # who can read the model for certain
        try:
            with _engine(self.docker_url):
                try:
                    lines: Any = DockerOperator.execute(self, context)
                except DockerContainerFailedException as failed:
                    lines = failed.logs
                state = self.cli.inspect_container(self.container["Id"])["State"]
            return int(state["ExitCode"]), "\n".join(lines or ())
        finally:
            if self.container:
                tests.remove(DockerRunner(self.cli), self.container["Id"])


def _passport(started: Started) -> dict[str, str]:
    """The variables that production sets, with which the candidate has to answer at /version."""
    candidate = started.candidate
    return {
        "NIGHTFERRY_SERVICE": started.spec.service,
        "NIGHTFERRY_ENVIRONMENT": "test",
        "NIGHTFERRY_RELEASE": started.release,
        "NIGHTFERRY_IMAGE": str(started.image),
        "NIGHTFERRY_MODEL": candidate.model.version,
        "NIGHTFERRY_MODEL_SHA256": candidate.model.sha256,
        "NIGHTFERRY_SOURCE": candidate.source.commit,
    }


@contextmanager
def _engine(address: Any) -> Iterator[None]:
    """Turn what the provider raises when the engine does not work into our error."""
    try:
        yield
    except NightferryError:
        raise
    except Exception as fault:
        why = str(fault).strip().splitlines() or [type(fault).__name__]
        raise Temporary(
            Reason.DOCKER_UNAVAILABLE, f"The Docker engine at {address} could not run the prober: {why[0][:300]}"
        ) from fault
