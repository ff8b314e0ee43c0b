"""Quantities: ours, and a real API server's word in a dry run of the same ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nightferry import settings
from nightferry.entities.service_file.quantity import amount, cpu, memory

from tests.fakes.quantities import CPUS, FINE_CPUS, FINE_MEMORIES, MEMORIES, NEITHER, OURS_ALONE

Judge = Callable[[str, str], bool]
"""Whether a pod may ask for so much of a resource."""


def ours(resource: str, quantity: str) -> bool:
    try:
        (cpu if resource == "cpu" else memory)(quantity)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def server() -> Judge:
    from kubernetes import client, config
    from kubernetes.client.exceptions import ApiException

    kubeconfig = settings.load().home / "kubernetes" / "admin.kubeconfig"
    core = client.CoreV1Api(config.new_client_from_config(str(kubeconfig), persist_config=False))

    def judge(resource: str, quantity: str) -> bool:
        container = {"name": "one", "image": "none/none", "resources": {"requests": {resource: quantity}}}
        pod = {"metadata": {"generateName": "nf-dry-run-"}, "spec": {"containers": [container]}}
        try:
            core.create_namespaced_pod("default", pod, dry_run="All")
        except ApiException as refused:
            if refused.status not in (400, 422):
                raise
            return False
        return True

    return judge


@pytest.fixture(params=["ours", pytest.param("server", marks=pytest.mark.sandbox)])
def judge(request: pytest.FixtureRequest) -> Judge:
    return ours if request.param == "ours" else request.getfixturevalue("server")


def test_what_is_right_for_both(judge: Judge) -> None:
    assert [quantity for quantity in CPUS if not judge("cpu", quantity)] == []
    assert [quantity for quantity in MEMORIES if not judge("memory", quantity)] == []


def test_what_both_refuse(judge: Judge) -> None:
    for resource in ("cpu", "memory"):
        assert [quantity for quantity in NEITHER if judge(resource, quantity)] == []


def test_what_is_refused_although_the_server_takes_some_of_it() -> None:
    for resource, quantities in (("cpu", OURS_ALONE + FINE_CPUS), ("memory", OURS_ALONE + FINE_MEMORIES)):
        assert [quantity for quantity in quantities if ours(resource, quantity)] == []


@pytest.mark.parametrize(
    ("quantity", "value"),
    [("1", 1), ("500m", 0.5), ("1.", 1), (".5", 0.5), ("2k", 2000), ("1Ki", 1024), ("1e3", 1000), ("1E", 10**18)],
)
def test_how_much_it_is(quantity: str, value: float) -> None:
    assert amount(quantity) == value


@pytest.mark.sandbox
def test_the_server_takes_no_less_than_we_do(server: Judge) -> None:
    """Whatever ours calls right, of every table, is right for the server."""
    for resource, quantities in (
        ("cpu", (*CPUS, *NEITHER, *OURS_ALONE)),
        ("memory", (*MEMORIES, *NEITHER, *OURS_ALONE)),
    ):
        assert [
            quantity for quantity in quantities if ours(resource, quantity) and not server(resource, quantity)
        ] == []
