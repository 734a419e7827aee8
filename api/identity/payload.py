"""What a token carries: a compact binary record, so that tokens stay near 200 characters.

One version byte, a byte of methods, a byte of scope, then user, scope, application credential and trust (a hexadecimal
id takes 16 bytes, another text its length and itself), two times in microseconds since 1970, and the audit ids.
Version 1, which an earlier release made, has no trust.
"""

from __future__ import annotations

import base64
import secrets
import struct
from dataclasses import dataclass

VERSION = 2
WITHOUT_TRUST = 1
METHODS = ("password", "token", "application_credential", "ec2credential")
SCOPES = ("unscoped", "project", "domain", "system")
_HEX, _NONE = 0xFF, 0xFE
_MAX_TEXT = 0xFD
_TIMES = struct.Struct(">QQ")
_AUDIT_BYTES = 16


class InvalidPayload(Exception):
    """The bytes are no payload that this version understands."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The facts of one token. Times in microseconds since 1970; `scope_id` is None unless project or domain.

    `user_id` is who authenticated: with a trust the trustee, also when the token is the trustor's.
    """

    user_id: str
    methods: tuple[str, ...]
    scope: str
    scope_id: str | None
    application_credential_id: str | None
    issued_us: int
    expires_us: int
    audit_ids: tuple[str, ...]
    trust_id: str | None = None

    def pack(self) -> bytes:
        """The payload as bytes."""
        methods = sum(1 << METHODS.index(method) for method in self.methods)
        return b"".join((
            bytes((VERSION, methods, SCOPES.index(self.scope))),
            _pack_id(self.user_id), _pack_id(self.scope_id), _pack_id(self.application_credential_id),
            _pack_id(self.trust_id), _TIMES.pack(self.issued_us, self.expires_us),
            *(base64.urlsafe_b64decode(audit_id + "==") for audit_id in self.audit_ids),
        ))  # fmt: skip


def unpack(raw: bytes) -> Payload:
    """The payload that `raw` holds; InvalidPayload when it holds none."""
    try:
        version, methods, scope = raw[:3]
        if version not in (VERSION, WITHOUT_TRUST):
            raise InvalidPayload(f"version {version}")
        user_id, at = _unpack_id(raw, 3)
        scope_id, at = _unpack_id(raw, at)
        credential_id, at = _unpack_id(raw, at)
        trust_id, at = _unpack_id(raw, at) if version == VERSION else (None, at)
        issued_us, expires_us = _TIMES.unpack_from(raw, at)
        rest = raw[at + _TIMES.size :]
        chunks = (rest[start : start + _AUDIT_BYTES] for start in range(0, len(rest), _AUDIT_BYTES))
        audit_ids = tuple(base64.urlsafe_b64encode(chunk).rstrip(b"=").decode() for chunk in chunks)
        names = tuple(name for bit, name in enumerate(METHODS) if methods & (1 << bit))
        if user_id is None:
            raise InvalidPayload("no user")
        return Payload(
            user_id, names, SCOPES[scope], scope_id, credential_id, issued_us, expires_us, audit_ids, trust_id
        )
    except (ValueError, IndexError, struct.error) as error:
        raise InvalidPayload(str(error)) from error


def new_audit_id() -> str:
    """A new audit id: 22 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_AUDIT_BYTES)).rstrip(b"=").decode()


def _pack_id(value: str | None) -> bytes:
    if value is None:
        return bytes((_NONE,))
    if len(value) == 32 and all(character in "0123456789abcdef" for character in value):
        return bytes((_HEX,)) + bytes.fromhex(value)
    text = value.encode()
    if len(text) > _MAX_TEXT:
        raise ValueError(f"an id of {len(text)} bytes does not fit into a token")
    return bytes((len(text),)) + text


def _unpack_id(raw: bytes, at: int) -> tuple[str | None, int]:
    kind = raw[at]
    at += 1
    if kind == _NONE:
        return None, at
    if kind == _HEX:
        return raw[at : at + 16].hex(), at + 16
    return raw[at : at + kind].decode(), at + kind
