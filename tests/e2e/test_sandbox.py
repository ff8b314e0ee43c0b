"""The sandbox itself: who listens where, who may read what, what its cluster does, and that kills do not end it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import pwd
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nightferry import settings as settings_of
from nightferry.clients.airflow.api import BUILDER_POOL, DEPLOYER_POOL, AirflowApi
from nightferry.manifests import deployer_pods
from nightferry.sandbox import status
from nightferry.sandbox.airflow import database
from nightferry.sandbox.layout import BRIDGE, Layout, Owner
from nightferry.sandbox.machine import leftovers, privileges

pytestmark = [pytest.mark.sandbox, pytest.mark.alone]

NAMESPACE = "staging"
NAME = "sandbox-test"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def sandbox() -> Layout:
    settings = settings_of.load()
    return Layout(root=settings.root, home=settings.home, owner=Owner.current())


def wait_for(true: Callable[[], Any], seconds: float = 90) -> Any:
    """The first answer that is not nothing; errors on the way count as nothing."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, ConnectionError):
            if answer := true():
                return answer
        assert time.monotonic() < until, "it did not come to pass in time"
        time.sleep(0.2)


def nightferry(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("nightferry"))
    return subprocess.run(
        [program, *words], capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=300
    )


# Who listens, who reads


def listeners() -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of every listening TCP and bound UDP socket."""
    for table, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state:
                address, port = fields[1].split(":")
                words = [bytes.fromhex(address[n : n + 8])[::-1] for n in range(0, len(address), 8)]
                yield str(ipaddress.ip_address(b"".join(words))), int(port, 16), fields[9]


def sockets_of(pids: set[int]) -> set[str]:
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(descriptor.readlink())
                    if target.startswith("socket:["):
                        found.add(target[8:-1])
    return found


def test_nothing_listens_on_the_machines_own_network(sandbox: Layout) -> None:
    ours = sockets_of(leftovers.remaining(sandbox))
    found = [(address, port) for address, port, inode in listeners() if inode in ours]
    assert len(found) >= 15, f"the sandbox's listeners were not found: {found}"
    bridge = ipaddress.ip_network("10.244.0.1/32")
    open_ones = [
        f"{address}:{port}"
        for address, port in found
        if not ipaddress.ip_address(address).is_loopback and ipaddress.ip_address(address) not in bridge
    ]
    assert open_ones == []


def test_secrets_are_their_owners_alone(sandbox: Layout) -> None:
    assert sandbox.home.stat().st_mode & 0o777 == 0o700
    assert sandbox.secrets.stat().st_mode & 0o777 == 0o700
    files = [*sandbox.secrets.iterdir(), *(sandbox.kubernetes / "pki").iterdir()]
    files += [*sandbox.kubernetes.glob("*.kubeconfig"), sandbox.home / "supervisor" / "supervisord.conf"]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in files if path.stat().st_mode & 0o077} == {}


def secrets_of(sandbox: Layout) -> set[str]:
    names = ["airflow-password", "airflow-jwt", "airflow-api", "airflow-fernet", "airflow-database"]
    names += ["storage-key", "registry"]
    return {(sandbox.secrets / name).read_text().strip() for name in names}


def test_no_secret_is_among_the_arguments_of_a_process(sandbox: Layout) -> None:
    secrets = secrets_of(sandbox)
    assert all(len(secret) > 20 for secret in secrets)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
                assert not any(secret in words for secret in secrets), f"process {folder.name}"


def test_no_secret_is_in_a_log(sandbox: Layout) -> None:
    secrets = secrets_of(sandbox)
    for log in (sandbox.home / "logs").glob("*.log*"):
        text = log.read_text(encoding="utf-8", errors="replace")
        assert not any(secret in text for secret in secrets), log.name


def test_the_database_is_its_own_users_and_opens_with_the_password_alone(sandbox: Layout) -> None:
    """Nobody but its system user and the sandbox's owner comes as far as being asked for it."""
    data = sandbox.database / "data"
    postmaster = part(sandbox, "postgresql").pid
    assert pwd.getpwuid(Path(f"/proc/{postmaster}").stat().st_uid).pw_name == database.USER
    assert (data.stat().st_mode & 0o777, data.owner()) == (0o700, database.USER)
    assert sandbox.database_socket.stat().st_mode & 0o777 == 0o750
    assert sandbox.database_socket.stat().st_gid == sandbox.owner.gid

    def ask(password_file: str) -> int:
        words = ["psql", "-X", "-w", "-h", str(sandbox.database_socket), "-U", "airflow", "-c", "SELECT 1", "airflow"]
        done = subprocess.run(
            words, env={**os.environ, "PGPASSFILE": password_file}, capture_output=True, check=False, timeout=30
        )
        return done.returncode

    assert ask(str(sandbox.secrets / "airflow-pgpass")) == 0
    assert ask("/dev/null") != 0


def test_airflow_has_the_pools_that_bound_builders_and_deployers() -> None:
    settings = settings_of.load()
    airflow = AirflowApi.connect(settings)
    assert airflow.pool(BUILDER_POOL)
    slots = airflow.pool(DEPLOYER_POOL)
    airflow.set_pool(DEPLOYER_POOL, 3)
    try:
        assert airflow.pool(DEPLOYER_POOL) == 3
    finally:
        airflow.set_pool(DEPLOYER_POOL, slots or settings.deployers)
    assert slots


# Status


def test_status_is_well_and_says_where_and_since_when() -> None:
    wait_for(lambda: nightferry("status", "--json").returncode == 0)
    said = json.loads(nightferry("status", "--json").stdout)
    assert said["healthy"]
    for part in said["parts"]:
        assert part["healthy"]
        assert part["pid"] > 1
        assert part["since"].endswith("Z")
        assert part["memory"] > 0
    assert {"airflow-scheduler", "registry", "azurite"} <= {part["name"] for part in said["parts"]}


def test_up_again_changes_nothing(sandbox: Layout) -> None:
    before = {part.name: part.pid for part in status.status(sandbox).parts}
    done = nightferry("up", "--json")
    assert done.returncode == 0, done.stderr
    assert {part.name: part.pid for part in status.status(sandbox).parts} == before


def test_a_second_sandbox_is_refused(tmp_path: Path, sandbox: Layout) -> None:
    done = nightferry("up", NIGHTFERRY_HOME=str(tmp_path / "other"))
    assert done.returncode == 3
    assert f"NIGHTFERRY_HOME={sandbox.home} nightferry down" in done.stderr
    stopped = json.loads(nightferry("down", "--json", NIGHTFERRY_HOME=str(tmp_path / "other")).stdout)
    assert stopped == {"stopped": False}


# The cluster


@pytest.fixture(scope="module")
def cluster(sandbox: Layout) -> Any:
    """The Kubernetes client's API, as the sandbox's administrator."""
    from kubernetes import config

    return config.new_client_from_config(str(sandbox.kubeconfig("admin")))


@pytest.fixture(scope="module")
def airflow_user(sandbox: Layout) -> Any:
    """The same, as Airflow."""
    from kubernetes import config

    return config.new_client_from_config(str(sandbox.kubeconfig("airflow")))


def container(code: str) -> dict[str, Any]:
    image = settings_of.load().require("DEPLOYER_IMAGE")
    return {"name": "main", "image": image, "command": ["python3", "-c", code], "securityContext": RESTRICTED}


@pytest.fixture(scope="module")
def web(cluster: Any) -> Iterator[str]:
    """Two pods that answer 200 behind a Service; the address that they have on this machine."""
    from kubernetes import client

    apps, core = client.AppsV1Api(cluster), client.CoreV1Api(cluster)
    serve = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [{**container(serve), "workingDir": "/tmp", "readinessProbe": {"tcpSocket": {"port": 8080}}}],
    }
    labels = {"app": NAME}
    deployment = {
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "metadata": {"name": NAME},
        "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    try:
        apps.create_namespaced_deployment(NAMESPACE, deployment)
        made = core.create_namespaced_service(NAMESPACE, service)
        wait_for(lambda: apps.read_namespaced_deployment(NAME, NAMESPACE).status.ready_replicas == 2)
        yield f"http://127.0.0.1:{made.spec.ports[0].node_port}"
    finally:
        for delete in (apps.delete_namespaced_deployment, core.delete_namespaced_service):
            with contextlib.suppress(client.ApiException):
                delete(NAME, NAMESPACE)


def answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)


def test_a_service_answers_on_loopback_and_nowhere_else(web: str) -> None:
    wait_for(lambda: answers(web))
    port = int(web.rpartition(":")[2])
    routes = json.loads(subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, check=True).stdout)
    others = [
        info["local"]
        for link in routes
        if link["ifname"] not in {"lo", BRIDGE}
        for info in link["addr_info"]
        if info["family"] == "inet"
    ]
    for address in others:
        with pytest.raises(OSError, match=r"refused|timed out|unreachable|reset"):
            answers(f"http://{address}:{port}")


ASK = """
import json, os, ssl, urllib.error, urllib.request
here = "/var/run/secrets/kubernetes.io/serviceaccount"
token, tls = os.environ["TOKEN"], ssl.create_default_context(cafile=f"{{here}}/ca.crt")
def status(url, **more):
    try:
        request = urllib.request.Request(url, **more)
        return urllib.request.urlopen(request, timeout=10, context=tls if more else None).status
    except urllib.error.HTTPError as answer:
        return answer.code
def cluster(path):
    return status("https://kubernetes.default.svc" + path, headers={{"Authorization": "Bearer " + token}})
print("ANSWER" + json.dumps({{
    "service": status("http://{name}/"),
    "full name": status("http://{name}.{namespace}.svc.cluster.local/"),
    "storage": status("{storage}?comp=list"),
    "staging's deployments": cluster("/apis/apps/v1/namespaces/staging/deployments"),
    "production's deployments": cluster("/apis/apps/v1/namespaces/production/deployments"),
    "others' deployments": cluster("/apis/apps/v1/namespaces/kube-system/deployments"),
    "secrets": cluster("/api/v1/namespaces/{namespace}/secrets"),
    "nodes": cluster("/api/v1/nodes"),
    "staging's routes": cluster("/apis/gateway.networking.k8s.io/v1/namespaces/staging/httproutes"),
    "the gateway's routes": cluster("/apis/gateway.networking.k8s.io/v1/namespaces/gateway/httproutes"),
    "gateways": cluster("/apis/gateway.networking.k8s.io/v1/namespaces/gateway/gateways"),
}}))
"""


def test_a_deployers_account_finds_what_it_needs_and_may_do_no_more(web: str, cluster: Any) -> None:
    """From a pod, as the deployers are; this one is beside them, since among them it would not be let in."""
    from kubernetes import client

    core = client.CoreV1Api(cluster)
    asked = {"spec": {"audiences": None, "expirationSeconds": 600}}
    home, account = deployer_pods.NAMESPACE, deployer_pods.SERVICE_ACCOUNT
    token = core.create_namespaced_service_account_token(account, home, asked).status.token
    storage = settings_of.load().require("STORAGE_URL")
    asks = container(ASK.format(name=NAME, namespace=NAMESPACE, storage=storage))
    spec = {"restartPolicy": "Never", "containers": [{**asks, "env": [{"name": "TOKEN", "value": token}]}]}
    core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": f"{NAME}-ask"}, "spec": spec})
    try:
        wait_for(lambda: core.read_namespaced_pod(f"{NAME}-ask", NAMESPACE).status.phase in {"Succeeded", "Failed"})
        said = core.read_namespaced_pod_log(f"{NAME}-ask", NAMESPACE, _preload_content=False).data.decode()
    finally:
        core.delete_namespaced_pod(f"{NAME}-ask", NAMESPACE, grace_period_seconds=0)
    assert "ANSWER" in said, said
    assert json.loads(said.partition("ANSWER")[2]) == {
        "service": 200,
        "full name": 200,
        "storage": 403,
        "staging's deployments": 200,
        "production's deployments": 200,
        "others' deployments": 403,
        "secrets": 403,
        "nodes": 403,
        "staging's routes": 200,
        "the gateway's routes": 403,
        "gateways": 403,
    }


def test_an_unrestricted_pod_is_refused(cluster: Any) -> None:
    from kubernetes import client

    spec = {"containers": [{**container("pass"), "securityContext": {"runAsUser": 0}}]}
    with pytest.raises(client.ApiException) as raised:
        client.CoreV1Api(cluster).create_namespaced_pod(NAMESPACE, {"metadata": {"name": NAME}, "spec": spec})
    assert raised.value.status == 403


@pytest.mark.parametrize("kind", ["secret", "config_map", "service_account"])
def test_airflow_may_not_read_secrets(airflow_user: Any, kind: str) -> None:
    from kubernetes import client

    with pytest.raises(client.ApiException) as raised:
        getattr(client.CoreV1Api(airflow_user), f"list_namespaced_{kind}")(NAMESPACE)
    assert raised.value.status == 403


# Kills


def part(sandbox: Layout, name: str) -> status.PartStatus:
    return next(row for row in status.status(sandbox).parts if row.name == name)


@pytest.mark.parametrize(
    "name",
    [
        *("etcd", "kube-apiserver", "kubelet", "containerd", "azurite", "registry", "buildkitd", "airflow-scheduler"),
        *("postgresql", "contour", "envoy"),
    ],
)
def test_a_killed_part_comes_back_and_the_service_never_goes(sandbox: Layout, web: str, name: str) -> None:
    before = part(sandbox, name).pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert answers(web)
    wait_for(lambda: part(sandbox, name).pid not in {before, None} and part(sandbox, name).healthy)
    assert answers(web)


def test_a_killed_scheduler_leaves_no_workers(sandbox: Layout) -> None:
    def workers() -> set[int]:
        titles = {pid: Path(f"/proc/{pid}/cmdline") for pid in leftovers.remaining(sandbox)}
        return {pid for pid, title in titles.items() if title.exists() and b"LocalExecutor" in title.read_bytes()}

    before = wait_for(workers)
    pid = part(sandbox, "airflow-scheduler").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: part(sandbox, "airflow-scheduler").pid not in (pid, None) and workers() - before)
    wait_for(lambda: not before & workers())


def test_after_the_supervisor_and_more_are_killed_up_mends_it(sandbox: Layout, web: str) -> None:
    supervisor = int((sandbox.runtime / "supervisord.pid").read_text())
    names = ("airflow-scheduler", "containerd", "dockerd", "postgresql")
    victims = [supervisor, *(part(sandbox, name).pid for name in names)]
    for pid in victims:
        if pid:
            os.kill(pid, signal.SIGKILL)
    done = nightferry("up", "--json")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: nightferry("status", "--json").returncode == 0)
    wait_for(lambda: answers(web))


def test_down_leaves_nothing_and_up_brings_everything_back(sandbox: Layout, web: str) -> None:
    """Also the pods that ran."""
    assert json.loads(nightferry("down", "--json").stdout) == {"stopped": True}
    somebody = subprocess.Popen([*privileges.as_user(database.USER), "sleep", "300"], cwd="/")
    try:
        assert leftovers.remaining(sandbox) == set()
        assert not Path("/sys/class/net", BRIDGE).exists()
        # Those of another checkout whose machine was switched off are not ours to clear.
        ours = (sandbox.home, sandbox.data, sandbox.runtime)
        mounted = Path("/proc/self/mountinfo").read_text()
        assert [str(folder) for folder in ours if str(folder) in mounted] == []
        rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
        assert "KUBE-" not in rules
        assert "CNI-" not in rules
        assert nightferry("status").returncode == 1
        assert json.loads(nightferry("down", "--json").stdout) == {"stopped": False}
        # As a machine leaves it that was switched off: the number is that of another program of the same user by now.
        (sandbox.database / "data" / "postmaster.pid").write_text(f"{somebody.pid}\n{sandbox.database / 'data'}\n")
    finally:
        done = nightferry("up", "--json")
        somebody.kill()
        somebody.wait()
    assert done.returncode == 0, done.stderr
    wait_for(lambda: nightferry("status", "--json").returncode == 0)
    wait_for(lambda: answers(web))
