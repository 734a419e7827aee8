"""What a cloud leaves on a host, found in the kernel, in libvirt and in the process table; and how each kind goes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

from ansible_collections.stratiform.cloud.plugins.module_utils.deploy.managers import MARK

HOST_STATE = "/var/lib/stratiform/host/"
LINK = re.compile(r"(tap|brq|qr-|qg-|ns-)[0-9a-f]{8}-[0-9a-f]{2}|vxlan-[0-9]+")
NAMESPACE = re.compile(r"(qdhcp|qrouter)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TABLES = (("bridge", "stratiform"), ("inet", "stratiform"), ("ip", "stratiform_provider"))
# Programs that outlive their starter; one of ours has our folder in its arguments.
DETACHED = ("dnsmasq", "qemu-system-x86_64", "radvd")


def run(*command: str) -> tuple[int, str]:
    """Exit code and output of a program; code 127 when this host has no such program."""
    if shutil.which(command[0]) is None:
        return 127, ""
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "LC_ALL": "C"}
    )
    return result.returncode, result.stdout


def is_ours(pid: str) -> str:
    """The command of a process of the cloud, else nothing.

    What a managed service started carries its mark in the environment; a command line that merely mentions us (an
    editor's) is no evidence. What runs in a container on this host belongs to the container's own cloud.
    """
    if os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid"):
        return ""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().decode(errors="replace").rstrip("\0").split("\0")
    with open(f"/proc/{pid}/environ", "rb") as file:
        marked = any(variable.startswith(f"{MARK}=".encode()) for variable in file.read().split(b"\0"))
    program = os.path.basename(words[0])
    if program in DETACHED:
        return " ".join(words) if any(HOST_STATE in word for word in words[1:]) else ""
    return " ".join(words) if marked and program != "libvirtd" else ""


def processes() -> Iterator[tuple[int, str]]:
    """Processes of the cloud on this host. libvirtd is not one of them: it may serve others, and its manager ends it.

    A container has a PID namespace of its own, and may be a host of another cloud.
    """
    here = os.stat("/proc/self/ns/pid").st_ino
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}/ns/pid").st_ino == here and (command := is_ours(name)):
                yield int(name), command


def domain_files() -> list[str]:
    """The definitions of our guests, as libvirt keeps them: those with a disk below our folder."""
    folder = "/etc/libvirt/qemu"
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        if name.endswith(".xml") and os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                if f"'{HOST_STATE}instances/" in file.read():
                    found.append(path)
    return found


def namespaces() -> list[str]:
    _, out = run("ip", "netns", "list")
    return [line.split()[0] for line in out.splitlines() if line and NAMESPACE.fullmatch(line.split()[0])]


def links(bridges: list[str]) -> list[str]:
    """Our devices outside of namespaces; `bridges` are the provider bridges."""
    _, out = run("ip", "-j", "link")
    names = [link["ifname"] for link in json.loads(out or "[]")]
    return [name for name in names if LINK.fullmatch(name) or name in bridges]


def tables() -> list[tuple[str, str]]:
    return [table for table in TABLES if run("nft", "list", "table", *table)[0] == 0]


def mounts(paths: list[str]) -> list[str]:
    """Mount points below the given folders, the innermost first."""
    with open("/proc/mounts", encoding="utf-8", errors="replace") as file:
        points = [line.split()[1] for line in file]
    return [point for point in reversed(points) if any(point == path or point.startswith(f"{path}/") for path in paths)]


def find(bridges: list[str], paths: list[str]) -> dict[str, list[str]]:
    """Everything that is there, by kind."""
    return {
        "guest": [os.path.basename(path).removesuffix(".xml") for path in domain_files()],
        "process": [f"{pid} {command[:100]}" for pid, command in processes()],
        "namespace": namespaces(),
        "network device": links(bridges),
        "nft table": [" ".join(table) for table in tables()],
        "mount": mounts(paths),
        "file": [path for path in paths if os.path.lexists(path)],
    }


def remove(bridges: list[str], paths: list[str]) -> None:
    """Take everything away, what uses something before that something."""
    for path in domain_files():
        name = os.path.basename(path).removesuffix(".xml")
        run("virsh", "-q", "-c", "qemu:///system", "destroy", name)
        code, _ = run("virsh", "-q", "-c", "qemu:///system", "undefine", "--nvram", "--managed-save", name)
        if code != 0 and os.path.exists(path):  # libvirtd does not run: its file is all that is left
            os.unlink(path)
    end_processes()
    for name in namespaces():
        run("ip", "netns", "delete", name)
    for name in links(bridges):
        run("ip", "link", "delete", name)
    for family, table in tables():
        run("nft", "delete", "table", family, table)
    restore_sysctl()
    for point in mounts(paths):
        run("umount", "-l", point)
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def end_processes(patience_s: float = 10) -> None:
    """SIGTERM, and SIGKILL for those that stay."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, _ in processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        end = time.monotonic() + patience_s
        while time.monotonic() < end and any(processes()):
            time.sleep(0.1)
        if not any(processes()):
            return


def restore_sysctl() -> None:
    """Give the kernel settings back that the host had before (roles/network keeps them)."""
    path = f"{HOST_STATE}former-sysctl"
    if not os.path.exists(path):
        return
    with open(path, encoding="ascii") as file:
        for line in file:
            name, value = line.split(maxsplit=1)
            setting_path = "/proc/sys/" + name.replace(".", "/")
            with contextlib.suppress(OSError), open(setting_path, "w", encoding="ascii") as setting:
                setting.write(value.strip())
