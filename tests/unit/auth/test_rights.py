"""The rule in front of Airflow's auth managers, with one that says what the test says."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from nightferry.auth.rights import ReleaseRights

METHODS = ("GET", "POST", "PUT", "DELETE")
ENTITIES = (None, *DagAccessEntity)
DAGS = (None, "release_digits", "approve_digits", "preview", "end_previews", "roll_back", "watch", "somebody_elses")
CHANGES = [one for one in itertools.product(METHODS, ENTITIES) if one[0] != "GET"]


class Airflows:
    """What stands behind: DAGs as it is told, pools for the user `op`."""

    allows = True

    def is_authorized_dag(self, **asked: Any) -> bool:
        return self.allows

    def is_authorized_pool(self, *, method: str, user: str) -> bool:
        return method == "GET" or user == "op"

    def get_authorized_dag_ids(self, *, user: str, method: str = "GET", session: object = None) -> set[str]:
        return {dag for dag in DAGS if dag}


class Rights(ReleaseRights, Airflows):  # type: ignore[misc]
    """Both."""


def may(user: str, method: str, entity: DagAccessEntity | None, dag: str | None) -> bool:
    return Rights().is_authorized_dag(method=method, user=user, access_entity=entity, details=DagDetails(id=dag))


def test_it_only_takes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Airflows, "allows", False)
    for user, method, entity, dag in itertools.product(("user", "op"), METHODS, ENTITIES, DAGS):
        assert not may(user, method, entity, dag)


@pytest.mark.parametrize("dag", ["release_digits", "preview", "end_previews"])
def test_a_user_asks_and_an_operator_does_the_rest(dag: str) -> None:
    allowed = {change for change in CHANGES if may("user", *change, dag)}
    assert allowed == {("POST", DagAccessEntity.RUN)}
    assert all(may("op", *change, dag) for change in CHANGES)


@pytest.mark.parametrize("dag", ["approve_digits", "roll_back", "drift", "rehearsal", "retire_releases", "watch"])
def test_of_what_operates_a_user_changes_nothing(dag: str) -> None:
    assert not any(may("user", *change, dag) for change in CHANGES)
    assert all(may("op", *change, dag) for change in CHANGES)
    assert all(may("user", "GET", entity, dag) for entity in ENTITIES)


def test_dags_of_others_are_left_to_airflow() -> None:
    assert all(may("user", *change, "somebody_elses") for change in CHANGES)


def test_many_at_once_are_those_that_each_would_be() -> None:
    rights = Rights()
    assert rights.get_authorized_dag_ids(user="user", method="PUT", session=None) == {"somebody_elses"}
    assert rights.get_authorized_dag_ids(user="user") == {dag for dag in DAGS if dag}
    assert rights.get_authorized_dag_ids(user="op", method="PUT") == {dag for dag in DAGS if dag}
    ours, theirs = ({"method": "PUT", "details": DagDetails(id=dag)} for dag in ("roll_back", "somebody_elses"))
    assert rights.batch_is_authorized_dag([theirs], user="user")
    assert not rights.batch_is_authorized_dag([theirs, ours], user="user")
    assert rights.batch_is_authorized_dag([theirs, ours], user="op")
