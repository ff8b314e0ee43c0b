"""The task that tests the image: the very image, started as production starts it, has to answer rightly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator

from nightferry import settings
from nightferry.clients.clock import Clock, SystemClock
from nightferry.clients.docker_engine.runner import DockerRunner, connect_docker
from nightferry.entities.app.contract import AppContract
from nightferry.entities.decision import Decision
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.hooks.connections import connection
from nightferry.hooks.registry import REGISTRY
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.operators.failures import reported
from nightferry.operators.image.candidate_watch import ending_with
from nightferry.operators.model.check_model import MODEL_FOLDER
from nightferry.operators.run_facts import DECISION, left_nothing, read_decision
from nightferry.operators.step import present_model
from nightferry.steps.image import test_image as tests
from nightferry.steps.record.record import record_step

CANDIDATE = "{{ (ti.xcom_pull(task_ids='build_image') or {}).get('candidate_image', '') }}"
"""The template of a field that holds the built image."""
MODEL = "/model"


class TestImageOperator(DockerOperator):
    """Runs the prober (the deployer image) beside the candidate, in its network namespace; nothing else can answer.

    The operator's own container is the prober. The candidate, which has no network but that namespace, is started
    before it and removed after it, whatever happens.
    """

    __test__ = False  # the name starts like a test class's; pytest must not collect it
    _candidate_name = ""
    template_fields: Sequence[str] = (*DockerOperator.template_fields, "decision", "candidate", "model_folder")

    def __init__(
        self,
        *,
        spec: ServiceSpec,
        decision: str = DECISION,
        candidate: str = CANDIDATE,
        model_folder: str = MODEL_FOLDER,
        storage_conn_id: str = STORAGE,
        registry_conn_id: str = REGISTRY,
        **kwargs: Any,
    ) -> None:
        super().__init__(image="", mount_tmp_dir=False, auto_remove="never", mem_limit="512m", xcom_all=True, **kwargs)
        self.spec = spec
        self.decision = decision
        self.candidate = candidate
        self.model_folder = model_folder
        self.storage_conn_id = storage_conn_id
        self.registry_conn_id = registry_conn_id

    def execute(self, context: Any) -> Any:
        """Test the candidate, and pass on the tested image."""
        with reported(context):
            decision, clock = read_decision(self.decision), SystemClock()
            if decision.image:
                self.log.info("Not needed: %s is rolled out again with new settings", decision.image)
                return {}
            began = clock.monotonic()
            tested = self._test(context, decision, clock)
            record_step(
                StorageHook(self.storage_conn_id).ledger_store(),
                clock,
                decision,
                self.task_id,
                sentence=f"{tested.checked} answers of the running image are right.",
                seconds=clock.monotonic() - began,
                data={"checked": tested.checked},
            )
        return tested.to_json()

    def on_kill(self) -> None:
        """End the prober, and the candidate with it."""
        super().on_kill()
        if self.hook.client_created:
            tests.remove(DockerRunner(self.cli), self._candidate_name)

    def _test(self, context: Any, decision: Decision, clock: Clock) -> tests.TestedImage:
        folder = present_model(self.model_folder, decision, self.spec, self.storage_conn_id)
        if not self.candidate:
            raise left_nothing("build_image")
        image = ImageRef.parse(self.candidate)
        self._candidate_name = tests.candidate_name(str(decision.release))
        self._connect()
        runner = DockerRunner(self.cli)
        passport, app = self._passport(decision), decision.candidate.app
        try:
            tests.start_candidate(runner, image, self._candidate_name, self.spec.environments[-1], passport, app)
            if app is None:
                tests.wait_ready(runner, self._candidate_name, clock, tests.ready_seconds(self.spec))
                code, output = self._probe(context, folder, passport, [])
            else:
                code, output = self._probe_app(context, folder, passport, app)
            said = runner.logs(self._candidate_name, tests.LOG_LINES)
            ended = tests.has_ended(runner, self._candidate_name)
            if ended:
                raise tests.start_failed(f"it {ended}", said)
            tested = tests.explain_probe(image, code, output, said, late=Temporary if app else Permanent)
            if app is not None:
                tests.check_end(runner, self._candidate_name, clock)
            return tested
        finally:
            tests.remove(runner, self._candidate_name)
            with suppress(NightferryError):  # the next test clears up more
                runner.keep_only(image)

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

    def _probe_app(self, context: Any, folder: Path, passport: dict[str, str], app: AppContract) -> tuple[int, str]:
        """Have the prober wait itself until the app is ready: nothing is known of what is in its image."""
        words = ["--app", json.dumps(app.to_json()), "--ready-seconds", str(tests.ready_seconds(self.spec))]
        words += ["--address", f"http://127.0.0.1:{app.port}"]
        runner = DockerRunner(connect_docker(str(self.docker_url)))
        with ending_with(self._candidate_name, runner, lambda: self.container["Id"] if self.container else ""):
            return self._probe(context, folder, passport, words)

    def _probe(self, context: Any, folder: Path, passport: dict[str, str], words: list[str]) -> tuple[int, str]:
        """Run the operator's own container; its exit code and output."""
        self.network_mode = f"container:{self._candidate_name}"
        self.command = ["probe", "--model", MODEL, "--passport", json.dumps(passport), *words]
        self.mounts = [{"type": "bind", "source": str(folder), "target": MODEL, "read_only": True}]
        owner = folder.stat()
        if owner.st_uid:
            self.user = f"{owner.st_uid}:{owner.st_gid}"  # who can read the model for certain
        try:
            with _engine(self.docker_url):
                try:
                    lines: Any = super().execute(context)
                except DockerContainerFailedException as failed:
                    lines = failed.logs
                state = self.cli.inspect_container(self.container["Id"])["State"]
            return int(state["ExitCode"]), "\n".join(lines or ())
        finally:
            if self.container:
                tests.remove(DockerRunner(self.cli), self.container["Id"])

    def _passport(self, decision: Decision) -> dict[str, str]:
        """The variables that production sets, with which the candidate has to answer at /version."""
        candidate = decision.candidate
        return {
            "NIGHTFERRY_SERVICE": self.spec.service,
            "NIGHTFERRY_ENVIRONMENT": "test",
            "NIGHTFERRY_RELEASE": str(decision.release),
            "NIGHTFERRY_IMAGE": self.candidate,
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
