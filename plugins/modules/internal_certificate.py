#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""An internal certificate authority and a server certificate of it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: internal_certificate
short_description: A server certificate of the cloud's own authority
version_added: "0.1.0"
description:
  - Makes the authority (C(ca.crt), C(ca.key)) when it is not there, and a server certificate with its key
    (C(server.pem), for HAProxy).
  - The server certificate is made anew when it lacks a name, when less than O(renew_before_days) are left, or when
    another authority signed it.
author:
  - Contributors to Stratiform
requirements:
  - python3-cryptography
attributes:
  check_mode:
    support: full
    description: Tells whether certificates would be made.
  diff_mode:
    support: none
    description: A difference would show keys.
options:
  directory:
    description: Where the files are.
    type: path
    required: true
  names:
    description: DNS names and IP addresses of the server.
    type: list
    elements: str
    required: true
  valid_days:
    description: How long the server certificate is valid.
    type: int
    default: 397
  renew_before_days:
    description: When fewer days than this are left, it is renewed.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Make the certificates of the public port
  stratiform.cloud.internal_certificate:
    directory: /etc/stratiform/pki
    names: [127.0.0.1, localhost, cloud.example.org]
"""

RETURN = r"""
not_after:
  description: The end of the server certificate, in UTC.
  type: str
  returned: when there is one
reason:
  description: Why it was made.
  type: str
  returned: when changed
"""

import datetime
import ipaddress
import os
import tempfile
import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    IMPORT_ERROR = None
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

CA_DAYS = 3650
SERVER_FILE = "server.pem"


def now() -> datetime.datetime:
    """UTC without zone: cryptography 38 (Debian 12) knows no other."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0)


def general_names(names: list[str]) -> list[Any]:
    result: list[Any] = []
    for name in dict.fromkeys(names):
        try:
            result.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            result.append(x509.DNSName(name))
    return result


def put(path: str, content: bytes, mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    os.replace(temporary, path)


def key_bytes(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def usage(**wanted: bool) -> Any:
    names = (
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
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names})


def builder(subject: str, issuer: Any, key: Any, days: int) -> Any:
    start = now() - datetime.timedelta(hours=1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def make_authority(directory: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        builder(f"Stratiform CA {now():%Y-%m-%d}", None, key, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    put(os.path.join(directory, "ca.key"), key_bytes(key), 0o600)
    put(os.path.join(directory, "ca.crt"), certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def make_server(directory: str, names: list[str], days: int) -> None:
    with open(os.path.join(directory, "ca.key"), "rb") as file:
        authority_key: Any = serialization.load_pem_private_key(file.read(), None)
    with open(os.path.join(directory, "ca.crt"), "rb") as file:
        authority = x509.load_pem_x509_certificate(file.read())
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        builder(names[0], authority.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(general_names(names)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    put(
        os.path.join(directory, SERVER_FILE),
        certificate.public_bytes(serialization.Encoding.PEM) + key_bytes(key),
        0o600,
    )


def why(directory: str, names: list[str], renew_before_days: int) -> str:
    """Why the server certificate must be made; empty when it is good."""
    try:
        with open(os.path.join(directory, SERVER_FILE), "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
        with open(os.path.join(directory, "ca.crt"), "rb") as file:
            authority = x509.load_pem_x509_certificate(file.read())
    except FileNotFoundError:
        return "there is none"
    has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if set(general_names(names)) - set(has):
        return "it lacks a name"
    if certificate.issuer != authority.subject:
        return "another authority signed it"
    if certificate.not_valid_after - now() < datetime.timedelta(days=renew_before_days):
        return "it ends soon"
    return ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "valid_days": {"type": "int", "default": 397},
            "renew_before_days": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        if module.check_mode:
            module.exit_json(changed=True, reason="cryptography is not installed yet")
        module.fail_json(msg=missing_required_lib("cryptography"), exception=IMPORT_ERROR)
    directory, names = module.params["directory"], module.params["names"]
    has_authority = all(os.path.exists(os.path.join(directory, name)) for name in ("ca.key", "ca.crt"))
    reason = why(directory, names, module.params["renew_before_days"]) if has_authority else "there is no authority"
    if reason and not module.check_mode:
        if not has_authority:
            make_authority(directory)
        make_server(directory, names, module.params["valid_days"])
    result: dict[str, Any] = {"changed": bool(reason)}
    if reason:
        result["reason"] = reason
    path = os.path.join(directory, SERVER_FILE)
    if os.path.exists(path):
        with open(path, "rb") as file:
            result["not_after"] = x509.load_pem_x509_certificate(file.read()).not_valid_after.isoformat() + "Z"
    module.exit_json(**result)


if __name__ == "__main__":
    main()
