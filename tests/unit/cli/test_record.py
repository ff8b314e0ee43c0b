"""Reading the record on the command line: history, show, url."""

from __future__ import annotations

import json

import pytest
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.clients.kube.cluster import KubeCluster
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.record import record_failure, record_release, record_step

from tests.fakes.a_release import IMAGE, a_decision, decided, released
from tests.fakes.memory.memory_cluster import MemoryCluster

RELEASE = "digits-2026-11-21.1"


def test_history_shows_decisions_newest_first_in_the_services_zone(capsys, ledger, clock, services):
    released(ledger, clock, decided(ledger, clock, a_decision()))
    clock.advance(3600)
    decided(ledger, clock, a_decision(key="run:two", release=None))

    assert main(["history", "digits"]) == 0
    _, newest, older = capsys.readouterr().out.splitlines()
    assert newest.startswith("2026-11-21 03:00:20 CET")
    assert "unchanged" in newest
    assert "released" in older
    assert RELEASE in older


def test_history_as_json_holds_the_codes_and_utc(capsys, ledger, clock, services):
    released(ledger, clock, decided(ledger, clock, a_decision()))

    assert main(["history", "digits", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["time"], line["decided"], line["outcome"]) == ("2026-11-21T01:00:00Z", "first_release", "released")


def test_history_stops_at_the_limit_and_reads_no_further(capsys, ledger, clock, services):
    for number in range(5):
        decided(ledger, clock, a_decision(key=f"run:{number}", release=None))
    ledger.blobs["digits/000000000001.json"] = b"damaged, and too old to be asked for"

    assert main(["history", "digits", "--limit", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_history_of_a_service_without_any_says_so(capsys, ledger, services):
    assert main(["history", "digits"]) == 0
    assert "digits" in capsys.readouterr().out


def test_a_misspelt_service_is_bad_input(capsys, ledger, services):
    assert main(["history", "digist"]) == 2
    assert "[service_unknown]" in capsys.readouterr().err


def test_the_record_of_a_service_that_is_gone_can_still_be_read(capsys, ledger, clock, services):
    released(ledger, clock, decided(ledger, clock, a_decision()))
    (services / "digits.yaml").unlink()

    assert main(["history", "digits"]) == 0
    assert "2026-11-21 01:00:00 UTC" in capsys.readouterr().out


def test_show_tells_what_every_step_found(capsys, ledger, clock, services):
    released(ledger, clock, decided(ledger, clock, a_decision()))

    assert main(["show", RELEASE]) == 0
    shown = capsys.readouterr().out
    for fact in (
        RELEASE,
        "released",
        "ada",
        "2026-11-20-linear",
        "c" * 40,
        IMAGE,
        "build_image is done.",
        "for the demo",
    ):
        assert fact in shown


def test_show_of_a_failed_release_is_not_well(capsys, ledger, clock, services):
    decision = decided(ledger, clock, a_decision())
    record_step(ledger, clock, decision, "fetch_model", sentence="Fetched.")
    fault = Permanent(Reason.GATE_FAILED, "Accuracy 0.82 is under the gate.")
    record_failure(ledger, clock, decision, "check_model", fault)
    record_release(ledger, clock, decision, ["staging", "production"])

    assert main(["show", RELEASE, "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["outcome"] == "gate_failed"
    assert [step["step"] for step in shown["steps"]] == ["fetch_model", "check_model"]


def test_show_of_a_release_that_runs_is_well(ledger, clock, services):
    decided(ledger, clock, a_decision())

    assert main(["show", RELEASE]) == 0


@pytest.mark.parametrize("name", ["digits-2026-11-21.9", "digits", "../etc"])
def test_show_of_an_unknown_release_is_bad_input(name, capsys, ledger, services):
    assert main(["show", name]) == 2
    assert "[release_unknown]" in capsys.readouterr().err


def test_url_prints_the_address_and_nothing_else(capsys, monkeypatch, clock, services):
    cluster = MemoryCluster(clock, "production")
    ports = [{"port": 80, "nodePort": 30123}]
    cluster.create({"kind": "Service", "metadata": {"name": "digits"}, "spec": {"type": "NodePort", "ports": ports}})
    monkeypatch.setattr(connect, "cluster", lambda settings, namespace, connection: cluster)

    assert main(["url", "digits"]) == 0
    assert capsys.readouterr().out == "http://127.0.0.1:30123\n"


def through_a_gateway(services, monkeypatch, clock, known):
    file = services / "digits.yaml"
    traffic = "traffic: {gateway: users, host: digits.example.org}"
    text = file.read_text(encoding="utf-8").replace("namespace: production", f"namespace: production, {traffic}")
    file.write_text(text, encoding="utf-8")
    cluster = MemoryCluster(clock, "production")
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30123}], "clusterIP": "10.96.0.9"}
    cluster.create({"kind": "Service", "metadata": {"name": "digits"}, "spec": {"selector": {}, **spec}})
    cluster.create({"kind": "HTTPRoute", "metadata": {"name": "digits"}, "spec": {}})
    monkeypatch.setattr(connect, "cluster", lambda settings, namespace, connection: cluster)
    monkeypatch.setattr("nightferry.cli.record.known_here", lambda host, port: known)
    monkeypatch.setenv("NIGHTFERRY_GATEWAY_PORT", "8880")


def test_url_of_a_service_behind_a_gateway(capsys, monkeypatch, clock, services):
    through_a_gateway(services, monkeypatch, clock, known=True)

    assert main(["url", "digits"]) == 0
    assert capsys.readouterr() == ("http://digits.example.org:8880\n", "")

    assert main(["url", "digits", "--all", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["url"] == "http://digits.example.org:8880"
    assert said["all"][0] == {"url": said["url"], "by": "gateway", "known": True}
    assert "http://127.0.0.1:30123" in [one["url"] for one in said["all"]]

    assert main(["url", "digits", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [one["url"] for one in said["all"]]


def test_url_says_that_a_gateways_host_is_not_known_here(capsys, monkeypatch, clock, services):
    through_a_gateway(services, monkeypatch, clock, known=False)

    assert main(["url", "digits"]) == 0
    told = capsys.readouterr()
    assert told.out == "http://127.0.0.1:30123\n"
    assert "digits.example.org" in told.err


def test_url_of_an_environment_the_service_does_not_have_is_bad_input(capsys, services):
    file = services / "digits.yaml"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "name: staging" not in line]
    file.write_text("\n".join(lines), encoding="utf-8")

    assert main(["url", "digits", "staging"]) == 2
    assert "production" in capsys.readouterr().err


def test_url_never_answers_from_another_cluster(capsys, monkeypatch, tmp_path, services):
    """The service file names a cluster for which no kubeconfig is known, while one is known for the usual cluster."""
    file = services / "digits.yaml"
    text = file.read_text(encoding="utf-8").replace("namespace: production", "namespace: production, cluster: far_away")
    file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("NIGHTFERRY_KUBECONFIG", str(tmp_path / "usual"))

    assert main(["url", "digits"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "far_away" in told.err
    assert "[setting_missing]" in told.err


def test_url_asks_the_environments_own_cluster(monkeypatch, tmp_path, services):
    file = services / "digits.yaml"
    text = file.read_text(encoding="utf-8").replace("namespace: production", "namespace: production, cluster: far_away")
    file.write_text(text, encoding="utf-8")
    named = {"usual": "http://127.0.0.1:1", "far": "http://127.0.0.1:2"}
    for name, server in named.items():
        (tmp_path / name).write_text(json.dumps(a_kubeconfig(server)), encoding="utf-8")
    monkeypatch.setenv("NIGHTFERRY_KUBECONFIG", str(tmp_path / "usual"))
    monkeypatch.setenv("NIGHTFERRY_KUBECONFIGS", f"other=/nowhere:far_away={tmp_path / 'far'}")
    asked = []
    monkeypatch.setattr(KubeCluster, "get", lambda cluster, kind, name: asked.append(cluster._host))

    assert main(["url", "digits"]) == 2
    assert main(["url", "digits", "staging"]) == 2
    assert asked == [named["far"], named["usual"]]


def a_kubeconfig(server):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
