"""Listens inside the namespaces of networks and routers, for the metadata agent's resident process.

This process waits for ever on every network host, so it imports next to nothing (not even typing or logging).
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACES = "/run/netns"
CLONE_NEWNET = 0x40000000
SCAN_INTERVAL_S = 1.0
BACKLOG = 32


class Listener:
    """One listening socket, and what it was made of: a change of any of these opens it anew."""

    def __init__(
        self, listening: socket.socket, owner: dict[str, str], definition: str, namespace_id: tuple[int, int]
    ) -> None:
        self.socket = listening
        self.owner = owner
        self.definition = definition
        self.namespace_id = namespace_id


class Listeners:
    """Follows the listeners' folder and hands on what comes in."""

    def __init__(
        self,
        folder: str,
        hand_over: Callable[[socket.socket, str, str, dict[str, str]], None],
        tick: Callable[[], None],
    ) -> None:
        """``hand_over`` gets a connection, its listener's name, the guest's address and the owner."""
        self.folder = folder
        self.hand_over = hand_over
        self.tick = tick
        self.listeners: dict[str, Listener] = {}
        self.selector = selectors.DefaultSelector()
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def serve(self) -> None:
        """Serve for ever; ``tick`` is called about once a second. The process is back in its own namespace by then."""
        os.makedirs(self.folder, mode=0o755, exist_ok=True)
        next_scan = 0.0
        while True:
            if time.monotonic() >= next_scan:
                self.scan()
                self.tick()
                next_scan = time.monotonic() + SCAN_INTERVAL_S
            for key, _events in self.selector.select(max(0.0, next_scan - time.monotonic())):
                self._accept(key.data)

    def forget(self) -> None:
        """Close everything here, in a forked process that is not to listen."""
        for listener in self.listeners.values():
            listener.socket.close()
        self.selector.close()
        os.close(self.home)

    def scan(self) -> None:
        """Open the sockets of new listener files, changed ones and renewed namespaces; close those of removed files."""
        wanted = {}
        for file in os.listdir(self.folder):
            if file.endswith(".json"):
                name = file.removesuffix(".json")
                definition = self._read(os.path.join(self.folder, file))
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
            current = self.listeners.get(name)
            options = json.loads(definition)
            path = os.path.join(NAMESPACES, options["namespace"])
            found = os.stat(path)
            identity = (found.st_dev, found.st_ino)
            if current is not None and current.definition == definition and current.namespace_id == identity:
                return
            if current is not None:
                self._close(name)
            listening = self._listen(path, options["address"], int(options["port"]))
        except (OSError, ValueError, KeyError, TypeError):
            # The namespace may not be there yet, or its address not up: the next scan tries again.
            if name in self.listeners:
                self._close(name)
            return
        owner = {key: options[key] for key in ("network_id", "router_id") if options.get(key)}
        self.listeners[name] = Listener(listening, owner, definition, identity)
        self.selector.register(listening, selectors.EVENT_READ, name)
        note(f"listening in {options['namespace']} on {options['address']}:{options['port']}")

    def _listen(self, namespace_path: str, address: str, port: int) -> socket.socket:
        """A socket stays in the namespace in which it was made, so this process only visits."""
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
        note(f"stopped listening for {name}")

    def _accept(self, name: str) -> None:
        listener = self.listeners.get(name)
        if listener is None:
            return
        try:
            connection, peer = listener.socket.accept()
        except OSError as error:
            note(f"a connection was gone before it was accepted: {error}")
            return
        with connection:
            self.hand_over(connection, name, peer[0], listener.owner)


def note(sentence: str) -> None:
    """Write a line to the log."""
    print(time.strftime("%Y-%m-%d %H:%M:%S"), "INFO", sentence, file=sys.stderr, flush=True)


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
