"""The words that the whole-release tests are written in."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.manifests import deployer_pods, names

from tests.e2e.polling import Caller, best_label
from tests.e2e.stage import DAG, ENVIRONMENTS, SERVICE, Stage

T = TypeVar("T")


def eventually(ask: Callable[[], T], seconds: float, what: str) -> T:
    """Ask until the answer is true; fail when it takes too long. Faults on the way count as no."""
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            answer = ask()
            if answer:
                return answer
            last = answer
        except Exception as fault:
            last = fault
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; the last answer was {last!r}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Released:
    """What `nightferry release --wait --json` said."""

    code: int
    run: str
    decision: dict[str, Any] | None
    release: dict[str, Any] | None

    @property
    def name(self) -> str:
        assert self.release is not None
        return str(self.release["release"])

    @property
    def outcome(self) -> str | None:
        return self.release["outcome"] if self.release else None

    @property
    def reason(self) -> str:
        assert self.decision is not None
        return str(self.decision["reason"])


class Given:
    """What is so before."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def a_model(self, variant: str = "linear") -> str:
        """A newly published version, the newest now."""
        folder = self._stage.train(variant)
        done = self._stage.nightferry("models", "publish", SERVICE, str(folder))
        assert done.returncode == 0, done.stderr
        return folder.name

    def a_release_in_use(self) -> str:
        """Whatever the service answers with now; where it does not answer yet, a first release. Its name."""
        try:
            return str(self._stage.version()["release"])
        except Exception:
            self.a_model()
            released = When(self._stage).released()
            assert released.code == 0, released
            return released.name

    def a_commit(self, message: str, **files: tuple[str, str]) -> str:
        """A commit on main in which a text in each file is replaced; its id."""
        for name, (old, new) in files.items():
            path = self._stage.repository / name.replace("__", "/").replace("_py", ".py")
            text = path.read_text(encoding="utf-8")
            assert old in text, f"{path} has changed: {old!r} is not in it"
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return self._stage.commit(message)

    def a_picture(self, digit: str = "7") -> bytes:
        """A golden picture of the sample model."""
        self._stage.train("linear")
        return next(self._stage.folder.glob(f"trained-*/golden/{digit}.png")).read_bytes()


class When:
    """What happens."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def released(self, *words: str, timeout: float = 420) -> Released:
        """`nightferry release --wait`."""
        done = self._stage.nightferry("release", SERVICE, "--wait", "--json", *words, timeout=timeout)
        assert done.stdout, done.stderr
        said = json.loads(done.stdout)
        assert "error" not in said, said
        return Released(done.returncode, said["run"], said["decision"], said["release"])

    def started(self, *words: str) -> str:
        """`nightferry release` without waiting; the run."""
        done = self._stage.nightferry("release", SERVICE, "--json", *words)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["run"])

    def ended(self, run: str, seconds: float = 300) -> Released:
        """The run has ended; what it came to."""
        eventually(lambda: (found := self._stage.airflow.run(DAG, run)) and found.ended, seconds, f"{run} has ended")
        return self.released("--request-id", run)

    def in_step(self, run: str, step: str, state: str = "running", seconds: float = 180) -> None:
        """Wait until a step of the run is in that state."""

        def there() -> bool:
            return any(task.task == step and task.state == state for task in self._stage.airflow.tasks(DAG, run))

        eventually(there, seconds, f"{step} is {state}")

    def killed(self, part: str) -> int:
        """kill -9 a part of the sandbox; the process that died."""
        pid = self._stage.supervisor.processes()[part].pid
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}/cmdline").exists() or self._new_pid(part, pid), 10, f"{part} died")
        return pid

    def _new_pid(self, part: str, old: int) -> bool:
        return self._stage.supervisor.processes()[part].pid not in (0, old)

    def called(self) -> Caller:
        """A user who keeps calling."""
        return Caller(self._stage.url(), Given(self._stage).a_picture())


class Then:
    """What is so afterwards."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def in_use(self, release: str, model: str | None = None) -> None:
        """Production, asked again and again, answers with this release alone."""
        for _ in range(10):
            version = self._stage.version()
            assert version["release"] == release
            assert model is None or version["model"]["version"] == model

    def digit_is_right(self, digit: str = "7") -> None:
        assert best_label(self._stage.url(), Given(self._stage).a_picture(digit)) == digit

    def production_untouched(self, release: str, broken: Released) -> None:
        """The release before goes on answering, and nothing of the broken one is left in the cluster."""
        self.in_use(release)
        self.digit_is_right()
        for environment in ENVIRONMENTS:
            assert broken.name not in self._stage.deployments(environment)

    def not_published(self, broken: Released) -> None:
        """The release repository never saw it."""
        assert broken.name not in self._stage.tags(SERVICE)

    def failed_with(self, released: Released, reason: Reason, step: str) -> None:
        """The run is red, and the record complete: a decision, the failing step, every step after it, the end."""
        assert released.code == 1
        assert released.outcome == reason, released.release
        entries = self.entries_of(released.name)
        failing = [entry for entry in entries if entry.kind != Kind.RELEASE and entry.reason == reason]
        assert [entry.key.split("/")[1] for entry in failing][-1:] == [step]
        after = [entry for entry in entries if entry.reason == Reason.UPSTREAM_FAILED]
        assert after, "the steps that were not begun are on the record"
        assert entries[0].kind == Kind.DECISION
        assert entries[-1].kind == Kind.RELEASE
        self.ledger_whole()

    def entries_of(self, release: str) -> list[LedgerEntry]:
        return [entry for entry in self._stage.entries() if entry.release == release]

    def done_once(self, released: Released) -> None:
        """One decision, one image, one rollout an environment, one end; no pod of a deployer is left."""
        keys = [entry.key.removeprefix(f"{released.name}/") for entry in self.entries_of(released.name)]
        assert len(keys) == len(set(keys))
        for step in (
            "test_source",
            "build_image",
            "publish_image",
            "staging.roll_out",
            "production.roll_out",
            "release",
        ):
            assert keys.count(step) == 1, keys
        assert sum(entry.kind == Kind.DECISION for entry in self.entries_of(released.name)) == 1
        digests = {digest for tag, digest in self._stage.tags(SERVICE).items() if tag == released.name}
        assert len(digests) == 1
        for environment in ENVIRONMENTS:
            assert self._stage.deployments(environment).count(released.name) == 1
        eventually(lambda: not self._deployer_pods(), 60, "no deployer is left")

    def _deployer_pods(self) -> list[str]:
        labels = {"app.kubernetes.io/component": "deployer", "nightferry.dev/service": SERVICE}
        found = self._stage.cluster(deployer_pods.NAMESPACE).list("Pod", labels)
        return [one["metadata"]["name"] for one in found]

    def ledger_whole(self) -> None:
        done = self._stage.nightferry("ledger", "verify", SERVICE)
        assert done.returncode == 0, done.stderr

    def same_image_everywhere(self, release: str) -> None:
        """What runs in both environments is the digest that was tested and published."""
        digest = self._stage.tags(SERVICE)[release]
        for environment in ENVIRONMENTS:
            version = self._stage.version(environment)
            assert version["release"] == release
            assert version["image"].endswith(f"@{digest}")
            for one in self._stage.cluster(environment).list("Deployment", names.labels(SERVICE, release)):
                images = {part["image"] for part in one["spec"]["template"]["spec"]["containers"]}
                assert {image.partition("@")[2] for image in images} == {digest}
