"""Two services never change each other's objects, whatever they are called."""

from __future__ import annotations

import pytest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.manifests import names, policies
from nightferry.manifests import service as services
from nightferry.steps.rollout.left_over import retire_left_over

from tests.fakes.worlds.rollout_world import World

RELEASE = "digits-2026-11-21.1"


@pytest.mark.parametrize("kind", ["Service", "NetworkPolicy", "Deployment"])
def test_what_carries_another_services_labels_is_left_as_it_is(kind: str) -> None:
    world = World()
    theirs = {
        "Service": services.candidate("digits", {names.RELEASE: RELEASE}),
        "NetworkPolicy": policies.network_policy("digits"),
        "Deployment": {
            "kind": "Deployment",
            "metadata": {"name": names.object_name(RELEASE), "labels": {}},
            "spec": {"replicas": 0, "template": {"metadata": {}, "spec": {"containers": [{"image": "theirs"}]}}},
        },
    }[kind]
    theirs["metadata"]["labels"] = names.labels("digits-candidate")
    before = world.cluster.create(theirs)
    with pytest.raises(Permanent) as caught:
        world.roll_out(RELEASE)
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
    assert "digits-candidate" in caught.value.sentence
    assert world.cluster.get(kind, theirs["metadata"]["name"])["metadata"]["labels"] == before["metadata"]["labels"]


def test_removing_a_service_leaves_what_is_anothers() -> None:
    world = World()
    world.roll_out(RELEASE)
    world.cluster.delete("Service", "digits-candidate")
    theirs = services.candidate("digits", {names.RELEASE: RELEASE})
    theirs["metadata"]["labels"] = names.labels("digits-candidate")
    world.cluster.create(theirs)
    retire_left_over(world.cluster, "digits", world.clock, everything=True)
    assert world.cluster.names("Service") == ["digits-candidate"]
    assert world.cluster.names("NetworkPolicy") == []


def test_two_environments_never_share_a_service() -> None:
    """Their namespaces have one name, and their connections lead to one cluster."""
    world = World()
    world.roll_out(RELEASE)
    with pytest.raises(Permanent) as caught:
        world.roll_out("digits-2026-11-21.2", name="production")
    assert caught.value.reason == Reason.ROLLOUT_REFUSED
    assert world.in_use() == RELEASE
