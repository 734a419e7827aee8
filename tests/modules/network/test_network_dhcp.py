"""network_dhcp on the real kernel, with a real dnsmasq and real DHCP and DNS exchanges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Host

NETWORK = "7d1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00"
BRIDGE = "brq7d1a7a4c-2f"
SUBNET = "3c2f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00"
PORT = "5b1f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00"
NAMESPACE = f"qdhcp-{NETWORK}"
LISTENER = f"/var/lib/stratiform/host/metadata/listeners/{NETWORK}.json"

# Prints what udhcpc got, one variable a line.
UDHCPC_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
for name in ip mask router dns domain mtu staticroutes hostname; do eval "echo $name=\\$$name"; done
"""

QUERY = """
import socket, struct, sys
server, name, kind = sys.argv[1], sys.argv[2], int(sys.argv[3])
question = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\\0" + struct.pack("!HH", kind, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
s.sendto(struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + question, (server, 53))
answer = s.recv(1500)
print(answer[3] & 15, answer[12 + len(question) + 12:].hex())
"""


def host_entry(number: int, name: str | None, **changes: Any) -> dict[str, Any]:
    return {
        "port_id": f"{number:08x}-0000-4000-8000-000000000000", "mac": f"fa:16:3e:00:00:{number:02x}", "hostname": name,
        "subnet_id": SUBNET, "ip": f"10.0.0.{number}", **changes,
    }  # fmt: skip


def subnet(**changes: Any) -> dict[str, Any]:
    return {"id": SUBNET, "cidr": "10.0.0.0/24", "ip_version": 4, "gateway_ip": "10.0.0.1", **changes}


def network(*hosts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": NETWORK, "bridge": BRIDGE, "mtu": 1450, "domain": "stratiform.internal.", "metadata": True,
        "port": {"id": PORT, "mac": "fa:16:3e:00:00:02", "addresses": ["10.0.0.2/24"]}, "subnets": [subnet()],
        "hosts": list(hosts), **changes,
    }  # fmt: skip


@pytest.fixture
def bridged(host: Host) -> Host:
    """A bridge with two guests without addresses."""
    host.run("ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
    host.run("ip", "link", "set", BRIDGE, "up")
    for number, name in ((5, "web"), (6, "db")):
        host.add_guest(name, BRIDGE, f"tap{number:08x}-00", f"fa:16:3e:00:00:{number:02x}")
    host.run(
        "sh", "-c", "cat > /var/lib/stratiform/udhcpc && chmod 755 /var/lib/stratiform/udhcpc", stdin=UDHCPC_SCRIPT
    )
    return host


def lease(host: Host, guest: str, tries: int = 3) -> dict[str, str]:
    """What a guest gets by DHCP; empty when it gets nothing."""
    done = host.run(
        "busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-t", str(tries), "-T", "1",
        "-s", "/var/lib/stratiform/udhcpc", "-O", "mtu", "-O", "staticroutes", "-O", "domain", "-O", "hostname",
        namespace=guest, check=False,
    )  # fmt: skip
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines() if "=" in line and " " not in line[:4])


def dnsmasq_pid(host: Host) -> int:
    return int(host.read(f"/var/lib/stratiform/host/network/dhcp/{NETWORK}/pid"))


def resolve(host: Host, name: str, kind: int = 1) -> str:
    """The answer's code and data, as hex."""
    return host.script(QUERY, "10.0.0.2", name, str(kind), namespace="web").stdout.strip()


def test_guest_gets_address_and_options(bridged: Host) -> None:
    bridged.converge("network_dhcp", networks=[network(host_entry(5, "web"))])
    got = lease(bridged, "web")
    assert (got["ip"], got["mask"], got["router"]) == ("10.0.0.5", "24", "10.0.0.1")
    assert (got["dns"], got["domain"], got["mtu"]) == ("10.0.0.2", "stratiform.internal", "1450")
    assert got["staticroutes"] == "169.254.169.254/32 10.0.0.2 0.0.0.0/0 10.0.0.1"
    assert lease(bridged, "db", tries=1) == {}, "an unknown guest gets nothing"
    assert json.loads(bridged.read(LISTENER)) == {
        "namespace": NAMESPACE, "network_id": NETWORK, "address": "169.254.169.254", "port": 80,
    }  # fmt: skip
    addresses = bridged.json("ip", "-j", "addr", "show", "dev", f"ns-{PORT[:11]}", namespace=NAMESPACE)[0]["addr_info"]
    assert {address["local"] for address in addresses} == {"10.0.0.2", "169.254.169.254"}


def test_subnet_options_are_the_tenants(bridged: Host) -> None:
    own = subnet(
        gateway_ip=None,
        dns_nameservers=["192.0.2.53"],
        host_routes=[{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}],
    )
    bridged.converge("network_dhcp", networks=[network(host_entry(5, None), subnets=[own], metadata=False)])
    got = lease(bridged, "web")
    assert (got["router"], got["dns"], got["staticroutes"]) == ("", "192.0.2.53", "192.0.2.0/24 10.0.0.9")
    assert bridged.run("test", "-e", LISTENER, check=False).returncode == 1


def test_a_guest_s_own_options_go_before_the_subnet_s(bridged: Host) -> None:
    options = [{"opt_name": "domain-name", "opt_value": "own.example"}, {"opt_name": "26", "opt_value": "1400"}]
    hosts = host_entry(5, "web", options=options), host_entry(6, "db")
    bridged.converge("network_dhcp", networks=[network(*hosts)])
    own, usual = lease(bridged, "web"), lease(bridged, "db")
    assert (own["ip"], own["domain"], own["mtu"]) == ("10.0.0.5", "own.example", "1400")
    assert (usual["ip"], usual["domain"], usual["mtu"]) == ("10.0.0.6", "stratiform.internal", "1450")


def test_names_resolve_both_ways(bridged: Host) -> None:
    bridged.converge("network_dhcp", networks=[network(host_entry(5, "web"), host_entry(6, "db"))])
    bridged.run("ip", "addr", "add", "10.0.0.5/24", "dev", "eth0", namespace="web")
    assert resolve(bridged, "db") == "0 0a000006"
    assert resolve(bridged, "db.stratiform.internal") == "0 0a000006"
    assert resolve(bridged, "6.0.0.10.in-addr.arpa", 12).startswith("0 ")
    assert bytes.fromhex(resolve(bridged, "6.0.0.10.in-addr.arpa", 12).split()[1]).startswith(b"\x02db")
    assert resolve(bridged, "nobody.stratiform.internal") == "3"


def test_hosts_change_without_a_restart_and_leases_follow(bridged: Host) -> None:
    bridged.converge("network_dhcp", networks=[network(host_entry(5, "web"))])
    assert lease(bridged, "web")["ip"] == "10.0.0.5"
    pid = dnsmasq_pid(bridged)
    bridged.converge("network_dhcp", networks=[network(host_entry(6, "db", ip="10.0.0.5"))])
    assert lease(bridged, "db")["ip"] == "10.0.0.5", "the address is free again although its lease runs for a day"
    assert lease(bridged, "web", tries=1) == {}
    assert dnsmasq_pid(bridged) == pid
    other = {"id": "4" * 8 + "-4444-4444-4444-" + "4" * 12, "cidr": "10.0.1.0/24"}
    bridged.converge("network_dhcp", networks=[network(host_entry(5, "web"), subnets=[subnet(), other])])
    assert dnsmasq_pid(bridged) != pid, "new subnets need a new process"
    assert lease(bridged, "web")["ip"] == "10.0.0.5"


def test_a_dead_dnsmasq_and_a_broken_namespace_come_back(bridged: Host) -> None:
    wanted = network(host_entry(5, "web"))
    bridged.converge("network_dhcp", networks=[wanted])
    bridged.run("kill", "-9", str(dnsmasq_pid(bridged)))
    assert bridged.converge("network_dhcp", networks=[wanted])["changed"] is True
    assert lease(bridged, "web")["ip"] == "10.0.0.5"
    bridged.run("ip", "link", "del", f"tap{PORT[:11]}")
    assert bridged.converge("network_dhcp", networks=[wanted])["changed"] is True
    assert lease(bridged, "web")["ip"] == "10.0.0.5"


def test_a_run_killed_before_the_reload_is_made_good(bridged: Host) -> None:
    bridged.converge("network_dhcp", networks=[network()])
    wanted = network(host_entry(5, "web"))
    folder = f"/var/lib/stratiform/host/network/dhcp/{NETWORK}"
    bridged.run("sh", "-c", f"cat > {folder}/hosts", stdin="fa:16:3e:00:00:05,id:*,10.0.0.5,web,86400\n")
    bridged.run("sh", "-c", f"cat > {folder}/names", stdin="10.0.0.5 web.stratiform.internal web\n")
    assert bridged.converge("network_dhcp", networks=[wanted])["changed"] is True
    assert lease(bridged, "web")["ip"] == "10.0.0.5"


def test_absent_and_purge_leave_nothing(bridged: Host) -> None:
    for removal in ({"networks": [{"id": NETWORK, "state": "absent"}]}, {"purge": True}):
        bridged.converge("network_dhcp", networks=[network(host_entry(5, "web"))])
        pid = dnsmasq_pid(bridged)
        bridged.converge("network_dhcp", **removal)
        assert bridged.run("cat", f"/proc/{pid}/cmdline", check=False).stdout == ""
        assert NAMESPACE not in bridged.run("ip", "netns").stdout
        assert f"tap{PORT[:11]}" not in bridged.links()
        assert bridged.run("ls", "/var/lib/stratiform/host/network/dhcp").stdout == ""
        assert bridged.run("test", "-e", LISTENER, check=False).returncode == 1


def test_hostile_and_unsupported_arguments_are_refused(bridged: Host) -> None:
    bad = (
        network(host_entry(5, "web\naddn-hosts=/etc/shadow")),
        network(host_entry(5, "web", ip="10.0.0.5,evil")),
        network(domain="x\nuser=root"),
        network(host_entry(5, "web", options=[{"opt_name": "mtu,1\nuser", "opt_value": "root"}])),
        network(host_entry(5, "web", options=[{"opt_name": "mtu", "opt_value": "1\nuser=root"}])),
        network(bridge="brq00000000-00"),
    )
    for arguments in bad:
        result = bridged.module("network_dhcp", networks=[arguments])
        assert result["failed_resources"] == [NETWORK], result


def test_an_older_job_changes_nothing(bridged: Host) -> None:
    bridged.converge("network_dhcp", networks=[network(host_entry(5, "web"))], generation=3)
    late = bridged.module("network_dhcp", networks=[network()], generation=2)
    assert (late["changed"], late["stale_ids"]) == (False, [NETWORK])
    assert lease(bridged, "web")["ip"] == "10.0.0.5"
