"""The gateway's steps of `nightferry up`: compile, install, tell the cluster, start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nightferry.errors import Permanent
from nightferry.sandbox.assembly import Assembly
from nightferry.sandbox.build import binaries, gateway_crds, toolchain
from nightferry.sandbox.graph import Step
from nightferry.sandbox.kubernetes import gateway, gateway_objects
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import packages
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.supervise.kube_api import KubeApi

PART = "gateway"
"""What it is called among the compiled parts."""


class GatewaySteps:
    """What to do, on a cluster of ours."""

    def __init__(
        self,
        layout: Layout,
        ports: Mapping[str, int],
        progress: Progress,
        assembly: Assembly,
        api: Callable[[], KubeApi],
    ) -> None:
        self._layout, self._ports, self._progress = layout, ports, progress
        self._assembly, self._api = assembly, api
        self._logs = layout.home / "logs"
        self._contour = self._envoy = Path()

    def steps(self) -> list[Step]:
        """The steps. Contour is compiled last: everything else is needed sooner."""
        return [
            Step("gateway program", self._compile, ("cluster programs", "pause image")),
            Step("envoy program", self._install),
            Step("gateway names", self._names, ("packages",)),
            Step("gateway objects", self._objects, ("gateway program", "cluster objects")),
            Step("contour", self._start_contour, ("gateway objects", "cluster files")),
            Step("envoy", self._start_envoy, ("contour", "envoy program", "network")),
        ]

    def _compile(self) -> None:
        found = binaries.ensure(self._progress, self._layout.root, self._logs, [PART])
        self._contour = found["contour"]

    def _install(self) -> None:
        self._envoy = toolchain.envoy(self._progress, self._layout.root, self._logs)

    def _names(self) -> None:
        """Have programs of this machine know names below `.localhost`; without, `nightferry url` says another one."""
        try:
            packages.ensure(self._progress, self._logs, packages.LOCAL_NAMES)
        except Permanent as fault:
            self._progress.say(f"Most programs of this machine will not know names below .localhost: {fault.sentence}")

    def _objects(self) -> None:
        kinds: list[dict[str, Any]] = json.loads((self._contour.parent / gateway_crds.FILE).read_text(encoding="utf-8"))
        gateway_objects.apply(self._api(), kinds, self._ports["gateway"])

    def _start_contour(self) -> None:
        self._assembly.bring(gateway.contour(self._layout, self._ports, self._contour))

    def _start_envoy(self) -> None:
        self._assembly.bring(gateway.envoy(self._layout, self._ports, self._envoy, self._contour))
