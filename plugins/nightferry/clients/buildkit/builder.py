"""BuildKit, through its own client `buildctl`."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nightferry.clients.buildkit.failure import explain
from nightferry.clients.buildkit.progress import BuildProgress
from nightferry.clients.buildkit.secrets import build_secrets
from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.clients.registry.auth import Credentials, is_loopback
from nightferry.clients.scratch import scratch
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

EPOCH = "315532800"
"""1980-01-01: the time of every file and of the image, so that equal content gives an equal digest. Zip files,
and so wheels, know no earlier one."""

END_SECONDS = 10
"""How long buildctl may take to end when it is told to."""


class BuildKit:
    """One buildkitd."""

    def __init__(
        self,
        buildctl: str,
        address: str,
        *,
        auth_file: Path | None = None,
        credentials: Mapping[str, Credentials] | None = None,
        tls_folder: Path | None = None,
        timeout: float = 3600,
    ) -> None:
        """Store where it is; nothing is opened.

        Args:
            buildctl: path of the client.
            address: `unix:///…` or `tcp://…`.
            auth_file: a Docker config.json for the registries that are pushed to and pulled from.
            credentials: by registry; used instead of the file when given.
            tls_folder: holds ca.pem, cert.pem and key.pem for a daemon that asks for them.
            timeout: seconds that one build may take.
        """
        self._buildctl = buildctl
        self._address = address
        self._auth_file = auth_file
        self._credentials = credentials or {}
        self._tls_folder = tls_folder
        self._timeout = timeout

    def build(self, request: BuildRequest, log: Path) -> ImageRef | None:
        """Build, and push what the request names. All output is appended to `log`. Raises as the protocol says."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            private = stack.enter_context(scratch("nightferry-build-"))
            secrets = stack.enter_context(build_secrets())
            metadata = private / "metadata.json"
            command = [*self._client(), "build", *build_words(request, metadata), *secrets]
            with log.open("a", encoding="utf-8") as file:
                progress = BuildProgress(file)
                code = self._run(command, self._environment(private), progress)
            if code != 0:
                raise explain(progress, request, self._address, log)
            if request.out is not None or not request.push:
                return None
            digest = json.loads(metadata.read_text(encoding="utf-8"))["containerimage.digest"]
            return ImageRef(_repository(request.push[0]), digest)

    def _client(self) -> list[str]:
        words = [self._buildctl, "--addr", self._address]
        if self._tls_folder is not None:
            words += ["--tlsdir", str(self._tls_folder)]
        return words

    def _environment(self, private: Path) -> dict[str, str]:
        """buildctl shows registries what stands in this folder: ours, never that of who happens to be logged in."""
        config = private / "config.json"
        config.touch(mode=0o600)
        if self._credentials:
            entries = {host: json.loads(one.as_docker(host))["auths"][host] for host, one in self._credentials.items()}
            config.write_text(json.dumps({"auths": entries}), encoding="utf-8")
        elif self._auth_file is not None:
            try:
                config.write_bytes(self._auth_file.read_bytes())
            except OSError as error:
                raise Permanent(
                    Reason.REGISTRY_DENIED, f"The credential file {self._auth_file} cannot be read: {error.strerror}."
                ) from error
        else:
            config.write_text("{}", encoding="utf-8")
        return {**os.environ, "DOCKER_CONFIG": str(private)}

    def _run(self, command: list[str], environment: dict[str, str], progress: BuildProgress) -> int:
        with self._started(command, environment) as process:
            try:
                for line in process.stderr or ():
                    progress.feed(line)
                return process.wait()
            except BaseException:
                process.terminate()  # buildctl tells the daemon to stop
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                raise

    @contextmanager
    def _started(self, command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment,
            )
        except OSError as error:
            raise Permanent(
                Reason.BUILDER_UNAVAILABLE,
                f"{self._buildctl}, BuildKit's client, cannot be run ({error.strerror}): NIGHTFERRY_BUILDCTL names it.",
            ) from error
        # A build that hangs is ended by a timer, since reading its output would wait for ever.
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._timeout, end)
        timer.daemon = True
        timer.start()
        try:
            with process:
                yield process
        finally:
            timer.cancel()
        if late.is_set():
            raise Temporary(
                Reason.BUILDER_UNAVAILABLE,
                f"The build took longer than {self._timeout:g} s and was ended; is BuildKit at {self._address} stuck?",
            )


def build_words(request: BuildRequest, metadata: Path) -> list[str]:
    """What `buildctl build` is told for a request; what was built is written to `metadata`."""
    words = ["--progress=rawjson", "--frontend=dockerfile.v0", f"--metadata-file={metadata}"]
    folder = request.dockerfile.parent
    words += ["--local", f"context={request.context or folder}", "--local", f"dockerfile={folder}"]
    words += ["--opt", f"filename={request.dockerfile.name}", "--opt", f"target={request.target}"]
    words += ["--opt", f"build-arg:SOURCE_DATE_EPOCH={EPOCH}"]
    for name, path in request.contexts.items():
        words += ["--local", f"{name}={path}", "--opt", f"context:{name}=local:{name}"]
    for name, value in request.arguments.items():
        words += ["--opt", f"build-arg:{name}={value}"]
    if request.no_cache:
        words.append("--no-cache")
    if request.out is not None:
        words += ["--output", f'type=local,"dest={request.out}"']
    elif request.push:
        words += ["--output", _output(request.push)]
    return words


def _output(push: tuple[str, ...]) -> str:
    names = ",".join(push)
    insecure = all(is_loopback(name.partition("/")[0]) for name in push)
    options = ["type=image", f'"name={names}"', "push=true", "oci-mediatypes=true", "rewrite-timestamp=true"]
    # Every layer of ours is compressed anew when its time stamps are rewritten, in each build. At gzip's default that
    # is most of a model-only build's time (6.3 s of 6.7 s measured, 3.3 s at level 1), for layers 8 % smaller.
    options.append("compression-level=1")
    if insecure:
        options.append("registry.insecure=true")
    return ",".join(options)


def _repository(name: str) -> str:
    """`host:5000/digits:tag` without its tag."""
    head, _, last = name.rpartition("/")
    return f"{head}/{last.partition(':')[0]}"
