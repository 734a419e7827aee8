"""network_router on the real kernel: traffic between guests, an outer host and a router's namespace."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .conftest import HOST_PYTHON, Host

ROUTER = "2e1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00"
NAMESPACE = f"qrouter-{ROUTER}"
BRIDGE = "brq7d1a7a4c-2f"
SECOND = "brq11111111-11"
LISTENER = f"/var/lib/stratiform/host/metadata/listeners/{ROUTER}.json"
GATEWAY_ADDRESS = "203.0.113.10"

# Answers each connection with the address that it came from, and the name of this server.
ECHO = """
import socket, sys
server = socket.create_server(("0.0.0.0", 8080))
print("up", flush=True)
while True:
    client, peer = server.accept()
    client.sendall(f"{sys.argv[1]} {peer[0]}".encode())
    client.close()
"""
CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], 8080), float(sys.argv[2])) as s:
    print(s.recv(100).decode())
"""


def port(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def interface(number: int, address: str, bridge: str = BRIDGE) -> dict[str, Any]:
    return {
        "port_id": port(number),
        "mac": f"fa:16:3e:00:02:{number:02x}",
        "mtu": 1500,
        "bridge": bridge,
        "addresses": [address],
    }


def router(*floating: tuple[str, str], **changes: Any) -> dict[str, Any]:
    gateway = {
        **interface(0x11, f"{GATEWAY_ADDRESS}/24", "br-ext"),
        "gateway_ips": ["203.0.113.1"],
        "enable_snat": True,
    }
    return {
        "id": ROUTER, "interfaces": [interface(0x10, "10.0.0.1/24"), interface(0x12, "10.0.1.1/24", SECOND)],
        "gateway": gateway, "metadata": True, "routes": [],
        "floating_ips": [
            {"id": port(0x50 + n), "floating_ip": outer, "fixed_ip": inner} for n, (outer, inner) in enumerate(floating)
        ],
        **changes,
    }  # fmt: skip


@pytest.fixture
def routed(host: Host) -> Host:
    """Two tenants' networks with guests a, b and c, an outer network with the host ``out``, echo servers everywhere."""
    for bridge in (BRIDGE, SECOND, "br-ext"):
        host.run("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0")
        host.run("ip", "link", "set", bridge, "up")
    host.add_guest("a", BRIDGE, "tap0000000a-00", "fa:16:3e:00:00:0a", ["10.0.0.10/24"], "10.0.0.1")
    host.add_guest("b", BRIDGE, "tap0000000b-00", "fa:16:3e:00:00:0b", ["10.0.0.11/24"], "10.0.0.1")
    host.add_guest("c", SECOND, "tap0000000c-00", "fa:16:3e:00:00:0c", ["10.0.1.10/24"], "10.0.1.1")
    host.add_guest("out", "br-ext", "tap0000000d-00", "fa:16:3e:00:00:0d", ["203.0.113.1/24", "192.0.2.1/32"])
    for name in ("a", "b", "c", "out"):
        server = host.popen(HOST_PYTHON, "-c", ECHO, name, namespace=name, stdout=-1)
        assert server.stdout is not None
        assert server.stdout.readline() == "up\n"
        server.stdout.close()
        host.servers.append(server)
    return host


def calls(host: Host, guest: str, address: str, within_s: float = 2) -> str:
    """What an echo server answers a guest; empty when nothing."""
    return host.script(CALL, address, str(within_s), namespace=guest, check=False).stdout.strip()


def test_routes_between_networks_and_translates_outwards(routed: Host) -> None:
    routed.converge("network_router", routers=[router()])
    assert calls(routed, "a", "10.0.1.10") == "c 10.0.0.10"
    assert calls(routed, "a", "192.0.2.1") == f"out {GATEWAY_ADDRESS}"
    assert json.loads(routed.read(LISTENER)) == {
        "namespace": NAMESPACE, "router_id": ROUTER, "address": "169.254.169.254", "port": 80,
    }  # fmt: skip
    assert routed.pings("c", "169.254.169.254")


def test_outside_gets_in_by_floating_ips_only(routed: Host) -> None:
    routed.run("ip", "route", "add", "10.0.0.0/16", "via", GATEWAY_ADDRESS, namespace="out")
    routed.converge("network_router", routers=[router()])
    assert calls(routed, "out", "10.0.0.10", 0.5) == ""
    routed.run("ip", "route", "add", "169.254.169.254", "via", GATEWAY_ADDRESS, namespace="out")
    assert routed.hears_nothing("out", "169.254.169.254")
    routed.converge("network_router", routers=[router(("203.0.113.20", "10.0.0.10"))])
    assert calls(routed, "out", "203.0.113.20") == "a 203.0.113.1"
    assert calls(routed, "a", "192.0.2.1") == "out 203.0.113.20"
    assert calls(routed, "b", "192.0.2.1") == f"out {GATEWAY_ADDRESS}"
    gateway = {**router()["gateway"], "enable_snat": False}
    routed.converge("network_router", routers=[router(gateway=gateway)])
    assert calls(routed, "out", "10.0.0.10") == "a 203.0.113.1"
    assert calls(routed, "a", "192.0.2.1") == "out 10.0.0.10"


def test_guests_reach_floating_ips_of_their_own_router(routed: Host) -> None:
    routed.converge("network_router", routers=[router(("203.0.113.20", "10.0.0.10"))])
    assert calls(routed, "b", "203.0.113.20") == f"a {GATEWAY_ADDRESS}"
    assert calls(routed, "c", "203.0.113.20") == f"a {GATEWAY_ADDRESS}"
    assert calls(routed, "a", "203.0.113.20") == "a 203.0.113.20"


def test_a_moved_floating_ip_takes_new_and_old_connections(routed: Host) -> None:
    routed.converge("network_router", routers=[router(("203.0.113.20", "10.0.0.10"))])
    assert calls(routed, "out", "203.0.113.20").startswith("a ")
    ping = routed.popen("ping", "-n", "-i", "0.2", "-c", "15", "203.0.113.20", namespace="out", stdout=-1)
    time.sleep(0.5)
    routed.converge("network_router", routers=[router(("203.0.113.20", "10.0.0.11"))])
    ping.communicate(timeout=30)
    assert calls(routed, "out", "203.0.113.20").startswith("b ")
    table = routed.run("conntrack", "-L", "-d", "203.0.113.20", namespace=NAMESPACE).stdout
    assert "10.0.0.11" in table
    assert "10.0.0.10" not in table, "the old connections are cut"
    routed.converge("network_router", routers=[router()])
    assert calls(routed, "out", "203.0.113.20", 0.5) == ""


def test_a_floating_ip_on_another_router_is_announced(routed: Host) -> None:
    routed.converge("network_router", routers=[router(("203.0.113.20", "10.0.0.10"))])
    assert calls(routed, "out", "203.0.113.20").startswith("a ")
    other = router(("203.0.113.20", "10.0.1.10"))
    other["id"] = "3" * 8 + "-3333-3333-3333-" + "3" * 12
    other["interfaces"] = [interface(0x22, "10.0.1.1/24", SECOND)]
    other["gateway"] = {
        **other["gateway"],
        "port_id": port(0x21),
        "mac": "fa:16:3e:00:02:21",
        "addresses": ["203.0.113.11/24"],
    }
    routed.converge("network_router", routers=[router(interfaces=[interface(0x10, "10.0.0.1/24")])])
    routed.converge("network_router", routers=[other])
    neighbours = routed.json("ip", "-j", "neigh", "show", "203.0.113.20", namespace="out")
    assert neighbours[0]["lladdr"] == "fa:16:3e:00:02:21"
    assert calls(routed, "out", "203.0.113.20").startswith("c ")


def test_extra_routes_come_and_go(routed: Host) -> None:
    routed.run("ip", "addr", "add", "198.51.100.7/32", "dev", "lo", namespace="b")
    route = {"destination": "198.51.100.0/24", "nexthop": "10.0.0.11"}
    routed.converge("network_router", routers=[router(routes=[route])])
    assert calls(routed, "c", "198.51.100.7") == "b 10.0.1.10"
    routed.converge("network_router", routers=[router()])
    assert calls(routed, "c", "198.51.100.7", 0.5) == ""
    stray = {"destination": "198.51.100.0/24", "nexthop": "172.16.0.1"}
    result = routed.module("network_router", routers=[router(routes=[stray])])
    assert "172.16.0.1 is in no network of the router" in result["failures"][ROUTER]


def test_ipv6_is_routed(routed: Host) -> None:
    for guest, own, gateway in (("a", "fd00:0::a/64", "fd00:0::1"), ("c", "fd00:1::a/64", "fd00:1::1")):
        routed.run("ip", "addr", "add", own, "dev", "eth0", "nodad", namespace=guest)
        routed.run("ip", "-6", "route", "add", "default", "via", gateway, namespace=guest)
    both = [interface(0x10, "10.0.0.1/24"), interface(0x12, "10.0.1.1/24", SECOND)]
    both[0]["addresses"].append("fd00:0::1/64")
    both[1]["addresses"].append("fd00:1::1/64")
    routed.converge("network_router", routers=[router(interfaces=both)])
    # The first packets wait for the duplicate detection of the link-local addresses.
    assert routed.pings("a", "fd00:1::a", "-c4")


def test_drift_is_repaired(routed: Host) -> None:
    wanted = router(("203.0.113.20", "10.0.0.10"))
    routed.converge("network_router", routers=[wanted])
    for damage in (
        ("nft", "flush", "ruleset"),
        ("sysctl", "-qw", "net.ipv4.ip_forward=0"),
        ("ip", "addr", "del", "203.0.113.20/32", "dev", "qg-00000011-00"),
        ("ip", "route", "del", "default"),
        ("ip", "link", "del", "qr-00000010-00"),
    ):
        routed.run(*damage, namespace=NAMESPACE)
        assert routed.converge("network_router", routers=[wanted])["changed"] is True, damage
        assert calls(routed, "out", "203.0.113.20").startswith("a "), damage
    routed.run("sh", "-c", f"umount /run/netns/{NAMESPACE}")
    assert routed.converge("network_router", routers=[wanted])["changed"] is True, "only the bare file is left"
    assert calls(routed, "out", "203.0.113.20").startswith("a ")


def test_interfaces_and_gateway_go_and_absent_leaves_nothing(routed: Host) -> None:
    routed.converge("network_router", routers=[router()])
    routed.converge("network_router", routers=[router(interfaces=[interface(0x10, "10.0.0.1/24")], gateway=None)])
    assert {name for name in routed.links(NAMESPACE) if name != "lo"} == {"qr-00000010-00"}
    assert not {"tap00000011-00", "tap00000012-00"} & set(routed.links())
    for removal in ({"routers": [{"id": ROUTER, "state": "absent"}]}, {"purge": True}):
        routed.converge("network_router", routers=[router()])
        routed.converge("network_router", **removal)
        assert NAMESPACE not in routed.run("ip", "netns").stdout
        assert not {"tap00000010-00", "tap00000011-00"} & set(routed.links())
        assert routed.run("ls", "/var/lib/stratiform/host/network/routers").stdout == ""
        assert routed.run("test", "-e", LISTENER, check=False).returncode == 1


def test_bad_arguments_and_older_jobs(routed: Host) -> None:
    for bad in (
        router(interfaces=[interface(0x10, "10.0.0.1/24", "brq00000000-00")]),
        router(("203.0.113.20", "fd00::1")),
        router(("203.0.113.20", "10.0.0.10"), gateway=None),
        router(interfaces=[interface(0x10, "not an address")]),
    ):
        assert routed.module("network_router", routers=[bad])["failed_resources"] == [ROUTER]
    routed.converge("network_router", routers=[router()], generation=5)
    late = routed.module("network_router", routers=[{"id": ROUTER, "state": "absent"}], generation=4)
    assert (late["changed"], late["stale_ids"]) == (False, [ROUTER])
    assert NAMESPACE in routed.run("ip", "netns").stdout
