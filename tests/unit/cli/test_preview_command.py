"""`nightferry preview`: what it starts, what it says, and what it does not take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from nightferry.cli import main
from nightferry.cli.previews import preview as command
from nightferry.cli.releasing import release
from nightferry.clients import connect
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.record.preview_record import record_end, record_not_pinned

from tests.fakes.memory.memory_airflow import MemoryAirflow
from tests.fakes.worlds.preview_world import Previews

PREVIEW = "preview-digits-1"
MODEL = "2026-11-20-linear"


class Previewing(MemoryAirflow):
    """Carries out at once what a run is asked for, as `outcome` says."""

    def __init__(self, previews: Previews) -> None:
        super().__init__()
        self.dags |= {"preview": False, "end_previews": False, "release_digits": False}
        self.previews, self.outcome = previews, "up"

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any], note: str = "") -> bool:
        new = super().trigger(dag, run, conf, note)
        if new and dag == "preview":
            getattr(self, f"_{self.outcome}")(run)
            self.runs[run] = "success" if self.outcome == "up" else "failed"
        if new and dag == "end_previews" and self.outcome != "stuck":
            self.previews.end(conf["preview"], conf.get("reason", ""))
            self.runs[run] = "success"
        return new

    def _up(self, run: str) -> None:
        self.previews.up(run)

    def _refused(self, run: str) -> None:
        ledger, clock = self.previews.ledger, self.previews.clock
        record_not_pinned(ledger, clock, "digits", f"run:{run}", "ana", Reason.PREVIEW_FULL, "No place: bo has it.")

    def _failed(self, run: str) -> None:
        name = self.previews.ask(run)
        ledger, clock = self.previews.ledger, self.previews.clock
        record_end(ledger, clock, name, actor="ana", reason=Reason.GATE_FAILED, sentence="check_model failed: 0.5.")


@pytest.fixture
def previews(monkeypatch: pytest.MonkeyPatch, services: object) -> Previews:
    previews = Previews()
    monkeypatch.setattr(connect, "ledger_store", lambda settings: previews.ledger)
    monkeypatch.setattr(connect, "cluster", lambda settings, namespace, connection: previews.trial)
    for module in (command, release):
        monkeypatch.setattr(module, "SystemClock", lambda: previews.clock)
    monkeypatch.setattr("nightferry.cli.record.SystemClock", lambda: previews.clock)
    return previews


@pytest.fixture
def airflow(previews: Previews, monkeypatch: pytest.MonkeyPatch) -> Previewing:
    fake = Previewing(previews)
    monkeypatch.setattr(command.AirflowApi, "connect", lambda settings: fake)
    return fake


def test_one_that_is_waited_for_ends_with_its_address_and_its_comparison(
    airflow: Previewing, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["preview", "digits", "--model", MODEL, "--hours", "2", "--reason", "sevens", "--wait"]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["preview"], said["state"], said["by"]) == (PREVIEW, "up", "ana")
    assert said["address"].startswith("http://127.0.0.1:")
    assert said["diff"]["flips"] == 3
    (conf,) = airflow.confs.values()
    assert conf == {"service": "digits", "model": MODEL, "hours": 2, "reason": "sevens"}
    assert main(words) == 0  # once it is pinned, asking again is another preview
    out = capsys.readouterr().out
    assert "preview-digits-2  up" in out
    assert "3 of 40 answers differ, 7.5 %" in out


@pytest.mark.parametrize(
    ("outcome", "said"), [("refused", "No place: bo has it."), ("failed", "check_model failed: 0.5.")]
)
def test_one_that_did_not_come_up_is_not_well(
    airflow: Previewing, capsys: pytest.CaptureFixture[str], outcome: str, said: str
) -> None:
    airflow.outcome = outcome
    assert main(["preview", "digits", "--model", MODEL, "--wait"]) == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["digits"],
        ["digits", "--model", "a/b"],
        ["digits", "--model", MODEL, "--hours", "73"],
        ["digits", "--model", MODEL, "--commit", "main"],
        ["digits", "other", "--model", MODEL],
        ["digist", "--model", MODEL],
        ["list", "digist"],
        ["list", "--wait"],
        ["show"],
        ["show", "preview-digits-9"],
        ["end"],
        ["end", "digits-2026-11-21.1"],
        ["promote", "preview-digits-1"],
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_started(airflow: Previewing, words: list[str]) -> None:
    assert main(["preview", *words]) == 2
    assert airflow.runs == {}


def test_the_list_reads_record_and_cluster(previews: Previews, capsys: pytest.CaptureFixture[str]) -> None:
    previews.up("one")
    previews.ask("two")
    assert main(["preview", "list", "digits", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(one["preview"], one["state"], one["cluster"]) for one in said] == [
        (PREVIEW, "up", "runs"),
        ("preview-digits-2", "made", "-"),
    ]
    previews.clock.advance(8.5 * 3600)
    assert main(["preview", "list", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(one["state"], one["cluster"]) for one in said] == [("over", "ends"), ("made", "-")]


def test_a_cluster_that_is_silent_is_said_and_the_record_shown(
    previews: Previews, capsys: pytest.CaptureFixture[str]
) -> None:
    previews.up()
    previews.trial.fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "It is away.")
    assert main(["preview", "list", "--json"]) == 0
    said = capsys.readouterr()
    assert [one["cluster"] for one in json.loads(said.out)] == ["not seen"]
    assert "It is away." in said.err


def test_a_person_ends_one_and_ending_it_again_is_no_fault(
    airflow: Previewing, previews: Previews, capsys: pytest.CaptureFixture[str]
) -> None:
    previews.up()
    assert main(["preview", "end", PREVIEW, "--reason", "seen enough"]) == 0
    assert "seen enough" in capsys.readouterr().out
    assert main(["preview", "end", PREVIEW]) == 0
    assert list(airflow.runs) == [f"end-{PREVIEW}"]
    assert previews.left() == []


def test_an_end_that_does_not_come_is_said(airflow: Previewing, previews: Previews) -> None:
    previews.up()
    airflow.outcome = "stuck"
    assert main(["preview", "end", PREVIEW]) == 3


def test_promoting_asks_for_that_very_model_and_commit_by_name_and_nothing_more(
    airflow: Previewing, previews: Previews, capsys: pytest.CaptureFixture[str]
) -> None:
    previews.up()
    before = len(previews.ledger.blobs)
    assert main(["preview", "promote", PREVIEW, "--json"]) == 0
    (conf,) = airflow.confs.values()
    assert conf == {"model": "model-122", "commit": "c" * 40, "reason": f"seen as {PREVIEW}"}
    assert json.loads(capsys.readouterr().out)["run"] == next(iter(airflow.runs))
    assert (len(previews.ledger.blobs), previews.open()) == (before, [PREVIEW])


def test_who_may_not_release_may_not_promote(airflow: Previewing, previews: Previews) -> None:
    previews.up()
    airflow.fault = Permanent(Reason.AIRFLOW_DENIED, "Not you.")
    assert main(["preview", "promote", PREVIEW]) == 3


def test_history_shows_previews_only_where_they_are_asked_for(
    previews: Previews, capsys: pytest.CaptureFixture[str]
) -> None:
    previews.end(previews.up())
    assert main(["history", "digits"]) == 0
    assert PREVIEW not in capsys.readouterr().out
    assert main(["history", "digits", "--previews", "--json"]) == 0
    assert [(one["preview"], one["state"]) for one in json.loads(capsys.readouterr().out)] == [(PREVIEW, "over")]


def test_the_comparison_is_written_as_a_page(previews: Previews, tmp_path: Any) -> None:
    previews.up()
    assert main(["preview", "show", PREVIEW, "--page", str(tmp_path / "diff.html")]) == 0
    assert "golden/7.png" in (tmp_path / "diff.html").read_text(encoding="utf-8")
    previews.compare = lambda plan: None
    previews.up("two")
    assert main(["preview", "show", "preview-digits-2", "--page", str(tmp_path / "none.html")]) == 2
