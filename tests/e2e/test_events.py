"""A push to a repository on this machine, by its hook and without: one run, soon, and who pushed is on the record.

The service is held, so that each run ends with its decision.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
import requests
import yaml
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.steps.model.publish_model import publish_model
from nightferry.steps.record.bar import hold

from tests.e2e.given_when_then import eventually
from tests.e2e.own_names import own_name
from tests.e2e.stage import Stage

pytestmark = pytest.mark.sandbox
SERVICE = "e2e-events"
HOOK = """\
#!/bin/sh
read old new ref
exec {python} {sender} "$new"
"""
SENDER = """\
import hashlib, hmac, json, pathlib, sys, urllib.request, uuid
secret = pathlib.Path({secret!r}).read_text().strip().encode()
body = json.dumps({body!r} | {{"after": sys.argv[1]}}).encode()
signature = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
headers = {{"X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": signature}}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
opener.open(urllib.request.Request({url!r}, body, headers), timeout=10)
"""


class Pushing:
    """A bare repository that the service is built from, and a clone that is pushed from."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bare = stage.folder / f"{own_name('app')}.git"
        self.url = f"{stage.settings.require('AIRFLOW_URL')}/nightferry/hooks/github"
        self.secret = stage.settings.require("HOOK_GITHUB_SECRET_FILE")
        self.body: dict[str, Any] = {
            "ref": "refs/heads/main",
            "repository": {"clone_url": f"file://{self.bare}"},
            "pusher": {"name": "ana"},
        }
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.bare)], check=True)
        stage.git("remote", "add", "origin", str(self.bare))
        stage.git("push", "-q", "origin", "main")

    def with_hook(self) -> None:
        """From now on a push sends what GitHub would send."""
        import sys

        sender, hook = self.bare / "sender.py", self.bare / "hooks" / "post-receive"
        sender.write_text(SENDER.format(secret=self.secret, body=self.body, url=self.url), encoding="utf-8")
        hook.write_text(HOOK.format(python=sys.executable, sender=sender), encoding="utf-8")
        hook.chmod(0o755)

    def without_hook(self) -> None:
        (self.bare / "hooks" / "post-receive").unlink(missing_ok=True)

    def push(self) -> tuple[str, float]:
        """Change the app and push; the tree's short id, and when the push was over."""
        (self.stage.repository / "serving_app" / "changed.py").write_text(f'"{uuid.uuid4()}"\n', encoding="utf-8")
        self.stage.commit("Change the app")
        self.stage.git("push", "-q", "origin", "main")
        return self.stage.git("rev-parse", "HEAD:serving_app")[:12], time.time()

    def deliver(self, delivery: str) -> int:
        """The newest push, delivered once more."""
        body = json.dumps(self.body | {"after": self.stage.git("rev-parse", "HEAD")}).encode()
        secret = open(self.secret, encoding="utf-8").read().strip().encode()  # noqa: PTH123, SIM115
        headers = {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
        }
        return requests.post(self.url, data=body, headers=headers, timeout=10).status_code


@pytest.fixture(scope="module")
def pushing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushing]:
    stage = Stage(tmp_path_factory.mktemp("events"), SERVICE)
    try:
        stage.begin()
        publish_model(stage.train("linear"), SERVICE, connect.models(stage.settings, stage.spec.model), SystemClock())
        hold(stage.ledger, SystemClock(), SERVICE, why="for the tests", actor="test")
        pushing = Pushing(stage)
        content = yaml.safe_load(stage.service_file.read_text(encoding="utf-8"))
        content["source"]["repository"] = str(pushing.bare)
        content["triggers"] = {"commit": "release", "model": "build"}
        partial = stage.service_file.with_suffix(".partial")
        partial.write_text(yaml.safe_dump(content), encoding="utf-8")
        partial.rename(stage.service_file)
        eventually(lambda: stage.airflow.paused(stage.dag) is False, 180, f"{stage.dag} is there")
        # One about the code, one about the model: a push while either is queued is decided about by that one.
        eventually(lambda: len(decisions(stage)) == 2, 240, "the first look has led to its decisions")
        yield pushing
    finally:
        stage.remove()


def decisions(stage: Stage) -> list[LedgerEntry]:
    return [one for one in stage.entries() if one.kind == Kind.DECISION]


def decided(stage: Stage, run: str) -> list[LedgerEntry]:
    return [one for one in decisions(stage) if one.key == f"run:{run}"]


def begun(stage: Stage, run: str) -> float | None:
    """When Airflow began a run, None while it has not."""
    answer = stage.airflow.call("GET", f"/api/v2/dags/{stage.dag}/dagRuns/{quote(run)}", accept=(404,))
    start = None if answer.status_code == 404 else answer.json()["start_date"]
    return dt.datetime.fromisoformat(start).timestamp() if start else None


def test_a_push_begins_a_run_by_its_hook_and_the_record_names_who(pushing: Pushing) -> None:
    pushing.with_hook()
    tree, over = pushing.push()
    run = f"commit-{SERVICE}-{tree}"
    eventually(lambda: begun(pushing.stage, run), 60, f"{run} began")
    (entry,) = eventually(lambda: decided(pushing.stage, run), 120, f"{run} decided")
    print(f"began {(begun(pushing.stage, run) or over) - over:.1f} s after the push")
    assert (entry.reason, entry.data["trigger"], entry.actor) == (Reason.HELD, "commit", "ana")
    assert entry.data["cause"]["delivery"]
    assert entry.data["cause"]["commit"] == pushing.stage.git("rev-parse", "HEAD")


def test_without_the_hook_it_begins_within_the_minutes_look(pushing: Pushing) -> None:
    pushing.without_hook()
    tree, _ = pushing.push()
    run = f"commit-{SERVICE}-{tree}"
    (entry,) = eventually(lambda: decided(pushing.stage, run), 150, f"{run} decided")
    assert entry.data["cause"]["delivery"] == ""


def next_look_is_over(stage: Stage) -> None:
    """Wait for the first look that begins after this."""
    minute = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
    run = f"scheduled__{minute.isoformat()}"
    eventually(lambda: getattr(stage.airflow.run("watch", run), "ended", False), 150, f"{run} of the watch is over")


def test_five_deliveries_and_the_look_at_once_are_one_run_and_a_change_beside_the_folder_is_none(
    pushing: Pushing,
) -> None:
    pushing.with_hook()
    stage, before = pushing.stage, len(decisions(pushing.stage))
    tree, _ = pushing.push()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(pushing.deliver, [f"{uuid.uuid4()}" for _ in range(5)]))
    assert set(answers) == {202}
    eventually(lambda: decided(stage, f"commit-{SERVICE}-{tree}"), 150, "it decided")
    (stage.repository / "README").write_text(f"{uuid.uuid4()}", encoding="utf-8")
    stage.commit("Say more")
    stage.git("push", "-q", "origin", "main")
    next_look_is_over(stage)
    assert len(decisions(stage)) == before + 1


def test_a_model_is_found_and_names_its_author(pushing: Pushing) -> None:
    stage = pushing.stage
    done = stage.nightferry("models", "publish", SERVICE, str(stage.train("linear")))
    assert done.returncode == 0, done.stderr

    def found() -> list[LedgerEntry]:
        return [one for one in decisions(stage) if one.data.get("trigger") == "model"]

    entry = eventually(found, 150, "a decision about the model")[-1]
    assert entry.data["request"]["until"] == "published"
    assert entry.data["cause"]["model"]
