"""Signatures of Amazon's EC2 and S3 APIs, as services hand them over to be checked.

Sources: AWS General Reference, "Signature Version 2" and "Signature Version 4 signing process"; OpenStack identity API
reference, "OS-EC2" and "s3tokens".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any
from urllib.parse import quote

from api.http.faults import BadRequest

V4 = "AWS4-HMAC-SHA256"
_SAFE = "-_~."


def is_right(secret: str, given: dict[str, Any]) -> bool:
    """Whether `given` (ec2tokens' credentials) was signed with the secret, in version 2 or 4."""
    signature = given.get("signature")
    if not isinstance(signature, str):
        raise BadRequest("The credentials have no signature.")
    params = _texts(given.get("params"), "params")
    headers = {name.lower(): value for name, value in _texts(given.get("headers"), "headers").items()}
    if params.get("SignatureVersion") == "2":
        expected = [_version_2(secret, given, params, host) for host in _hosts(given)]
    elif V4 in headers.get("authorization", "") or params.get("X-Amz-Algorithm") == V4:
        expected = [_version_4(secret, given, params, headers)]
    else:
        raise BadRequest("The request was signed in a way that is not known: use signature version 2 or 4.")
    return any(hmac.compare_digest(one.encode(), signature.encode()) for one in expected)


def is_right_s3(secret: str, string_to_sign: str, signature: str) -> bool:
    """Whether the signature (s3tokens) is that of the base64 text that was to be signed, in version 1 or 4."""
    try:
        message = base64.urlsafe_b64decode(string_to_sign)
    except (binascii.Error, ValueError):
        raise BadRequest("token is not base64.") from None
    parts = message.split(b"\n")
    if parts[0] == V4.encode() and len(parts) == 4:
        scope = parts[2].decode(errors="replace").split("/")
        if len(scope) != 4:
            raise BadRequest("The scope of the text that was signed is not <date>/<region>/<service>/aws4_request.")
        expected = hmac.new(_key_4(secret, scope), message, hashlib.sha256).hexdigest()
    else:
        expected = base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha1).digest()).decode()
    return hmac.compare_digest(expected.encode(), signature.encode())


def _texts(given: Any, name: str) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise BadRequest(f"{name} is not an object of texts.")
    return given


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise BadRequest(f"{name} is not a text.")
    return value


def _hosts(given: dict[str, Any]) -> tuple[str, ...]:
    """Clients sign the host with or without its port."""
    host = _text(given, "host")
    return (host, host.partition(":")[0]) if ":" in host else (host,)


def _query(params: dict[str, str]) -> str:
    return "&".join(f"{quote(name, _SAFE)}={quote(params[name], _SAFE)}" for name in sorted(params))


def _version_2(secret: str, given: dict[str, Any], params: dict[str, str], host: str) -> str:
    signed = {name: value for name, value in params.items() if name != "Signature"}
    message = "\n".join((_text(given, "verb").upper(), host, _text(given, "path"), _query(signed)))
    algorithm = {"HmacSHA256": "sha256", "HmacSHA1": "sha1"}.get(params.get("SignatureMethod", ""))
    if algorithm is None:
        raise BadRequest("SignatureMethod is neither HmacSHA256 nor HmacSHA1.")
    return base64.b64encode(hmac.new(secret.encode(), message.encode(), algorithm).digest()).decode()


def _version_4(secret: str, given: dict[str, Any], params: dict[str, str], headers: dict[str, str]) -> str:
    scope, signed_names = _credential_4(params, headers)
    sent = {"host": _text(given, "host")} | headers
    canonical_headers = "".join(f"{name}:{' '.join(sent.get(name, '').split())}\n" for name in signed_names)
    query = "" if _text(given, "verb").upper() == "POST" else _query(
        {name: value for name, value in params.items() if name != "X-Amz-Signature"})  # fmt: skip
    request = "\n".join((
        _text(given, "verb").upper(), _text(given, "path"), query, canonical_headers, ";".join(signed_names),
        _text(given, "body_hash"),
    ))  # fmt: skip
    date = params.get("X-Amz-Date") or headers.get("x-amz-date", "")
    message = "\n".join((V4, date, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()))
    if not date.startswith(scope[0]):
        raise BadRequest("The date of the request is not that of its credential's scope.")
    return hmac.new(_key_4(secret, scope), message.encode(), hashlib.sha256).hexdigest()


def _credential_4(params: dict[str, str], headers: dict[str, str]) -> tuple[list[str], list[str]]:
    """The scope's four parts and the names of the signed headers."""
    if "X-Amz-Algorithm" in params:
        credential, names = params.get("X-Amz-Credential", ""), params.get("X-Amz-SignedHeaders", "")
    else:
        told = headers["authorization"].removeprefix(V4).replace(",", " ").split()
        fields = dict(part.split("=", 1) for part in told if "=" in part)
        credential, names = fields.get("Credential", ""), fields.get("SignedHeaders", "")
    scope = credential.split("/")[1:]
    if len(scope) != 4 or not names:
        raise BadRequest("The scope is not <key>/<date>/<region>/<service>/aws4_request, or no header is signed.")
    return scope, names.split(";")


def _key_4(secret: str, scope: list[str]) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
