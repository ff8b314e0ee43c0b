"""What is left of services whose files were removed, and what may be removed of it."""

from __future__ import annotations

from typing import Any

import pytest
from nightferry.manifests import names
from nightferry.steps.rollout.left_over import left_over, retire_left_over

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.fakes.still_clock import StillClock

NOW = "2026-11-21T01:00:00Z"


@pytest.fixture
def cluster() -> MemoryCluster:
    """Two services: `digits` in its second release, and `letters`, whose name begins another's."""
    cluster = MemoryCluster(StillClock())
    for service, releases in {"digits": 2, "letters": 1}.items():
        for number in range(1, releases + 1):
            deploy(cluster, service, number)
        point(cluster, service, releases)
        cluster.create({"kind": "NetworkPolicy", "metadata": {"name": service, "labels": names.labels(service)}})
    return cluster


def deploy(cluster: MemoryCluster, service: str, number: int, replicas: int = 2) -> None:
    release = f"{service}-2026-11-21.{number}"
    labels = names.labels(service, release)
    container = {"image": "x", "name": "service"}
    cluster.create(
        {
            "kind": "Deployment",
            "metadata": {
                "name": names.object_name(release),
                "labels": labels,
                "annotations": {names.RELEASE: release},
            },
            "spec": {
                "replicas": replicas,
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )


def point(cluster: MemoryCluster, service: str, number: int) -> None:
    release = f"{service}-2026-11-21.{number}"
    manifest: dict[str, Any] = {
        "kind": "Service",
        "metadata": {
            "name": service,
            "labels": names.labels(service),
            "annotations": {names.RELEASE: release},
        },
        "spec": {"selector": names.selector(service, release), "ports": [{"port": 80}]},
    }
    cluster.apply(manifest)


def test_services_without_a_file_are_named_with_what_they_hold(cluster: MemoryCluster) -> None:
    (found,) = left_over(cluster, {"letters"})
    assert (found.service, found.in_use) == ("digits", "digits-2026-11-21.2")
    assert found.releases == {"digits-2026-11-21.1": 2, "digits-2026-11-21.2": 2}
    assert left_over(cluster, {"letters", "digits"}) == []


def test_what_somebody_else_runs_there_is_not_ours(cluster: MemoryCluster) -> None:
    cluster.create({"kind": "Service", "metadata": {"name": "theirs"}, "spec": {"selector": {}, "ports": [{}]}})
    assert [one.service for one in left_over(cluster, set())] == ["digits", "letters"]


def test_what_is_in_use_stays(cluster: MemoryCluster) -> None:
    clock = StillClock()
    assert retire_left_over(cluster, "digits", clock, everything=False) == ("digits-2026-11-21.1",)
    assert cluster.names("Deployment") == ["digits-20261121-2", "letters-20261121-1"]
    assert cluster.names("Service") == ["digits", "letters"]
    assert retire_left_over(cluster, "digits", clock, everything=False) == ()


def test_everything_goes_when_it_is_asked_for_and_nothing_of_another_service(cluster: MemoryCluster) -> None:
    assert len(retire_left_over(cluster, "digits", StillClock(), everything=True)) == 2
    for kind in ("Deployment", "Service", "NetworkPolicy"):
        assert [name for name in cluster.names(kind) if name.startswith("digits")] == []
        assert [name for name in cluster.names(kind) if name.startswith("letters")]
    assert left_over(cluster, {"letters"}) == []


def test_a_removal_that_was_killed_half_way_is_finished_the_second_time(cluster: MemoryCluster) -> None:
    def killed(call: str, kind: str) -> None:
        if (call, kind) == ("delete", "Deployment"):
            raise KeyboardInterrupt

    cluster.before = killed
    with pytest.raises(KeyboardInterrupt):
        retire_left_over(cluster, "digits", StillClock(), everything=True)
    cluster.before = lambda call, kind: None
    retire_left_over(cluster, "digits", StillClock(), everything=True)
    assert left_over(cluster, {"letters"}) == []


def test_a_rollout_that_switches_at_the_same_moment_wins(cluster: MemoryCluster) -> None:
    """The service's file came back, and its next release is about to be used, after this has read what is there."""
    switched = []

    def roll_out(call: str, kind: str) -> None:
        if (call, kind) == ("get", "Service") and not switched:
            switched.append(True)
            cluster.patch(
                "Deployment", "digits-20261121-1", {"metadata": {"annotations": {names.SWITCHING: f"{NOW} x"}}}
            )

    cluster.before = roll_out
    assert retire_left_over(cluster, "digits", StillClock(), everything=False) == ()
    assert "digits-20261121-1" in cluster.names("Deployment")


@pytest.mark.parametrize(("minutes", "removed"), [(1, 0), (3, 1)])
def test_the_mark_of_a_rollout_under_way_counts_for_as_long_as_one_takes(
    cluster: MemoryCluster, minutes: int, removed: int
) -> None:
    clock = StillClock()
    mark = f"{clock.now().isoformat()} x"
    cluster.patch("Deployment", "digits-20261121-1", {"metadata": {"annotations": {names.SWITCHING: mark}}})
    clock.advance(60 * minutes)
    assert len(retire_left_over(cluster, "digits", clock, everything=False)) == removed
