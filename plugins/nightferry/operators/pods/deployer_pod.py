"""What the tasks that run the deployer in a pod have in common: KubernetesPodOperator, locked down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from nightferry import settings
from nightferry.clients.airflow.api import DEPLOYER_POOL
from nightferry.entities.deployer_end import EXIT_PERMANENT, EXIT_TEMPORARY
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.pod_needs import OS
from nightferry.entities.service_spec import Environment
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.hooks.cluster import require_cluster
from nightferry.manifests import deployer_pods
from nightferry.operators.pods.quick_end import LOOK_SECONDS, Ended, QuickEnd, exit_code
from nightferry.settings import Settings

DEPLOYER_LABELS = {"app.kubernetes.io/managed-by": "nightferry", "app.kubernetes.io/component": "deployer"}
NAMESPACE_LABEL = "nightferry.dev/namespace"


class DeployerPodOperator(KubernetesPodOperator):
    """Runs one command of the deployer image, in the namespace in which deployers alone run.

    Args:
        command: the deployer's task.
        cluster: the Airflow connection of the cluster.
        serves: the namespace that the deployer works for.
        labels: more labels, that say for whom.

    The pod keeps to Pod Security "restricted", and to the policy of its namespace. What it writes is shown in the
    task's log and never read for results. After a crash of Airflow the next try finds the pod again.
    """

    def __init__(self, *, command: str, cluster: str, serves: str, labels: Mapping[str, str], **kwargs: Any) -> None:
        from kubernetes.client import models as k8s

        super().__init__(
            name=f"nightferry-{command.replace('_', '-')}",
            kubernetes_conn_id=cluster,
            labels={**DEPLOYER_LABELS, NAMESPACE_LABEL: serves, **labels},
            service_account_name=deployer_pods.SERVICE_ACCOUNT,
            pool=DEPLOYER_POOL,
            weight_rule="upstream",  # what has begun goes before what waits: a verification before the next rollout
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
            node_selector={OS: "linux"},
            **kwargs,
        )
        self.command = command
        self.serves = serves

    def recorded(self) -> bool:
        """Whether the record says that the pod's work is done. It says so of no work that is not recorded."""
        return False

    def execute(self, context: Any) -> None:
        """Fill in what belongs to this installation, and run the pod."""
        require_cluster(str(self.kubernetes_conn_id))
        now = settings.load()
        self.image = now.require("DEPLOYER_IMAGE")
        if self.execution_timeout:  # should Airflow be gone by then, the cluster ends the pod
            self.active_deadline_seconds = int(self.execution_timeout.total_seconds())
        self.give_settings(now)
        self.callbacks = [QuickEnd(self, self.recorded)]  # type: ignore[list-item]  # an instance has them, too
        try:
            super().execute(context)
        except Ended:
            self.log.info("The deployer has ended well.")
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
        sentence = f"The deployer for namespace {self.serves} failed ({self.command}); the task's log has its output."
        if code == EXIT_PERMANENT:
            return Permanent(Reason.INTERNAL_ERROR, sentence)
        if code == EXIT_TEMPORARY:
            return Temporary(Reason.INTERNAL_ERROR, sentence)
        if getattr(fault, "status", None) in (401, 403):
            # Tried again all the same: an API server that has just started refuses everybody for a moment.
            return Temporary(
                Reason.CLUSTER_DENIED,
                f"The cluster of {self.kubernetes_conn_id} refuses a deployer pod in namespace {self.namespace}: "
                f"{_refusal(fault)} Check the rights of the connection's user there, and what the ConfigMap "
                f"{deployer_pods.ALLOWED} allows.",
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
        """Where the deployer runs, its settings, and its way to the ledger: a mounted secret, or on Azure the pod's own
        identity."""
        from kubernetes.client import models as k8s

        self.namespace = now.deployer_namespace
        self.volumes = [k8s.V1Volume(name="tmp", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit="1Gi"))]
        self.volume_mounts = [k8s.V1VolumeMount(name="tmp", mount_path="/tmp")]  # noqa: S108 (the pod's own)
        if now.storage_connection_file or now.s3_key_file or any(map(now.get, deployer_pods.MLFLOW_KEYS)):
            secret = k8s.V1SecretVolumeSource(secret_name=deployer_pods.SECRET, default_mode=0o440)
            self.volumes.append(k8s.V1Volume(name="storage", secret=secret))
            place = deployer_pods.SECRET_FOLDER
            self.volume_mounts.append(k8s.V1VolumeMount(name="storage", mount_path=place, read_only=True))
        if not now.storage_connection_file:
            self.labels = {**self.labels, "azure.workload.identity/use": "true"}
        variables = deployer_pods.environment(now.get)
        self.env_vars = [k8s.V1EnvVar(name=name, value=value) for name, value in variables.items()]


def environment_labels(service: str, environment: Environment) -> dict[str, str]:
    """Labels that say which service and environment a deployer pod works for."""
    return {"nightferry.dev/service": service, "nightferry.dev/environment": environment.name}


def _refusal(fault: Exception) -> str:
    """Why the API server refused: its own words where it said any."""
    try:
        said = str(json.loads(str(getattr(fault, "body", "")))["message"])
    except (ValueError, KeyError, TypeError):
        said = str(getattr(fault, "reason", None) or fault)
    return said.rstrip(".")[:600] + "."


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:300]
