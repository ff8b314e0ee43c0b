"""What the night would refuse is refused when the file is read, with the key's name; a pinned file stays readable."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.services.load_services import load_services

from tests.fakes.service_specs import digits_content


def problem_of(folder: Path, **changes: Any) -> str:
    (folder / "digits.yaml").write_text(yaml.safe_dump(digits_content(**changes)), encoding="utf-8")
    loaded = load_services(folder, {})
    assert loaded.specs == {}
    (problem,) = loaded.problems
    assert problem.reason == Reason.SERVICE_FILE_INVALID
    return problem.sentence


def place(**changes: Any) -> dict[str, Any]:
    return {"environments": [{"name": "production", "namespace": "production", **changes}]}


def asking(**changes: Any) -> dict[str, Any]:
    return place(resources=changes)


def setting(**settings: Any) -> dict[str, Any]:
    return place(settings=settings)


def through(host: Any = "churn.example.org", gateway: Any = "users", **more: Any) -> dict[str, Any]:
    return place(traffic={"gateway": gateway, "host": host, **more})


WRONG = [
    ({"owner": "  "}, "owner"),
    ({"schedule": {"cron": "0 2 31 2 *"}}, "schedule.cron"),
    ({"source": {"repository": ""}}, "source.repository"),
    ({"source": {"repository": "../app"}}, "source.repository"),
    ({"source": {"repository": "~/app"}}, "source.repository"),
    ({"source": {"repository": "ext::sh -c id"}}, "source.repository"),
    ({"source": {"repository": "ftp://host/app"}}, "source.repository"),
    ({"source": {"repository": "https://host:70000/app"}}, "source.repository"),
    ({"source": {"repository": "https:///app"}}, "source.repository"),
    ({"source": {"repository": "https://host"}}, "source.repository"),
    ({"source": {"repository": "https://host/app\nx"}}, "source.repository"),
    ({"source": {"repository": "-uwhatever"}}, "source.repository"),
    ({"source": {"ref": ""}}, "source.ref"),
    ({"source": {"ref": "main branch"}}, "source.ref"),
    ({"source": {"ref": "a..b"}}, "source.ref"),
    ({"source": {"path": ""}}, "source.path"),
    ({"source": {"path": "/app"}}, "source.path"),
    ({"source": {"path": "./app"}}, "source.path"),
    ({"source": {"path": "a//app"}}, "source.path"),
    ({"source": {"tests": "tests/../.."}}, "source.tests"),
    ({"model": {"repository": "azure-blob://my--models/digits"}}, "model.repository"),
    ({"model": {"repository": "azure-blob://models//"}}, "model.repository"),
    ({"model": {"repository": "azure-blob://models/a//b"}}, "model.repository"),
    ({"model": {"repository": "s3://Models/digits"}}, "model.repository"),
    ({"model": {"repository": "mlflow://churn@latest"}}, "model.repository"),
    ({"image": {"repository": "127.0.0.1:5000/Digits"}}, "image.repository"),
    ({"image": {"repository": "127.0.0.1:5000/digits:1.0"}}, "image.repository"),
    ({"image": {"repository": "127.0.0.1:5000/digits@sha256:" + "a" * 64}}, "image.repository"),
    ({"image": {"repository": "team/digits"}}, "image.repository"),
    ({"image": {"repository": "127.0.0.1:99999/digits"}}, "image.repository"),
    ({"image": {"repository": "registry.example/" + "a" * 235}}, "image.repository"),  # no room for -candidates
    ({"gates": {"accuracy": ">= 95"}}, "gates.accuracy"),
    ({"gates": {"accuracy": "> 1"}}, "gates.accuracy"),
    (place(namespace="kube-system"), "environments.0.namespace"),
    ({"service": "kubernetes", **place(namespace="default")}, "environments.0.namespace"),
    (place(cluster=""), "environments.0.cluster"),
    (place(cluster="my cluster"), "environments.0.cluster"),
    (place(replicas=2, autoscale={"minimum": 1, "maximum": 4}), "environments.0.replicas"),
    (place(dns_label="ab"), "environments.0.dns_label"),
    (place(dns_label="a" * 64), "environments.0.dns_label"),
    (place(dns_label="1abc"), "environments.0.dns_label"),
    (place(dns_label="abc-"), "environments.0.dns_label"),
    (place(dns_label="digits", service_type="ClusterIP"), "environments.0.dns_label"),
    (place(source_ranges=["10.1.0.0/16", "10.1.0.1/16"]), "environments.0.source_ranges.1"),
    (place(source_ranges=["everybody"]), "environments.0.source_ranges.0"),
    (place(source_ranges=["10.1.0.0/16"], service_type="NodePort"), "environments.0.source_ranges"),
    (place(secrets=["Churn"]), "environments.0.secrets.0"),
    (place(secrets=["churn", "churn"]), "environments.0.secrets.1"),
    (place(egress=[{"to": "10.0.0.1/8", "ports": [1]}]), "environments.0.egress.0.to"),
    (place(egress=[{"to": "10.0.0.1", "ports": [1]}]), "environments.0.egress.0.to"),
    (place(egress=[{"to": "10.0.0.0/255.0.0.0", "ports": [1]}]), "environments.0.egress.0.to"),
    (place(egress=[{"to": "fe80::%eth0/64", "ports": [1]}]), "environments.0.egress.0.to"),
    (place(source_ranges=["10.0.0.1"]), "environments.0.source_ranges.0"),
    ({"gates": {"loss": "< 1e999"}}, "gates.loss"),
    ({"gates": {"accuracy": ">= 95%"}}, "gates.accuracy"),
    ({"gates": {"flips": "<= 0.05"}}, "gates.flips"),
    ({"gates": {"flips": "<= 5x"}}, "gates.flips"),
    ({"gates": {"flips": ">= 5%"}}, "gates.flips"),
    ({"gates": {"flips": "<= 101%"}}, "gates.flips"),
    ({"gates": {"flips": "<= -1%"}}, "gates.flips"),
    ({"gates": {"flips": "< 0%"}}, "gates.flips"),
    ({"gates": {"p95": "<= 200"}}, "gates.p95"),
    ({"gates": {"p95": "<= 150%"}}, "gates.p95"),
    ({"gates": {"p95": "> 1.5x"}}, "gates.p95"),
    ({"gates": {"p95": "<= 0x"}}, "gates.p95"),
    ({"gates": {"p95": "<= 1e999x"}}, "gates.p95"),
    (place(egress=[{"to": "database", "ports": [1]}]), "environments.0.egress.0.to"),
    (place(egress=[{"to": "10.0.0.0/8", "ports": []}]), "environments.0.egress.0.ports"),
    (place(egress=[{"to": "10.0.0.0/8", "ports": [65536]}]), "environments.0.egress.0.ports"),
    (place(placement={"node_selector": {"a b": "c"}}), "environments.0.placement.node_selector.a b"),
    (place(placement={"node_selector": {"a": "b c"}}), "environments.0.placement.node_selector.a"),
    (
        place(placement={"node_selector": {"kubernetes.io/os": "windows"}}),
        "environments.0.placement.node_selector.kubernetes.io/os",
    ),
    (place(placement={"tolerations": [{"value": "x"}]}), "environments.0.placement.tolerations.0.operator"),
    (
        place(placement={"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}),
        "environments.0.placement.tolerations.0.value",
    ),
    (place(placement={"tolerations": [{"key": "a/b/c"}]}), "environments.0.placement.tolerations.0.key"),
    (through(gateway="Users"), "environments.0.traffic.gateway"),
    (through(gateway=""), "environments.0.traffic.gateway"),
    (through(gateway="a/b/c"), "environments.0.traffic.gateway"),
    (through(gateway="a.b/users"), "environments.0.traffic.gateway"),  # a namespace has no dots
    (through(gateway="/users"), "environments.0.traffic.gateway"),
    (through("*.example.org"), "environments.0.traffic.host"),
    (through("Churn.example.org"), "environments.0.traffic.host"),
    (through("churn_1.example.org"), "environments.0.traffic.host"),
    (through("-churn.example.org"), "environments.0.traffic.host"),
    (through("churn.example.org."), "environments.0.traffic.host"),
    (through("churn..org"), "environments.0.traffic.host"),
    (through("https://churn.example.org"), "environments.0.traffic.host"),
    (through("churn.example.org:8080"), "environments.0.traffic.host"),
    (through("127.0.0.1"), "environments.0.traffic.host"),
    (through("a" * 64 + ".org"), "environments.0.traffic.host"),
    (through(".".join(["a" * 60] * 5)), "environments.0.traffic.host"),
    (through(aliases=["churn.localhost", "Churn"]), "environments.0.traffic.aliases.1"),
    (through(aliases=["churn.example.org"]), "environments.0.traffic.aliases.0"),
    (
        {
            "environments": [
                {"name": name, "namespace": name, "traffic": {"gateway": "users", "host": "churn.example.org"}}
                for name in ("staging", "production")
            ]
        },
        "environments.1.traffic.host",
    ),
    (asking(cpu="lots"), "environments.0.resources.cpu"),
    (asking(cpu="-1"), "environments.0.resources.cpu"),
    (asking(cpu="0"), "environments.0.resources.cpu"),
    (asking(cpu="0.1m"), "environments.0.resources.cpu"),
    (asking(memory="NaN"), "environments.0.resources.memory"),
    (asking(memory=""), "environments.0.resources.memory"),
    (asking(memory="400m"), "environments.0.resources.memory"),
    (asking(cpu_limit="1 cpu"), "environments.0.resources.cpu_limit"),
    (asking(memory_limit="1gb"), "environments.0.resources.memory_limit"),
    (asking(ephemeral_storage="lots"), "environments.0.resources.ephemeral_storage"),
    (asking(ephemeral_storage="1Gi"), "environments.0.resources.ephemeral_storage"),  # the limit left out is 256Mi
    (asking(ephemeral_storage_limit="1m"), "environments.0.resources.ephemeral_storage_limit"),
    (setting(SERVING_MAX_PIXEL="5"), "environments.0.settings.SERVING_MAX_PIXEL"),
    (setting(SERVING_MAX_PIXELS="0"), "environments.0.settings.SERVING_MAX_PIXELS"),
    (setting(SERVING_MAX_PIXELS="many"), "environments.0.settings.SERVING_MAX_PIXELS"),
    (setting(SERVING_MAX_PIXELS=""), "environments.0.settings.SERVING_MAX_PIXELS"),
    (setting(SERVING_CORS_ORIGINS="app.example.org"), "environments.0.settings.SERVING_CORS_ORIGINS"),
    (setting(SERVING_CORS_ORIGINS="https://ada:hunter2@a.example"), "environments.0.settings.SERVING_CORS_ORIGINS"),
    (setting(SERVING_PORT="9000"), "environments.0.settings.SERVING_PORT"),
    (setting(SERVING_STATUS_PORT="9000"), "environments.0.settings.SERVING_STATUS_PORT"),
    (setting(SERVING_MODEL_DIR="/m"), "environments.0.settings.SERVING_MODEL_DIR"),
    (setting(SERVING_HOST="::"), "environments.0.settings.SERVING_HOST"),
    (setting(NIGHTFERRY_RELEASE="x"), "environments.0.settings.NIGHTFERRY_RELEASE"),
    (setting(PYTHONPATH="/tmp"), "environments.0.settings.PYTHONPATH"),
    ({"source": {"path": "app"}, **setting(MODEL_DIR="/x")}, "environments.0.settings.MODEL_DIR"),
    ({"source": {"path": "app"}, **setting(**{"A B": "x"})}, "environments.0.settings.A B"),
    (asking(cpu="1001m"), "environments.0.resources.cpu"),  # the limit left out is 1
    (asking(memory="2Gi", memory_limit="2G"), "environments.0.resources.memory"),
    ({"description": "see https://a.example/c?sig=hunter2"}, "description"),
    ({"owner": "AccountKey=hunter2"}, "owner"),
    ({"image": {"repository": "ada:hunter2@registry.example/digits"}}, "image.repository"),
    ({"source": {"repository": "https://ada:hunter2@host/app"}}, "source.repository"),
    ({"source": {"repository": "https://hunter2@host/app"}}, "source.repository"),
    ({"source": {"repository": "ada:hunter2@host:app"}}, "source.repository"),
]


@pytest.mark.parametrize(("changes", "key"), WRONG, ids=[f"{number}-{key}" for number, (_, key) in enumerate(WRONG)])
def test_what_the_night_would_refuse_is_named_by_its_key(tmp_path: Path, changes: dict[str, Any], key: str):
    sentence = problem_of(tmp_path, **changes)
    assert f": {key}: " in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {"repository": "https://dev.example.com:8443/team/app.git"}},
        {"source": {"repository": "ssh://git@github.com/team/app.git"}},
        {"source": {"repository": "git@github.com:team/app.git"}},
        {"source": {"repository": "file:///srv/app.git"}},
        {"source": {"repository": "/srv/my apps/app.git"}},
        {"source": {"ref": "release/2026-11", "path": ".", "tests": None}},
        {"source": {"ref": "0" * 40, "path": "services/digits/", "tests": "tests/unit"}},
        {"model": {"repository": "azure-blob://models/team/digits/"}},
        {"gates": {"accuracy": ">= 1"}},
        {"gates": {"accuracy": "<= 0.5"}},
        {"schedule": {"cron": "0 2 29 2 *"}},
        place(dns_label="d" * 63),
        place(secrets=["churn-database", "a.b"], egress=[{"to": "10.0.0.0/8", "ports": [1, 65535]}]),
        place(placement={"node_selector": {"agentpool": "gpu", "example.com/pool": ""}}),
        place(placement={"tolerations": [{"operator": "Exists"}, {"key": "sku", "value": "gpu"}]}),
        place(source_ranges=["10.1.0.0/16", "2001:db8::/32", "192.0.2.7/32"]),
        place(autoscale={"minimum": 1, "maximum": 4}),
        place(traffic="service"),
        through(),
        through("churn", "edge-1/users.eu", aliases=["churn.localhost", "3.example.org"]),
        setting(SERVING_MAX_PIXELS=50_000_000, SERVING_MODEL_MS="9000", SERVING_CORS_ORIGINS="https://a.example"),
        setting(),
        asking(cpu="1", memory="1Gi"),
        asking(cpu="2", cpu_limit="2000m", memory="1e9", memory_limit="1G"),
    ],
    ids=str,
)
def test_what_the_night_takes_is_taken(tmp_path: Path, changes: dict[str, Any]):
    (tmp_path / "digits.yaml").write_text(yaml.safe_dump(digits_content(**changes)), encoding="utf-8")
    loaded = load_services(tmp_path, {})
    assert loaded.problems == []
    assert list(loaded.specs) == ["digits"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        (setting(SERVING_MAX_PIXELS=1.5), "environments.0.settings.SERVING_MAX_PIXELS"),
        (setting(SERVING_ACCESS_LOG=True), "environments.0.settings.SERVING_ACCESS_LOG"),
        (place(settings=["SERVING_MAX_PIXELS"]), "environments.0.settings"),
    ],
)
def test_settings_are_texts_or_whole_numbers(tmp_path: Path, changes: dict[str, Any], key: str):
    assert f"{key}: " in problem_of(tmp_path, **changes)


@pytest.mark.parametrize("traffic", ["gateway", "Service", 1, ["users"], True])
def test_traffic_is_the_service_or_a_gateway(tmp_path: Path, traffic: Any):
    assert "environments.0.traffic: write `service`, or {gateway: NAME, host: HOST}" in problem_of(
        tmp_path, **place(traffic=traffic)
    )


@pytest.mark.parametrize("key", ["gateway", "host"])
def test_a_gateway_without_a_host_is_none(tmp_path: Path, key: str):
    traffic = {"gateway": "users", "host": "churn.example.org"}
    del traffic[key]
    assert f"environments.0.traffic.{key}: " in problem_of(tmp_path, **place(traffic=traffic))


def test_a_gateway_that_is_named_alone_is_in_the_namespace_for_gateways():
    names = [
        ServiceSpec.model_validate(digits_content(**through(gateway=gateway))).environments[0].traffic
        for gateway in ("users", "edge/users")
    ]
    assert [(one.namespace, one.name) for one in names if one] == [("gateway", "users"), ("edge", "users")]


def test_traffic_to_the_service_is_what_a_file_says_that_says_nothing():
    said = ServiceSpec.model_validate(digits_content(**place(traffic="service")))
    assert said == ServiceSpec.model_validate(digits_content(**place()))


def test_every_wrong_key_of_a_file_is_named_at_once(tmp_path: Path):
    sentence = problem_of(tmp_path, source={"ref": "a..b"}, image={"repository": "Digits"}, **asking(cpu="lots"))
    for key in ("source.ref", "image.repository", "environments.0.resources.cpu"):
        assert f"{key}: " in sentence


@pytest.mark.parametrize(("changes", "key"), WRONG, ids=[f"{number}-{key}" for number, (_, key) in enumerate(WRONG)])
def test_a_pinned_service_file_stays_readable_whatever_files_may_say_today(
    changes: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch
):
    """A decision on record holds the file with its settings filled in. It is read where croniter is not installed."""
    monkeypatch.setitem(sys.modules, "croniter", None)
    monkeypatch.setattr("nightferry.entities.service_spec.ZoneInfo", None)
    pinned = json.loads(json.dumps(ServiceSpec.model_validate(digits_content(**changes)).to_json()))
    assert ServiceSpec.model_validate(pinned).to_json() == pinned
