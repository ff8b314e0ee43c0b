"""A release that meets a freeze window waits on the record, and ships by itself once the window has ended."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.steps.model.publish_model import publish_model
from nightferry.steps.record.state import read_state

from tests.e2e.given_when_then import eventually
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("frozen")]
SERVICE = "e2e-frozen"
LOOK_SECONDS = 60
"""How often it is looked whether a window has opened."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A service with a model and a calendar of its own, in production alone."""
    stage = Stage(tmp_path, SERVICE)
    calendar = stage.settings.home / "calendars" / f"{SERVICE}.yaml"
    try:
        stage.begin()
        calendar.parent.mkdir(exist_ok=True)
        shut_until(calendar, dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
        content = yaml.safe_load(stage.service_file.read_text(encoding="utf-8"))
        content |= {"calendar": SERVICE, "environments": [content["environments"][-1] | {"replicas": 1}]}
        stage.service_file.write_text(yaml.safe_dump(content), encoding="utf-8")
        publish_model(stage.train("linear"), SERVICE, connect.models(stage.settings, stage.spec.model), SystemClock())
        yield stage
    finally:
        stage.remove()
        calendar.unlink(missing_ok=True)


def shut_until(calendar: Path, end: dt.datetime) -> None:
    """A calendar that is shut from now on, until a minute."""
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    weekly = {"from": f"{begin:%a %H:%M}", "to": f"{end:%a %H:%M}"}
    window = {"name": "the test", "reason": "a test looks", "zone": "UTC", "weekly": weekly}
    written = calendar.with_suffix(".partial")
    written.write_text(yaml.safe_dump({"windows": [window]}), encoding="utf-8")
    written.rename(calendar)


def test_it_waits_and_ships_when_the_window_ends(stage: Stage) -> None:
    """Given a window that stands; when a release is asked for; then it is built, waits, and ships after the end."""
    calendar = stage.settings.home / "calendars" / f"{SERVICE}.yaml"
    asked = stage.nightferry("release", SERVICE, "--wait", "--json")
    assert asked.returncode == 0, asked.stderr
    release = json.loads(asked.stdout)["release"]["release"]
    waiting = read_state(stage.ledger, SERVICE).waiting
    assert waiting is not None
    assert (waiting.release, waiting.reason) == (release, Reason.FROZEN)
    assert stage.deployments("production") == []

    end = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) + dt.timedelta(minutes=2)
    shut_until(calendar, end)

    eventually(lambda: stage.version()["release"] == release, 120 + LOOK_SECONDS + 120, "users get it")
    entries = stage.entries()
    went_on = next(one for one in entries if one.reason == Reason.CONTINUED)
    assert dt.datetime.fromisoformat(went_on.time) >= end
    assert went_on.data["by"]["trigger"] == "window"
    eventually(lambda: stage.entries()[-1].kind == Kind.RELEASE, 60, "the release is closed")
    assert stage.entries()[-1].reason == Reason.RELEASED
