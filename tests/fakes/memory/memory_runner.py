"""A container engine in memory."""

from __future__ import annotations

from collections.abc import Mapping

from nightferry.clients.doors.container_runner import ContainerState
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

from tests.fakes.memory.memory_registry import MemoryRegistry


class MemoryRunner:
    """Containers of a registry's images.

    An image's label `behaviour` says what its containers do: `ready` (when it is missing), `never ready`,
    `exit <code>`, `deaf` (SIGTERM does not end it), or `not runnable`. Set `fault` to make every call fail with it.
    """

    def __init__(self, registry: MemoryRegistry) -> None:
        self._registry = registry
        self.containers: dict[str, str] = {}
        self.started: list[tuple[ImageRef, Mapping[str, str], int]] = []
        self.fault: NightferryError | None = None
        self.held: set[ImageRef] = set()
        """The images that the engine has fetched."""
        self.images: dict[str, ImageRef] = {}
        """What each container runs."""

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
        self._check()
        behaviour = self._registry.config(image)["Labels"].get("behaviour", "ready")
        if name in self.containers:
            raise Temporary(Reason.DOCKER_UNAVAILABLE, f"The name {name} is taken.")
        self.containers[name] = behaviour
        self.held.add(image)
        self.images[name] = image
        self.started.append((image, environment, memory))
        if behaviour == "not runnable":
            raise Permanent(Reason.IMAGE_START_FAILED, "There is no such program.")

    def state(self, name: str) -> ContainerState | None:
        self._check()
        behaviour = self.containers.get(name)
        if behaviour is None:
            return None
        ended = behaviour.startswith("exit ")
        code = int(behaviour.removeprefix("exit ")) if ended else 0
        return ContainerState(running=not ended, healthy=behaviour == "ready", exit_code=code)

    def stop(self, name: str) -> None:
        self._check()
        if name in self.containers and self.containers[name] != "deaf":
            self.containers[name] = "exit 143"

    def logs(self, name: str, lines: int) -> str:
        self._check()
        return "its last word\n" if name in self.containers else ""

    def remove(self, name: str) -> bool:
        self._check()
        return self.containers.pop(name, None) is not None

    def keep_only(self, image: ImageRef) -> int:
        self._check()
        used = {self.images[name] for name in self.containers if name in self.images}
        gone = {
            held for held in self.held if held.repository == image.repository and held != image and held not in used
        }
        self.held -= gone
        return len(gone)

    def _check(self) -> None:
        if self.fault:
            raise self.fault
