"""Passwords and secrets: hashed with argon2id; bcrypt hashes (of an imported OpenStack, say) are verified too.

Parameters: OWASP Password Storage Cheat Sheet's minimum for argon2id, 19 MiB, 2 passes, 1 lane (about 25 ms).
"""

from __future__ import annotations

import functools

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.http.faults import BadRequest

MAX_BYTES = 4096
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """The hash to store. Takes about 25 ms: never inside a write transaction."""
    if len(password.encode()) > MAX_BYTES:
        raise BadRequest(f"The password is too long: at most {MAX_BYTES} bytes.")
    return _hasher.hash(password)


def verify(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one. Without one it takes the same time, so that nothing shows who exists."""
    if len(password.encode()) > MAX_BYTES:
        return False
    if stored is None:
        _verify_argon2(_dummy(), password)
        return False
    if stored.startswith("$2"):
        return _verify_bcrypt(stored, password)
    return _verify_argon2(stored, password)


def is_outdated(stored: str) -> bool:
    """Whether the hash should be made anew at the next login (other scheme or weaker parameters)."""
    return not stored.startswith("$argon2id$") or _hasher.check_needs_rehash(stored)


@functools.cache
def _dummy() -> str:
    return _hasher.hash("a password that nobody has")


def _verify_argon2(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _verify_bcrypt(stored: str, password: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:72], stored.encode())  # bcrypt reads 72 bytes, as OpenStack cuts
    except ValueError:
        return False
