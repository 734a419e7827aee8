"""The checks of `doctor`: each looks at one thing and yields what is wrong. Nothing is changed for good."""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

CLONE_NEWNET = 0x40000000
MAX_SKEW_S = 5.0


def examine(params: dict[str, Any]) -> tuple[list[str], list[str]]:
    """All problems and all notes of this host."""
    problems = [
        problem
        for check in (privileges, system, clock, sizes, ports, address_ranges, names, other_programs)
        for problem in check(params)
    ]
    if os.geteuid() == 0 and {"network", "compute"} & set(params["groups"]):
        problems += kernel()
    return problems, list(notes(params))


def privileges(_params: dict[str, Any]) -> Iterator[str]:
    if os.geteuid() != 0:
        yield "Ansible is not root here: run it as root, or set ansible_user or ansible_become for this host."


def system(_params: dict[str, Any]) -> Iterator[str]:
    release = {}
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release", encoding="utf-8") as file:
            release = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    name, version = release.get("ID", "").strip('"'), release.get("VERSION_ID", "0").strip('"')
    if name != "debian" or not version.isdigit() or int(version) < 12:
        yield f"This system is {release.get('PRETTY_NAME', 'unknown')}; Stratiform runs on Debian 12 and newer."
    if os.uname().machine != "x86_64":
        yield f"This machine is {os.uname().machine}; guests are x86_64."


def clock(params: dict[str, Any]) -> Iterator[str]:
    skew = time.time() - params["controller_time"]
    if skew < -MAX_SKEW_S or skew > 60 + MAX_SKEW_S:  # the call itself takes time, so only later is normal
        yield (
            f"The clock differs from the controller's by {skew:.0f} s: synchronise it (systemd-timesyncd, chrony); "
            "tokens and certificates depend on it."
        )


def sizes(params: dict[str, Any]) -> Iterator[str]:
    place = "/var/lib" if os.path.isdir("/var/lib") else "/"
    free_gb = shutil.disk_usage(place).free / 2**30
    if free_gb < params["min_disk_gb"]:
        yield f"{place} has {free_gb:.1f} GiB free; {params['min_disk_gb']} are wanted for packages, images and disks."
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    if memory_mb < params["min_memory_mb"]:
        yield f"The machine has {memory_mb:.0f} MiB of memory; {params['min_memory_mb']} are wanted."


def listeners() -> dict[int, str]:
    """Listening TCP ports, each with the inode of its socket (proc(5), net/tcp)."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    found[int(fields[1].rsplit(":", 1)[1], 16)] = fields[9]
    return found


def owner_of(inode: str) -> str:
    """The command of the process that holds a socket; empty when it cannot be seen."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") == f"socket:[{inode}]":
                    with open(f"/proc/{pid}/cmdline", "rb") as file:
                        return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue  # it ended meanwhile, or is not ours to see
    return ""


def ports(params: dict[str, Any]) -> Iterator[str]:
    found = listeners()
    for port in params["ports"]:
        if port in found:
            command = owner_of(found[port])
            if "/etc/stratiform/" not in command:
                holder = command[:80] or "another program"
                yield f"Port {port} is in use by {holder}: stop it, or choose another stratiform_public_port."


def local_addresses() -> list[tuple[str, ipaddress.IPv4Interface]]:
    """Interfaces with their IPv4 addresses, from `ip` when it is there."""
    if shutil.which("ip") is None:
        return []
    output = subprocess.run(
        ["ip", "-j", "-4", "address"], capture_output=True, text=True, check=False, timeout=10
    ).stdout
    return [
        (link["ifname"], ipaddress.IPv4Interface(f"{address['local']}/{address['prefixlen']}"))
        for link in json.loads(output or "[]")
        for address in link.get("addr_info", [])
    ]


def address_ranges(params: dict[str, Any]) -> Iterator[str]:
    ranges = [ipaddress.ip_network(text) for text in params["ranges"]]
    for interface, address in local_addresses():
        if interface in params["bridges"]:
            continue
        for ours in ranges:
            if isinstance(ours, ipaddress.IPv4Network) and address.network.overlaps(ours):
                yield (
                    f"The range {ours} of the cloud overlaps {address} on {interface}: "
                    "choose another stratiform_provider_cidr."
                )


def names(params: dict[str, Any]) -> Iterator[str]:
    for name in params["names"]:
        try:
            socket.getaddrinfo(name, None)
        except OSError:
            yield f"The name {name} is not resolvable here: add it to DNS or /etc/hosts."


def other_programs(params: dict[str, Any]) -> Iterator[str]:
    if "control" in params["groups"] and os.path.isdir("/etc/stratiform") and not os.path.isdir("/var/lib/stratiform"):
        yield "/etc/stratiform is there but not /var/lib/stratiform: an older cloud's rest. Run make destroy first."


def kernel() -> list[str]:
    """What the kernel must be able to do, tried out in a network namespace that goes with the child process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        found: list[str] = []
        try:
            found = try_kernel()
        except OSError as error:
            found = [f"The kernel could not be examined: {error}."]
        finally:
            os.write(writer, json.dumps(found).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    result: list[str] = json.loads(answer or b"[]")
    return result


def try_kernel() -> list[str]:
    """Runs in a child of its own."""
    found = []
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return ["The kernel gives no network namespaces or this container may not make any: run it with more rights."]

    def works(*command: str, text: str | None = None) -> bool:
        return (
            subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=20).returncode == 0
        )

    if shutil.which("ip"):
        for kind, command in {
            "bridges (bridge)": ("ip", "link", "add", "sf-doctor0", "type", "bridge"),
            "veth pairs (veth)": ("ip", "link", "add", "sf-doctor1", "type", "veth", "peer", "name", "sf-doctor2"),
            "VXLAN (vxlan)": ("ip", "link", "add", "sf-doctor3", "type", "vxlan", "id", "1", "dstport", "4789"),
            "tap devices (tun)": ("ip", "tuntap", "add", "sf-doctor4", "mode", "tap"),
        }.items():
            if not works(*command):
                found.append(f"The kernel cannot make {kind}: load the module, or use a kernel that has it.")
    if shutil.which("nft"):
        rules = (
            "table inet sf { chain c { type filter hook forward priority 0; ct state established accept; }; }\n"
            "table bridge sf { chain c { type filter hook forward priority 0; }; }\n"
        )
        if not works("nft", "-f", "-", text=rules):
            found.append("The kernel cannot filter with nftables in inet and bridge: load nf_tables and nf_conntrack.")
    return found


def notes(params: dict[str, Any]) -> Iterator[str]:
    if "compute" in params["groups"] and not os.path.exists("/dev/kvm"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = file.read()
        why = (
            "the kernel offers none"
            if (" vmx" in flags or " svm" in flags)
            else "the CPU shows none (in a virtual machine: nested virtualisation is off)"
        )
        yield f"No hardware virtualisation: {why}. Guests run emulated, several times slower."
    if not os.path.isdir("/run/systemd/system"):
        yield "PID 1 is not systemd: programs run under supervisor, which this machine must start after a reboot."
    if (os.cpu_count() or 1) < 2:
        yield "There is one CPU: deploying takes longer."
