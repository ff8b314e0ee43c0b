"""`nightferry services left-over` and `services retire`."""

from __future__ import annotations

import json

import pytest
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.entities.reason import Reason
from nightferry.errors import Temporary

from tests.fakes.memory.memory_cluster import MemoryCluster
from tests.unit.steps.rollout.test_left_over import deploy, point


@pytest.fixture
def clusters(monkeypatch):
    """The namespaces, by connection and name; each is made when it is first looked at."""
    made = {}

    def cluster(settings, namespace, connection, guard=lambda it: it):
        return guard(made.setdefault((connection, namespace), MemoryCluster(namespace=namespace)))

    monkeypatch.setattr(connect, "cluster", cluster)
    for namespace in ("staging", "production"):
        found = cluster(None, namespace, "nightferry_cluster")
        for service in ("digits", "letters"):
            deploy(found, service, 1)
            deploy(found, service, 2)
            point(found, service, 2)
    return made


def test_what_is_left_is_named_per_namespace(capsys, services, clusters):
    assert main(["services", "left-over", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert [(one["namespace"], one["service"], one["in_use"]) for one in shown] == [
        ("production", "letters", "letters-2026-11-21.2"),
        ("staging", "letters", "letters-2026-11-21.2"),
    ]


def test_nothing_left_is_well(capsys, services, clusters):
    text = (services / "digits.yaml").read_text(encoding="utf-8")
    (services / "letters.yaml").write_text(text.replace("service: digits", "service: letters"), encoding="utf-8")
    assert main(["services", "left-over"]) == 0


def test_a_file_that_cannot_be_read_is_not_one_that_was_removed(capsys, services, clusters):
    (services / "letters.yaml").write_text("service: letters\nowner: [", encoding="utf-8")
    assert main(["services", "left-over"]) == 0
    assert main(["services", "retire", "letters", "--all", "--yes"]) == 0
    assert len(clusters["nightferry_cluster", "staging"].names("Deployment")) == 4


def test_a_namespace_that_no_file_names_any_more_is_looked_at_when_asked(capsys, services, clusters):
    deploy(clusters.setdefault(("far", "crm"), MemoryCluster(namespace="crm")), "churn", 1)
    assert main(["services", "left-over", "--namespace", "crm", "--cluster", "far", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert ("far", "churn", 2) in [(one["cluster"], one["service"], sum(one["releases"].values())) for one in shown]


def test_without_yes_nothing_is_changed(capsys, services, clusters):
    assert main(["services", "retire", "letters", "--all"]) == 0
    assert "letters-2026-11-21.1" in capsys.readouterr().out
    for cluster in clusters.values():
        assert len(cluster.names("Deployment")) == 4


def test_with_yes_what_is_not_in_use_goes(capsys, services, clusters):
    assert main(["services", "retire", "letters", "--yes"]) == 0
    for cluster in clusters.values():
        assert "letters-20261121-1" not in cluster.names("Deployment")
        assert "letters-20261121-2" in cluster.names("Deployment")
        assert len(cluster.names("Deployment")) == 3


def test_a_service_with_a_file_is_never_touched(capsys, services, clusters):
    assert main(["services", "retire", "digits", "--all", "--yes"]) == 0
    for cluster in clusters.values():
        assert len([name for name in cluster.names("Deployment") if name.startswith("digits")]) == 2
        assert "digits" in cluster.names("Service")


def test_two_connections_may_be_one_cluster(capsys, services, clusters):
    """Seen by way of the other connection, a service with a file is none that is left over."""
    assert main(["services", "retire", "digits", "--all", "--yes", "--namespace", "staging", "--cluster", "alias"]) == 0
    clusters["alias", "staging"] = clusters["nightferry_cluster", "staging"]
    assert main(["services", "retire", "digits", "--all", "--yes", "--namespace", "staging", "--cluster", "alias"]) == 0
    assert "digits" in clusters["alias", "staging"].names("Service")


def test_a_namespace_that_cannot_be_looked_at_is_not_an_empty_one(capsys, services, clusters):
    clusters["nightferry_cluster", "production"].fault = Temporary(Reason.CLUSTER_UNAVAILABLE, "No answer.")
    assert main(["services", "left-over"]) == 3
    told = capsys.readouterr()
    assert "letters" in told.out  # of staging
    assert "[cluster_unavailable]" in told.err
