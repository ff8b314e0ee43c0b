"""The watch's task: whom it believes, and how it tells what it could not look at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nightferry.errors import Permanent

PUSH = {"repositories": ["https://git.example/team/app"], "provider": "github", "by": "ana", "delivery": "d-1"}


def a_run(conf: Any, person: str | None = None) -> Any:
    return SimpleNamespace(conf=conf, triggering_user_name=person)


def test_the_minutes_run_has_no_push() -> None:
    from nightferry.operators.watch import push_of

    assert push_of(a_run(None)) is None
    assert push_of(a_run({})) is None


def test_a_webhooks_run_says_who_pushed() -> None:
    from nightferry.operators.watch import push_of

    push = push_of(a_run({"push": PUSH}))
    assert push is not None
    assert (push.by, push.delivery) == ("ana", "d-1")


def test_a_person_who_triggers_it_cannot_say_that_somebody_else_pushed() -> None:
    from nightferry.operators.watch import push_of

    push = push_of(a_run({"push": PUSH}, "mallory"))
    assert push is not None
    assert (push.repositories, push.by, push.delivery, push.passed_over) == (tuple(PUSH["repositories"]), "", "", ())


@pytest.mark.parametrize("conf", [{"x": 1}, {"push": 3}, {"push": {}}, {"push": {"repositories": "x"}}])
def test_parameters_that_it_does_not_have(conf: Any) -> None:
    from nightferry.operators.watch import push_of

    with pytest.raises(Permanent):
        push_of(a_run(conf))


def test_the_api_server_alone_has_the_endpoints() -> None:
    from nightferry_plugin import hooks

    assert hooks(["airflow", "scheduler"]) == []
    (found,) = hooks(["airflow", "api-server"])
    assert found["url_prefix"] == "/nightferry/hooks"
    assert {route.path for route in found["app"].routes} == {"/github", "/azure", "/gitlab", "/mlflow"}
