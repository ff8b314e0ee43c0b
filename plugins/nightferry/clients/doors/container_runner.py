"""The door to the container engine, which runs a candidate image on its own for its tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from nightferry.entities.image_ref import ImageRef


@dataclass(frozen=True)
class ContainerState:
    """What the engine says about a container."""

    running: bool
    healthy: bool
    """Its readiness command succeeded at least once, last time."""
    exit_code: int
    """Meaningful only when it no longer runs."""
    out_of_memory: bool = False


class ContainerRunner(Protocol):
    """Runs containers as production does: read-only root, the image's own user and entrypoint, no capabilities."""

    def start(
        self,
        image: ImageRef,
        name: str,
        environment: Mapping[str, str],
        memory: int,
        ready: tuple[str, ...] = (),
        scratch: int = 0,
        ports: Mapping[int, int] | None = None,
    ) -> None:
        """Start a container, without a network unless it has ports.

        The image is fetched first when the engine does not have it.

        Args:
            image: what to run.
            name: the container's name; must be free.
            environment: variables beside the image's own.
            memory: bytes it may use; no swap.
            ready: a command run inside again and again until it succeeds; `state` then says healthy. None: it never
                does.
            scratch: bytes that it may write to /tmp; 0: it has none.
            ports: by this machine's port of loopback, the container's.

        Raises:
            Permanent: (image_unknown, image_start_failed: the engine cannot run it, registry_denied, disk_full,
                docker_unavailable: the engine refuses)
            Temporary: (docker_unavailable, registry_unavailable)
        """
        ...

    def state(self, name: str) -> ContainerState | None:
        """The container's state; None when there is none of that name. Raises as `start`."""
        ...

    def stop(self, name: str) -> None:
        """Send a container SIGTERM, as Kubernetes does; one that has ended, or is not there, is left.

        Raises as `start`.
        """
        ...

    def logs(self, name: str, lines: int) -> str:
        """The last lines that the container wrote; "" when there is none of that name. Raises as `start`."""
        ...

    def remove(self, name: str) -> bool:
        """End and remove a container; whether there was one. Raises as `start`."""
        ...

    def keep_only(self, image: ImageRef) -> int:
        """Remove the engine's copies of the other images of its repository that no container uses; how many.

        The layers that they share with this one stay, so that the next image is fetched quickly. Raises as `start`.
        """
        ...
