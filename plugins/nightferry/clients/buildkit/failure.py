"""Which of our errors a failed build is.

All matching of BuildKit's, registries' and pip's words is here and nowhere else. The words are those of BuildKit 0.25,
containerd's resolver, Distribution 2.8 and pip 23 to 25; tests/contract/test_image_builder.py meets them for real.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from nightferry.clients.buildkit.progress import BuildProgress, Step
from nightferry.clients.doors.image_builder import LOCK_TARGET, BuildRequest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

SHOWN = 12
"""Lines of a failed step that go into the sentence."""

_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_UNREACHED = re.compile(
    # grpc between buildctl and buildkitd: not there, not listening, gone in the middle
    r"Unavailable: |code = Unavailable|error reading from server: EOF|failed to receive status: |closing transport"
    r"|listing workers for Build"
)
_REFUSED = re.compile(r"connect: permission denied|remote error: tls: |tls: failed to verify|x509: ")
_DENIED = re.compile(
    r"40[13] (Unauthorized|Forbidden)|insufficient_scope|authorization failed|failed to authorize"
    r"|authentication required|unauthorized: |denied: ",
    re.IGNORECASE,
)
_REGISTRY_DOWN = re.compile(
    r"connection refused|connection reset|no such host|i/o timeout|TLS handshake timeout|deadline exceeded|EOF$"
    r"|50[0-9] [A-Z]|429 Too Many Requests|failed to do request|no route to host|network is unreachable"
)
_BASE_UNKNOWN = re.compile(r"failed to resolve source metadata for (?P<image>\S+): .*(not found|does not exist)")
_INDEX_DOWN = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|NameResolutionError|Temporary failure in name resolution"
    r"|Max retries exceeded|Connection broken|ProtocolError\('Connection aborted"
)
_FAULT = re.compile(r"^NIGHTFERRY-FAULT (?P<said>\{.*\})\s*$")
"""A step of our own recipes that knows what is wrong says so on such a line: docker/app/locking/fault.py."""
_ADDRESS = re.compile(r"\bhttps?://[^\s/'\",]+(?:/(?:[^\s'\",/]*/)*(?P<file>[^\s'\",/]*\.[^\s'\",/]*)?[^\s'\",]*)?")
_HOST = re.compile(r"\bhost='[^']*'")
_STEP = re.compile(r"^\[(?P<stage>\S+) +(?P<number>\d+)/(?P<of>\d+)\] ")


def explain(progress: BuildProgress, request: BuildRequest, address: str, log: Path) -> NightferryError:
    """The error of a build that failed.

    Args:
        progress: all that buildctl told.
        request: what was asked for.
        address: buildkitd's.
        log: where everything is written.
    """
    last = next((line for line in reversed(progress.said) if line.strip()), "it said nothing").removeprefix("error: ")
    step = progress.failed
    words = " ".join([last, *((step.error, *step.lines) if step else ())])
    if _DISK_FULL.search(words):
        return Permanent(
            Reason.DISK_FULL,
            f"The disk of BuildKit at {address} is full: make room, or run `buildctl prune`. {_more(log)}",
        )
    if _UNREACHED.search(last) and _REFUSED.search(last):
        return Permanent(
            Reason.BUILDER_UNAVAILABLE,
            f"BuildKit at {address} refuses this client: {_short(last)}. "
            "NIGHTFERRY_BUILDKIT_TLS names the folder of its certificate; a socket needs the right group.",
        )
    if _UNREACHED.search(last):
        return Temporary(Reason.BUILDER_UNAVAILABLE, f"BuildKit at {address} does not answer: {_short(last)}.")
    if step is None or step.name.startswith("exporting") or "failed to resolve source metadata" in last:
        registry = _registry_error(last, request)
        if registry is not None:
            return registry
    if step is None:
        return Permanent(Reason.IMAGE_BUILD_FAILED, f"The image does not build: {_short(last)}. {_more(log)}")
    return _step_error(step, request, log)


def _registry_error(last: str, request: BuildRequest) -> NightferryError | None:
    if _DENIED.search(last):
        return Permanent(
            Reason.REGISTRY_DENIED,
            f"The image registry refuses the builder: {_short(last)}. Check the credentials and what they allow.",
        )
    unknown = _BASE_UNKNOWN.search(last)
    if unknown:
        image, base = unknown["image"], request.arguments.get("BASE_IMAGE")
        if base and image != base and not image.endswith(f"/{base}"):
            return Permanent(
                Reason.IMAGE_UNKNOWN,
                f"The image {image} is not in its registry: correct the FROM line of the app's Dockerfile.",
            )
        return Permanent(
            Reason.IMAGE_UNKNOWN,
            f"The base image {image} is not in its registry: NIGHTFERRY_BASE_IMAGE, or `base:` of the app's contract, "
            "has to name one that is.",
        )
    if _REGISTRY_DOWN.search(last):
        return Temporary(
            Reason.REGISTRY_UNAVAILABLE, f"The image registry does not answer the builder: {_short(last)}."
        )
    return None


def _step_error(step: Step, request: BuildRequest, log: Path) -> NightferryError:
    lines = " | ".join(line.strip() for line in list(step.lines)[-SHOWN:] if line.strip())
    said = f"its last lines: {lines}" if lines else _short(step.error)
    where = _STEP.match(step.name)
    if request.tests and where and where["stage"] == request.target and where["number"] == where["of"]:
        return Permanent(Reason.IMAGE_TESTS_FAILED, f"The app's unit tests fail in the image; {said}. {_more(log)}")
    said = _unplaced(said)  # but for tests, which reach no index
    fault = _fault(step)
    if fault is not None:
        sentence, temporary = fault
        if temporary:
            return Temporary(Reason.IMAGE_BUILD_FAILED, f"{sentence} {_more(log)}")
        wrong = request.target == LOCK_TARGET
        reason = Reason.APP_REQUIREMENTS_WRONG if wrong else Reason.IMAGE_BUILD_FAILED
        return Permanent(reason, f"{sentence} {_more(log)}")
    if any(_INDEX_DOWN.search(line) for line in step.lines):
        return Temporary(
            Reason.IMAGE_BUILD_FAILED,
            f"A package index did not answer in the step {_unplaced(_short(step.name))!r}; {said}. {_more(log)}",
        )
    return Permanent(
        Reason.IMAGE_BUILD_FAILED,
        f"The image does not build: the step {_unplaced(_short(step.name))!r} failed; {said}. {_more(log)}",
    )


def _fault(step: Step) -> tuple[str, bool] | None:
    """What the step itself says is wrong, and whether trying again may help."""
    for line in reversed(step.lines):
        found = _FAULT.match(line)
        if not found:
            continue
        try:
            said = json.loads(found["said"])
            return str(said["sentence"]), said["temporary"] is True
        except (ValueError, KeyError):  # another program's line that looks like it
            continue
    return None


def _unplaced(line: str) -> str:
    """A line without addresses, of which one may be a package index's; the file that one ends with stays."""
    return _HOST.sub("host='…'", _ADDRESS.sub(lambda found: f"…/{found['file']}" if found["file"] else "…", line))


def _short(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= 300 else line[:297] + "…"


def _more(log: Path) -> str:
    return f"All of it is in {log}."
