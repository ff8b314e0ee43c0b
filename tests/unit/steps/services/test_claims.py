"""No two services share an object's name: both are refused, the others go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from nightferry.entities.reason import Reason
from nightferry.entities.release_id import ReleaseId
from nightferry.entities.service_file.object_names import BESIDE, owners
from nightferry.errors import Permanent
from nightferry.steps.services.load_services import LoadedServices, load_service, load_services

from tests.fakes.service_specs import digits_content


def write(folder: Path, service: str, namespace: str = "production", **changes: Any) -> Path:
    path = folder / f"{service}.yaml"
    environment = {"name": "production", "namespace": namespace, **changes}
    path.write_text(yaml.safe_dump(digits_content(service=service, environments=[environment])), encoding="utf-8")
    return path


def refused(loaded: LoadedServices) -> set[str]:
    return {problem.service for problem in loaded.problems if problem.reason == Reason.SERVICE_NAME_TAKEN}


@pytest.mark.parametrize(
    "other", ["digits-preview", "digits-candidate", "digits-20260102-1", "digits-20260102-17", "digits-99999999-0"]
)
def test_a_name_that_another_services_objects_have_is_refused_for_both(tmp_path: Path, other: str):
    one, two = write(tmp_path, "digits"), write(tmp_path, other)
    write(tmp_path, "letters")
    loaded = load_services(tmp_path, {})
    assert list(loaded.specs) == ["letters"]
    assert refused(loaded) == {"digits", other}
    for problem in loaded.problems:
        for word in (str(one), str(two), other, "production"):
            assert word in problem.sentence


@pytest.mark.parametrize(
    "other", ["digits-previews", "digits-2026-1", "digits-20260102", "digits2-preview", "preview", "digits-20260102-x"]
)
def test_a_name_that_only_looks_alike_is_fine(tmp_path: Path, other: str):
    write(tmp_path, "digits")
    write(tmp_path, other)
    loaded = load_services(tmp_path, {})
    assert loaded.problems == []
    assert set(loaded.specs) == {"digits", other}


def through(host: str, **more: Any) -> dict[str, Any]:
    return {"traffic": {"gateway": "users", "host": host, **more}}


@pytest.mark.parametrize("of_other", [through("digits.example.org"), through("a.org", aliases=["digits.example.org"])])
def test_a_host_that_two_services_users_would_call_is_refused_for_both(tmp_path: Path, of_other: dict[str, Any]):
    one = write(tmp_path, "digits", **through("digits.example.org"))
    two = write(tmp_path, "numbers", "elsewhere", **of_other)
    write(tmp_path, "letters", **through("letters.example.org"))
    loaded = load_services(tmp_path, {})
    assert list(loaded.specs) == ["letters"]
    assert refused(loaded) == {"digits", "numbers"}
    for problem in loaded.problems:
        for word in (str(one), str(two), "digits.example.org"):
            assert word in problem.sentence


@pytest.mark.parametrize("more", [{"cluster": "far_away"}, {"traffic": {"gateway": "other", "host": "a.example.org"}}])
def test_the_same_host_elsewhere_is_fine(tmp_path: Path, more: dict[str, Any]):
    write(tmp_path, "digits", **through("a.example.org"))
    write(tmp_path, "numbers", **{**through("a.example.org"), **more})
    assert load_services(tmp_path, {}).problems == []


def test_in_namespaces_of_their_own_they_go_on(tmp_path: Path):
    write(tmp_path, "digits")
    write(tmp_path, "digits-preview", namespace="elsewhere")
    assert load_services(tmp_path, {}).problems == []


def test_two_connections_may_lead_to_one_cluster(tmp_path: Path):
    write(tmp_path, "digits")
    write(tmp_path, "digits-preview", cluster="another_connection")
    assert refused(load_services(tmp_path, {})) == {"digits", "digits-preview"}


def test_one_environment_of_several_is_enough(tmp_path: Path):
    (tmp_path / "digits.yaml").write_text(yaml.safe_dump(digits_content()), encoding="utf-8")
    write(tmp_path, "digits-candidate", namespace="staging")
    assert refused(load_services(tmp_path, {})) == {"digits", "digits-candidate"}


def test_a_service_whose_file_is_wrong_tonight_keeps_its_names(tmp_path: Path):
    """Its last release goes on running: another's objects must not be applied over it."""
    write(tmp_path, "digits", ownr="me")
    write(tmp_path, "digits-preview")
    loaded = load_services(tmp_path, {})
    assert loaded.specs == {}
    assert refused(loaded) == {"digits", "digits-preview"}
    assert {problem.reason for problem in loaded.problems if problem.service == "digits"} == {
        Reason.SERVICE_NAME_TAKEN,
        Reason.SERVICE_FILE_INVALID,
    }


def test_the_other_party_of_each_collision_is_refused_and_nobody_else(tmp_path: Path):
    for service in ("digits", "digits-preview", "digits-preview-candidate", "letters", "letters-x"):
        write(tmp_path, service)
    loaded = load_services(tmp_path, {})
    assert set(loaded.specs) == {"letters", "letters-x"}
    assert refused(loaded) == {"digits", "digits-preview", "digits-preview-candidate"}


def test_the_service_asked_for_says_who_has_its_name(tmp_path: Path):
    write(tmp_path, "digits")
    two = write(tmp_path, "digits-preview")
    with pytest.raises(Permanent) as failure:
        load_service(tmp_path, {}, "digits")
    assert failure.value.reason == Reason.SERVICE_NAME_TAKEN
    assert str(two) in failure.value.sentence


def test_every_object_of_a_service_is_known_to_be_its_own():
    """What releases and the Service beside are called in the cluster is what is refused in files."""
    release = ReleaseId.parse("digits-2026-01-02.17").object_name
    assert owners(release) == ["digits"]
    for suffix in BESIDE:
        assert owners(f"digits{suffix}") == ["digits"]
    assert owners("digits") == []
