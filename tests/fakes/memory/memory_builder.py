"""A builder that hashes what it is given."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent

from tests.fakes.memory.memory_registry import MemoryRegistry


class MemoryBuilder:
    """Understands of a Dockerfile: FROM, the stage's name, a RUN that says `exit 1`, which fails, and COPY, where the
    target's files are wanted.

    Set `fault` to make every build fail with it.
    """

    def __init__(self, registry: MemoryRegistry) -> None:
        self._registry = registry
        self.requests: list[BuildRequest] = []
        self.fault: NightferryError | None = None

    def build(self, request: BuildRequest, log: Path) -> ImageRef | None:
        self.requests.append(request)
        if self.fault:
            raise self.fault
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"building {request.target}\n")
        self._run(request)
        if request.out is not None:
            self._write(request, request.out)
            return None
        if not request.push:
            return None
        digest = hashlib.sha256(request.dockerfile.read_bytes())
        for name, folder in sorted(request.contexts.items()):
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                digest.update(f"{name} {path.relative_to(folder)}".encode() + path.read_bytes())
        digest.update(repr(sorted(request.arguments.items())).encode())
        name = request.push[0].rpartition(":")[0]
        image = ImageRef(name, f"sha256:{digest.hexdigest()}")
        self._registry.push(image, tuple(pushed.rpartition(":")[2] for pushed in request.push), dict(request.arguments))
        return image

    def _write(self, request: BuildRequest, out: Path) -> None:
        for step in self._steps(request):
            words = step.split()
            if words[0] != "COPY":
                continue
            named = words[1].removeprefix("--from=") if words[1].startswith("--from=") else None
            context = request.contexts[named] if named else request.context or request.dockerfile.parent
            source, target = context / words[-2], out / words[-1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, target)

    @staticmethod
    def _steps(request: BuildRequest) -> list[str]:
        stage, steps = "", []
        for line in request.dockerfile.read_text().splitlines():
            word = line.partition(" ")[0]
            if word == "FROM":
                stage = line.rpartition(" ")[2]
            elif word not in ("ARG", "COPY", "RUN", "ENTRYPOINT", ""):
                raise Permanent(Reason.IMAGE_BUILD_FAILED, f"unknown instruction {word}")
            if stage == request.target:
                steps.append(line)
        if not steps:
            raise Permanent(Reason.IMAGE_BUILD_FAILED, f"no stage {request.target}")
        return steps

    @classmethod
    def _run(cls, request: BuildRequest) -> None:
        steps = cls._steps(request)
        for number, step in enumerate(steps):
            if step.startswith("RUN") and "exit 1" in step:
                tests = request.tests and number == len(steps) - 1
                reason = Reason.IMAGE_TESTS_FAILED if tests else Reason.IMAGE_BUILD_FAILED
                raise Permanent(reason, f"the step {step} failed")
