"""What an Airflow run says about itself, in Nightferry's words."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import ValidationError

from nightferry.entities.decision import REQUEST, Decision, ReleaseRequest
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.entities.trigger import SCHEDULE, Cause
from nightferry.errors import Permanent

DECISION = "{{ ti.xcom_pull(task_ids='decide') | tojson }}"
"""The template of a field that holds the run's decision."""


NOTHING = ("null", "None", "")
"""What a template makes of a task that left no result."""


def left_nothing(task: str) -> Permanent:
    """The error of a task whose result is missing, since it was marked as done by hand."""
    return Permanent(
        Reason.RESULT_MISSING,
        f"{task} left no result: it was marked as done in Airflow. Clear it there and let it run.",
    )


def is_scheduled(run: Any) -> bool:
    """Whether the timetable started the run."""
    return str(getattr(run.run_type, "value", run.run_type)) == "scheduled" and run.logical_date is not None


def decision_key(run: Any) -> str:
    """What the run decides on: a moment of the service's schedule, or this one run.

    A run that Airflow repeats (a retry, a clear, a second scheduler) has the same key, so its decision is made once.
    A schedule that is moved has other moments, so that it never repeats the decision of another one.
    """
    if not is_scheduled(run):
        return f"run:{run.run_id}"
    return f"slot:{run.logical_date.astimezone(dt.UTC):%Y-%m-%dT%H:%MZ}"


def actor(run: Any) -> str:
    """Who asked: the person who triggered the run, `schedule`, or who or what caused it."""
    if is_scheduled(run):
        return SCHEDULE
    found = cause(run)
    return found.actor if found else str(run.triggering_user_name or "airflow")


def cause(run: Any) -> Cause | None:
    """What asked, where one of Nightferry's own tasks started the run; None: a person did, or the schedule.

    Anybody who may trigger a run chooses its parameters, so they count only where Airflow itself says that a task
    started it.
    """
    if str(getattr(run.run_type, "value", run.run_type)) != "operator_triggered":
        return None
    return release_request(run).trigger


def way(run: Any) -> str:
    """By what way the run was asked for, as `Decision.way`; one that the command was given a name for is Airflow's."""
    if is_scheduled(run):
        return "timetable"
    if cause(run):
        return "event"
    return "command" if str(run.run_id).startswith(REQUEST) else "airflow"


def release_request(run: Any) -> ReleaseRequest:
    """The run's parameters.

    Raises:
        Permanent: (request_invalid) an unknown parameter, which Airflow itself lets through, or a bad value.
    """
    given = {name: value for name, value in (run.conf or {}).items() if value is not None}
    try:
        return ReleaseRequest.model_validate(given)
    except ValidationError as fault:
        raise Permanent(
            Reason.REQUEST_INVALID,
            f"The parameters of the run are not valid: {'; '.join(problems(fault))}. "
            f"A release takes {', '.join(ReleaseRequest.model_fields)}.",
        ) from fault


def read_decision(rendered: str) -> Decision:
    """The decision in a field that was templated with `DECISION`.

    Raises:
        Permanent: (result_missing) `decide` left none: it was marked as done by hand.
    """
    if rendered in NOTHING:
        raise left_nothing("decide")
    return Decision.model_validate_json(rendered)
