"""Parts that are started for those who ask for them: `nightferry up --with s3,mlflow`.

A plain `up` and the first `make release` neither compile nor start them. Once asked for, a part belongs to the sandbox
until `clean`. A further one needs its name in `EXTRAS`, its settings in `settings_of`, its steps in `ExtraSteps.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.assembly import Assembly
from nightferry.sandbox.build import mlflow_environment
from nightferry.sandbox.graph import Step
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.progress import Progress
from nightferry.sandbox.stores import mlflow_server, s3
from nightferry.settings import Settings

EXTRAS: Mapping[str, str] = {s3.NAME: "S3_URL", mlflow_server.NAME: "MLFLOW_URL"}
"""Name -> the setting by which a user brings their own, which is not started then."""


def read(text: str) -> frozenset[str]:
    """The names in `s3,mlflow`.

    Raises:
        Permanent: (request_invalid) one is none.
    """
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := sorted(names - EXTRAS.keys()):
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"The sandbox has no part {unknown[0]} that could be added; there are: {', '.join(sorted(EXTRAS))}.",
        )
    return names


def ours(settings: Settings, wanted: Iterable[str]) -> tuple[str, ...]:
    """Those of the wanted that the user does not bring."""
    return tuple(sorted(name for name in set(wanted) & EXTRAS.keys() if settings.own(EXTRAS[name]) is None))


def settings_of(extras: Iterable[str], layout: Layout, ports: Mapping[str, int]) -> dict[str, str]:
    """The settings that lead to them, without `NIGHTFERRY_`."""
    found: dict[str, str] = {}
    if s3.NAME in extras:
        found |= {"S3_URL": s3.url(ports), "S3_KEY_FILE": str(s3.write_key(layout))}
    if mlflow_server.NAME in extras:
        found["MLFLOW_URL"] = mlflow_server.url(ports)
    return found


class ExtraSteps:
    """What `up` does for them."""

    def __init__(
        self,
        extras: Iterable[str],
        layout: Layout,
        ports: Mapping[str, int],
        assembly: Assembly,
        compiled: Callable[[str], dict[str, Path]],
        progress: Progress,
    ) -> None:
        """`compiled`: compiles one of `binaries.PARTS` where it is missing, and tells where its programs are."""
        self._extras, self._layout, self._ports = frozenset(extras), layout, ports
        self._assembly, self._compiled, self._progress = assembly, compiled, progress

    def steps(self) -> list[Step]:
        """The steps. Nothing else waits for them."""
        steps = []
        if s3.NAME in self._extras:
            # Compiled after the images: these are needed sooner, and compilers would take each other's time.
            steps += [
                Step("s3", self._s3, ("supervisor", "network", "images", "cluster programs", "gateway program")),
                Step("s3 bucket", lambda: s3.ensure_bucket(self._layout, self._ports), ("s3",)),
            ]
        if mlflow_server.NAME in self._extras:
            steps.append(Step(mlflow_server.NAME, self._mlflow, ("supervisor", "network", "images")))
        return steps

    def _s3(self) -> None:
        program = self._compiled(s3.NAME)["versitygw"]
        self._assembly.bring(s3.part(self._layout, self._ports, program))

    def _mlflow(self) -> None:
        python = mlflow_environment.ensure(self._progress, self._layout.root, self._layout.home / "logs")
        self._assembly.bring(mlflow_server.part(self._layout, self._ports, python))
