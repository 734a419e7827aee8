"""Answers one guest's request over HTTP with a document."""

from __future__ import annotations

import base64
import logging
import socket
import urllib.parse
from http.server import BaseHTTPRequestHandler
from typing import Any

from ansible_collections.stratiform.cloud.plugins.worker.metadata_documents import (
    DocumentStore,
    NotKnownError,
    UnavailableError,
)

log = logging.getLogger("stratiform-metadata")


class RequestHandler(BaseHTTPRequestHandler):
    """Answers one GET or HEAD with a document."""

    protocol_version = "HTTP/1.1"
    server_version = "Stratiform"
    sys_version = ""

    def __init__(self, connection: socket.socket, address: str, owner: dict[str, str], store: DocumentStore) -> None:
        self.owner = owner
        self.store = store
        super().__init__(connection, (address, 0), None)  # type: ignore[arg-type]

    def handle(self) -> None:
        """One request a connection: guests ask seldom, and an idle connection would hold a thread."""
        self.close_connection = True
        self.handle_one_request()

    def do_GET(self) -> None:
        """Answer with the document of this path, 404 when the guest has none."""
        try:
            documents = self.store.documents(self.owner, self.client_address[0])
        except NotKnownError:
            self._send(404, b"No server has this address here.\n")
            return
        except UnavailableError:
            self._send(503, b"The metadata are not available at the moment. Try again.\n", {"Retry-After": "5"})
            return
        encoded = find(documents, self.path)
        if encoded is None:
            self._send(404, b"There is no such document.\n")
            return
        self._send(200, base64.b64decode(encoded))

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self._send(405, b"Only GET and HEAD are possible here.\n", {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _refuse

    def _send(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        is_json = code == 200 and urllib.parse.urlsplit(self.path).path.endswith(".json")
        self.send_header("Content-Type", "application/json" if is_json else "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Note a request when asked to; a guest must not be able to fill the log."""
        log.debug("%s %s", self.client_address[0], format % args)


def find(documents: dict[str, str], path: str) -> str | None:
    """The document of a path. Slashes at either end, doubled ones and a query make no difference."""
    wanted = normal(urllib.parse.unquote(urllib.parse.urlsplit(path).path))
    return next((encoded for name, encoded in documents.items() if normal(name) == wanted), None)


def normal(path: str) -> str:
    """A path's parts, joined: the control plane may write ``openstack/latest/`` or ``/openstack/latest``."""
    return "/".join(part for part in path.split("/") if part)
