"""A release is followed to its end, through restarts, with what each step found."""

from __future__ import annotations

import io

import pytest
from nightferry.cli.releasing.follow import ASK_SECONDS, SILENCE_SECONDS, STIR_SECONDS, Findings, Follower, progress_of
from nightferry.cli.releasing.progress import Lines, show_progress, steps_table
from nightferry.clients.airflow.api import TaskState
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record.record import record_failure, record_step

from tests.fakes.a_release import a_decision, a_spec, decided, released
from tests.fakes.memory.memory_airflow import MemoryAirflow

DAG = "release_digits"
DOWN = Temporary(Reason.AIRFLOW_UNAVAILABLE, "Airflow does not answer.")


@pytest.fixture
def airflow() -> MemoryAirflow:
    fake = MemoryAirflow()
    fake.runs["one"] = "running"
    return fake


@pytest.fixture
def follower(airflow, ledger, clock) -> Follower:
    findings = Findings(ledger, "digits")
    findings.of_run("one", look_back=False)
    return Follower(airflow, DAG, "one", a_spec(), findings, clock)


def found(follower: Follower) -> dict[str, str]:
    return {step.step: step.found for step in follower.steps if step.found}


def test_steps_show_what_the_record_found(follower, ledger, clock):
    decision = decided(ledger, clock, a_decision())
    record_step(ledger, clock, decision, "fetch_model", sentence="Fetched 10 bytes.")

    assert not follower.look()
    assert found(follower) == {"decide": "First release of digits.", "fetch_model": "Fetched 10 bytes."}


def test_a_step_took_as_long_as_the_record_says_where_airflow_knows_only_its_last_try(follower, airflow, ledger, clock):
    released(ledger, clock, decided(ledger, clock, a_decision()))
    airflow.states = [TaskState("build_image", "success", 0.3, 2), TaskState("record", "success", 0.2, 1)]
    follower.look()

    took = {step.step: step.seconds for step in follower.steps}
    assert (took["build_image"], took["record"]) == (2.0, 0.2)


def test_entries_of_other_runs_are_not_its_own(follower, ledger, clock):
    decided(ledger, clock, a_decision(key="run:other", release="digits-2026-11-21.7"))
    decided(ledger, clock, a_decision(key="run:one2", release="digits-2026-11-21.8"))
    follower.look()

    assert follower.findings.release is None
    assert found(follower) == {}


def test_who_comes_later_sees_what_was_before(airflow, ledger, clock):
    decided(ledger, clock, a_decision(key="run:zero", release="digits-2026-11-21.1"))
    released(ledger, clock, decided(ledger, clock, a_decision(release="digits-2026-11-21.2")))
    findings = Findings(ledger, "digits")
    findings.of_run("one", look_back=True)

    assert findings.release == "digits-2026-11-21.2"
    assert len(findings.entries) == 12
    assert {entry.release for entry in findings.entries} == {"digits-2026-11-21.2"}


def test_it_ends_with_the_run(follower, airflow):
    assert not follower.look()
    airflow.runs["one"] = "failed"

    assert follower.look()
    assert follower.run.state == "failed"


def test_airflow_is_asked_seldom_while_nothing_happens_and_at_once_when_something_does(
    follower, airflow, ledger, clock
):
    airflow.states = [TaskState("decide", "running", 1.0, 1)]
    clock.advance(ASK_SECONDS + STIR_SECONDS)
    follower.look()
    asked = airflow.calls
    clock.advance(ASK_SECONDS / 2)
    follower.look()
    assert airflow.calls == asked
    assert follower.steps[0].seconds == pytest.approx(1.0 + ASK_SECONDS / 2)

    decided(ledger, clock, a_decision())
    airflow.states = [TaskState("decide", "success", 2.0, 1)]
    follower.look()
    assert (follower.steps[0].state, follower.steps[0].seconds) == ("succeeded", 2.0)


def test_a_slow_airflow_is_asked_less_often_even_when_there_is_news(ledger, clock):
    class Slow(MemoryAirflow):
        def run(self, dag, run):
            clock.advance(1)
            return super().run(dag, run)

    slow = Slow()
    slow.runs["one"] = "running"
    findings = Findings(ledger, "digits")
    findings.of_run("one", look_back=False)
    follower = Follower(slow, DAG, "one", a_spec(), findings, clock)
    decided(ledger, clock, a_decision(key="run:one"))
    began = clock.monotonic()
    while clock.monotonic() - began < 60:
        follower.look()
        clock.sleep(0.3)

    asked = slow.calls / 2
    assert 8 <= asked <= 11


def test_the_end_is_seen_at_once(follower, airflow, ledger, clock):
    released(ledger, clock, decided(ledger, clock, a_decision()))
    for _ in range(3):
        clock.advance(STIR_SECONDS)
        follower.look()
    airflow.runs["one"] = "success"
    clock.advance(0.1)
    assert follower.look()


def test_a_short_silence_is_waited_out_and_said(follower, airflow, clock):
    airflow.fault = DOWN
    assert not follower.look()
    assert follower.trouble
    airflow.fault = None
    clock.advance(SILENCE_SECONDS + 1)
    follower.look()

    assert follower.trouble == ""


def test_a_long_silence_is_a_failure(follower, airflow, clock):
    airflow.fault = DOWN
    follower.look()
    clock.advance(SILENCE_SECONDS + 1)

    with pytest.raises(Temporary):
        follower.look()


def test_a_run_that_somebody_deletes_does_not_hang_the_watcher(follower, airflow):
    del airflow.runs["one"]

    with pytest.raises(Permanent):
        follower.look()


def test_steps_stand_in_the_order_of_a_release():
    names = [step.step for step in progress_of(a_spec(), [], [])]

    assert names[0] == "decide"
    assert names[-5:] == ["staging.roll_out", "staging.verify", "production.roll_out", "production.verify", "record"]


def test_without_a_terminal_each_event_is_one_line(follower, airflow, ledger, clock):
    decision = decided(ledger, clock, a_decision())
    out = io.StringIO()
    lines = Lines(out)
    airflow.states = [TaskState("decide", "success", 1.0, 1), TaskState("fetch_model", "running", 2.0, 1)]
    for _ in range(3):
        follower.look()
        lines.update(follower)
    fault = Temporary(Reason.STORAGE_UNAVAILABLE, "The storage does not answer.")
    record_failure(ledger, clock, decision, "fetch_model", fault, attempt=1)
    airflow.states[1] = TaskState("fetch_model", "up_for_retry", 4.0, 1)
    for _ in range(2):
        follower.look()
        lines.update(follower)
    airflow.states[1] = TaskState("fetch_model", "failed", 5.0, 2)
    follower.look()
    lines.update(follower)

    decide, retried, failed = out.getvalue().splitlines()
    assert decide.startswith("✓ decide")
    assert retried.startswith("↻ fetch_model")
    assert retried.endswith("The storage does not answer.")
    assert failed.startswith("✗ fetch_model")


def test_on_a_terminal_every_step_has_its_row(follower, airflow, ledger, clock):
    from rich.console import Console
    from rich.spinner import Spinner

    decided(ledger, clock, a_decision())
    airflow.states = [TaskState("decide", "success", 1.0, 1), TaskState("fetch_model", "running", 2.0, 1)]
    follower.look()
    out = io.StringIO()
    Console(file=out, width=200).print(steps_table(follower, Spinner("dots")))

    rows = out.getvalue().splitlines()
    assert [row.split()[1] for row in rows] == [step.step for step in follower.steps]


def test_showing_progress_returns_when_the_run_ends(follower, airflow, clock):
    class Ends(MemoryAirflow):
        def run(self, dag, run):
            if clock.slept > 3:
                self.runs[run] = "success"
            return super().run(dag, run)

    ending = Ends()
    ending.runs["one"] = "running"
    follower._airflow = ending
    show_progress(follower, clock, io.StringIO())

    assert follower.run.state == "success"
