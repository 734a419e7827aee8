"""The metadata documents of each guest: fetched from the control plane, kept on disk, used on while it is away."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import os
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

log = logging.getLogger("stratiform-metadata")

FRESH_S = 15.0
# After a failure the control plane is left alone for so long, and the kept documents are served at once.
BACK_OFF_S = 5.0
FETCH_TIMEOUT_S = 5.0
NOT_FOUND = 404


class NotKnownError(Exception):
    """The control plane knows no guest with this address there."""


class UnavailableError(Exception):
    """The control plane does not answer."""


class ControlPlane:
    """The control plane's internal metadata resource."""

    def __init__(self, url: str, secret: str, ca_file: str | None) -> None:
        self.url = url.rstrip("/")
        self.secret = secret.encode()
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)))
        self.opener = urllib.request.build_opener(*handlers)

    def fetch(self, owner: dict[str, str], address: str) -> dict[str, Any]:
        """All documents of the guest with this address on the network or router; raises the errors above."""
        query = urllib.parse.urlencode({**owner, "address": address})
        signature = hmac.new(self.secret, query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"{self.url}/internal/metadata?{query}", headers={"X-Stratiform-Signature": signature}
        )
        try:
            with self.opener.open(request, timeout=FETCH_TIMEOUT_S) as response:
                found = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                raise NotKnownError from error
            raise UnavailableError(f"it answered {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnavailableError(str(error)) from error
        if not isinstance(found, dict) or not isinstance(found.get("documents"), dict):
            raise UnavailableError("its answer holds no documents")
        return found


class _Entry:
    """What is known of one address, and the lock that keeps several requests from fetching it at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.documents: dict[str, str] | None = None
        self.loaded = False
        self.fetched = 0.0


class DocumentStore:
    """Documents by network or router and address, in memory and on disk."""

    def __init__(self, folder: str, control_plane: ControlPlane) -> None:
        self.folder = folder
        self.control_plane = control_plane
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._away_until = 0.0
        os.makedirs(folder, mode=0o700, exist_ok=True)

    def documents(self, owner: dict[str, str], address: str) -> dict[str, str]:
        """Path -> base64 for the guest; raises NotKnownError, or UnavailableError when nothing is kept either."""
        # The address comes from the kernel, the owner from our own files; a hash makes a safe file name of them.
        key = hashlib.sha256(json.dumps([owner, address], sort_keys=True).encode()).hexdigest()
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
        with entry.lock:
            if entry.documents is not None and time.monotonic() - entry.fetched < FRESH_S:
                return entry.documents
            if not entry.loaded:
                entry.documents = self._read(key)
                entry.loaded = True
            return self._refresh(entry, key, owner, address)

    def _refresh(self, entry: _Entry, key: str, owner: dict[str, str], address: str) -> dict[str, str]:
        try:
            if time.monotonic() < self._away_until:
                raise UnavailableError("it did not answer a moment ago")
            documents: dict[str, str] = self.control_plane.fetch(owner, address)["documents"]
        except NotKnownError:
            entry.documents = None
            self._forget(key)
            raise
        except UnavailableError as error:
            if time.monotonic() >= self._away_until:
                log.warning("the control plane does not answer: %s", error)
                self._away_until = time.monotonic() + BACK_OFF_S
            if entry.documents is None:
                raise
            return entry.documents
        if documents != entry.documents:
            self._write(key, documents)
        entry.documents = documents
        entry.fetched = time.monotonic()
        return documents

    def drop_idle(self, keep: int) -> None:
        """Bound the memory: forget what was fetched longest ago; it stays on disk."""
        with self._lock:
            for key in sorted(self._entries, key=lambda name: self._entries[name].fetched)[: -keep or None]:
                if not self._entries[key].lock.locked():
                    del self._entries[key]

    def _path(self, key: str) -> str:
        return os.path.join(self.folder, f"{key}.json")

    def _read(self, key: str) -> dict[str, str] | None:
        try:
            with open(self._path(key), encoding="utf-8") as file:
                kept = json.load(file)
        except (FileNotFoundError, ValueError):
            return None
        return kept if isinstance(kept, dict) else None

    def _write(self, key: str, documents: dict[str, str]) -> None:
        """Keep the documents (0600: they hold tenants' secrets)."""
        descriptor, temporary = tempfile.mkstemp(dir=self.folder)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(documents, file)
        os.rename(temporary, self._path(key))

    def _forget(self, key: str) -> None:
        try:
            os.unlink(self._path(key))
        except FileNotFoundError:
            return
