"""A Docker engine in memory, as far as docker-py's `APIClient` is used: candidates, and a prober that reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from nightferry.entities.probe_report import Fault, ProbeReport


class MemoryDocker:
    """Runs every container without a fault; the one that is told to `probe` reports `faults`.

    Set `exit_code` to make every candidate end by itself, `refusing` to make every call fail as without an engine.
    """

    base_url = "unix:///memory"

    def __init__(self) -> None:
        self.faults: tuple[Fault, ...] = ()
        self.wrong: Callable[[str], bool] = lambda passport: True
        """Whether a prober that is told this passport reports the faults."""
        self.exit_code: int | None = None
        self.refusing = False
        self.containers: dict[str, dict[str, Any]] = {}
        self.started: list[str] = []
        self.removed_images: list[str] = []
        self.health: Callable[[], str] = lambda: "healthy"
        self.probed: list[list[str]] = []
        """What each prober was told."""

    def ping(self) -> bool:
        self._check()
        return True

    def images(self, name: str) -> list[dict[str, Any]]:
        return [{"Id": name, "RepoDigests": [name]}]

    def remove_image(self, name: str) -> None:
        self.removed_images.append(name)

    def inspect_image(self, name: str) -> dict[str, Any]:
        self._check()
        return {"Id": name}

    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options

    def create_container(self, image: str | None = None, *, name: str | None = None, **options: Any) -> dict[str, str]:
        self._check()
        name = name or "prober"
        self.containers[name] = {"image": image, **options}
        if self._probes(self.containers[name]):
            self.probed.append(options["command"])
        return {"Id": name}

    def start(self, name: str) -> None:
        self._find(name)
        self.started.append(name)

    def inspect_container(self, name: str) -> dict[str, Any]:
        found = self._find(name)
        if self._probes(found):
            return {"State": {"Running": False, "ExitCode": self._report(found).exit_code}}
        if self.exit_code is not None:
            return {"State": {"Running": False, "ExitCode": self.exit_code}}
        return {"State": {"Running": True, "ExitCode": 0, "Health": {"Status": self.health()}}}

    def attach(self, container: str, **options: Any) -> Iterator[bytes]:
        prober = self.containers[container]
        told = self._answers(prober) if "answer" in prober["command"] else self._report(prober).to_json()
        return iter([json.dumps(told).encode() + b"\n"])

    def wait(self, name: str) -> dict[str, int]:
        return {"StatusCode": int(self.inspect_container(name)["State"]["ExitCode"])}

    def logs(self, name: str, tail: int) -> bytes:
        self._find(name)
        return b"its last line\n"

    def remove_container(self, name: str, **options: Any) -> None:
        self._find(name)
        del self.containers[name]

    def _answers(self, prober: dict[str, Any]) -> dict[str, Any]:
        """Of the candidate whose network the prober shares: all sevens where it is wrong, else ones."""
        candidate = self.containers[prober["host_config"]["network_mode"].partition(":")[2]]
        label = "7" if self.faults and self.wrong(json.dumps(candidate["environment"])) else "1"
        return {"answers": [[{"label": label, "tolerance": 0.001}]] * 20, "trouble": ""}

    def _report(self, prober: dict[str, Any]) -> ProbeReport:
        words = prober["command"]
        if "answer" in words:
            return ProbeReport(faults=(), checked=0, seconds=0.1)
        wrong = self.wrong(words[words.index("--passport") + 1])
        return ProbeReport(faults=self.faults if wrong else (), checked=7, seconds=0.1)

    def _probes(self, container: dict[str, Any]) -> bool:
        return bool({"probe", "answer"} & {*(container.get("command") or [])})

    def _find(self, name: str) -> dict[str, Any]:
        from docker.errors import NotFound

        self._check()
        if name not in self.containers:
            raise NotFound(f"no container {name}")
        return self.containers[name]

    def _check(self) -> None:
        from docker.errors import DockerException

        if self.refusing:
            raise DockerException("no engine here")
