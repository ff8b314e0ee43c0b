"""Airflow's own answers: what the client takes for granted about the REST API."""

from __future__ import annotations

import uuid

import pytest
from nightferry import settings as settings_of
from nightferry.clients.airflow.api import AirflowApi
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

pytestmark = pytest.mark.sandbox
DAG = "release_digits"


@pytest.fixture
def airflow() -> AirflowApi:
    return AirflowApi.connect(settings_of.load())


def test_a_dag_of_the_sample_is_there_and_not_paused(airflow: AirflowApi) -> None:
    assert airflow.paused(DAG) is False


def test_what_is_not_there_is_none(airflow: AirflowApi) -> None:
    nothing = f"nothing_{uuid.uuid4().hex[:8]}"

    assert airflow.paused(nothing) is None
    assert airflow.run(DAG, nothing) is None
    with pytest.raises(Temporary):
        airflow.trigger(nothing, nothing, {})


@pytest.mark.parametrize("wrong", [{"model": "../x"}, {"commit": "main"}, {"force": "yes"}, {"reason": "x" * 501}])
def test_parameters_that_the_dag_does_not_take_are_refused_and_start_nothing(
    airflow: AirflowApi, wrong: dict[str, object]
) -> None:
    run = f"test-{uuid.uuid4().hex[:8]}"

    with pytest.raises(Permanent) as refused:
        airflow.trigger(DAG, run, wrong)
    assert refused.value.reason == Reason.REQUEST_INVALID
    assert airflow.run(DAG, run) is None


def test_a_wrong_password_is_refused(airflow: AirflowApi) -> None:
    with pytest.raises(Permanent) as refused:
        AirflowApi(airflow.address, "admin", uuid.uuid4().hex).paused(DAG)
    assert refused.value.reason == Reason.AIRFLOW_DENIED
