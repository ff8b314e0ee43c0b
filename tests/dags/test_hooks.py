"""Hooks: making one touches nothing; a missing connection is said clearly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ModelSource
from nightferry.errors import Permanent
from nightferry.hooks.buildkit import BuildKitHook
from nightferry.hooks.cluster import require_cluster
from nightferry.hooks.mlflow_server import MlflowHook
from nightferry.hooks.registry import RegistryHook
from nightferry.hooks.s3 import S3Hook
from nightferry.hooks.storage import StorageHook

KEY = "a2V5a2V5a2V5a2V5"
STRING = f"DefaultEndpointsProtocol=http;AccountName=acct;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/acct;"


def connect(monkeypatch: pytest.MonkeyPatch, name: str, **connection: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_NIGHTFERRY_{name}", json.dumps(connection))


@pytest.mark.parametrize("hook", [StorageHook, RegistryHook, BuildKitHook, S3Hook, MlflowHook])
def test_making_a_hook_touches_nothing(hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(conn_id: str) -> None:
        raise AssertionError(f"{conn_id} was looked up")

    monkeypatch.setattr("airflow.sdk.BaseHook.get_connection", touched)

    hook()


def need_buildkit() -> None:
    BuildKitHook().builder(RegistryHook())


@pytest.mark.parametrize(
    ("use", "missing"),
    [
        pytest.param(lambda: StorageHook().ledger_store(), "nightferry_storage", id="storage"),
        pytest.param(lambda: S3Hook().service(), "nightferry_s3", id="s3"),
        pytest.param(lambda: MlflowHook().server(), "nightferry_mlflow", id="mlflow"),
        pytest.param(lambda: RegistryHook().registry(), "nightferry_registry", id="registry"),
        pytest.param(need_buildkit, "nightferry_buildkit", id="buildkit"),
        pytest.param(lambda: require_cluster("nightferry_cluster"), "nightferry_cluster", id="cluster"),
    ],
)
def test_a_missing_connection_is_named(use: Any, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTFERRY_BUILDCTL", "buildctl")
    if use is need_buildkit:
        connect(monkeypatch, "REGISTRY", conn_type="docker", host="registry.example")

    with pytest.raises(Permanent) as raised:
        use()

    assert raised.value.reason == Reason.SETTING_MISSING
    assert missing in raised.value.sentence


def test_storage_logs_in_as_the_providers_hook_does(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "STORAGE", conn_type="wasb", extra={"connection_string": STRING})

    client = StorageHook().service_client

    assert (client.url, client.credential.account_name) == ("http://127.0.0.1:1/acct/", "acct")
    assert client.credential.account_key == KEY


def test_storage_says_in_seconds_that_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from nightferry.errors import Temporary

    connect(monkeypatch, "STORAGE", conn_type="wasb", extra={"connection_string": STRING})
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    with pytest.raises(Temporary) as raised:
        StorageHook().models(ModelSource(repository="azure-blob://models/digits")).pin("v1")

    assert raised.value.reason == Reason.STORAGE_UNAVAILABLE


def test_models_in_s3_need_no_storage_account_and_no_provider_of_amazons(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"endpoint_url": "http://127.0.0.1:1", "region_name": "eu-north-1"}
    connect(monkeypatch, "S3", conn_type="aws", login="AKIA0", password="secret", extra=extra)

    StorageHook().models(ModelSource(repository="s3://models/digits"))
    opened = S3Hook().service()

    assert (opened.host, opened.client.meta.region_name) == ("127.0.0.1:1", "eu-north-1")
    assert opened.client._request_signer._credentials.secret_key == "secret"


@pytest.mark.parametrize(
    ("connection", "url", "login"),
    [
        ({"host": "mlflow.example"}, "https://mlflow.example", None),
        ({"host": "127.0.0.1", "port": 5000, "schema": "http"}, "http://127.0.0.1:5000", None),
        ({"host": "https://mlflow.example/ml", "port": 8443}, "https://mlflow.example:8443/ml", None),
        ({"host": "mlflow.example", "password": "tok"}, "https://mlflow.example", "Bearer tok"),
        ({"host": "mlflow.example", "login": "eva", "password": "pw"}, "https://mlflow.example", "Basic ZXZhOnB3"),
    ],
)
def test_models_in_mlflow_need_no_storage_account(
    connection: dict[str, Any], url: str, login: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, "MLFLOW", conn_type="http", **connection)

    StorageHook().models(ModelSource(repository="mlflow://digits@champion"))
    server = MlflowHook().server()

    assert (server._url, server._login.header) == (url, login)


def test_a_token_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "MLFLOW", conn_type="http", host="http://mlflow.example", password="tok")

    with pytest.raises(Permanent) as raised:
        MlflowHook().server()

    assert raised.value.reason == Reason.SETTING_INVALID


@pytest.mark.parametrize(
    ("connection", "host"),
    [
        ({"host": "127.0.0.1:5000"}, "127.0.0.1:5000"),
        ({"host": "127.0.0.1", "port": 5000}, "127.0.0.1:5000"),
        ({"host": "https://acr.example/prefix"}, "acr.example"),
    ],
)
def test_the_registrys_host(connection: dict[str, Any], host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "REGISTRY", conn_type="docker", login="ada", password="secret", **connection)

    hook = RegistryHook()

    assert hook.host() == host
    credentials = hook.credentials()
    assert credentials is not None
    assert (credentials.username, credentials.password) == ("ada", "secret")


def test_a_cluster_connection_without_a_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "CLUSTER", conn_type="kubernetes", extra={"namespace": "staging"})
    with pytest.raises(Permanent):
        require_cluster("nightferry_cluster")

    connect(monkeypatch, "CLUSTER", conn_type="kubernetes", extra={"kube_config_path": "/somewhere"})
    require_cluster("nightferry_cluster")
