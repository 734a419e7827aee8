"""Passwords that wait in the database until a guest was told: encrypted with a key made of a secret of the cloud."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from api.config import settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def seal(text: str) -> str:
    """The text, encrypted."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """The text of `seal`."""
    return _box().decrypt(sealed.encode()).decode()


def _box() -> Fernet:
    # Loaded on use: the engine needs it for a password only.
    from cryptography.fernet import Fernet

    key = hashlib.sha256(b"compute.sealing\n" + settings().secret("metadata_secret").encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
