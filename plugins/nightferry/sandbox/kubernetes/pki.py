"""The sandbox's certificates: one CA of its own, and a certificate for each server and client of the cluster."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from nightferry.sandbox.layout import ADDRESS, CLUSTER_ADDRESS, NODE, Layout

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 60
"""A certificate that ends sooner than this is made anew when the sandbox starts."""


@dataclass(frozen=True)
class Leaf:
    """A certificate that the CA signs: for a server where it has names, for a client always."""

    name: str
    common_name: str
    organization: str | None = None
    names: tuple[str, ...] = ()


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
    Leaf("admin", "nightferry-admin", "system:masters"),
    Leaf("airflow", "nightferry-airflow"),
)


@dataclass(frozen=True)
class Pki:
    """The certificates' folder."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.crt"

    @property
    def accounts_key(self) -> Path:
        """What service-account tokens are signed with."""
        return self.folder / "service-accounts.key"

    @property
    def accounts_public_key(self) -> Path:
        """What they are checked with."""
        return self.folder / "service-accounts.pub"

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
    now = now or datetime.now(UTC)
    pki = Pki(layout.folder("kubernetes", owned=True) / "pki")
    layout.folder("kubernetes/pki", owned=True)
    signer = _load_ca(pki, now) or _make_ca(layout, pki, now)
    for leaf in leaves:
        if not _good(pki, leaf, signer[0], now):
            _make_leaf(layout, pki, leaf, signer, now)
    if not pki.accounts_key.exists() or not pki.accounts_public_key.exists():
        key = _new_key()
        layout.write(pki.accounts_key, _key_text(key), owned=True)
        layout.write(pki.accounts_public_key, _public_key_text(key), owned=True)
    return pki


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _key_text(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public_key_text(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _certificate_text(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _load(certificate: Path, key: Path, now: datetime) -> tuple[x509.Certificate, EllipticCurvePrivateKey] | None:
    """A certificate with its key, where both are whole, belong together and do not end soon."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError):
        return None
    if not isinstance(private, EllipticCurvePrivateKey) or loaded.public_key() != private.public_key():
        return None
    return (loaded, private) if loaded.not_valid_after_utc - now > timedelta(days=RENEW_DAYS) else None


def _load_ca(pki: Pki, now: datetime) -> tuple[x509.Certificate, EllipticCurvePrivateKey] | None:
    return _load(pki.ca, pki.key("ca"), now)


def _good(pki: Pki, leaf: Leaf, ca: x509.Certificate, now: datetime) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    loaded = _load(pki.certificate(leaf.name), pki.key(leaf.name), now)
    if loaded is None:
        return False
    certificate = loaded[0]
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return not leaf.names and certificate.subject == _subject(leaf)
    return set(names) == set(_names(leaf)) and certificate.subject == _subject(leaf)


def _subject(leaf: Leaf) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
    if leaf.organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization))
    return x509.Name(parts)


def _names(leaf: Leaf) -> list[x509.GeneralName]:
    from cryptography import x509

    names: list[x509.GeneralName] = []
    for name in leaf.names:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    return names


def _make_ca(layout: Layout, pki: Pki, now: datetime) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = _new_key()
    name = _subject(Leaf("ca", "nightferry-sandbox"))
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        _builder(name, name, key, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    layout.write(pki.key("ca"), _key_text(key), owned=True)
    layout.write(pki.ca, _certificate_text(certificate), owned=True)
    return certificate, key


def _make_leaf(
    layout: Layout, pki: Pki, leaf: Leaf, signer: tuple[x509.Certificate, EllipticCurvePrivateKey], now: datetime
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca, ca_key = signer
    key = _new_key()
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if leaf.names else [])]
    builder = (
        _builder(_subject(leaf), ca.subject, key, now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if leaf.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(leaf)), critical=False)
    layout.write(pki.key(leaf.name), _key_text(key), owned=True)
    layout.write(pki.certificate(leaf.name), _certificate_text(builder.sign(ca_key, hashes.SHA256())), owned=True)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
    )
