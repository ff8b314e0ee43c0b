"""The same request is the same run, until it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from nightferry.cli.releasing.patience import PATIENCE_SECONDS, PatientAirflow
from nightferry.cli.releasing.request import start
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

from tests.fakes.a_release import a_decision, a_spec, decided, released
from tests.fakes.memory.memory_airflow import MemoryAirflow
from tests.fakes.still_clock import StillClock

DAG = "release_digits"


@pytest.fixture
def airflow() -> MemoryAirflow:
    fake = MemoryAirflow()
    fake.dags[DAG] = False
    return fake


def asked(airflow, ledger, clock, request_id=None, **wanted):
    return start(airflow, ledger, a_spec(), ReleaseRequest(**wanted), clock, request_id)


def test_a_repeat_while_it_runs_is_the_same_run(airflow, ledger, clock):
    first = asked(airflow, ledger, clock)
    decided(ledger, clock, a_decision(key=f"run:{first.run}"))
    again = asked(airflow, ledger, clock)

    assert (first.new, again.new) == (True, False)
    assert again.run == first.run


def test_after_a_release_the_same_words_are_a_new_request(airflow, ledger, clock):
    first = asked(airflow, ledger, clock)
    released(ledger, clock, decided(ledger, clock, a_decision()))
    airflow.runs[first.run] = "success"

    assert asked(airflow, ledger, clock).run != first.run


def test_after_an_unchanged_decision_the_same_words_are_a_new_request(airflow, ledger, clock):
    first = asked(airflow, ledger, clock)
    decided(ledger, clock, a_decision(release=None))
    airflow.runs[first.run] = "success"

    assert asked(airflow, ledger, clock).run != first.run


def test_a_run_that_died_without_a_word_on_the_record_can_be_asked_for_again(airflow, ledger, clock):
    first = asked(airflow, ledger, clock)
    airflow.runs[first.run] = "failed"
    second = asked(airflow, ledger, clock)

    assert second.new
    assert second.run != first.run
    assert asked(airflow, ledger, clock).run == second.run


@pytest.mark.parametrize("other", [{"model": "v2"}, {"commit": "a" * 40}, {"force": True}, {"reason": "because"}])
def test_other_wishes_are_another_request(airflow, ledger, clock, other):
    assert asked(airflow, ledger, clock).run != asked(airflow, ledger, clock, **other).run


def test_a_named_request_is_that_run_for_ever(airflow, ledger, clock):
    asked(airflow, ledger, clock, "ticket-7")
    airflow.runs["ticket-7"] = "failed"

    assert not asked(airflow, ledger, clock, "ticket-7").new
    assert list(airflow.runs) == ["ticket-7"]


def test_airflow_is_told_what_was_asked_for_and_no_more(airflow, ledger, clock):
    run = asked(airflow, ledger, clock, model="v2", reason="because").run

    assert airflow.confs[run] == {"model": "v2", "reason": "because"}


def test_a_dag_that_a_person_paused_is_not_started_behind_their_back(airflow, ledger, clock):
    airflow.dags[DAG] = True

    with pytest.raises(Permanent) as refused:
        asked(airflow, ledger, clock)
    assert refused.value.reason == Reason.REQUEST_INVALID
    assert airflow.runs == {}


def test_a_new_service_file_gets_time_to_be_read(ledger):
    class LateAirflow(MemoryAirflow):
        def paused(self, dag: str) -> bool | None:
            return False if clock.slept >= 20 else None

    clock, airflow = StillClock(), LateAirflow()

    assert asked(airflow, ledger, clock).new


def test_a_dag_that_never_comes_is_an_outside_systems_fault(ledger, clock):
    with pytest.raises(Temporary) as missing:
        asked(MemoryAirflow(), ledger, clock)
    assert missing.value.reason == Reason.AIRFLOW_UNAVAILABLE
    assert clock.slept < 120


DATABASE = Temporary(Reason.AIRFLOW_UNAVAILABLE, "Airflow answers 500.")
REFUSED = Permanent(Reason.AIRFLOW_DENIED, "Airflow refuses.")


class FaultyAirflow(MemoryAirflow):
    """Fails so many times, each time after it has done what was asked; what it starts ends at once."""

    def __init__(self, fault: NightferryError = DATABASE, times: int = 0) -> None:
        super().__init__()
        self.dags[DAG] = False
        self.fault_after, self.left, self.made = fault, times, 0

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any], note: str = "") -> bool:
        new = super().trigger(dag, run, conf, note)
        self.made += new
        self.runs[run] = "failed"
        if self.left:
            self.left -= 1
            raise self.fault_after
        return new


@pytest.mark.parametrize("request_id", [None, "ticket-7"])
def test_a_lost_answer_is_asked_for_again_and_is_no_second_run(ledger, clock, request_id):
    airflow = FaultyAirflow(times=3)

    found = asked(PatientAirflow(airflow, clock), ledger, clock, request_id)

    assert (airflow.made, list(airflow.runs)) == (1, [found.run])


def test_airflow_that_stays_silent_is_given_up(ledger, clock):
    airflow = FaultyAirflow(times=1000)

    with pytest.raises(Temporary) as silent:
        asked(PatientAirflow(airflow, clock), ledger, clock)
    assert silent.value.reason == Reason.AIRFLOW_UNAVAILABLE
    assert clock.slept < PATIENCE_SECONDS
    assert airflow.calls < 30
    assert airflow.made == 1


def test_what_airflow_refuses_is_not_asked_again(ledger, clock):
    airflow = FaultyAirflow(REFUSED, times=1)

    with pytest.raises(Permanent):
        asked(PatientAirflow(airflow, clock), ledger, clock)
    assert clock.slept == 0


def test_airflow_that_starts_late_is_waited_for(ledger, clock):
    class Restarting(MemoryAirflow):
        def _check(self) -> None:
            super()._check()
            if clock.slept < 40:
                raise DATABASE

    airflow = Restarting()
    airflow.dags[DAG] = False

    assert asked(PatientAirflow(airflow, clock), ledger, clock).new
