"""What a look at the repositories starts, and what it leaves alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nightferry.clients.doors.cursor_store import Note
from nightferry.entities.reason import Reason
from nightferry.entities.trigger import Cause
from nightferry.entities.watching.push import Push
from nightferry.errors import Permanent, Temporary
from nightferry.steps.watching.repositories import repositories

from tests.fakes.worlds.watching_world import ADDRESS, WatchingWorld

AWAY = Temporary(Reason.STORAGE_UNAVAILABLE, "Away.")
GIT_AWAY = Temporary(Reason.SOURCE_REPOSITORY_UNAVAILABLE, "Away.")


@pytest.fixture
def world(tmp_path: Path) -> WatchingWorld:
    """A service whose code and model were decided about."""
    world = WatchingWorld(tmp_path)
    world.settled()
    world.runs.conf.clear()
    return world


def test_a_commit_is_one_run_that_names_it(world: WatchingWorld) -> None:
    commit = world.commit("2")
    (run,) = world.started()
    tree = world.source.pin("main", "serving_app", None).tree
    assert run == f"commit-digits-{tree[:12]}"
    conf = world.runs.conf[run]
    assert conf["trigger"]["kind"] == "commit"
    assert conf["trigger"]["commit"] == commit
    assert conf["trigger"]["by"] == "eva"
    assert "until" not in conf
    assert world.started() == []
    world.decide_run(run)
    assert world.started() == []


def test_a_model_is_one_run_that_names_it(world: WatchingWorld) -> None:
    world.publish("two", created="2026-11-20T12:00:00Z")
    (run,) = world.started()
    assert run.startswith("model-digits-")
    trigger = world.runs.conf[run]["trigger"]
    assert (trigger["kind"], trigger["model"]) == ("model", "two")
    world.decide_run(run)
    assert world.started() == []


def test_a_half_uploaded_model_and_one_of_the_future_are_none(world: WatchingWorld) -> None:
    world.models.blobs["two/model.onnx"] = b"half"
    world.publish("three", created="2027-01-01T00:00:00Z")
    assert world.started() == []


def test_build_stops_where_it_is_published(tmp_path: Path) -> None:
    world = WatchingWorld(tmp_path, commit="build")
    (run,) = world.started()
    assert world.runs.conf[run]["until"] == "published"


def test_who_wants_nothing_is_not_looked_at(tmp_path: Path) -> None:
    world = WatchingWorld(tmp_path)
    world.services = [world.service("digits")]
    assert world.look() == []


def test_where_nothing_of_a_service_changed_there_is_no_run_and_nothing_is_read(world: WatchingWorld) -> None:
    world.services = [world.service("digits", commit="release"), world.service("other", "other", commit="release")]
    world.commit("1", "other")
    for run in world.started():
        world.runs.end(run)
    before, asked = list(world.ledger.blobs), world.ledger.asked
    world.services = world.services[:1]
    world.commit("2", "other")
    world.commit("3", "other")
    assert world.started() == []
    assert list(world.ledger.blobs) == before
    assert world.ledger.asked == asked


def test_a_thousand_services_of_one_repository_are_one_look(world: WatchingWorld) -> None:
    spellings = [ADDRESS, "https://git.example/team/app", "https://ana@GIT.example:443/team/app.git/"]
    world.services = [
        world.service(f"s{number}", f"s{number}", spellings[number % 3], commit="release") for number in range(1000)
    ]
    asked = world.watched.asked
    assert len(world.look()) == 1
    assert world.watched.asked == asked + 1


def test_ten_commits_while_a_run_waits_are_one_more_and_the_record_names_the_passed_over(world: WatchingWorld) -> None:
    world.commit("2")
    (first,) = world.started()
    passed = []
    for number in range(3, 13):
        passed.append(world.commit(str(number)))
        assert world.started() == []
    world.decide_run(first)  # it takes the newest
    assert world.started() == []
    world.commit("13")
    (second,) = world.started()
    assert world.runs.conf[second]["trigger"]["passed_over"] == passed[:-1]


def test_a_commit_after_the_decision_is_a_run_of_its_own_though_the_first_still_builds(world: WatchingWorld) -> None:
    world.commit("2")
    (first,) = world.started()
    world.decide(key=f"run:{first}", cause=Cause(kind="commit"))  # and it builds
    world.commit("3")
    (second,) = world.started()
    assert second != first
    assert world.runs.waiting == [first, second]


def test_back_to_what_was_released_before_is_a_run_again(world: WatchingWorld) -> None:
    for text in ("2", "3", "2", "3"):
        world.commit(text)
        (run,) = world.started()
        world.decide_run(run)
    assert len(world.runs.conf) == 4
    assert world.started() == []


def test_a_run_that_ended_without_a_word_is_started_again_with_growing_pauses(world: WatchingWorld) -> None:
    world.commit("2")
    (first,) = world.started()
    world.runs.end(first)
    assert world.started() == []
    world.clock.advance(121)
    assert world.started() == [f"{first}-2"]
    world.runs.end(f"{first}-2")
    world.clock.advance(121)
    assert world.started() == []
    world.clock.advance(121)
    assert world.started() == [f"{first}-3"]
    world.decide_run(f"{first}-3")
    assert world.started() == []


def test_a_run_that_wrote_why_it_cannot_decide_is_not_started_again(world: WatchingWorld) -> None:
    world.source.commit("main", {"elsewhere/app.py": b"1"})
    (run,) = world.started()
    with pytest.raises(Permanent):
        world.decide_run(run)
    world.runs.end(run)
    world.clock.advance(36000)
    assert world.started() == []
    world.source.commit("main", {"elsewhere/app.py": b"2"})
    assert world.started() == []


def test_what_is_held_or_barred_is_decided_once(world: WatchingWorld) -> None:
    from nightferry.steps.record.bar import hold

    hold(world.ledger, world.clock, "digits", why="audit", actor="ana")
    world.commit("2")
    (run,) = world.started()
    assert world.decide_run(run).reason == Reason.HELD
    assert world.started() == []


def test_a_lost_or_broken_cursor_is_one_look_more_and_no_run(world: WatchingWorld) -> None:
    world.commit("2")
    (run,) = world.started()
    world.decide_run(run)
    for broken in (b"", b"[]", b'{"form": 99}', b'{"heads": 1}'):
        for name, note in list(world.cursors.notes.items()):
            world.cursors.notes[name] = Note(broken, note.version)
        assert world.started() == []
    world.cursors.notes.clear()
    assert world.started() == []


def test_a_lost_cursor_while_a_run_waits_starts_no_other(world: WatchingWorld) -> None:
    world.commit("2")
    (run,) = world.started()
    world.cursors.notes.clear()
    assert world.started() == []
    assert world.runs.waiting == [run]


@pytest.mark.parametrize("what", ["git", "record", "airflow", "cursors"])
def test_who_is_silent_loses_nothing(world: WatchingWorld, what: str) -> None:
    silent = {"git": world.source, "record": world.ledger, "airflow": world.runs, "cursors": world.cursors}[what]
    world.commit("2")
    silent.fault = GIT_AWAY if what == "git" else AWAY  # type: ignore[attr-defined]
    looked = world.look()
    assert any(one.faults for one in looked)
    assert not world.runs.conf
    silent.fault = None  # type: ignore[attr-defined]
    assert len(world.started()) == 1


def test_two_watchers_at_once_start_one_run(world: WatchingWorld) -> None:
    from nightferry.steps.watching.look_at import look_at

    (code,) = [one for one in repositories(world.services) if one.event == "commit"]
    world.commit("2")
    both = threading.Barrier(8)

    def watch(number: int) -> tuple[str, ...]:
        both.wait()
        return look_at(code, world.doors).started

    with ThreadPoolExecutor(8) as pool:
        started = [run for runs in pool.map(watch, range(8)) for run in runs]
    assert len(started) == len(world.runs.conf) == 1
    world.decide_run(started[0])
    assert world.started() == []


def test_a_push_names_who_and_which_delivery(world: WatchingWorld) -> None:
    commit = world.commit("2")
    push = Push(
        repositories=("https://git.example/team/app",),
        provider="github",
        delivery="d-1",
        by="ana",
        commit=commit,
        passed_over=("a" * 40,),
    )
    (run,) = world.started(push)
    trigger = world.runs.conf[run]["trigger"]
    assert (trigger["by"], trigger["delivery"], trigger["passed_over"]) == ("ana", "d-1", ["a" * 40])


def test_a_push_that_says_another_commit_than_the_look_finds_is_not_whose_it_is(world: WatchingWorld) -> None:
    world.commit("2")
    push = Push(repositories=("https://git.example/team/app",), provider="github", by="ana", commit="b" * 40)
    (run,) = world.started(push)
    trigger = world.runs.conf[run]["trigger"]
    assert (trigger["by"], trigger["passed_over"]) == ("eva", ["b" * 40])


def test_the_longest_name_of_an_author_stops_no_look(world: WatchingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever commits chooses it, and git has no bound for it."""
    trees = world.watched.trees
    monkeypatch.setattr(world.watched, "trees", lambda *given: trees(*given)._replace(author="eva " * 1000))
    world.commit("2")
    (run,) = world.started()
    assert world.runs.conf[run]["trigger"]["by"].startswith("eva eva")


def test_the_name_of_an_author_cannot_write_over_what_a_terminal_shows(
    world: WatchingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = world.watched.trees
    monkeypatch.setattr(world.watched, "trees", lambda *given: trees(*given)._replace(author="e\x1b[2K\r\n\u202eva ö"))
    world.commit("2")
    (run,) = world.started()
    assert world.runs.conf[run]["trigger"]["by"] == "e [2K   va ö"


def test_a_folder_of_models_with_the_longest_name_stops_no_look(world: WatchingWorld) -> None:
    """Whoever writes in the storage chooses it; `decide` says what is wrong with it."""
    world.publish("two", created="2026-11-20T12:00:00Z")
    for name in [name for name in world.models.blobs if name.startswith("two/")]:
        world.models.blobs[name.replace("two/", "m" * 900 + "/")] = world.models.blobs.pop(name)
    assert [run.rpartition("-")[0] for run in world.started()] == ["model-digits"]


def test_a_run_that_a_person_gave_the_watchs_name_takes_no_commit_away(world: WatchingWorld) -> None:
    """Who may start a release names its run, and could guess what the next commit's is called."""
    old = world.source.refs["main"]
    world.commit("2")
    forged = f"commit-digits-{world.source.pin('main', 'serving_app', None).tree[:12]}"
    world.runs.start("release_digits", forged, {"commit": old})
    world.decide(key=f"run:{forged}", commit=old)
    world.runs.end(forged)
    assert world.started() == [f"{forged}-2"]
