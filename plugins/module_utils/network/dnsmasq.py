"""dnsmasq for one network: its files, and its process in the network's namespace (dnsmasq(8))."""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import shutil
import signal
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandError, CommandRunner, joined
from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import (
    NETWORK_DIR,
    fingerprint,
    read_file,
    write_file,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network import daemons, names, namespaces

DHCP_DIR = f"{NETWORK_DIR}/dhcp"
LEASE_S = 86400
_ADVERTISED_EVERY_S = 60
# dnsmasq re-reads these on SIGHUP; a changed configuration needs a new process.
_RELOADED = ("hosts", "names", "options")
_DNSMASQ = CommandRunner("dnsmasq", {"conf_file": joined("--conf-file=")}, package="dnsmasq-base")
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
    conf += _ranges(plan, tags)
    options = [f"option:mtu,{plan.mtu}"]
    for subnet in plan.subnets:
        make = _options6 if names.is_ipv6(subnet["cidr"]) else _options
        options += make(plan, subnet, tags[subnet["id"]])
    hosts, host_names = [], []
    for host in plan.hosts:
        tag = f"port-{host['mac'].replace(':', '')}"
        if plan.leases(host):
            address = f"[{host['ip']}]" if names.is_ipv6(host["ip"]) else host["ip"]
            own = f",set:{tag}" if host["options"] else ""
            name = f",{host['hostname']}" if host["hostname"] else ""
            hosts.append(f"{host['mac']},id:*{own},{address}{name},{LEASE_S}")
            options += [line for line in (f"tag:{tag},{option}" for option in host["options"]) if line not in options]
        if host["hostname"]:
            full = [f"{host['hostname']}.{plan.domain}"] if plan.domain else []
            host_names.append(" ".join([host["ip"], *full, host["hostname"]]))
    return {
        "conf": "\n".join(line for line in conf if line) + "\n",
        "hosts": "".join(f"{line}\n" for line in hosts),
        "names": "".join(f"{line}\n" for line in host_names),
        "options": "".join(f"{line}\n" for line in options),
    }


def _ranges(plan: Any, tags: dict[str, str]) -> list[str]:
    """Which subnets are served. Advertisements from here name no router (lifetime 0): there is none."""
    lines = []
    for subnet in plan.subnets:
        network, tag = ipaddress.ip_network(subnet["cidr"]), tags[subnet["id"]]
        if network.version == 4:
            lines.append(f"dhcp-range=set:{tag},{network.network_address},static,{network.netmask},{LEASE_S}")
            continue
        how = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless"}.get(subnet["ipv6_mode"], "static")
        if not subnet["advertise"]:
            if subnet["ipv6_mode"] in (None, "slaac"):
                continue
            how = "static"
        lines.append(f"dhcp-range=set:{tag},{network.network_address},{how},{network.prefixlen},{LEASE_S}")
    if any(subnet["advertise"] for subnet in plan.subnets):
        lines += ["enable-ra", f"ra-param={plan.inner},mtu:{plan.mtu},{_ADVERTISED_EVERY_S},0"]
    return lines


def _options6(plan: Any, subnet: dict[str, Any], tag: str) -> list[str]:
    """A subnet's DHCPv6 options 23 and 24 (RFC 3646)."""
    network = ipaddress.ip_network(subnet["cidr"])
    own = [address for address in plan.own_addresses if ipaddress.ip_address(address) in network]
    servers = "".join(f",[{server}]" for server in subnet["dns_nameservers"] or own)
    lines = [f"tag:{tag},option6:dns-server{servers}"] if servers else []
    return [*lines, f"tag:{tag},option6:domain-search,{plan.domain}"] if plan.domain else lines


def _options(plan: Any, subnet: dict[str, Any], tag: str) -> list[str]:
    """A subnet's DHCP options 3, 6, 15, 121 and, for Windows guests, 249 (RFC 2132, RFC 3442)."""
    network = ipaddress.ip_network(subnet["cidr"])
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


def running(network_id: str) -> tuple[int, str] | None:
    """The process id and the configuration path of a network's dnsmasq, None when it does not run."""
    folder = folder_of(network_id)
    found = daemons.running("dnsmasq", f"{folder}/pid", f"--conf-file={folder}/")
    return (found[0], found[1].partition("=")[2]) if found else None


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
        daemons.stop(process[0])
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


def remove(network_id: str) -> None:
    """End a network's dnsmasq and remove its files."""
    process = running(network_id)
    if process is not None:
        daemons.stop(process[0])
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder_of(network_id))
