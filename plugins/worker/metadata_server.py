"""Listens inside namespaces and answers over HTTP, with few threads and a limit for each guest."""

from __future__ import annotations

import base64
import ctypes
import json
import logging
import os
import selectors
import socket
import threading
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from ansible_collections.stratiform.cloud.plugins.worker.metadata_documents import (
    DocumentStore,
    NotKnownError,
    UnavailableError,
)

log = logging.getLogger("stratiform-metadata")

NAMESPACES = "/run/netns"
CLONE_NEWNET = 0x40000000
SCAN_INTERVAL_S = 1.0
BACKLOG = 32
THREADS = 8
CONNECTIONS_PER_GUEST = 2
# A guest has so long for one request; slower ones are cut off.
REQUEST_DEADLINE_S = 10.0
ENTRIES_IN_MEMORY = 256


class Listener(NamedTuple):
    """One listening socket, and what it was made of: a change of any of these opens it anew."""

    socket: socket.socket
    owner: dict[str, str]
    definition: str
    namespace_id: tuple[int, int]


class MetadataServer:
    """Follows the listeners' folder and serves what comes in."""

    def __init__(self, listeners_dir: str, store: DocumentStore) -> None:
        self.listeners_dir = listeners_dir
        self.store = store
        self.listeners: dict[str, Listener] = {}
        self.selector = selectors.DefaultSelector()
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self.open_connections: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()

    def serve(self) -> None:
        """Serve for ever. Only this thread changes namespaces, and it is back home before anything else happens."""
        os.makedirs(self.listeners_dir, mode=0o755, exist_ok=True)
        next_scan = 0.0
        while True:
            if time.monotonic() >= next_scan:
                self.scan()
                self.store.drop_idle(ENTRIES_IN_MEMORY)
                next_scan = time.monotonic() + SCAN_INTERVAL_S
            for key, _events in self.selector.select(max(0.0, next_scan - time.monotonic())):
                self._accept(key.data)

    def scan(self) -> None:
        """Open the sockets of new listener files, changed ones and renewed namespaces; close those of removed files."""
        wanted = {}
        for file in os.listdir(self.listeners_dir):
            if file.endswith(".json"):
                name = file.removesuffix(".json")
                definition = self._read(os.path.join(self.listeners_dir, file))
                if definition is not None:
                    wanted[name] = definition
        for name in [name for name in self.listeners if name not in wanted]:
            self._close(name)
        for name, definition in wanted.items():
            self._ensure(name, definition)

    @staticmethod
    def _read(path: str) -> str | None:
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _ensure(self, name: str, definition: str) -> None:
        try:
            options = json.loads(definition)
            path = os.path.join(NAMESPACES, options["namespace"])
            found = os.stat(path)
            identity = (found.st_dev, found.st_ino)
            current = self.listeners.get(name)
            if current is not None and current.definition == definition and current.namespace_id == identity:
                return
            if current is not None:
                self._close(name)
            listening = self._listen(path, options["address"], int(options["port"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            # The namespace may not be there yet, or its address not up: the next scan tries again.
            if name in self.listeners:
                self._close(name)
            log.debug("listener %s waits: %s", name, error)
            return
        owner = {key: options[key] for key in ("network_id", "router_id") if options.get(key)}
        self.listeners[name] = Listener(listening, owner, definition, identity)
        self.selector.register(listening, selectors.EVENT_READ, name)
        log.info("listening in %s on %s:%s", options["namespace"], options["address"], options["port"])

    def _listen(self, namespace_path: str, address: str, port: int) -> socket.socket:
        """A socket stays in the namespace in which it was made, so this thread only visits."""
        with open(namespace_path, "rb") as namespace:
            _enter(namespace.fileno())
            try:
                return _listening_socket(address, port)
            finally:
                _enter(self.home)

    def _close(self, name: str) -> None:
        listener = self.listeners.pop(name)
        self.selector.unregister(listener.socket)
        listener.socket.close()
        log.info("stopped listening for %s", name)

    def _accept(self, name: str) -> None:
        listener = self.listeners.get(name)
        if listener is None:
            return
        try:
            connection, peer = listener.socket.accept()
        except OSError as error:
            log.info("a connection was gone before it was accepted: %s", error)
            return
        guest = (name, peer[0])
        with self.lock:
            full = self.open_connections[guest] >= CONNECTIONS_PER_GUEST
            if not full:
                self.open_connections[guest] += 1
        if full:
            connection.close()
            return
        self.pool.submit(self._handle, connection, guest, listener.owner)

    def _handle(self, connection: socket.socket, guest: tuple[str, str], owner: dict[str, str]) -> None:
        deadline = threading.Timer(REQUEST_DEADLINE_S, _cut_off, [connection])
        deadline.daemon = True
        deadline.start()
        try:
            connection.settimeout(REQUEST_DEADLINE_S)
            RequestHandler(connection, guest[1], owner, self.store)
        except OSError as error:
            log.info("the request of %s broke off: %s", guest[1], error)
        finally:
            deadline.cancel()
            connection.close()
            with self.lock:
                self.open_connections[guest] -= 1
                if self.open_connections[guest] <= 0:
                    del self.open_connections[guest]


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


def _cut_off(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It was over already.
        return


def _listening_socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _enter(namespace: int) -> None:
    """Move the calling thread into a network namespace (setns(2))."""
    if _LIBC.setns(namespace, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_LIBC = ctypes.CDLL(None, use_errno=True)
