"""Follows the guests through libvirt, and finds libvirt again when it was restarted."""

from __future__ import annotations

import logging
import os
import queue
import threading
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.compute import states

try:
    import libvirt
except ImportError:
    # A host without guests has no libvirt, and still reports its capacity and its ports.
    libvirt = None

log = logging.getLogger("stratiform-worker")

URI = "qemu:///system"
RECONNECT_MS = 2000
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3


class GuestWatch:
    """A thread that owns the libvirt connection and puts messages in a queue.

    Each message is announced by a byte on the wake-up pipe. After each new connection comes a snapshot,
    because what happened while libvirt was away was missed.
    """

    def __init__(self, wake_up: int) -> None:
        self.messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.first_attempt = threading.Event()
        self._wake_up = wake_up
        self._connection: Any = None
        self._version: int | None = None
        self._running: set[str] = set()
        self._asked_by_host: set[str] = set()

    def start(self) -> None:
        """Begin to follow the guests, if this host can have any."""
        if libvirt is None:
            self.first_attempt.set()
            return
        # Errors are raised as well; libvirt need not print them.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=self._follow, name="libvirt", daemon=True).start()

    def facts(self) -> dict[str, Any]:
        """What is known of the hypervisor."""
        return {
            "hypervisor_type": "QEMU",
            "hypervisor_version": self._version,
            "hypervisor_up": self._connection is not None,
            "running_vms": len(self._running),
        }

    def _follow(self) -> None:
        """The thread: connect, and let libvirt's event loop run."""
        libvirt.virEventAddTimeout(RECONNECT_MS, self._tick, None)
        self._connect()
        self.first_attempt.set()
        while True:
            libvirt.virEventRunDefaultImpl()

    def _tick(self, _timer: int, _opaque: object) -> None:
        if self._connection is None:
            self._connect()

    def _connect(self) -> None:
        connection = None
        try:
            connection = libvirt.open(URI)
            connection.registerCloseCallback(self._closed, None)
            connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
            connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None)
            self._version = connection.getVersion()
            self._snapshot(connection)
        except libvirt.libvirtError as error:
            log.info("libvirt does not answer: %s", error)
            if connection is not None:
                self._close(connection)
            return
        self._connection = connection

    def _closed(self, connection: Any, _reason: int, _opaque: object) -> None:
        log.warning("libvirt ended the connection")
        self._connection = None
        self._close(connection)

    @staticmethod
    def _close(connection: Any) -> None:
        try:
            connection.close()
        except libvirt.libvirtError as error:
            log.info("the old connection to libvirt could not be closed: %s", error)

    def _snapshot(self, connection: Any) -> None:
        domains = []
        self._running = set()
        for domain in connection.listAllDomains():
            try:
                state, reason = domain.state()
            except libvirt.libvirtError:
                # It was undefined since the list was made; an event tells that.
                continue
            guest = domain.UUIDString()
            power_state = states.power_state(state)
            if power_state == "running":
                self._running.add(guest)
            domains.append({"id": guest, "power_state": power_state, "reason": states.state_reason(state, reason)})
        self._tell({"type": "snapshot", "domains": domains})

    def _lifecycle(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        guest = domain.UUIDString()
        if event == states.EVENT_SHUTDOWN:
            if detail == states.SHUTDOWN_BY_HOST:
                self._asked_by_host.add(guest)
            return
        if event not in states.LIFECYCLE_EVENTS:
            return
        name, power_state = states.LIFECYCLE_EVENTS[event]
        reason = ""
        if event == states.EVENT_STOPPED:
            reason = states.STOPPED_REASONS.get(detail, "unknown")
            if reason == "guest_shutdown" and guest in self._asked_by_host:
                reason = "host_shutdown"
        self._asked_by_host.discard(guest)
        if power_state == "running":
            self._running.add(guest)
        else:
            self._running.discard(guest)
        self._tell({"type": "domain", "id": guest, "power_state": power_state, "event": name, "reason": reason})

    def _tell(self, message: dict[str, Any]) -> None:
        self.messages.put(message)
        try:
            os.write(self._wake_up, b"!")
        except BlockingIOError:
            # The pipe is full of wake-ups: the reader will come.
            return
