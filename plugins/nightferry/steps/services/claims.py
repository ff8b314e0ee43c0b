"""Which service files get in each other's way: two of one name, two whose objects would share a name, and two whose
users would call one host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.entities.service_file.object_names import owners
from nightferry.entities.service_spec import CLUSTER


@dataclass(frozen=True)
class ServiceFile:
    """A service file that is YAML; whether it is right is not known yet."""

    path: Path
    content: Mapping[str, Any]

    @property
    def service(self) -> str:
        """The name in the file, else the file's own."""
        return str(self.content.get("service", self.path.stem))

    @property
    def namespaces(self) -> set[str]:
        """Where its objects live, as far as the file says it. Two connections may lead to one cluster, so a
        namespace's name alone counts."""
        environments = self.content.get("environments")
        if not isinstance(environments, list):
            return set()
        return {str(found["namespace"]) for found in environments if isinstance(found, dict) and "namespace" in found}

    @property
    def hosts(self) -> set[tuple[str, str, str]]:
        """The hosts that its users call, as far as the file says it: cluster, Gateway and name, since the same name
        may be another service's in another part of the world."""
        environments = self.content.get("environments")
        found: set[tuple[str, str, str]] = set()
        for environment in environments if isinstance(environments, list) else ():
            traffic = environment.get("traffic") if isinstance(environment, dict) else None
            if isinstance(traffic, dict):
                where = str(environment.get("cluster", CLUSTER)), str(traffic.get("gateway"))
                aliases = traffic.get("aliases")
                names = [traffic.get("host"), *(aliases if isinstance(aliases, list) else ())]
                found |= {(*where, name) for name in names if isinstance(name, str)}
        return found


class Claims:
    """The names that service files claim. A file that cannot be used keeps its claim: its service may be running."""

    def __init__(self, files: Sequence[ServiceFile]) -> None:
        self._named: dict[str, list[ServiceFile]] = defaultdict(list)
        for file in files:
            self._named[file.service].append(file)
        self._collisions: dict[Path, list[str]] = defaultdict(list)
        for file in files:
            for owner in owners(file.service):
                for other in self._named.get(owner, ()):
                    self._compare(file, other)
        self._compare_hosts(files)

    def against(self, file: ServiceFile) -> list[tuple[Reason, str]]:
        """Why the file cannot be used beside the others, as reason codes and sentences.

        Who came first cannot be seen in files, so neither of two is used.
        """
        same = self._named[file.service]
        if len(same) > 1:
            paths = " and ".join(str(other.path) for other in same)
            return [
                (
                    Reason.SERVICE_DUPLICATED,
                    f"The service {file.service} is described by {paths}; keep one of them. None is used until then.",
                )
            ]
        return [(Reason.SERVICE_NAME_TAKEN, sentence) for sentence in self._collisions[file.path]]

    def _compare_hosts(self, files: Sequence[ServiceFile]) -> None:
        called: dict[tuple[str, str, str], list[ServiceFile]] = defaultdict(list)
        for file in files:
            for claim in file.hosts:
                called[claim].append(file)
        for (_, _, host), of_host in sorted(called.items()):
            services = sorted({file.service for file in of_host})
            if len(services) > 1:
                where = ", ".join(str(file.path) for file in of_host)
                sentence = (
                    f"The services {' and '.join(services)} ({where}) would both be called as {host}; give each a host "
                    "of its own. None is used until then."
                )
                for file in of_host:
                    self._collisions[file.path].append(sentence)

    def _compare(self, file: ServiceFile, owner: ServiceFile) -> None:
        shared = sorted(file.namespaces & owner.namespaces)
        if not shared:
            return
        sentence = (
            f"The services {owner.service} ({owner.path}) and {file.service} ({file.path}) would both have objects "
            f"called {file.service} in the namespace {shared[0]}; rename one of them, or give it a namespace of its "
            "own. Neither is used until then."
        )
        self._collisions[file.path].append(sentence)
        self._collisions[owner.path].append(sentence)
