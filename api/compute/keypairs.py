"""Key pairs: users' public keys. A generated private key is returned once and kept nowhere."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.compute.models import KeyPair
from api.db.base import utcnow
from api.http.faults import BadRequest, Conflict, NotFound

_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_YEARS_VALID = 10


@dataclass(frozen=True)
class Material:
    """What a key pair is made of; `private_key` only when it was generated here."""

    public_key: str
    fingerprint: str
    private_key: str | None = None


def _colons(digest: str) -> str:
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def import_ssh(public_key: str) -> Material:
    """A given SSH public key, its MD5 fingerprint as OpenSSH wrote it (RFC 4716, section 4)."""
    words = public_key.split()
    try:
        if len(words) < 2:
            raise ValueError
        blob = base64.b64decode(words[1], validate=True)
        length = int.from_bytes(blob[:4], "big")
        if blob[4 : 4 + length].decode() != words[0]:
            raise ValueError
        serialization.load_ssh_public_key(f"{words[0]} {words[1]}".encode())
    except UnsupportedAlgorithm:
        pass  # well-formed, of a kind that cryptography does not know (sk-ssh-ed25519@...): the guest's business
    except (ValueError, binascii.Error):
        raise BadRequest(
            "Keypair data is invalid: failed to generate fingerprint. Send one OpenSSH public key line."
        ) from None
    return Material(public_key, _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest()))


def import_x509(certificate: str) -> Material:
    """A given PEM certificate; its fingerprint is SHA-1 over the DER form."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        raise BadRequest(
            "Keypair data is invalid: failed to generate X509 fingerprint. Send a PEM certificate."
        ) from None
    return Material(certificate, _colons(parsed.fingerprint(hashes.SHA1()).hex()))


def generate_ssh() -> Material:
    """A new ed25519 pair, the private key in OpenSSH's format."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    made = import_ssh(f"{public.decode()} Generated-by-Stratiform")
    return Material(made.public_key, made.fingerprint, private.decode())


def generate_x509(user_id: str) -> Material:
    """A new RSA key and a self-signed certificate for a client's log-in (WinRM reads the user's name from the UPN)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    now = datetime.datetime.now(datetime.UTC)
    upn = f"{user_id}@localhost".encode()
    other = x509.OtherName(_UPN, b"\x0c" + _der_length(len(upn)) + upn)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS_VALID))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([other]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = import_x509(certificate.public_bytes(serialization.Encoding.PEM).decode())
    return Material(made.public_key, made.fingerprint, private.decode())


def _der_length(length: int) -> bytes:
    """DER's length octets (X.690, 8.1.3)."""
    if length < 128:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def make(type_: str, user_id: str, public_key: str | None) -> Material:
    """The material of a new key pair: imported when a public key is given, else generated."""
    if type_ == "x509":
        return import_x509(public_key) if public_key else generate_x509(user_id)
    return import_ssh(public_key) if public_key else generate_ssh()


def store(session: Session, user_id: str, name: str, type_: str, material: Material) -> KeyPair:
    """Keeps the public half; 409 when the user has a pair of that name."""
    if find(session, user_id, name):
        raise Conflict(f"Key pair '{name}' already exists.")
    pair = KeyPair(user_id=user_id, name=name, type=type_, fingerprint=material.fingerprint,
                   public_key=material.public_key, created_at=utcnow())  # fmt: skip
    session.add(pair)
    session.flush()
    return pair


def find(session: Session, user_id: str, name: str) -> KeyPair | None:
    """A user's key pair by name."""
    return session.scalar(select(KeyPair).where(KeyPair.user_id == user_id, KeyPair.name == name))


def get(session: Session, user_id: str, name: str) -> KeyPair:
    """A user's key pair by name; 404 when there is none."""
    pair = find(session, user_id, name)
    if pair is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}")
    return pair


def list_pairs(session: Session, user_id: str, *, marker: str | None, limit: int | None) -> list[KeyPair]:
    """A user's key pairs by name, those behind `marker`; 400 for a marker that is no key pair of the user's."""
    query = select(KeyPair).where(KeyPair.user_id == user_id).order_by(KeyPair.name)
    if marker:
        if find(session, user_id, marker) is None:
            raise BadRequest(f"Marker {marker} could not be found.")
        query = query.where(KeyPair.name > marker)
    if limit is not None:
        query = query.limit(limit)
    return list(session.scalars(query))


def forget_user(session: Session, user_id: str) -> None:
    """Drops the key pairs of a user who goes."""
    session.execute(delete(KeyPair).where(KeyPair.user_id == user_id))
