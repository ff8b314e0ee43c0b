"""A release that meets a window: it waits, is dropped, finishes or stops, as the calendar says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightferry.entities.calendar.calendar_file import CalendarFile
from nightferry.entities.calendar.freeze_calendar import Calendar
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.entities.state.service_state import ServiceState
from nightferry.errors import Permanent
from nightferry.steps.admission.admission import Admission, Stay
from nightferry.steps.admission.admit import admit
from nightferry.steps.admission.exceptions import ask, confirm
from nightferry.steps.admission.frozen import frozen, has_opened
from nightferry.steps.admission.holders import HOLDERS
from nightferry.steps.record.record import record_step
from nightferry.steps.record.state import read_state

from tests.fakes.a_release import IMAGE, a_decision
from tests.fakes.service_specs import digits_spec
from tests.fakes.worlds.deciding_world import DecidingWorld

BEGIN = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)
"""Friday, 16:00 in Zurich; `END` is Monday, 06:00."""
END = dt.datetime(2026, 11, 23, 5, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
WEEKEND = {
    "name": "weekend",
    "reason": "away",
    "zone": "Europe/Zurich",
    "weekly": {"from": "Fri 16:00", "to": "Mon 06:00"},
}
EXCEPTION = {"longest": "12h", "by": ["ana", "ben"]}


def calendar(**changes: Any) -> Calendar:
    file = CalendarFile.model_validate({"windows": [WEEKEND | changes], "exception": EXCEPTION})
    return Calendar("company", file, lambda *_: {})


def entry(kind: Kind, reason: Reason, time: dt.datetime) -> LedgerEntry:
    return LedgerEntry(
        schema=2,
        sequence=1,
        time=f"{time:%Y-%m-%dT%H:%M:%SZ}",
        service="digits",
        kind=kind,
        key="run:one",
        release="digits-2026-11-20.1",
        actor="ana",
        reason=reason,
        sentence="",
        data={},
        previous="0" * 64,
    )


def asked(
    now: dt.datetime,
    told: Calendar,
    decided: dt.datetime | None = None,
    resumed: dt.datetime | None = None,
    ended: dt.datetime | None = None,
    state: ServiceState | None = None,
) -> Stay | None:
    """What the holder says before production."""
    spec = digits_spec(calendar="company")
    entries = [entry(Kind.DECISION, Reason.NEW_MODEL, decided)] if decided else []
    entries += [entry(Kind.TRIGGER, Reason.CONTINUED, resumed)] if resumed else []
    entries += [entry(Kind.RELEASE, Reason.CLUSTER_UNAVAILABLE, ended)] if ended else []
    admission = Admission(
        decision=a_decision(),
        environment=spec.environments[-1],
        image="registry/digits@sha256:" + "a" * 64,
        spec=spec,
        state=state or ServiceState(),
        entries=entries,
        now=now,
    )
    return frozen(admission, lambda _: told)


def test_a_release_waits_from_the_first_moment_of_a_window_until_its_end() -> None:
    told = calendar()
    assert asked(BEGIN - MINUTE, told, decided=BEGIN - MINUTE) is None
    stay = asked(BEGIN, told, decided=BEGIN)
    assert stay is not None
    assert (stay.reason, stay.until, stay.drop) == (Reason.FROZEN, "2026-11-23T05:00:00Z", False)
    assert "weekend: away" in stay.sentence
    assert "Mon 2026-11-23 06:00 CET" in stay.sentence
    assert asked(END - MINUTE, told, decided=BEGIN) is not None
    assert asked(END, told, decided=BEGIN) is None


@pytest.mark.parametrize(
    ("during", "decided", "resumed", "goes_on"),
    [
        pytest.param("finish", BEGIN - MINUTE, None, True, id="it was under way"),
        pytest.param("stop", BEGIN - MINUTE, None, False, id="it is stopped"),
        pytest.param("finish", BEGIN, None, False, id="it was decided within the window"),
        pytest.param(
            "finish", BEGIN - MINUTE, BEGIN + MINUTE, False, id="it waited, and was sent on within the window"
        ),
        pytest.param("finish", BEGIN - 9 * MINUTE, BEGIN - MINUTE, True, id="it was sent on before"),
        pytest.param("finish", None, None, False, id="nobody knows since when"),
    ],
)
def test_a_window_that_begins_during_a_rollout(
    during: str, decided: dt.datetime | None, resumed: dt.datetime | None, goes_on: bool
) -> None:
    stay = asked(BEGIN + 5 * MINUTE, calendar(during=during), decided=decided, resumed=resumed)
    assert (stay is None) == goes_on


def test_a_release_that_ended_and_is_taken_up_within_a_window_was_not_under_way() -> None:
    """Somebody clears the task that failed on Thursday, on Saturday."""
    told = calendar(during="finish")
    stay = asked(BEGIN + 5 * MINUTE, told, decided=BEGIN - 9 * MINUTE, ended=BEGIN - 5 * MINUTE)
    assert stay is not None
    assert stay.reason == Reason.FROZEN


def test_a_window_that_drops_closes_what_it_stops() -> None:
    stay = asked(BEGIN, calendar(meets="drop", during="stop"), decided=BEGIN - MINUTE)
    assert stay is not None
    assert (stay.drop, stay.until) == (True, None)


def test_a_calendar_that_cannot_be_read_lets_nothing_through() -> None:
    def broken(_: ServiceSpec) -> Calendar:
        raise Permanent(Reason.SERVICE_FILE_INVALID, "There is no calendar.")

    with pytest.raises(Permanent):
        has_opened(digits_spec(calendar="company"), ServiceState(), BEGIN, broken)


# --- decide


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DecidingWorld:
    """A service with a calendar; it is Saturday, two o'clock."""
    for folder in ("services", "calendars"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("NIGHTFERRY_SERVICES", str(tmp_path / "services"))
    world = DecidingWorld(tmp_path)
    world.spec = digits_spec(calendar="company")
    return world


def says(world: DecidingWorld, **changes: Any) -> None:
    content = {"windows": [WEEKEND | changes], "exception": EXCEPTION}
    (world.folder / "calendars" / "company.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def test_what_meets_a_window_that_drops_is_declined_with_its_reason_and_end(world: DecidingWorld) -> None:
    says(world, meets="drop")
    decision = world.decide("run:one", force=True)
    assert (decision.go, decision.reason) == (False, Reason.FROZEN)
    assert "weekend: away" in decision.sentence
    assert "Mon 2026-11-23 06:00 CET" in decision.sentence
    world.clock.advance(52 * 3600)  # Monday, 06:00
    assert world.decide("run:two").go


def test_what_meets_a_window_that_has_it_wait_is_decided_and_built(world: DecidingWorld) -> None:
    says(world)
    assert world.decide("run:one").go


def test_an_exception_of_two_persons_lifts_the_window_and_ends_by_itself(world: DecidingWorld) -> None:
    says(world, meets="drop")
    told = calendar(meets="drop")
    until = world.clock.now() + dt.timedelta(hours=2)
    number = ask(world.ledger, world.clock, "digits", told, until=until, why="outage", actor="ana").sequence
    assert not world.decide("run:one").go
    confirm(world.ledger, world.clock, "digits", told, number, actor="ben")
    state = read_state(world.ledger, "digits")
    assert asked(world.clock.now(), told, state=state) is None
    assert world.decide("run:two").go
    world.clock.advance(2 * 3600)
    assert asked(world.clock.now(), told, state=state) is not None
    assert has_opened(world.spec, state, world.clock.now(), lambda _: told) is False


# --- from the night on which it waits to the one on which it goes on


def waiting(world: DecidingWorld) -> Stay:
    """The night's release, built and kept before staging."""
    decision = world.decide("run:one")
    record_step(world.ledger, world.clock, decision, "publish_image", sentence="Published.", data={"image": IMAGE})
    stay = admit(decision, "staging", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock)
    assert stay is not None
    return stay


def may_go_on(world: DecidingWorld, now: dt.datetime) -> bool:
    state = read_state(world.ledger, "digits")
    assert state.waiting is not None
    assert state.waiting.reason == Reason.FROZEN
    return has_opened(world.spec, state, now)


@pytest.mark.parametrize("late", [dt.timedelta(), dt.timedelta(days=8)], ids=["at once", "after eight days of outage"])
def test_what_waited_goes_on_when_the_calendar_opens(world: DecidingWorld, late: dt.timedelta) -> None:
    says(world)
    told = waiting(world)
    assert (told.reason, told.until) == (Reason.FROZEN, "2026-11-23T05:00:00Z")
    assert [may_go_on(world, now) for now in (END - MINUTE, END, END + late)] == [False, True, True]

    world.clock.time = END + late
    goes = world.decide("run:resume", resume="digits-2026-11-21.1")
    assert goes.continued
    assert admit(goes, "staging", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock) is None
    assert read_state(world.ledger, "digits").waiting is None


def test_sent_on_too_early_it_waits_again(world: DecidingWorld) -> None:
    says(world)
    waiting(world)
    goes = world.decide("run:by-hand", resume="digits-2026-11-21.1")
    assert admit(goes, "staging", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock) is not None
    assert [may_go_on(world, now) for now in (END - MINUTE, END)] == [False, True]


def test_an_exception_sends_on_what_waits(world: DecidingWorld) -> None:
    says(world)
    waiting(world)
    until, told = world.clock.now() + dt.timedelta(hours=2), calendar()
    number = ask(world.ledger, world.clock, "digits", told, until=until, why="outage", actor="ana").sequence
    assert not may_go_on(world, world.clock.now())
    confirm(world.ledger, world.clock, "digits", told, number, actor="ben")
    assert may_go_on(world, world.clock.now())


def test_a_window_that_drops_ends_what_it_meets_before_an_environment(world: DecidingWorld) -> None:
    says(world)
    decision = world.decide("run:one")
    record_step(world.ledger, world.clock, decision, "publish_image", sentence="Published.", data={"image": IMAGE})
    says(world, meets="drop")  # somebody changed the file meanwhile
    stay = admit(decision, "staging", world.spec, HOLDERS, ledger=world.ledger, clock=world.clock)
    assert stay is not None
    assert stay.drop
    state = read_state(world.ledger, "digits")
    assert (state.waiting, state.open) == (None, None)
