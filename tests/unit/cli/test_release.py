"""`nightferry release`: what it starts, what it says at the end, with which exit code."""

from __future__ import annotations

import json

import pytest
from nightferry import settings as settings_of
from nightferry.cli import main
from nightferry.cli.releasing import release
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.record import record_failure, record_release

from tests.fakes.a_release import a_decision, a_spec, decided, released
from tests.fakes.memory.memory_airflow import MemoryAirflow


class Releasing(MemoryAirflow):
    """Runs a release at once, as `outcome` says."""

    def __init__(self, ledger, clock) -> None:
        super().__init__()
        self.dags["release_digits"] = False
        self.ledger, self.clock = ledger, clock
        self.outcome = "released"

    def trigger(self, dag, run, conf, note=""):
        new = super().trigger(dag, run, conf, note)
        if new:
            getattr(self, f"_{self.outcome}")(f"run:{run}")
            self.runs[run] = "failed" if self.outcome in ("refused", "silent") else "success"
        return new

    def _released(self, key):
        released(self.ledger, self.clock, decided(self.ledger, self.clock, a_decision(key)))

    def _unchanged(self, key):
        decided(self.ledger, self.clock, a_decision(key, release=None))

    def _refused(self, key):
        decision = decided(self.ledger, self.clock, a_decision(key))
        fault = Permanent(Reason.GATE_FAILED, "Accuracy 0.82 is under the gate.")
        record_failure(self.ledger, self.clock, decision, "check_model", fault)
        record_release(self.ledger, self.clock, decision, ["staging", "production"])

    def _silent(self, key):
        pass


@pytest.fixture
def airflow(monkeypatch, ledger, clock, services) -> Releasing:
    fake = Releasing(ledger, clock)
    monkeypatch.setattr(release.AirflowApi, "connect", lambda settings: fake)
    monkeypatch.setattr(release, "SystemClock", lambda: clock)
    return fake


def test_a_release_that_is_waited_for_ends_with_its_record(airflow, capsys):
    assert main(["release", "digits", "--wait"]) == 0
    shown = capsys.readouterr()
    assert "digits-2026-11-21.1" in shown.out
    assert "✓" not in shown.out, "progress goes to stderr, the record to stdout"


def test_nothing_to_release_is_well_and_says_why(airflow, capsys):
    airflow.outcome = "unchanged"

    assert main(["release", "digits", "--wait"]) == 0
    assert "[unchanged]" in capsys.readouterr().out


def test_a_failed_release_is_not_well_and_says_what_failed(airflow, capsys):
    airflow.outcome = "refused"

    assert main(["release", "digits", "--wait"]) == 1
    assert "Accuracy 0.82 is under the gate." in capsys.readouterr().out


def test_a_run_that_left_no_word_is_not_well(airflow, capsys):
    airflow.outcome = "silent"

    assert main(["release", "digits", "--wait", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["decision"] is None


def test_for_programs_the_end_is_one_document(airflow, capsys):
    assert main(["release", "digits", "--wait", "--json", "--request-id", "ticket-7"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["run"], shown["state"], shown["release"]["outcome"]) == ("ticket-7", "success", "released")


def test_without_waiting_it_says_how_to_watch(airflow, capsys):
    assert main(["release", "digits", "--request-id", "ticket-7"]) == 0
    assert "nightferry release digits --request-id ticket-7 --wait" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [["--model", "../x"], ["--commit", "main"], ["--request-id", "a/b"], ["--reason", "x" * 501]],
)
def test_a_request_that_cannot_be_is_refused_before_airflow_hears_of_it(airflow, capsys, wrong):
    assert main(["release", "digits", *wrong]) == 2
    assert "[request_invalid]" in capsys.readouterr().err
    assert airflow.runs == {}


def test_ctrl_c_leaves_the_release_alone_and_says_how_to_come_back(airflow, capsys, monkeypatch, clock):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(release, "show_progress", interrupted)

    with pytest.raises(KeyboardInterrupt):
        release.wait(settings_of.load(), a_spec(), ReleaseRequest(), clock, request_id="ticket-7")
    assert "--request-id ticket-7 --wait" in capsys.readouterr().err
    assert list(airflow.runs) == ["ticket-7"]
