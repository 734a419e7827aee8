"""dnsmasq for one network: its files, and its process in the network's namespace (dnsmasq(8))."""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import select
import shutil
import signal
import socket
import struct
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandError, CommandRunner, joined
from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import (
    NETWORK_DIR,
    fingerprint,
    read_file,
    write_file,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network import names, namespaces

DHCP_DIR = f"{NETWORK_DIR}/dhcp"
LEASE_S = 86400
# dnsmasq re-reads these on SIGHUP; a changed configuration needs a new process.
_RELOADED = ("hosts", "names", "options")
_DNSMASQ = CommandRunner("dnsmasq", {"conf_file": joined("--conf-file=")}, package="dnsmasq-base")
_STOP_S = 5
_METADATA_ROUTE = f"{names.METADATA_ADDRESS}/32"


def folder_of(network_id: str) -> str:
    """The folder with a network's files."""
    return f"{DHCP_DIR}/{network_id}"


def render(plan: Any) -> dict[str, str]:
    """A network's files by name: ``conf`` for the process, and those that it re-reads."""
    folder = folder_of(plan.id)
    tags = {subnet["id"]: f"subnet-{subnet['id'][:8]}-{index}" for index, subnet in enumerate(plan.subnets)}
    conf = [
        "# Written by Stratiform's module network_dhcp, which overwrites changes.",
        "bind-dynamic",
        f"interface={plan.inner}",
        "except-interface=lo",
        "no-hosts",
        "no-resolv",
        "no-ping",
        "dhcp-authoritative",
        f"dhcp-leasefile={folder}/leases",
        f"pid-file={folder}/pid",
        f"dhcp-hostsfile={folder}/hosts",
        f"dhcp-optsfile={folder}/options",
        f"addn-hosts={folder}/names",
        "dhcp-lease-max=16777216",
        "dns-loop-detect",
        *(f"server={server}" for server in plan.upstream_dns),
    ]
    if plan.domain:
        conf += [f"domain={plan.domain}", f"local=/{plan.domain}/"]
    for subnet in plan.subnets:
        network = ipaddress.IPv4Network(subnet["cidr"])
        conf.append(f"dhcp-range=set:{tags[subnet['id']]},{network.network_address},static,{network.netmask},{LEASE_S}")
    options = [f"option:mtu,{plan.mtu}"]
    for subnet in plan.subnets:
        options += _options(plan, subnet, tags[subnet["id"]])
    hosts, host_names = [], []
    for host in plan.hosts:
        if host["subnet_id"] in tags:
            name = f",{host['hostname']}" if host["hostname"] else ""
            hosts.append(f"{host['mac']},id:*,{host['ip']}{name},{LEASE_S}")
        if host["hostname"]:
            full = [f"{host['hostname']}.{plan.domain}"] if plan.domain else []
            host_names.append(" ".join([host["ip"], *full, host["hostname"]]))
    return {
        "conf": "\n".join(line for line in conf if line) + "\n",
        "hosts": "".join(f"{line}\n" for line in hosts),
        "names": "".join(f"{line}\n" for line in host_names),
        "options": "".join(f"{line}\n" for line in options),
    }


def _options(plan: Any, subnet: dict[str, Any], tag: str) -> list[str]:
    """A subnet's DHCP options 3, 6, 15, 121 and, for Windows guests, 249 (RFC 2132, RFC 3442)."""
    network = ipaddress.IPv4Network(subnet["cidr"])
    own = [address for address in plan.own_addresses if ipaddress.ip_address(address) in network]
    lines = []
    servers = subnet["dns_nameservers"] or own
    # An option without value is left out of the answer; without the line dnsmasq would name itself as router.
    lines.append(f"tag:{tag},option:router" + (f",{subnet['gateway_ip']}" if subnet["gateway_ip"] else ""))
    lines.append(f"tag:{tag},option:dns-server" + "".join(f",{server}" for server in servers))
    if plan.domain:
        lines.append(f"tag:{tag},option:domain-name,{plan.domain}")
    routes = [(route["destination"], route["nexthop"]) for route in subnet["host_routes"]]
    if plan.metadata and own and all(destination != _METADATA_ROUTE for destination, _nexthop in routes):
        routes.append((_METADATA_ROUTE, own[0]))
    if routes and subnet["gateway_ip"] and all(destination != "0.0.0.0/0" for destination, _nexthop in routes):
        # A client that takes option 121 ignores option 3.
        routes.append(("0.0.0.0/0", subnet["gateway_ip"]))
    if routes:
        value = ",".join(f"{destination},{nexthop}" for destination, nexthop in routes)
        lines += [f"tag:{tag},option:classless-static-route,{value}", f"tag:{tag},249,{value}"]
    return lines


def _conf_path(network_id: str, conf: str, interface_identity: str) -> str:
    """The configuration's name tells its content and the interface (dnsmasq binds to the device, not to its name).

    So the command line of a process tells whether it is the right one.
    """
    return f"{folder_of(network_id)}/dnsmasq-{fingerprint(conf + interface_identity)}.conf"


def _read_pid(path: str) -> int | None:
    text = (read_file(path) or "").strip()
    return int(text) if text.isdecimal() else None


def running(network_id: str) -> tuple[int, str] | None:
    """The process id and the configuration path of a network's dnsmasq, None when it does not run.

    Looked up by command line when the pid file is gone or lies, so that no second one is started beside it.
    """
    prefix = f"--conf-file={folder_of(network_id)}/"
    known = _read_pid(f"{folder_of(network_id)}/pid")
    if known is not None and (found := _conf_of(known, prefix)):
        return known, found
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (found := _conf_of(int(entry.name), prefix)):
            return int(entry.name), found
    return None


def _conf_of(pid: int, prefix: str) -> str | None:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not os.path.basename(words[0]).startswith("dnsmasq"):
        return None
    return next((word.partition("=")[2] for word in words if word.startswith(prefix)), None)


def _loaded_mark(files: dict[str, str], pid: int) -> str:
    """What a process has read: the files' content, and which process."""
    return fingerprint("\0".join([str(pid), *(files[name] for name in _RELOADED)]))


def observe(network_id: str, interface_identity: str) -> dict[str, Any] | None:
    """What is there: the files, and whether a process runs that has read them. None when nothing is."""
    folder = folder_of(network_id)
    process = running(network_id)
    if process is None and not os.path.isdir(folder):
        return None
    pid, conf_path = process or (0, "")
    files = {name: read_file(f"{folder}/{name}") or "" for name in _RELOADED}
    conf = (read_file(conf_path) or "") if conf_path else ""
    return {
        "running": process is not None,
        "bound_to_interface": conf_path == _conf_path(network_id, conf, interface_identity),
        "read_its_files": process is not None and read_file(f"{folder}/loaded") == _loaded_mark(files, pid),
        "files": {"conf": conf, **files},
    }


def desired_state(files: dict[str, str]) -> dict[str, Any]:
    """What shall be, in the form of :func:`observe`."""
    return {"running": True, "bound_to_interface": True, "read_its_files": True, "files": files}


def apply(network_id: str, namespace: str, interface_identity: str, files: dict[str, str]) -> None:
    """Write the files; let the process read them again, or start one when none runs with this configuration."""
    folder = folder_of(network_id)
    conf_path = _conf_path(network_id, files["conf"], interface_identity)
    for name in _RELOADED:
        if read_file(f"{folder}/{name}") != files[name]:
            write_file(f"{folder}/{name}", files[name])
    if read_file(conf_path) != files["conf"]:
        write_file(conf_path, files["conf"])
    process = running(network_id)
    if process is not None and process[1] != conf_path:
        _stop(process[0])
        process = None
    if process is not None:
        os.kill(process[0], signal.SIGHUP)
    else:
        with namespaces.entered(namespace):
            _DNSMASQ.run(conf_file=conf_path)
        process = running(network_id)
        if process is None:
            raise CommandError("dnsmasq ended right after its start: see the host's system log for its reason.")
    write_file(f"{folder}/loaded", _loaded_mark(files, process[0]))
    for old in glob.glob(f"{folder}/dnsmasq-*.conf"):
        if old != conf_path:
            os.unlink(old)


def _stop(pid: int) -> None:
    """End a dnsmasq and wait for its end, so that its ports and leases are free."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            poller = select.poll()
            poller.register(process, select.POLLIN)
            if not poller.poll(_STOP_S * 1000):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                poller.poll(_STOP_S * 1000)
        finally:
            os.close(process)


def remove(network_id: str) -> None:
    """End a network's dnsmasq and remove its files."""
    process = running(network_id)
    if process is not None:
        _stop(process[0])
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder_of(network_id))


def orphaned_leases(network_id: str, files: dict[str, str]) -> list[tuple[str, str, str]]:
    """Leases (MAC, address, client id) that no host has any more: dnsmasq would refuse their addresses to the next."""
    wanted = {(line.split(",")[0], line.split(",")[2]) for line in files["hosts"].splitlines()}
    found = []
    for line in (read_file(f"{folder_of(network_id)}/leases") or "").splitlines():
        words = line.split()
        if len(words) == 5 and (words[1], words[2]) not in wanted and words[0].isdecimal():
            found.append((words[1], words[2], words[4]))
    return found


def release(namespace: str, device: str, server: str, mac: str, address: str, client_id: str) -> None:
    """Give a lease back in its holder's name: a DHCPRELEASE (RFC 2131, 4.4.6) to our own server."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    packet = struct.pack("!BBBBIHH", 1, 1, 6, 0, struct.unpack("!I", os.urandom(4))[0], 0, 0)
    packet += socket.inet_aton(address) + bytes(12) + hardware.ljust(16, b"\0") + bytes(192)
    packet += b"\x63\x82\x53\x63" + b"\x35\x01\x07" + b"\x36\x04" + socket.inet_aton(server)
    if client_id != "*":
        identity = bytes.fromhex(client_id.replace(":", ""))
        packet += bytes([61, len(identity)]) + identity
    with namespaces.entered(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sender.sendto(packet + b"\xff", (server, 67))
