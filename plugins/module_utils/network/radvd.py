"""radvd in a router's namespace: advertises the router and its prefixes to IPv6 guests (radvd.conf(5), RFC 4861)."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandError, CommandRunner, option
from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import (
    fingerprint,
    read_file,
    remove_file,
    write_file,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network import daemons, namespaces

_RADVD = CommandRunner(
    "radvd",
    {
        "config": lambda path: [f"--config={path}"],
        "pid_file": option("--pidfile"),
        "user": option("--username"),
        "log": option("--logmethod"),
    },
)
_INTERVAL_S = (30, 100)
IPV6_MIN_MTU = 1280


@dataclass(frozen=True)
class Announcement:
    """What an interface advertises: (prefix, mode) pairs, name servers, and its MTU in bytes."""

    device: str
    mtu: int
    prefixes: tuple[tuple[str, str], ...]
    name_servers: tuple[str, ...]


def render(announcements: list[Announcement]) -> str:
    """radvd's configuration; empty when nothing is advertised."""
    return "".join(_interface(one) for one in announcements if one.prefixes)


def _interface(one: Announcement) -> str:
    modes = {mode for _prefix, mode in one.prefixes}
    lines = ["AdvSendAdvert on;", f"MinRtrAdvInterval {_INTERVAL_S[0]};", f"MaxRtrAdvInterval {_INTERVAL_S[1]};"]
    if one.mtu >= IPV6_MIN_MTU:
        lines.append(f"AdvLinkMTU {one.mtu};")
    if "dhcpv6-stateful" in modes:
        lines.append("AdvManagedFlag on;")
    if "dhcpv6-stateless" in modes:
        lines.append("AdvOtherConfigFlag on;")
    if one.name_servers:
        lines.append(f"RDNSS {' '.join(one.name_servers)} {{}};")
    for prefix, mode in one.prefixes:
        autonomous = "off" if mode == "dhcpv6-stateful" else "on"
        lines.append(f"prefix {prefix} {{ AdvOnLink on; AdvAutonomous {autonomous}; }};")
    return f"interface {one.device} {{\n" + "".join(f"  {line}\n" for line in lines) + "};\n"


class Radvd:
    """One router's radvd; its files begin with ``base``."""

    def __init__(self, base: str, namespace: str) -> None:
        self.namespace = namespace
        self.conf_path, self.pid_path, self.loaded_path = f"{base}.radvd", f"{base}.radvd-pid", f"{base}.radvd-loaded"

    def _pid(self) -> int | None:
        found = daemons.running("radvd", self.pid_path, f"--config={self.conf_path}")
        return found[0] if found else None

    def observe(self) -> dict[str, Any] | None:
        """The configuration, and whether a process runs that has read it. None when nothing is."""
        pid, conf = self._pid(), read_file(self.conf_path)
        if pid is None and conf is None:
            return None
        read_it = pid is not None and read_file(self.loaded_path) == fingerprint(f"{pid} {conf}")
        return {"conf": conf or "", "running": pid is not None, "read_it": read_it}

    @staticmethod
    def desired(conf: str) -> dict[str, Any] | None:
        """What shall be, in the form of :meth:`observe`."""
        return {"conf": conf, "running": True, "read_it": True} if conf else None

    def apply(self, conf: str) -> None:
        """Let the process read the configuration, or start one in the namespace."""
        write_file(self.conf_path, conf)
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGHUP)
        else:
            with namespaces.entered(self.namespace):
                _RADVD.run(config=self.conf_path, pid_file=self.pid_path, user="radvd", log="syslog")
            pid = self._pid()
            if pid is None:
                raise CommandError("radvd ended right after its start: see the host's system log for its reason.")
        write_file(self.loaded_path, fingerprint(f"{pid} {conf}"))

    def remove(self) -> None:
        """End the process, which tells guests that the router is none any more, and remove its files."""
        if (pid := self._pid()) is not None:
            daemons.stop(pid)
        for path in (self.conf_path, self.pid_path, self.loaded_path):
            remove_file(path)
