"""What a task leaves behind when it fails."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.operators.failures import reported


class Notes(dict[str, Any]):
    """Stands where the task instance leaves its notes."""

    def xcom_push(self, key: str, value: Any) -> None:
        self[key] = value


def fail(fault: BaseException) -> dict[str, Any]:
    """The note that is left when `fault` is raised; the fault itself goes on its way."""
    notes = Notes()
    with pytest.raises(type(fault)) as raised, reported({"ti": notes}):
        raise fault
    assert raised.value is fault
    return notes.get("failure", {})


def test_a_failure_leaves_its_reason_and_sentence_and_whether_it_is_final() -> None:
    assert fail(Permanent(Reason.MODEL_NONE, "There is none.")) == {
        "reason": "model_none",
        "sentence": "There is none.",
        "permanent": True,
    }
    assert fail(Temporary(Reason.DOCKER_UNAVAILABLE, "Away."))["permanent"] is False


def test_a_task_that_took_too_long_says_so() -> None:
    from airflow.sdk.exceptions import AirflowTaskTimeout

    assert fail(AirflowTaskTimeout("timeout"))["reason"] == "interrupted"


def test_an_error_that_nobody_foresaw_is_named_by_its_kind_alone() -> None:
    note = fail(KeyError("AccountKey=secret"))

    assert note["reason"] == "internal_error"
    assert "KeyError" in note["sentence"]
    assert "secret" not in note["sentence"]


def test_a_task_that_is_killed_leaves_nothing() -> None:
    assert fail(SystemExit(137)) == {}


def test_the_vendors_chain_of_errors_does_not_go_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cause = ValueError("a long story")
    fault = Permanent(Reason.STORAGE_DENIED, "Refused.")
    with pytest.raises(Permanent) as raised, reported({"ti": Notes()}):
        raise fault from cause

    assert raised.value.__suppress_context__
    assert raised.value.__cause__ is None


def test_a_secret_in_a_sentence_does_not_reach_xcom() -> None:
    note = fail(Permanent(Reason.SOURCE_REPOSITORY_UNAVAILABLE, "No https://ada:hunter2@host/app?sig=hunter2 here."))

    assert "hunter2" not in str(note)
    assert "host/app" in note["sentence"]
