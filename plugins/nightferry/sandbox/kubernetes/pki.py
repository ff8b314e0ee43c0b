"""The sandbox's certificates: one CA of its own, and a certificate for each server and client of the cluster.

`trustme` makes them. It does not look at what is there: whether a certificate is whole, ours and good for a while yet
is seen here, with `cryptography`, which trustme is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from nightferry.sandbox.layout import ADDRESS, CLUSTER_ADDRESS, NODE, Layout

if TYPE_CHECKING:
    from cryptography import x509
    from trustme import Blob

ORGANIZATION = "nightferry"
"""The cluster takes a client's organization for its group; nothing is granted to this one."""
LEAF_DAYS = 365
RENEW_DAYS = 60
"""A certificate that ends sooner than this is made anew when the sandbox starts."""


@dataclass(frozen=True)
class Leaf:
    """A certificate that the CA signs, for a server and a client alike."""

    name: str
    common_name: str
    organization: str = ORGANIZATION
    names: tuple[str, ...] = ()
    """What a server is called."""

    @property
    def identities(self) -> tuple[str, ...]:
        """Its alternative names; a client's is nobody's address. Go refuses trustme's extension without any."""
        return self.names or (self.name,)


LEAVES = (
    Leaf(
        "apiserver",
        "kube-apiserver",
        names=(
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            ADDRESS,
            CLUSTER_ADDRESS,
        ),
    ),
    Leaf("etcd", "etcd", names=("localhost", "127.0.0.1")),
    Leaf("etcd-client", "etcd-client"),
    Leaf("apiserver-kubelet-client", "apiserver-kubelet-client", "system:masters"),
    Leaf("kubelet", f"system:node:{NODE}", "system:nodes", names=(NODE, ADDRESS, "127.0.0.1")),
    Leaf("controller-manager", "system:kube-controller-manager"),
    Leaf("scheduler", "system:kube-scheduler"),
    Leaf("proxy", "system:kube-proxy"),
    Leaf("coredns", "coredns"),
    Leaf("contour", "contour"),
    Leaf("admin", "nightferry-admin", "system:masters"),
    Leaf("airflow", "nightferry-airflow"),
    Leaf("service-accounts", "service-accounts"),
)


@dataclass(frozen=True)
class Pki:
    """The certificates' folder."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.crt"

    def certificate(self, name: str) -> Path:
        """The certificate of a leaf."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The key of a leaf."""
        return self.folder / f"{name}.key"

    def client(self, name: str) -> tuple[str, str, str]:
        """The files of CA, certificate and key of a client."""
        return str(self.ca), str(self.certificate(name)), str(self.key(name))


def ensure(layout: Layout, leaves: Sequence[Leaf] = LEAVES, now: datetime | None = None) -> Pki:
    """Make what is missing, broken, of another CA, or near its end. What is good stays as it is."""
    import trustme

    now = now or datetime.now(UTC)
    layout.folder("kubernetes", owned=True)
    pki = Pki(layout.folder("kubernetes/pki", owned=True))
    if _load(pki.ca, pki.key("ca"), now):
        ca = trustme.CA.from_pem(pki.ca.read_bytes(), pki.key("ca").read_bytes())
    else:
        ca = trustme.CA(path_length=0, organization_name=ORGANIZATION, organization_unit_name="sandbox")
        _write(layout, pki, "ca", ca.cert_pem, ca.private_key_pem)
    for leaf in leaves:
        if not _good(pki, leaf, now):
            made = ca.issue_cert(
                *leaf.identities,
                common_name=leaf.common_name,
                organization_name=leaf.organization,
                organization_unit_name=leaf.name,
                not_before=now - timedelta(minutes=5),
                not_after=now + timedelta(days=LEAF_DAYS),
            )
            _write(layout, pki, leaf.name, made.cert_chain_pems[0], made.private_key_pem)
    return pki


def _write(layout: Layout, pki: Pki, name: str, certificate: Blob, key: Blob) -> None:
    layout.write(pki.key(name), key.bytes().decode(), owned=True)
    layout.write(pki.certificate(name), certificate.bytes().decode(), owned=True)


def _load(certificate: Path, key: Path, now: datetime) -> x509.Certificate | None:
    """A certificate that is whole, has its key, and does not end soon."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        belongs = loaded.public_key() == load_pem_private_key(key.read_bytes(), None).public_key()
    except (OSError, ValueError):
        return None
    return loaded if belongs and loaded.not_valid_after_utc - now > timedelta(days=RENEW_DAYS) else None


def _good(pki: Pki, leaf: Leaf, now: datetime) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    loaded = _load(pki.certificate(leaf.name), pki.key(leaf.name), now)
    if loaded is None:
        return False
    try:
        loaded.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.ca.read_bytes()))
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    subject = [part.value for part in loaded.subject]
    return {str(name.value) for name in names} == set(leaf.identities) and subject == [
        leaf.organization,
        leaf.name,
        leaf.common_name,
    ]
