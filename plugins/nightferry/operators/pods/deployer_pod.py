"""What the tasks that run the deployer in a pod have in common: KubernetesPodOperator, locked down."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager

from nightferry import settings
from nightferry.clients.airflow.api import DEPLOYER_POOL
from nightferry.entities.deployer_end import EXIT_PERMANENT, EXIT_TEMPORARY
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Environment
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.hooks.cluster import require_cluster
from nightferry.operators.pods.quick_pods import LOOK_SECONDS, QuickPodManager, exit_code
from nightferry.settings import PREFIX, Settings

DEPLOYER_LABELS = {"app.kubernetes.io/managed-by": "nightferry", "app.kubernetes.io/component": "deployer"}
SERVICE_ACCOUNT = "nightferry-deployer"
SECRET = "nightferry-storage"  # noqa: S105 (its name)
SECRET_FOLDER = "/var/run/secrets/nightferry/storage"  # noqa: S105
SECRET_KEY = "connection-string"  # noqa: S105
PASSED_ON = ("STORAGE_URL", "LEDGER", "SERVICE_TYPE")
"""Settings that the deployer needs too."""


class DeployerPodOperator(KubernetesPodOperator):
    """Runs one command of the deployer image in a namespace, with the service account that may touch it alone.

    The pod keeps to Pod Security "restricted". What it writes is shown in the task's log and never read for results.
    After a crash of Airflow the next try finds the pod again.
    """

    def __init__(self, *, command: str, cluster: str, namespace: str, labels: Mapping[str, str], **kwargs: Any) -> None:
        from kubernetes.client import models as k8s

        super().__init__(
            name=f"nightferry-{command.replace('_', '-')}",
            kubernetes_conn_id=cluster,
            namespace=namespace,
            labels={**DEPLOYER_LABELS, **labels},
            pool=DEPLOYER_POOL,
            weight_rule="upstream",  # what has begun goes before what waits: a verification before the next rollout
            service_account_name=SERVICE_ACCOUNT,
            automount_service_account_token=True,
            get_logs=True,
            log_pod_spec_on_failure=False,
            log_events_on_failure=True,
            startup_check_interval_seconds=LOOK_SECONDS,  # type: ignore[arg-type]  # it takes fractions
            startup_timeout_seconds=180,
            on_finish_action="delete_pod",
            security_context=k8s.V1PodSecurityContext(
                run_as_non_root=True,
                run_as_user=65532,
                run_as_group=65532,
                fs_group=65532,
                seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
            ),
            container_security_context=k8s.V1SecurityContext(
                allow_privilege_escalation=False,
                read_only_root_filesystem=True,
                capabilities=k8s.V1Capabilities(drop=["ALL"]),
            ),
            container_resources=k8s.V1ResourceRequirements(
                requests={"cpu": "100m", "memory": "96Mi"}, limits={"cpu": "1", "memory": "512Mi"}
            ),
            **kwargs,
        )
        self.command = command

    @cached_property
    def pod_manager(self) -> PodManager:
        """What watches the pod."""
        return QuickPodManager(kube_client=self.client, callbacks=self.callbacks, recorded=self.recorded)

    def recorded(self) -> bool:
        """Whether the record says that the pod's work is done. Of most of its work there is no record."""
        return False

    def execute(self, context: Any) -> Any:
        """Fill in what belongs to this installation, and run the pod."""
        require_cluster(str(self.kubernetes_conn_id))
        now = settings.load()
        self.image = now.require("DEPLOYER_IMAGE")
        if self.execution_timeout:  # should Airflow be gone by then, the cluster ends the pod
            self.active_deadline_seconds = int(self.execution_timeout.total_seconds())
        self.give_settings(now)
        try:
            return super().execute(context)
        except Exception as fault:
            raise self.explained(fault) from fault

    def patch_already_checked(self, pod: Any, *, reraise: bool = True) -> None:
        """Leave no mark on a pod that is about to be deleted.

        When deleting fails, as it does while Airflow is being killed, the provider's mark would hide the pod from the
        next try: that would start a second one beside it, and the first would stay for ever.
        """

    def explained(self, fault: Exception) -> NightferryError:
        """What a failed pod means: the deployer said that it was permanent or temporary, or did not come that far."""
        code = self.exit_code()
        sentence = f"The deployer in namespace {self.namespace} failed ({self.command}); the task's log has its output."
        if code == EXIT_PERMANENT:
            return Permanent(Reason.INTERNAL_ERROR, sentence)
        if code == EXIT_TEMPORARY:
            return Temporary(Reason.INTERNAL_ERROR, sentence)
        if getattr(fault, "status", None) in (401, 403):
            # Tried again all the same: an API server that has just started refuses everybody for a moment.
            return Temporary(
                Reason.CLUSTER_DENIED,
                f"The cluster of {self.kubernetes_conn_id} refuses a deployer pod in namespace {self.namespace}: "
                f"{getattr(fault, 'reason', fault)}. Check the rights of the connection's user there.",
            )
        how = f"ended with exit code {code}" if code is not None else "could not be run"
        return Temporary(
            Reason.CLUSTER_UNAVAILABLE,
            f"The deployer's pod in namespace {self.namespace} {how}: {_first_line(fault)}",
        )

    def exit_code(self) -> int | None:
        """The deployer's exit code; None while there is none."""
        return exit_code(self.remote_pod, self.base_container_name) if self.remote_pod else None

    def give_settings(self, now: Settings) -> None:
        """The deployer's settings, and its way to the ledger: a mounted secret, or on Azure the pod's own identity."""
        from kubernetes.client import models as k8s

        given = {PREFIX + name: now.get(name) for name in PASSED_ON}
        self.volumes = [k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="1Gi"))]
        self.volume_mounts = [k8s.V1VolumeMount(name="tmp", mount_path="/tmp")]  # noqa: S108 (the pod's own)
        if now.get("STORAGE_CONNECTION_FILE"):
            given[PREFIX + "STORAGE_CONNECTION_FILE"] = f"{SECRET_FOLDER}/{SECRET_KEY}"
            secret = k8s.V1SecretVolumeSource(secret_name=SECRET, default_mode=0o440)
            self.volumes.append(k8s.V1Volume(name="storage", secret=secret))
            self.volume_mounts.append(k8s.V1VolumeMount(name="storage", mount_path=SECRET_FOLDER, read_only=True))
        else:
            self.labels = {**self.labels, "azure.workload.identity/use": "true"}
        self.env_vars = [k8s.V1EnvVar(name=name, value=value) for name, value in given.items() if value]


def environment_labels(service: str, environment: Environment) -> dict[str, str]:
    """Labels that say which service and environment a deployer pod works for."""
    return {"nightferry.dev/service": service, "nightferry.dev/environment": environment.name}


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:300]
