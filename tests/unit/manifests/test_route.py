"""The route that a gateway follows, and the Service of each release that it leads to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes import client
from nightferry.entities.rollout_plan import RolloutPlan
from nightferry.manifests import names, service
from nightferry.manifests.deployment import deployment
from nightferry.manifests.route import release_service, route, weights_of

from tests.fakes.worlds.rollout_world import plan

ONE, TWO = "digits-2026-11-21.1", "digits-2026-11-21.2"
TRAFFIC = {"gateway": "edge/users", "host": "digits.example.org", "aliases": ["digits.localhost"]}
FOUND = {"metadata": {"name": "digits", "uid": "u", "resourceVersion": "7", "generation": 3}}
NOTES = {names.ORDER: "12", names.PREVIOUS: ONE}


def through(release: str = ONE, **traffic: Any) -> RolloutPlan:
    return plan(release, traffic={**TRAFFIC, **traffic})


def made(weights: dict[str, int], found: dict[str, Any] | None = FOUND, **traffic: Any) -> dict[str, Any]:
    return route("digits", through(**traffic).environment, weights, NOTES, found)


def of_release(release: str = ONE) -> dict[str, Any]:
    known = deployment(through(release))
    return release_service("digits", release, {**known, "metadata": {**known["metadata"], "uid": "1"}})


def test_each_release_gets_its_share() -> None:
    [rule] = made({TWO: 10, ONE: 90})["spec"]["rules"]
    shares = [(one["kind"], one["name"], one["port"], one["weight"]) for one in rule["backendRefs"]]
    assert shares == [("Service", "digits-20261121-1", 80, 90), ("Service", "digits-20261121-2", 80, 10)]
    assert weights_of(made({TWO: 10, ONE: 90})) == {"digits-20261121-1": 90, "digits-20261121-2": 10}


def test_what_it_leads_to_is_there_under_the_same_name_and_port() -> None:
    for release in (ONE, TWO):
        [backend] = made({release: 1})["spec"]["rules"][0]["backendRefs"]
        to = of_release(release)
        assert (to["metadata"]["name"], to["spec"]["ports"][0]["port"]) == (backend["name"], backend["port"])


def test_a_release_that_gets_nobody_stays_known_to_the_gateway() -> None:
    assert weights_of(made({ONE: 0, TWO: 100})) == {"digits-20261121-1": 0, "digits-20261121-2": 100}


def test_without_a_release_nobody_is_answered() -> None:
    [rule] = made({})["spec"]["rules"]
    assert rule["backendRefs"] == []


@pytest.mark.parametrize("weight", [-1, 1_000_001])
def test_a_weight_that_no_gateway_knows_is_refused(weight: int) -> None:
    with pytest.raises(ValueError, match=str(weight)):
        made({ONE: weight})


def test_the_gateway_and_the_hosts_are_those_of_the_service_file() -> None:
    spec = made({ONE: 1})["spec"]
    group = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    assert spec["parentRefs"] == [{**group, "namespace": "edge", "name": "users"}]
    assert spec["hostnames"] == ["digits.example.org", "digits.localhost"]
    assert made({ONE: 1}, gateway="users")["spec"]["parentRefs"][0]["namespace"] == "gateway"


def test_it_is_bound_to_the_state_that_was_read() -> None:
    metadata = made({ONE: 1})["metadata"]
    assert (metadata["name"], metadata["uid"], metadata["resourceVersion"]) == ("digits", "u", "7")
    assert not {"uid", "resourceVersion"} & made({ONE: 1}, found=None)["metadata"].keys()


def test_it_says_whose_it_is_and_how_it_came_to_this() -> None:
    metadata = made({ONE: 1})["metadata"]
    assert metadata["labels"] == names.labels("digits")
    assert metadata["annotations"] == {**NOTES, names.ENVIRONMENT: "staging"}


def test_no_answer_is_cut_off_that_the_service_would_give() -> None:
    """Contour's Envoy would do so after 15 s."""
    [rule] = made({ONE: 1})["spec"]["rules"]
    assert rule["timeouts"] == {"request": "0s"}


def test_an_environment_without_a_gateway_has_no_route() -> None:
    with pytest.raises(ValueError, match="no gateway"):
        route("digits", plan().environment, {ONE: 1}, {}, None)


def test_the_service_of_a_release_leads_to_its_pods_alone_and_goes_with_them() -> None:
    found = of_release()
    assert found["spec"]["selector"] == names.selector("digits", ONE)
    assert found["spec"]["type"] == "ClusterIP"
    stable = service.stable("digits", {}, through().environment, notes={}, found=FOUND)
    assert found["spec"]["ports"] == stable["spec"]["ports"]
    [owner] = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Deployment", names.object_name(ONE), "1")
    assert found["metadata"]["labels"][names.VERSION] == ONE
    assert set(found["metadata"]["annotations"]) == set(names.IDENTITY)


def test_every_field_of_that_service_is_one_that_kubernetes_knows() -> None:
    class Answer:
        data = json.dumps(of_release())

    api = client.ApiClient()
    assert api.sanitize_for_serialization(api.deserialize(Answer(), "V1Service")) == of_release()
