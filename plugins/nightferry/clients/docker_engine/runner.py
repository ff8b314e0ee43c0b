"""The Docker engine, through docker-py's `APIClient`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nightferry.clients.doors.container_runner import ContainerState
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

if TYPE_CHECKING:
    from docker.api import APIClient

LABEL = "dev.nightferry.candidate"
"""On every container that is started here, so that an operator can find what was left."""
READY_EVERY = 300_000_000
"""Nanoseconds between two runs of the readiness command."""
READY_TIMEOUT = 5_000_000_000


def connect_docker(address: str, timeout: int = 60) -> APIClient:
    """A client of the engine at `unix:///…` or `tcp://…`; it asks the engine for its version.

    Raises:
        Permanent: (docker_unavailable: the engine refuses; setting_missing: its client is not installed)
        Temporary: (docker_unavailable)
    """
    try:
        from docker.api import APIClient
    except ImportError as fault:
        raise Permanent(
            Reason.SETTING_MISSING,
            "The Docker engine cannot be asked, as its client is not installed: pip install 'nightferry[docker]'.",
        ) from fault

    with _explained(address):
        return APIClient(base_url=address, version="auto", timeout=timeout)


class DockerRunner:
    """Runs candidates on one engine."""

    def __init__(self, api: APIClient) -> None:
        """Store the client, of `connect_docker` or of an Airflow hook."""
        self._api = api

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
        """Start a container as production does. Raises as the protocol says."""
        from docker.errors import ImageNotFound

        with _explained(_where(self._api), image):
            try:
                self._api.inspect_image(str(image))
            except ImageNotFound:
                self._pull(image)
            created = self._api.create_container(
                str(image),
                name=name,
                ports=list((ports or {}).values()),
                environment=dict(environment),
                labels={LABEL: name},
                # Kubernetes knows nothing of an image's own HEALTHCHECK.
                healthcheck=_healthcheck(ready) if ready else {"test": ["NONE"]},
                host_config=self._api.create_host_config(
                    network_mode="bridge" if ports else "none",
                    port_bindings={inside: ("127.0.0.1", here) for here, inside in (ports or {}).items()},
                    read_only=True,
                    cap_drop=["ALL"],
                    security_opt=["no-new-privileges"],
                    mem_limit=memory,
                    memswap_limit=memory,
                    pids_limit=512,
                    **({"tmpfs": {"/tmp": f"size={scratch},mode=1777"}} if scratch else {}),  # noqa: S108
                ),
            )
        with _explained(_where(self._api), image, starting=True):
            self._api.start(created["Id"])

    def state(self, name: str) -> ContainerState | None:
        """The container's state; None when there is none."""
        found = self._inspect(name)
        if found is None:
            return None
        state: dict[str, Any] = found["State"]
        return ContainerState(
            running=bool(state.get("Running")),
            healthy=state.get("Health", {}).get("Status") == "healthy",
            exit_code=int(state.get("ExitCode", 0)),
            out_of_memory=bool(state.get("OOMKilled")),
        )

    def stop(self, name: str) -> None:
        """Send it SIGTERM."""
        from docker.errors import APIError, NotFound

        with _explained(_where(self._api)):
            try:
                self._api.kill(name, "SIGTERM")
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # it has ended
                    raise

    def logs(self, name: str, lines: int) -> str:
        """The last lines that it wrote, on both streams."""
        from docker.errors import NotFound

        with _explained(_where(self._api)):
            try:
                text: bytes = self._api.logs(name, tail=lines)
            except NotFound:
                return ""
        return text.decode("utf-8", "replace")

    def remove(self, name: str) -> bool:
        """End and remove it; whether there was one."""
        from docker.errors import APIError, NotFound

        with _explained(_where(self._api)):
            try:
                self._api.remove_container(name, force=True, v=True)
            except NotFound:
                return False
            except APIError as error:
                # Someone else is removing it at this moment.
                if error.status_code != 409:
                    raise
        return True

    def keep_only(self, image: ImageRef) -> int:
        """Remove the other images of its repository that no container uses; how many."""
        from docker.errors import APIError

        removed = 0
        with _explained(_where(self._api)):
            found = self._api.images(name=image.repository)
            others = {digest for one in found for digest in one.get("RepoDigests") or ()} - {str(image)}
            for other in sorted(digest for digest in others if digest.startswith(f"{image.repository}@")):
                try:
                    self._api.remove_image(other)
                    removed += 1
                except APIError as error:
                    # A container uses it, or someone else has just removed it.
                    if error.status_code not in (404, 409):
                        raise
        return removed

    def _inspect(self, name: str) -> dict[str, Any] | None:
        from docker.errors import NotFound

        with _explained(_where(self._api)):
            try:
                found: dict[str, Any] = self._api.inspect_container(name)
            except NotFound:
                return None
        return found

    def _pull(self, image: ImageRef) -> None:
        for event in self._api.pull(image.repository, tag=image.digest, stream=True, decode=True):
            if "error" in event:
                raise _pull_error(str(event["error"]), image)


def _healthcheck(command: tuple[str, ...]) -> dict[str, Any]:
    return {"test": ["CMD", *command], "interval": READY_EVERY, "timeout": READY_TIMEOUT, "retries": 1}


def _pull_error(message: str, image: ImageRef) -> NightferryError:
    """Docker's words (20.10 to 28) for what went wrong between the engine and the registry."""
    registry = image.repository.partition("/")[0]
    if "no space left on device" in message:
        return Permanent(Reason.DISK_FULL, f"The Docker engine's disk is full while it fetches {image}: make room.")
    if "not found" in message or "manifest unknown" in message:
        return Permanent(
            Reason.IMAGE_UNKNOWN, f"The image {image} is not in the registry: was it removed? Release again."
        )
    if any(word in message for word in ("unauthorized", "denied", "authentication required", "no basic auth")):
        return Permanent(
            Reason.REGISTRY_DENIED,
            f"The image registry {registry} refuses the Docker engine: {message[:200]}. "
            "Check the credentials (the Airflow connection, or `docker login` for the engine's user).",
        )
    return Temporary(
        Reason.REGISTRY_UNAVAILABLE, f"The Docker engine cannot fetch from {registry}: {message[:200].rstrip('.')}."
    )


def _where(api: APIClient) -> str:
    """The engine's address for people; docker-py has a made-up one for a socket."""
    address = str(api.base_url)
    return "this machine" if address.startswith("http+docker:") else address


@contextmanager
def _explained(address: str, image: ImageRef | None = None, *, starting: bool = False) -> Iterator[None]:
    """Turn docker-py's and its HTTP client's exceptions into ours."""
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        raise _api_error(address, error, image, starting) from error
    except (DockerException, requests.RequestException) as error:
        if "Permission denied" in str(error):
            raise Permanent(
                Reason.DOCKER_UNAVAILABLE,
                f"The Docker engine at {address} refuses this user: add it to the group `docker`, or run as root.",
            ) from error
        raise Temporary(
            Reason.DOCKER_UNAVAILABLE, f"The Docker engine at {address} does not answer: is it running?"
        ) from error


def _api_error(address: str, error: Any, image: ImageRef | None, starting: bool) -> NightferryError:
    said = " ".join(str(error.explanation or error).split())[:300].rstrip(".")
    if "no space left on device" in said:
        return Permanent(Reason.DISK_FULL, f"The disk of the Docker engine at {address} is full: make room.")
    if (image is not None and error.status_code == 400) or (starting and error.status_code in (404, 500)):
        # No entrypoint, no such program, no such user.
        return Permanent(Reason.IMAGE_START_FAILED, f"The image does not start: {said}.")
    if image is not None and error.status_code in (401, 403, 404, 500):
        return _pull_error(said, image)
    if error.status_code >= 500 or error.status_code == 409:
        return Temporary(Reason.DOCKER_UNAVAILABLE, f"The Docker engine at {address} is not able to answer: {said}.")
    return Permanent(Reason.DOCKER_UNAVAILABLE, f"The Docker engine at {address} refuses: {said}.")
