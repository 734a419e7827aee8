"""Streams what happens on the host to one client: a snapshot, then heartbeats, guests' and ports' changes.

Runs in a process of its own, forked by the resident worker for the client's connection.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from typing import Any

from ansible_collections.stratiform.cloud.plugins.worker import consoles, facts, guests, links

HEARTBEAT_S = 10.0
# How long the first snapshot waits for libvirt. It comes without the guests when libvirt is slower.
LIBVIRT_PATIENCE_S = 3.0
# A client that takes nothing for so long is given up; it would miss events.
SEND_TIMEOUT_S = 30.0


class Observer:
    """One client's stream, as JSON lines, until it hangs up."""

    def __init__(self, client: socket.socket, state_dir: str) -> None:
        self.client = client
        self.client.settimeout(SEND_TIMEOUT_S)
        self.state_dir = state_dir
        self.wake_up, wake_up_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.links = links.LinkWatch()
        self.guests = guests.GuestWatch(wake_up_end)
        self.static_facts: dict[str, Any] = {}

    def run(self) -> None:
        """Send the stream until the client is gone."""
        self.static_facts = facts.static_facts()
        self.guests.start()
        self.guests.first_attempt.wait(LIBVIRT_PATIENCE_S)
        try:
            self._stream()
        except OSError:
            # The client hung up or stopped reading: whoever wants to go on connects anew and gets a snapshot.
            return

    def _stream(self) -> None:
        if not self._pass_on_guests():
            self._send_snapshot({})
        next_heartbeat = time.monotonic() + HEARTBEAT_S
        poller = select.poll()
        poller.register(self.wake_up, select.POLLIN)
        poller.register(self.links.socket, select.POLLIN)
        poller.register(self.client, select.POLLRDHUP)
        while True:
            ready = {number for number, _events in poller.poll(max(0.0, next_heartbeat - time.monotonic()) * 1000)}
            if self.client.fileno() in ready:
                return
            if self.wake_up in ready:
                self._pass_on_guests()
            if self.links.socket.fileno() in ready:
                for name, up in self.links.changes().items():
                    self._send({"type": "port", "id_prefix": name, "up": up})
            if time.monotonic() >= next_heartbeat:
                self._send({"type": "heartbeat", "host": self._facts()})
                consoles.trim_all(self.state_dir)
                next_heartbeat = time.monotonic() + HEARTBEAT_S

    def _pass_on_guests(self) -> bool:
        """Send what the guests' thread has to say; True when a snapshot was among it."""
        try:
            os.read(self.wake_up, 4096)
        except BlockingIOError:
            return False
        had_snapshot = False
        while not self.guests.messages.empty():
            message = self.guests.messages.get()
            if message["type"] == "snapshot":
                had_snapshot = True
                self._send_snapshot({"domains": message["domains"]})
            else:
                self._send(message)
        return had_snapshot

    def _send_snapshot(self, guests_part: dict[str, Any]) -> None:
        ports = [{"id_prefix": name, "up": up} for name, up in sorted(self.links.states.items())]
        self._send({"type": "snapshot", "host": self._facts(), **guests_part, "ports": ports})

    def _facts(self) -> dict[str, Any]:
        return {**self.static_facts, **facts.current_facts(self.state_dir), **self.guests.facts()}

    def _send(self, message: dict[str, Any]) -> None:
        self.client.sendall(json.dumps(message).encode() + b"\n")
