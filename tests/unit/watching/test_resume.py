"""Releases that wait go on when what they wait for has come."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from nightferry.entities.approvals.runs import run_of
from nightferry.entities.barring.hold import Hold
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.approvals import Approvals
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.entities.state.waiting import Waiting
from nightferry.errors import Temporary
from nightferry.steps.watching import resume_waiting as module
from nightferry.steps.watching.due_to_resume import HasOpened, due_to_resume
from nightferry.steps.watching.resume_waiting import resume_waiting

from tests.fakes.worlds.watching_world import WatchingWorld

UNTIL = "2026-11-21T05:00:00Z"
RELEASE = "digits-2026-11-21.1"


def a_wait(reason: str = "frozen", until: str | None = UNTIL) -> Waiting:
    return Waiting(
        release=RELEASE,
        environment="production",
        reason=reason,
        sentence="",
        since="2026-11-21T01:00:00Z",
        until=until,
        order=3,
        image="registry/digits@sha256:" + "1" * 64,
        sequence=9,
    )


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def waits(waiting: Waiting | None) -> ServiceState:
    return ServiceState(waiting=waiting)


def opens(moment: str) -> HasOpened:
    return lambda service, state, now: now >= at(moment)


def test_a_window_is_waited_for_and_opens_once() -> None:
    service = WatchingWorld.service("digits")
    assert due_to_resume(service, waits(a_wait()), at("2026-11-21T04:59:59Z"), opened=opens(UNTIL)) is None
    for time in ("2026-11-21T05:00:00Z", "2026-11-23T17:00:00Z"):  # Airflow was down meanwhile
        resume = due_to_resume(service, waits(a_wait()), at(time), opened=opens(UNTIL))
        assert resume is not None
        assert resume.run == f"resume-{RELEASE}-production-window-9"
        assert (resume.release, resume.cause.kind) == (RELEASE, "window")


def test_a_calendar_that_was_shortened_or_lengthened_counts_as_it_is_now() -> None:
    service, earlier = WatchingWorld.service("digits"), "2026-11-21T03:00:00Z"
    assert due_to_resume(service, waits(a_wait()), at(earlier), opened=opens(earlier)) is not None
    assert due_to_resume(service, waits(a_wait()), at(UNTIL), opened=opens("2026-11-22T00:00:00Z")) is None


@pytest.mark.parametrize("waiting", [None, a_wait("awaits_approval"), a_wait("published"), a_wait("new_word")])
def test_who_waits_for_a_person_waits_on(waiting: Waiting | None) -> None:
    assert due_to_resume(WatchingWorld.service("digits"), waits(waiting), at(UNTIL)) is None


def test_what_was_published_goes_on_where_builds_are_released() -> None:
    service = WatchingWorld.service("digits", build="release")
    resume = due_to_resume(service, waits(a_wait("published", None)), at("2026-11-21T01:00:00Z"))
    assert resume is not None
    assert resume.run == f"resume-{RELEASE}-production-build-9"


def test_what_people_approved_goes_on_also_where_the_run_that_asked_them_was_lost() -> None:
    service, state = WatchingWorld.service("digits"), waits(a_wait("awaits_approval"))
    resume = due_to_resume(service, state, at("2026-11-21T02:00:00Z"), approved=lambda waiting: ("anna", "bert"))
    assert resume is not None
    assert (resume.cause.kind, resume.cause.by) == ("approval", "anna, bert")


def test_what_nobody_approved_in_time_is_ended_by_somebody() -> None:
    service, state = WatchingWorld.service("digits"), waits(a_wait("awaits_approval"))
    assert due_to_resume(service, state, at("2026-11-21T05:09:00Z")) is None
    assert due_to_resume(service, state, at("2026-11-21T05:10:00Z")) is not None


def test_what_is_held_goes_on_when_no_hold_stands_any_more() -> None:
    service, state = WatchingWorld.service("digits", build="release"), waits(a_wait("held", None))
    hold = Hold(number=3, since="2026-11-21T00:00:00Z", actor="rita", why="hot", until=UNTIL)
    assert due_to_resume(service, state, at("2026-11-21T04:59:00Z"), [hold]) is None
    assert due_to_resume(service, waits(a_wait("published", None)), at("2026-11-21T04:59:00Z"), [hold]) is None
    assert due_to_resume(service, state, at(UNTIL), [hold]) is not None
    assert due_to_resume(service, state, at("2026-11-21T04:59:00Z"), []) is not None


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WatchingWorld:
    world = WatchingWorld(tmp_path, build="release")
    world.clock.time = at(UNTIL)
    states = {"digits": ServiceState(waiting=a_wait("published", None))}

    def read(ledger: object, name: str) -> ServiceState:
        world.ledger._check()
        return states.get(name, ServiceState())

    monkeypatch.setattr(module, "read_state", read)
    return world


def test_one_run_goes_on_however_often_it_is_looked(world: WatchingWorld) -> None:
    started, _ = resume_waiting(world.services, world.doors)
    (run,) = started
    conf = world.runs.conf[run]
    assert (conf["resume"], conf["trigger"]["kind"]) == (RELEASE, "build")
    assert resume_waiting(world.services, world.doors) == ([], [])


def test_a_run_that_ended_while_the_release_waits_as_before_is_started_again(world: WatchingWorld) -> None:
    ((run,), _) = resume_waiting(world.services, world.doors)
    world.runs.end(run)
    assert resume_waiting(world.services, world.doors) == ([f"{run}-2"], [])
    assert resume_waiting(world.services, world.doors) == ([], [])


def test_who_is_silent_loses_nothing(world: WatchingWorld) -> None:
    world.ledger.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Away.")
    started, faults = resume_waiting(world.services, world.doors)
    assert (started, len(faults)) == ([], 1)
    world.ledger.fault = None
    assert len(resume_waiting(world.services, world.doors)[0]) == 1


def test_of_many_services_each_has_its_turn(world: WatchingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(module, "read_state", lambda ledger, name: read.append(name) or ServiceState())
    services = [world.service(f"s{number}", build="release") for number in range(950)]
    for _ in range(10):
        before = len(read)
        resume_waiting([*services, world.service("none")], world.doors)
        assert len(read) - before <= module.A_MINUTE
        world.clock.advance(60)
    assert sorted(set(read) - {"none"}) == sorted(one.service for one in services)


def test_what_waits_for_what_its_service_file_no_longer_has_goes_on(
    world: WatchingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = world.service("bare")
    monkeypatch.setattr(module, "read_state", lambda ledger, name: ServiceState(waiting=a_wait("frozen", None)))
    started: list[str] = []
    for _ in range(20):
        started += resume_waiting([bare], world.doors)[0]
        world.clock.advance(60)
    assert started == [f"resume-{RELEASE}-production-window-9"]


def asking(world: WatchingWorld) -> ServiceSpec:
    """A service that asks people before production."""
    first, last = world.service("digits").environments
    wanted = Approvals.model_validate({"needed": 1, "from": ["managers"], "within": "4h"})
    last = last.model_copy(update={"approvals": wanted})
    return world.service("digits").model_copy(update={"environments": (first, last)})


def test_people_whom_a_killed_task_did_not_ask_are_asked_by_the_next_look(
    world: WatchingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, service = a_wait("awaits_approval"), asking(world)
    monkeypatch.setattr(module, "read_state", lambda ledger, name: ServiceState(waiting=waiting))
    monkeypatch.setattr(module, "approved_by", lambda ledger, waiting: ())
    world.clock.time = at("2026-11-21T02:00:00Z")
    question = run_of(RELEASE, "production", waiting.image)

    assert resume_waiting([service], world.doors) == ([question], [])

    assert world.runs.conf[question] == {"release": RELEASE, "environment": "production"}
    world.runs.end(question)
    assert resume_waiting([service], world.doors) == ([], []), "people were asked twice"


def test_people_whose_time_is_over_are_not_asked(world: WatchingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_state", lambda ledger, name: ServiceState(waiting=a_wait("awaits_approval")))
    monkeypatch.setattr(module, "approved_by", lambda ledger, waiting: ())
    world.clock.time = at("2026-11-21T05:01:00Z")
    assert resume_waiting([asking(world)], world.doors) == ([], [])
