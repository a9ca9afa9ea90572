"""The certificates of a node, all by one authority of its own, and the kubeconfigs with them.

Who somebody is, a client's certificate tells: its common name is the user, its organization the
group (https://kubernetes.io/docs/setup/best-practices/certificates/).
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 3650
BACKDATED = timedelta(minutes=5)
"""How much earlier than now a certificate begins, for readers whose clock is behind."""


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _begun(subject: x509.Name, issuer: x509.Name, key: object) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=DAYS))
    )


def _named(user: str, group: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose files, and those of what it signs, lie in one folder."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made_in(cls, folder: Path) -> Authority:
        """Make an authority, and write its certificate and key as `ca.crt` and `ca.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _named("kubernetes-ca")
        usage = {"key_cert_sign": True, "crl_sign": True, "digital_signature": True}
        certificate = (
            _begun(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(**usage), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(folder / "ca.key", _key_pem(key))
        (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, certificate)

    def server(self, file: str, user: str, names: Iterable[str], group: str = "") -> None:
        """Sign a server's certificate for these names and addresses."""
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        self._signed(file, _named(user, group), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, file: str, user: str, group: str = "") -> None:
        """Sign a client's certificate."""
        self._signed(file, _named(user, group), ExtendedKeyUsageOID.CLIENT_AUTH)

    def _signed(
        self,
        file: str,
        subject: x509.Name,
        use: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None = None,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _begun(subject, self.certificate.subject, key.public_key())
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        _write(self.folder / f"{file}.key", _key_pem(key))
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        (self.folder / f"{file}.crt").write_bytes(pem)


def _usage(**allowed: bool) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in every})


def _write(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)


def service_account_keys(folder: Path) -> None:
    """Write the pair of keys that service accounts' tokens are signed with: `sa.key`, `sa.pub`."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write(folder / "sa.key", _key_pem(key))
    (folder / "sa.pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def kubeconfig(folder: Path, file: str, server: str) -> str:
    """Return a kubeconfig for the client whose certificate is `file`, as JSON, which is YAML."""

    def encoded(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": encoded("ca.crt")}
    user = {
        "client-certificate-data": encoded(f"{file}.crt"),
        "client-key-data": encoded(f"{file}.key"),
    }
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "node",
        "clusters": [{"name": "node", "cluster": cluster}],
        "users": [{"name": file, "user": user}],
        "contexts": [{"name": "node", "context": {"cluster": "node", "user": file}}],
    }
    return json.dumps(told, indent=1) + "\n"
