"""A person rolls back on a real cluster, where Airflow is not there, and perhaps the storage neither."""

from __future__ import annotations

import itertools
import json
import time

import pytest
import requests
from nightferry.entities.reason import Reason
from nightferry.manifests import names
from nightferry.steps.record.history import history

from tests.e2e.rollout_scene import SERVICE, RolloutScene

pytestmark = pytest.mark.sandbox


@pytest.fixture
def two(scene: RolloutScene) -> tuple[str, str]:
    """Production served one release and then another, both still warm."""
    scene.clear()
    first, second = (scene.released(name="production") for _ in range(2))
    for release in (first, second):
        scene.close(release)
    return first, second


def answers(scene: RolloutScene) -> str:
    """The release that a new connection is answered by, once it is the one in use."""
    deadline = time.monotonic() + 30
    while True:
        with requests.Session() as session:
            said = str(session.get(f"{scene.address()}/version", timeout=5).json()["release"])
        if said == scene.in_use() or time.monotonic() > deadline:
            return said
        time.sleep(0.1)


def agree(scene: RolloutScene, release: str) -> None:
    assert (scene.in_use(), answers(scene)) == (release, release)
    assert scene.traffic("production").release == release
    assert [line.release for line in history(scene.ledger, SERVICE) if "production" in line.serves] == [release]


def test_users_get_the_release_before_without_airflow(scene: RolloutScene, two: tuple[str, str]) -> None:
    first, second = two
    done = scene.nightferry("rollback", SERVICE, "--reason", "sevens are wrong", "--by", "ana", "--json")
    assert done.returncode == 0, done.stderr
    (said,) = json.loads(done.stdout)
    assert (said["left"], said["to"], said["recorded"]) == (second, first, True)
    agree(scene, first)
    outcomes = {line.release: line.outcome for line in history(scene.ledger, SERVICE)}
    assert (outcomes[second], outcomes[first]) == (Reason.ROLLED_BACK, Reason.RELEASED)
    assert scene.deployments()[second] == 1, "what was left stays for a look"


def test_to_a_warm_one_it_needs_no_storage(scene: RolloutScene, two: tuple[str, str]) -> None:
    first, second = two
    with scene.no_storage() as nowhere:
        done = scene.nightferry("rollback", SERVICE, "--reason", "x", "--by", "ana", **nowhere)
    assert done.returncode == 0, done.stderr
    assert "could not be told yet" in done.stdout
    assert (scene.in_use(), answers(scene)) == (first, first)
    assert scene.traffic("production").release == second
    again = scene.nightferry("rollback", SERVICE, "--to", first, "--reason", "x", "--by", "ana")
    assert again.returncode == 0, again.stderr
    agree(scene, first)
    scene.released(name="production")
    stable = scene.cluster.get("Service", SERVICE)
    assert stable is not None
    assert names.ROLLBACK not in names.annotations_of(stable), "the next release is no rollback"


def test_a_cold_one_is_started_and_a_removed_one_made_anew(scene: RolloutScene, two: tuple[str, str]) -> None:
    first, second = two
    words = ("rollback", SERVICE, "--reason", "x", "--by", "ana")
    scene.cluster.patch("Deployment", names.object_name(first), {"spec": {"replicas": 0}})
    assert scene.nightferry(*words).returncode == 0
    agree(scene, first)
    assert scene.nightferry(*words, "--to", second).returncode == 0
    agree(scene, second)
    scene.cluster.delete("Deployment", names.object_name(first))
    done = scene.nightferry(*words, "--to", first)
    assert done.returncode == 0, done.stderr
    agree(scene, first)


def test_no_request_is_lost_on_the_way_back_and_forth(scene: RolloutScene, two: tuple[str, str]) -> None:
    first, second = two
    address, wrong = scene.address(), []
    for target in itertools.islice(itertools.cycle((first, second)), 4):
        asked = scene.start_nightferry("rollback", SERVICE, "--to", target, "--reason", "x", "--by", "ana")
        while asked.poll() is None:
            try:
                answer = requests.get(f"{address}/version", timeout=5)
                if answer.status_code != 200:
                    wrong.append(answer.status_code)
            except requests.RequestException as fault:
                wrong.append(type(fault).__name__)
        assert asked.wait() == 0
        assert answers(scene) == target
    assert wrong == []
