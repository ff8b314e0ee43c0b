"""Each cell of the table that storage or the cluster decides: `nightferry` with the rights that a role is given there.

A shared access signature stands for the person's identity. One is for the whole account, so it has the right that the
row's container asks for. In the cluster the person is an account of its own, bound as docs/rights.md says.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nightferry import settings as settings_of
from nightferry.cli import main
from nightferry.clients import connect
from nightferry.clients.azure.ledger import NOTES
from nightferry.clients.clock import SystemClock
from nightferry.entities.barring.quarantine import Bar, Parts
from nightferry.entities.reason import Reason
from nightferry.manifests import names
from nightferry.sandbox.layout import Layout, Owner
from nightferry.settings import Settings
from nightferry.steps.record.bar import hold, quarantine

from tests.e2e.own_names import own_name
from tests.rights.table import CLUSTER, ROLES, STORAGE, Row, cells, shown

pytestmark = pytest.mark.sandbox
ENVIRONMENTS = ("staging", "production")
SERVICE_FILE = """\
service: rights
owner: nightferry-tests
source: {repository: "https://git.invalid/app.git", path: app}
model: {repository: azure-blob://CONTAINER/rights}
image: {repository: 127.0.0.1:5000/rights}
calendar: rights
environments:
  - {name: staging, namespace: staging}
  - {name: production, namespace: production, ready_seconds: 5}
"""
CALENDAR = """\
description: Of the tests of rights.
exception: {longest: 12h, by: [viewer, user, op, admin]}
windows:
  - {name: year's end, reason: a test, zone: UTC, dates: {from: 2026-12-21, to: 2027-01-03}}
"""
LABELS = {names.MANAGED_BY: "nightferry"}
POD = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "app",
            "image": "app.invalid/app",
            "imagePullPolicy": "Never",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
"""Of a release that never comes up."""


class Place:
    """Containers and accounts of the tests' own, and what a role is given of them."""

    def __init__(self, folder: Path) -> None:
        self.now, self.folder, self.name = settings_of.load(), folder, own_name("rights-")
        self.service = self.name
        self.containers = {"models": f"{self.name}-models", "ledger": f"{self.name}-ledger"}
        layout = Layout(root=self.now.root, home=self.now.home, owner=Owner.current())
        self.kubeconfig = layout.kubeconfig("admin")
        self.ledger = connect.ledger_store(self._with_ledger())

    def _with_ledger(self) -> Settings:
        given = {**self.now.environment, "NIGHTFERRY_LEDGER": self.containers["ledger"]}
        return Settings(self.now.root, self.now.home, given)

    def begin(self) -> None:
        """Make them. Raises whatever the parts say."""
        from kubernetes import client

        for folder in ("services", "calendars"):
            (self.folder / folder).mkdir()
        (self.folder / "calendars" / "rights.yaml").write_text(CALENDAR, encoding="utf-8")
        for service in ("rights", self.service):
            file = SERVICE_FILE.replace("CONTAINER", self.containers["models"]).replace(
                "service: rights", f"service: {service}"
            )
            (self.folder / "services" / f"{service}.yaml").write_text(file, encoding="utf-8")
        storage = connect.storage(self.now)
        for container in (*self.containers.values(), self.containers["ledger"] + NOTES):
            storage.create_container(container)
        core, rbac = client.CoreV1Api(self._cluster()), client.RbacAuthorizationV1Api(self._cluster())
        core.create_namespace({"metadata": {"name": self.name}})
        for role in ROLES:
            core.create_namespaced_service_account(self.name, {"metadata": {"name": role}})
            for environment in ENVIRONMENTS:
                rbac.create_namespaced_role_binding(environment, self._binding(role))
            token = client.AuthenticationV1TokenRequest(
                spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600)
            )
            made = core.create_namespaced_service_account_token(role, self.name, token)
            self._write_kubeconfig(role, made.status.token)

    def serve(self) -> None:
        """A Service in production, and the release before it, which was scaled to zero."""
        from kubernetes import client

        before, now = f"{self.service}-2026-11-20.1", f"{self.service}-2026-11-21.1"
        of_service = {**LABELS, names.NAME: self.service}
        notes = {names.RELEASE: now, names.PREVIOUS: before, names.ENVIRONMENT: "production"}
        client.CoreV1Api(self._cluster()).create_namespaced_service(
            "production",
            {
                "metadata": {"name": self.service, "labels": of_service, "annotations": notes},
                "spec": {"selector": {names.NAME: self.service}, "ports": [{"port": 80}]},
            },
        )
        of_release = {**of_service, names.VERSION: before}
        served = {names.RELEASE: before, names.SERVED: "2026-11-20T02:00:00+00:00", names.REPLICAS: "1"}
        client.AppsV1Api(self._cluster()).create_namespaced_deployment(
            "production",
            {
                "metadata": {"name": names.object_name(before), "labels": of_release, "annotations": served},
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": of_release},
                    "template": {"metadata": {"labels": of_release}, "spec": POD},
                },
            },
        )

    def _cluster(self) -> Any:
        from kubernetes import config

        return config.new_client_from_config(str(self.kubeconfig))

    def _binding(self, role: str) -> dict[str, Any]:
        return {
            "metadata": {"name": f"{self.name}-{role}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": CLUSTER[role]},
            "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": self.name}],
        }

    def _write_kubeconfig(self, role: str, token: str) -> None:
        import yaml

        known = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        known["users"] = [{"name": role, "user": {"token": token}}]
        known["contexts"] = [{"name": role, "context": {"cluster": known["clusters"][0]["name"], "user": role}}]
        known["current-context"] = role
        file = self.folder / f"{role}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(known), encoding="utf-8")

    def remove(self) -> None:
        """Remove them, whatever there is of them."""
        from azure.core.exceptions import ResourceNotFoundError
        from kubernetes import client

        storage = connect.storage(self.now)
        for container in (*self.containers.values(), self.containers["ledger"] + NOTES):
            _unless(ResourceNotFoundError, partial(storage.delete_container, container))
        core, rbac = client.CoreV1Api(self._cluster()), client.RbacAuthorizationV1Api(self._cluster())
        apps, before = client.AppsV1Api(self._cluster()), names.object_name(f"{self.service}-2026-11-20.1")
        _unless(client.ApiException, lambda: core.delete_namespaced_service(self.service, "production"))
        _unless(client.ApiException, lambda: apps.delete_namespaced_deployment(before, "production"))
        leases = client.CoordinationV1Api(self._cluster())
        for environment in ENVIRONMENTS:
            for role in ROLES:
                name = f"{self.name}-{role}"
                _unless(client.ApiException, partial(rbac.delete_namespaced_role_binding, name, environment))
            for lease in leases.list_namespaced_lease(environment).items:
                if self.service in lease.metadata.name:
                    leases.delete_namespaced_lease(lease.metadata.name, environment)
        _unless(client.ApiException, lambda: core.delete_namespace(self.name))

    def act_as(self, role: str, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The settings of a person of that role, for a command that needs its rights in that container."""
        for name in [name for name in os.environ if name.startswith("NIGHTFERRY_")]:
            monkeypatch.delenv(name)
        signed = self.folder / f"{role}-{container}"
        signed.touch(mode=0o600)
        signed.write_text(self._signed(STORAGE[role][container]), encoding="utf-8")
        settings = {
            "ROOT": self.now.root,
            "HOME": self.folder,
            "SERVICES": self.folder / "services",
            "STORAGE_CONNECTION_FILE": signed,
            "LEDGER": self.containers["ledger"],
            "KUBECONFIG": self.folder / f"{role}.kubeconfig",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"NIGHTFERRY_{name}", str(value))

    def _signed(self, right: str) -> str:
        from azure.storage.blob import generate_account_sas

        storage = connect.storage(self.now)
        signature = generate_account_sas(
            str(storage.account_name),
            storage.credential.account_key,
            resource_types="sco",
            permission={"read": "rl", "write": "rlcw"}[right],
            expiry=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
        )
        return f"BlobEndpoint={storage.url.rstrip('/')};SharedAccessSignature={signature}"


def _unless(fault: type[Exception], call: Callable[[], Any]) -> None:
    with suppress(fault):
        call()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("rights"))
    try:
        place.begin()
        place.serve()
        yield place
    finally:
        place.remove()


def said_by(words: list[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """The reason with which a command ends; None where it ended well."""
    code = main([*words, "--json"])
    out = capsys.readouterr().out
    return None if code == 0 else str(json.loads(out.strip().splitlines()[-1])["error"]["reason"])


@pytest.mark.parametrize("cell", cells("storage"), ids=shown)
def test_a_cell_of_storage(
    place: Place, cell: tuple[Row, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row, role = cell
    assert row.container
    # What stands for the commands to end, and a model to bar.
    clock, index = SystemClock(), ROLES.index(role)
    held = hold(place.ledger, clock, "rights", why="a test", actor="test")
    bar = Bar(parts=Parts(model=f"{index}" * 64), words="a model")
    barred = quarantine(place.ledger, clock, "rights", bar, why="a test", actor="test")
    (place.folder / f"{role}.bin").write_bytes(f"a model of {role}".encode())
    words_of = {"ROLE.bin": str(place.folder / f"{role}.bin"), "HOLD": str(held.sequence), "BAR": str(barred.sequence)}
    words_of["SOON"] = (clock.now() + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    if row.container == "ledger":
        place.act_as("admin", "models", monkeypatch)
        publish = ["models", "publish", "rights", words_of["ROLE.bin"], "--version", f"seen-{role}"]
        assert said_by(publish, capsys) is None
    place.act_as(role, row.container, monkeypatch)
    for words in row.commands:
        reason = said_by([words_of.get(word, word).replace("ROLE", role) for word in words], capsys)
        assert reason == (None if role in row.allowed else Reason.STORAGE_DENIED), words


@pytest.mark.parametrize("cell", cells("cluster"), ids=shown)
def test_a_cell_of_the_cluster(
    place: Place, cell: tuple[Row, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who may roll back does, to a release that does not come up."""
    row, role = cell
    place.act_as(role, "ledger", monkeypatch)
    for words in row.commands:
        reason = said_by([word.replace("SERVICE", place.service).replace("ROLE", role) for word in words], capsys)
        going = None if words[0] == "url" or "--dry-run" in words else Reason.ROLLOUT_NOT_READY
        assert reason == (going if role in row.allowed else Reason.CLUSTER_DENIED), words


@pytest.mark.parametrize("role", ROLES)
def test_who_may_change_what_users_get(place: Place, role: str) -> None:
    """What a rollback changes, the role may change in each environment, and nobody else."""
    from kubernetes import client, config

    api = config.new_client_from_config(str(place.folder / f"{role}.kubeconfig"))
    for environment in ENVIRONMENTS:
        for group, resource in (("", "services"), ("apps", "deployments"), ("gateway.networking.k8s.io", "httproutes")):
            asked = {"namespace": environment, "verb": "patch", "group": group, "resource": resource}
            review = {"spec": {"resourceAttributes": asked}}
            found = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
            assert bool(found.status.allowed) is (CLUSTER[role] == "nightferry-deployer")
