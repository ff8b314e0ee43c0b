"""`nightferry up`: from whatever state the machine is in to a sandbox that works.

Every step looks first whether its work is done, so `up` may be run at any time and after any interruption.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from nightferry.clients.azure.ledger import NOTES as LEDGER_NOTES
from nightferry.clients.clock import SystemClock
from nightferry.clients.versions.opening import LOCKS
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import deployer_pods
from nightferry.sandbox import choices, secrets_files, state
from nightferry.sandbox.airflow import database, pools
from nightferry.sandbox.airflow import parts as airflow_parts
from nightferry.sandbox.assembly import Assembly
from nightferry.sandbox.build import base_image, binaries, cache, debian_13, images, toolchain
from nightferry.sandbox.build.buildkit import Buildkit
from nightferry.sandbox.extras import ExtraSteps
from nightferry.sandbox.gateway_steps import GatewaySteps
from nightferry.sandbox.graph import Step, run_all
from nightferry.sandbox.kubernetes import cluster_objects, pki
from nightferry.sandbox.kubernetes import parts as kubernetes_parts
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import cgroups, firewall, leftovers, network, ownership, packages, ports
from nightferry.sandbox.machine.environment import base_environment
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.state import State
from nightferry.sandbox.stores import containers as storage_containers
from nightferry.sandbox.stores import parts as store_parts
from nightferry.sandbox.supervise.kube_api import KubeApi
from nightferry.sandbox.supervise.supervision import Supervisor
from nightferry.settings import PREFIX, Settings

FIRST_GIGABYTES = 5.0
LATER_GIGABYTES = 0.5
CLUSTER_FILES = ("cluster files",)


def up(
    settings: Settings,
    layout: Layout,
    progress: Progress,
    *,
    browser: bool = False,
    wanted: frozenset[str] = frozenset(),
) -> State:
    """Start what does not run, install what is missing. Returns when every part works.

    Args:
        browser: install one too, and a proxy, for the tests of the service.
        wanted: extras to add to those that were asked for before.

    Raises:
        Permanent: something keeps a part from working; the sentence says what.
    """
    layout.prepare()
    with ownership.exclusively(layout):
        ownership.refuse_another(layout)
        return _Up(settings, layout, progress, browser, wanted).run()


class _Up:
    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        progress: Progress,
        browser: bool,
        wanted: frozenset[str] = frozenset(),
    ) -> None:
        self.wanted = wanted
        self.settings, self.layout, self.progress, self.browser = settings, layout, progress, browser
        self.root, self.logs = layout.root, layout.home / "logs"
        self.supervisor = Supervisor(layout)
        self.stop = threading.Event()
        self.assembly = Assembly(layout, self.supervisor, progress, self.stop)
        self.environment = base_environment(layout)
        self.programs: dict[str, Path] = {}
        self.pause_image = ""
        self.no_debian_13: str | None = None

    def run(self) -> State:
        """Do every step."""
        kept = state.read(self.layout)
        cache.check_space(self.layout.home, LATER_GIGABYTES if kept.settings else FIRST_GIGABYTES)
        running = self.supervisor.answers()
        if not running:
            leftovers.end(self.layout)
        wanted = tuple(sorted({*kept.extras, *self.wanted}))
        self.choices = choices.make(self.settings, self.layout, wanted)
        self._refuse_another_cluster()
        self.ports = ports.choose(kept.ports, running)
        secrets_files.ensure(self.layout)
        chosen = choices.sandbox_settings(self.settings, self.layout, self.choices, self.ports)
        self.state = State(chosen, self.ports, wanted)
        secrets_files.write_connections(self.layout, self.state.settings)
        ownership.claim(self.layout, own_docker=self.choices.docker)
        self.had_images = "NIGHTFERRY_DEPLOYER_IMAGE" in kept.settings
        self.had_debian_13 = "NIGHTFERRY_BASE_IMAGE_DEBIAN_13" in kept.settings
        self._keep({name: kept.settings[name] for name in KEPT if name in kept.settings})
        binaries.announce(self.progress, self.root, self._compiled())
        run_all(self.steps(), self.stop)
        binaries.discard_leftovers()
        self.assembly.complete()
        cache.hand_over_all()
        return self.state

    def steps(self) -> list[Step]:
        """What to do, and what must be done before it."""
        steps = [
            Step("packages", self._packages),
            Step("control group", cgroups.ensure),
            Step("network", network.ensure, ("packages",)),
            Step("supervisor", lambda: self.supervisor.launch(self.environment)),
            Step("buildctl", self._buildctl),
            Step("images", self._images, ("registry", "buildkitd", "buildctl", "pause image")),
            *self._store_steps(),
            *self._debian_13_steps(),
            *self._airflow_steps(),
            *ExtraSteps(
                self.choices.extras, self.layout, self.ports, self.assembly, self._compile, self.progress
            ).steps(),
        ]
        if self.choices.cluster:
            steps += self._cluster_steps()
        return steps

    def _store_steps(self) -> list[Step]:
        bring = self.assembly.bring
        steps = []
        if self.choices.docker:
            needs: tuple[str, ...] = ("supervisor", "packages", "control group")
            steps.append(Step("dockerd", lambda: bring(store_parts.dockerd(self.layout)), needs))
        if self.choices.registry:
            needs = ("supervisor", "packages")
            steps.append(Step("registry", lambda: bring(store_parts.registry(self.layout, self.ports)), needs))
        if self.choices.storage:
            steps.append(Step("azurite", self._azurite, ("supervisor", "network")))
            steps.append(Step("storage containers", self._storage_containers, ("azurite",)))
        if self.choices.buildkit:
            needs = ("supervisor", "packages", "control group", "buildctl")
            steps.append(Step("buildkitd", self._buildkitd, needs))
        if not self.had_images and not self.settings.own("BASE_IMAGE"):
            needs = ("packages",)
            steps.append(Step("base image", lambda: base_image.prefetch(self.progress, self.logs), needs))
        return steps

    def _debian_13_steps(self) -> list[Step]:
        """After those of the usual base, which everything waits for."""
        if self.settings.own("BASE_IMAGE_DEBIAN_13"):
            return []
        steps = [Step("image of debian 13", self._debian_13, ("images", "packages of debian 13"))]
        if not self.had_debian_13:
            steps.append(Step("packages of debian 13", self._debian_13_packages, ("packages", "base image")))
        return steps

    def _cluster_steps(self) -> list[Step]:
        return [
            Step("cluster programs", self._cluster_programs, ("buildctl", "buildkitd")),
            Step("pause image", self._pause, ("cluster programs", "registry", "buildkitd", "buildctl")),
            Step("cluster files", self._cluster_files, ("supervisor", "cluster programs", "pause image", "network")),
            self._start("etcd", CLUSTER_FILES),
            self._start("containerd", (*CLUSTER_FILES, "control group")),
            self._start("kube-apiserver", ("etcd",)),
            self._start("kube-controller-manager", ("kube-apiserver",)),
            self._start("kube-scheduler", ("kube-apiserver",)),
            self._start("kubelet", ("kube-apiserver", "containerd")),
            self._start("kube-proxy", ("kube-apiserver",)),
            Step("cluster objects", self._cluster_objects, ("kube-apiserver",)),
            Step("allowed deployer", self._allow_deployer, ("cluster objects", "images")),
            self._start("coredns", ("cluster objects",)),
            *GatewaySteps(self.layout, self.ports, self.progress, self.assembly, self._kube_api).steps(),
        ]

    def _airflow_steps(self) -> list[Step]:
        parts = airflow_parts.all_parts(self.layout, self.ports, choices.given(self.settings))
        return [
            Step("airflow files", lambda: self.assembly.define(parts), ("supervisor",)),
            Step("postgresql", self._postgresql, ("supervisor", "packages")),
            Step("airflow database", self._airflow_database, ("airflow files", "postgresql")),
            Step("airflow pools", self._airflow_pools, ("airflow-api-server",)),
            *(self._start(part.name, ("airflow files", "airflow database")) for part in parts),
        ]

    def _start(self, name: str, needs: tuple[str, ...]) -> Step:
        return Step(name, lambda: self.assembly.start(name), needs)

    def _packages(self) -> None:
        wanted: list[str] = [*packages.DATABASE]
        for ours, names in (
            (self.choices.registry, packages.REGISTRY),
            (self.choices.docker, packages.DOCKER),
            (self.choices.buildkit, packages.BUILDKIT),
            (self.choices.storage or self.choices.cluster, ("iproute2",)),
            (self.choices.cluster, packages.KUBERNETES),
        ):
            wanted += names if ours else ()
        wanted += (*packages.browser(), *packages.PROXY) if self.browser else ()
        packages.ensure(self.progress, self.logs, wanted)

    def _buildctl(self) -> None:
        own = self.settings.own("BUILDCTL")
        if own:
            self.programs["buildctl"] = Path(own)
        else:
            self._compile("buildctl")
            self._keep({"NIGHTFERRY_BUILDCTL": str(self.programs["buildctl"])})

    def _compiled(self) -> list[str]:
        ours = {
            "buildctl": self.settings.own("BUILDCTL") is None,
            "buildkit": self.choices.buildkit,
            "kubernetes": self.choices.cluster,
            "gateway": self.choices.cluster,
        }
        compiled = [part for part, wanted in ours.items() if wanted]
        return compiled + [name for name in self.choices.extras if name in binaries.PARTS]

    def _compile(self, part: str) -> dict[str, Path]:
        self.programs |= binaries.ensure(self.progress, self.root, self.logs, [part])
        return self.programs

    def _buildkitd(self) -> None:
        self._compile("buildkit")
        registry = self.state.settings["NIGHTFERRY_REGISTRY"] if self.choices.registry else None
        program, buildctl = self.programs["buildkitd"], self.programs["buildctl"]
        self.assembly.bring(store_parts.buildkitd(self.layout, registry, program, buildctl))

    def _azurite(self) -> None:
        program = toolchain.azurite(self.progress, self.root, self.logs)
        self.assembly.bring(store_parts.azurite(self.layout, self.ports, program))
        program = toolchain.azurite(self.progress, self.root, self.logs, "queue")
        self.assembly.bring(store_parts.azurite_queue(self.layout, self.ports, program))

    def _connection_string(self) -> str | None:
        text = self._secret("STORAGE_CONNECTION_FILE")
        return text.strip() if text else None

    def _secret(self, setting: str) -> str | None:
        file = self.state.settings.get(PREFIX + setting)
        return Path(file).read_text(encoding="utf-8") if file else None

    def _storage_containers(self) -> None:
        ledger = self.state.settings["NIGHTFERRY_LEDGER"]
        storage_containers.ensure(
            self._connection_string() or "", (storage_containers.MODELS, LOCKS, ledger, ledger + LEDGER_NOTES)
        )
        storage_containers.ensure_queue(self._connection_string() or "", storage_containers.EVENTS)

    def _cluster_programs(self) -> None:
        self._compile("kubernetes")

    def _builder(self) -> Buildkit:
        auth = self.settings.own("REGISTRY_AUTH_FILE")
        given = self.state.settings
        return Buildkit(
            self.programs["buildctl"],
            given["NIGHTFERRY_BUILDKIT"],
            given["NIGHTFERRY_REGISTRY"],
            Path(auth) if auth else None,
        )

    def _pause(self) -> None:
        builder, program = self._builder(), self.programs["pause"]
        self.pause_image = images.pause_ensure(self.progress, self.root, self.logs, builder, program)

    def _images(self) -> None:
        own = self.settings.own("BASE_IMAGE")
        builder = self._builder()
        base = own or base_image.ensure(self.progress, self.root, self.logs, builder)
        deployer = self.settings.own("DEPLOYER_IMAGE") or images.deployer_ensure(
            self.progress, self.root, self.logs, builder, base
        )
        self._keep({"NIGHTFERRY_BASE_IMAGE": base, "NIGHTFERRY_DEPLOYER_IMAGE": deployer})

    def _debian_13_packages(self) -> None:
        self.no_debian_13 = debian_13.prefetch(self.progress, self.logs)

    def _debian_13(self) -> None:
        made = debian_13.ensure(self.progress, self.root, self.logs, self._builder(), self.no_debian_13)
        self._keep({"NIGHTFERRY_BASE_IMAGE_DEBIAN_13": made} if made else {})

    def _cluster_files(self) -> None:
        parts = kubernetes_parts.all_parts(
            self.layout,
            self.ports,
            self.programs,
            pause_image=self.pause_image,
            registry=self.state.settings["NIGHTFERRY_REGISTRY"] if self.choices.registry else None,
            plugins=packages.cni_folder() or packages.CNI_FOLDERS[0],
        )
        self.assembly.define(parts)

    def _kube_api(self) -> KubeApi:
        return KubeApi(kubernetes_parts.server(self.ports), pki.ensure(self.layout).client("admin"))

    def _deployer_namespace(self) -> str:
        return self.settings.own("DEPLOYER_NAMESPACE") or deployer_pods.NAMESPACE

    def _cluster_objects(self) -> None:
        storage, s3_key = self._connection_string(), self._secret("S3_KEY_FILE")
        mlflow = {key: text for name, key in deployer_pods.MLFLOW_KEYS.items() if (text := self._secret(name))}
        cluster_objects.apply(self._kube_api(), storage, self._deployer_namespace(), s3_key, mlflow)

    def _allow_deployer(self) -> None:
        given = self.state.settings
        variables = deployer_pods.environment(lambda name: given.get(f"{PREFIX}{name}"))
        image = given["NIGHTFERRY_DEPLOYER_IMAGE"]
        cluster_objects.allow_deployer(self._kube_api(), image, variables, self._deployer_namespace())

    def _postgresql(self) -> None:
        self.assembly.bring(database.prepare(self.layout, self.supervisor, self.environment, self.progress))

    def _airflow_pools(self) -> None:
        now = Settings(self.root, self.layout.home, self.settings.environment)  # nothing that the last start wrote
        pools.set_pools(self.layout, self.ports, now, SystemClock())

    def _airflow_database(self) -> None:
        database.set_up(self.layout)
        airflow_parts.migrate(self.layout, self.ports, self.environment, self.progress)

    def _keep(self, more: dict[str, str]) -> None:
        with _STATE_LOCK:
            given = choices.given(self.settings)
            self.state = replace(self.state, settings={**self.state.settings, **more, **given})
            state.write(self.layout, self.state)

    def _refuse_another_cluster(self) -> None:
        holder = ownership.holder(self.layout)
        ours = holder is not None and holder.boot == ownership.boot_id()
        if self.choices.cluster and not ours and firewall.another_cluster():
            sentence = (
                "Another Kubernetes runs on this machine (there are kube-proxy's packet rules). Stop it, or use it: "
                "NIGHTFERRY_KUBECONFIG=<its kubeconfig> nightferry up"
            )
            raise Permanent(Reason.SANDBOX_FAILED, sentence)


KEPT = tuple(PREFIX + name for name in ("BUILDCTL", "BASE_IMAGE", "BASE_IMAGE_DEBIAN_13", "DEPLOYER_IMAGE"))
"""Settings found while `up` works: those of the last time hold until then."""
_STATE_LOCK = threading.Lock()
