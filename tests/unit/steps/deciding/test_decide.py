"""What is decided, and what the record says about it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import expected_steps
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent, Temporary
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.record import ledger as ledgers
from nightferry.steps.record.history import history
from nightferry.steps.record.record import record_failure, record_release

from tests.fakes.model_versions import write_version
from tests.fakes.still_clock import StillClock
from tests.fakes.worlds.deciding_world import ENVIRONMENTS
from tests.fakes.worlds.deciding_world import DecidingWorld as World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def released(world: World) -> World:
    """A world where the first release is in use."""
    world.release(world.decide())
    world.clock.advance(24 * 3600)
    return world


def test_the_first_release(world: World):
    decision = world.decide()
    assert (decision.go, decision.reason, decision.release) == (True, Reason.FIRST_RELEASE, "digits-2026-11-21.1")
    assert decision.candidate.model.version == "one"
    entry = world.newest()
    assert (entry.kind, entry.key, entry.release) == (Kind.DECISION, "night:2026-11-21", "digits-2026-11-21.1")
    assert Decision.model_validate(entry.data) == decision


def test_the_same_key_is_decided_once(world: World):
    first = world.decide()
    world.publish("two")
    world.clock.advance(3600)
    assert world.decide() == first
    assert len(world.ledger.blobs) == 1


def test_a_runs_decision_is_found_again_behind_any_number_of_entries(world: World):
    asked = world.clock.now()
    first = world.decide("run:1", asked)
    for number in range(ledgers.KEY_BOUND + 5):
        world.note(number)
    world.clock.advance(24 * 3600)
    assert world.decide("run:1", asked) == first


def test_the_record_is_read_no_further_back_than_the_run(released: World):
    released.clock.advance(24 * 3600)
    released.decide("night:2026-11-22")
    for number in range(20):
        released.clock.advance(900)
        released.release(released.decide(f"run:{number}", released.clock.now(), force=True))
    released.clock.advance(900)
    before = released.ledger.reads
    released.decide("run:new", released.clock.now(), force=True)
    assert released.ledger.reads - before <= 2 * (len(expected_steps(ENVIRONMENTS)) + 2), "two releases' entries"


def test_a_days_numbers_go_on_although_an_earlier_release_is_still_writing(world: World):
    first, second = world.decide("run:1"), world.decide("run:2")
    world.release(first)
    assert second.release == "digits-2026-11-21.2"
    assert world.decide("run:3", force=True).release == "digits-2026-11-21.3"


def test_an_unchanged_night_is_a_recorded_no(released: World):
    decision = released.decide("night:2026-11-22")
    assert (decision.go, decision.reason, decision.release) == (False, Reason.UNCHANGED, None)
    assert decision.in_use == "digits-2026-11-21.1"
    assert released.newest().reason == Reason.UNCHANGED
    assert "digits-2026-11-21.1" in decision.sentence


def test_a_second_unchanged_night_says_the_same(released: World):
    released.decide("night:2026-11-22")
    released.clock.advance(24 * 3600)
    assert released.decide("night:2026-11-23").in_use == "digits-2026-11-21.1"


def new_model(world: World) -> None:
    world.publish("two")


def new_source(world: World) -> None:
    world.source.commit("main", {"serving_app/app.py": b"2", "tests/serving_app/test_app.py": b"1"})


def both(world: World) -> None:
    new_model(world)
    new_source(world)


def base_image(world: World) -> None:
    world.base = "registry/base@sha256:" + "3" * 64


def recipe(world: World) -> None:
    world.recipe = "4" * 64


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (new_model, Reason.NEW_MODEL),
        (new_source, Reason.NEW_SOURCE),
        (both, Reason.NEW_MODEL_AND_SOURCE),
        (base_image, Reason.NEW_PLATFORM),
        (recipe, Reason.NEW_PLATFORM),
    ],
)
def test_what_is_new_is_the_reason(released: World, change: Any, reason: Reason):
    change(released)
    decision = released.decide("night:2026-11-22")
    assert (decision.go, decision.reason, decision.release) == (True, reason, "digits-2026-11-22.1")
    assert decision.in_use == "digits-2026-11-21.1"


def test_the_sentence_names_what_changed(released: World):
    new_model(released)
    sentence = released.decide("night:2026-11-22").sentence
    assert sentence == f"New model two (before: one); source unchanged at {released.source.refs['main'][:8]}."


@pytest.mark.parametrize("files", [{"README": b"new"}, {"tests/serving_app/test_app.py": b"2"}], ids=["other", "tests"])
def test_a_commit_that_leaves_the_app_changes_nothing(released: World, files: dict[str, bytes]):
    before = released.source.commits[released.source.refs["main"]]
    released.source.commit("main", before | files)
    assert released.decide("night:2026-11-22").reason == Reason.UNCHANGED


def test_force_releases_what_is_in_use_again(released: World):
    decision = released.decide("run:1", force=True)
    assert (decision.go, decision.reason, decision.release) == (True, Reason.FORCED, "digits-2026-11-22.1")


def test_a_request_names_model_and_commit(released: World):
    first = released.source.refs["main"]
    both(released)
    decision = released.decide("run:1", model="one", commit=first)
    assert decision.reason == Reason.UNCHANGED
    assert (decision.candidate.model.version, decision.candidate.source.commit) == ("one", first)


def test_releases_of_a_day_are_numbered(world: World):
    assert [world.decide(f"run:{n}").release for n in range(3)] == [f"digits-2026-11-21.{n}" for n in (1, 2, 3)]


def test_the_day_is_that_of_the_services_zone(world: World):
    world.clock = StillClock("2026-11-21T23:30:00+00:00")
    assert world.decide().release == "digits-2026-11-22.1"


def test_a_failed_release_is_not_in_use(released: World):
    new_model(released)
    failed = released.decide("night:2026-11-22")
    record_failure(released.ledger, released.clock, failed, "check_model", Permanent(Reason.GATE_FAILED, "Too bad."))
    closing = record_release(released.ledger, released.clock, failed, ENVIRONMENTS)
    assert closing is not None
    assert closing.reason == Reason.GATE_FAILED
    released.clock.advance(24 * 3600)
    decision = released.decide("night:2026-11-23")
    assert (decision.reason, decision.in_use) == (Reason.NEW_MODEL, "digits-2026-11-21.1")


def test_someone_else_decides_at_the_same_moment(world: World):
    """Both compute the same next entry; the later one sees it, and takes the next number."""
    create = world.ledger.create
    raced = []

    def racing(name: str, content: bytes) -> bool:
        if not raced:
            raced.append(name)
            world.decide("run:other")
        return create(name, content)

    world.ledger.create = racing  # type: ignore[method-assign]
    assert world.decide("run:mine").release == "digits-2026-11-21.2"
    assert [line.release for line in history(world.ledger, "digits")] == ["digits-2026-11-21.2", "digits-2026-11-21.1"]


def test_the_same_key_at_the_same_moment_is_one_decision(world: World):
    create = world.ledger.create
    other = []

    def racing(name: str, content: bytes) -> bool:
        if not other:
            other.append(None)
            other.append(world.decide())
        return create(name, content)

    world.ledger.create = racing  # type: ignore[method-assign]
    assert world.decide() == other[1]
    assert len(world.ledger.blobs) == 1


def test_a_model_of_the_future_is_passed_over_and_the_decision_says_so(world: World):
    """It would be the newest, and every night unchanged, for years."""
    world.publish("typo", created="2062-11-20T00:00:00Z")
    first = world.decide()
    assert first.candidate.model.version == "one"
    assert "typo says that it was created in the future" in first.sentence
    world.publish("two", created="2026-11-21T00:30:00Z")
    assert world.decide("run:two").candidate.model.version == "two"


def test_a_model_of_the_future_is_released_when_it_is_named(world: World):
    world.publish("typo", created="2062-11-20T00:00:00Z")
    decision = world.decide(model="typo")
    assert (decision.candidate.model.version, decision.go) == ("typo", True)
    assert "future" not in decision.sentence


def test_a_decision_does_not_grow_with_the_golden_examples(world: World):
    files = {f"golden/{number}.png": b"picture" for number in range(2000)}
    golden = [{"image": name, "label": "a"} for name in files]
    place = write_version(world.folder, "large", {"model.onnx": b"weights", **files}, golden=golden)
    world.models.publish(place, *read_manifest(place))
    small, large = world.decide("run:small", model="one"), world.decide("run:large", model="large")
    assert abs(len(large.model_dump_json()) - len(small.model_dump_json())) < 200


def no_model(world: World) -> Reason:
    world.models.blobs.clear()
    return Reason.MODEL_NONE


def half_uploaded(world: World) -> Reason:
    del world.models.blobs["one/model.onnx"]
    return Reason.MODEL_INCOMPLETE


def of_another_service(world: World) -> Reason:
    world.publish("two", service="letters")
    return Reason.MODEL_MANIFEST_INVALID


def no_branch(world: World) -> Reason:
    world.source.refs.clear()
    return Reason.SOURCE_REF_UNKNOWN


def no_path(world: World) -> Reason:
    world.source.commit("main", {"other/app.py": b"1"})
    return Reason.SOURCE_PATH_MISSING


@pytest.mark.parametrize("spoil", [no_model, half_uploaded, of_another_service, no_branch, no_path])
def test_a_failure_to_pin_is_a_recorded_decision(world: World, spoil: Any):
    reason = spoil(world)
    for _ in range(2):
        with pytest.raises(Permanent) as failure:
            world.decide()
        assert failure.value.reason == reason
    entry = world.newest()
    assert (entry.sequence, entry.kind, entry.reason, entry.release) == (1, Kind.DECISION, reason, None)
    assert entry.sentence == failure.value.sentence
    assert entry.data["go"] is False
    (line,) = history(world.ledger, "digits")
    assert (line.decided, line.model) == (reason, None)


def test_a_failure_that_was_mended_is_decided_anew(world: World):
    world.source.refs.clear()
    with pytest.raises(Permanent):
        world.decide()
    new_source(world)
    assert world.decide().go


def test_a_temporary_failure_is_not_a_decision(world: World):
    world.models.fault = Temporary(Reason.STORAGE_UNAVAILABLE, "Blob is down.")
    with pytest.raises(Temporary):
        world.decide()
    assert world.ledger.blobs == {}


def with_environment(spec: ServiceSpec, **changes: Any) -> ServiceSpec:
    """The service with its production changed."""
    *others, last = spec.environments
    changed = last.model_validate({**last.to_json(), **changes})
    return spec.model_copy(update={"environments": (*others, changed)})


def test_settings_that_reach_the_pods_are_rolled_out_with_the_same_image(released: World):
    before = released.newest()
    released.spec = with_environment(released.spec, replicas=5)
    decision = released.decide("run:settings")
    assert (decision.go, decision.reason) == (True, Reason.NEW_SETTINGS)
    assert "production.replicas" in decision.sentence
    assert decision.image == before.data["image"]
    released.release(decision)
    assert released.decide("run:after").reason == Reason.UNCHANGED


def test_a_setting_of_the_service_is_rolled_out_and_pinned(released: World):
    settings = {"SERVING_MAX_PIXELS": "50000000"}
    released.spec = with_environment(released.spec, settings=settings)
    decision = released.decide("run:settings")
    assert (decision.go, decision.reason) == (True, Reason.NEW_SETTINGS)
    assert "production.settings" in decision.sentence
    assert decision.service_spec is not None
    assert decision.service_spec.environments[-1].settings == settings
    released.release(decision)
    assert released.decide("run:after").reason == Reason.UNCHANGED


@pytest.mark.parametrize("change", ["owner", "schedule", "gates", "warm_minutes"])
def test_settings_that_stay_here_change_nothing(released: World, change: str):
    if change == "warm_minutes":
        released.spec = with_environment(released.spec, warm_minutes=3)
    else:
        value = {"owner": "others", "schedule": {"cron": "0 4 * * *"}, "gates": {"accuracy": ">= 0.5"}}[change]
        released.spec = ServiceSpec.model_validate({**released.spec.to_json(), change: value})
    assert released.decide("run:settings").reason == Reason.UNCHANGED


def test_what_is_new_is_built_although_settings_are_new_too(released: World):
    released.spec = with_environment(released.spec, replicas=5)
    released.publish("two", created="2026-11-21T00:00:00Z")
    decision = released.decide("run:both")
    assert (decision.reason, decision.image) == (Reason.NEW_MODEL, None)


def scheduled(spec: ServiceSpec, cron: str) -> ServiceSpec:
    return ServiceSpec.model_validate(spec.to_json() | {"schedule": {"cron": cron, "timezone": "Europe/Zurich"}})


def test_a_schedule_moved_to_an_earlier_hour_does_not_fire_at_once(world: World):
    """22:00 becomes 02:00 at ten in the morning; Airflow then starts the 02:00 of today, which nobody has served."""
    world.spec = scheduled(world.spec, "0 22 * * *")
    world.clock.time = dt.datetime.fromisoformat("2026-11-20T21:00:00+00:00")
    world.release(world.decide("slot:2026-11-20T21:00Z", slot=world.clock.now()))
    world.publish("two", created="2026-11-21T00:00:00Z")
    world.spec = scheduled(world.spec, "0 2 * * *")
    world.clock.time = dt.datetime.fromisoformat("2026-11-21T09:00:00+00:00")
    over = dt.datetime(2026, 11, 21, 1, tzinfo=dt.UTC)
    assert world.decide("slot:2026-11-21T01:00Z", slot=over).reason == Reason.SCHEDULE_MOVED
    world.clock.time = dt.datetime.fromisoformat("2026-11-22T01:00:05+00:00")
    assert world.decide("slot:2026-11-22T01:00Z", slot=over + dt.timedelta(days=1)).reason == Reason.NEW_MODEL


def test_a_schedule_moved_to_a_later_hour_decides_anew(world: World):
    """02:00 becomes 22:00: the evening's slot does not repeat what was decided in the morning."""
    world.spec = scheduled(world.spec, "0 2 * * *")
    world.release(world.decide("slot:2026-11-21T01:00Z", slot=world.clock.now()))
    world.publish("two", created="2026-11-21T03:00:00Z")
    world.spec = scheduled(world.spec, "0 22 * * *")
    world.clock.time = dt.datetime.fromisoformat("2026-11-21T21:00:03+00:00")
    slot = dt.datetime(2026, 11, 21, 21, tzinfo=dt.UTC)
    assert world.decide("slot:2026-11-21T21:00Z", slot=slot).reason == Reason.NEW_MODEL


def test_a_slot_that_is_late_is_served_where_the_schedule_is_the_same(released: World):
    released.publish("two", created="2026-11-21T03:00:00Z")
    slot = released.clock.now() - dt.timedelta(hours=8)
    assert released.decide("slot:late", slot=slot).reason == Reason.NEW_MODEL
