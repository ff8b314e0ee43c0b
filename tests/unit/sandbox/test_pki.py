"""Certificates: made once, renewed in time, of one CA, for their owner's eyes."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from nightferry.sandbox.kubernetes import kubeconfigs, pki
from nightferry.sandbox.kubernetes.pki import LEAVES, Pki
from nightferry.sandbox.layout import Layout

FEW = tuple(leaf for leaf in LEAVES if leaf.name in {"apiserver", "airflow", "kubelet"})


def certificate(made: Pki, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.certificate(name).read_bytes())


def contents(made: Pki) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in made.folder.iterdir()}


def test_all_are_signed_by_the_ca_and_match_their_keys(layout: Layout) -> None:
    made = pki.ensure(layout)
    ca = x509.load_pem_x509_certificate(made.ca.read_bytes())
    for leaf in LEAVES:
        certificate(made, leaf.name).verify_directly_issued_by(ca)
        ssl.create_default_context().load_cert_chain(made.certificate(leaf.name), made.key(leaf.name))


def test_the_node_and_airflow_are_who_the_cluster_takes_them_for(layout: Layout) -> None:
    made = pki.ensure(layout, FEW)
    kubelet, airflow = certificate(made, "kubelet").subject, certificate(made, "airflow").subject
    assert kubelet.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:nightferry"
    assert kubelet.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    assert airflow.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "nightferry-airflow"
    # The cluster takes it for a group: it must be none that is granted anything.
    assert airflow.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "nightferry"


def test_every_certificate_has_a_name_that_go_takes(layout: Layout) -> None:
    """An empty extension of names that is critical, as trustme writes it for a client, is refused by Go."""
    made = pki.ensure(layout)
    for leaf in LEAVES:
        assert list(certificate(made, leaf.name).extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def test_another_subject_or_other_names_are_made_anew(layout: Layout) -> None:
    before = contents(pki.ensure(layout, FEW))
    changed = [replace(leaf, names=(*leaf.names, "more")) if leaf.name == "apiserver" else leaf for leaf in FEW]
    changed = [replace(leaf, organization="others") if leaf.name == "airflow" else leaf for leaf in changed]
    after = contents(pki.ensure(layout, changed))
    different = {name for name in after if after[name] != before[name]}
    assert different == {"apiserver.crt", "apiserver.key", "airflow.crt", "airflow.key"}


def test_nobody_else_can_read_them(layout: Layout) -> None:
    made = pki.ensure(layout, FEW)
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}
    assert made.folder.stat().st_mode & 0o777 == 0o700


def test_a_second_time_nothing_changes(layout: Layout) -> None:
    before = contents(pki.ensure(layout, FEW))
    assert contents(pki.ensure(layout, FEW)) == before


def test_what_ends_soon_is_renewed_and_the_ca_stays(layout: Layout) -> None:
    before = contents(pki.ensure(layout, FEW))
    later = datetime.now(UTC) + timedelta(days=pki.LEAF_DAYS - pki.RENEW_DAYS + 1)
    after = contents(pki.ensure(layout, FEW, later))
    assert {name for name in after if after[name] != before[name]} == {
        f"{f.name}{e}" for f in FEW for e in (".crt", ".key")
    }


@pytest.mark.parametrize("lost", ["ca.key", "ca.crt"])
def test_after_the_ca_is_lost_all_are_made_anew(layout: Layout, lost: str) -> None:
    made = pki.ensure(layout, FEW)
    before = contents(made)
    (made.folder / lost).unlink()
    after = contents(pki.ensure(layout, FEW))
    assert all(after[name] != before[name] for name in after if name.endswith(".crt"))


def test_half_a_file_is_made_anew(layout: Layout) -> None:
    made = pki.ensure(layout, FEW)
    key = made.key("airflow")
    key.write_bytes(key.read_bytes()[:40])
    pki.ensure(layout, FEW)
    ssl.create_default_context().load_cert_chain(made.certificate("airflow"), key)


def test_a_kubeconfig_holds_its_own_users_certificate(layout: Layout) -> None:
    made = pki.ensure(layout)
    kubeconfigs.ensure(layout, made, "https://10.244.0.1:6443")
    path = layout.kubeconfig("airflow")
    held = json.loads(path.read_text())
    given = base64.b64decode(held["users"][0]["user"]["client-certificate-data"])
    assert given == made.certificate("airflow").read_bytes()
    assert held["clusters"][0]["cluster"]["server"] == "https://10.244.0.1:6443"
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_partial_file_is_left(layout: Layout) -> None:
    pki.ensure(layout, FEW)
    assert [path for path in Path(layout.home).rglob("*.partial")] == []
