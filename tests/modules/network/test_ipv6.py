"""IPv6 on the real kernel: advertisements of dnsmasq and radvd, SLAAC by the kernel, DHCPv6, routes, the filter."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .conftest import Host
from .test_network_dhcp import BRIDGE, NETWORK, PORT, SUBNET, bridged, host_entry, lease, network, resolve
from .test_network_router import NAMESPACE as ROUTER_NAMESPACE
from .test_network_router import ROUTER, SECOND, interface, router
from .test_security_group import guest_port
from .test_security_group import network as guarded

__all__ = ["bridged", "guarded"]

PREFIX = "fd00:0:0:1::/64"
WEB = "fd00::1:f816:3eff:fe00:5"  # what fa:16:3e:00:00:05 makes of the prefix
DEADLINE_S = 60

# Asks by DHCPv6 (RFC 8415) as a client with a DUID of the kind that systemd-networkd makes; prints what it got.
CLIENT = """
import json, os, socket, struct, sys
kind, name = sys.argv[1], sys.argv[2]
index = socket.if_nametoindex("eth0")
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 546, 0, index))
s.settimeout(3)
option = lambda number, content: struct.pack("!HH", number, len(content)) + content
duid = option(1, struct.pack("!HI", 2, 43793) + name.encode().ljust(8, b"x"))
asked = option(6, struct.pack("!HH", 23, 24)) + option(8, b"\\0\\0")
def exchange(message, body):
    for attempt in range(3):
        s.sendto(bytes([message]) + os.urandom(3) + duid + asked + body, ("ff02::1:2", 547, 0, index))
        try:
            return parse(s.recv(1500)[4:])
        except TimeoutError:
            pass
    return {}
def parse(data):
    found = {}
    while len(data) >= 4:
        number, length = struct.unpack("!HH", data[:4])
        found[number] = data[4:4 + length]
        data = data[4 + length:]
    return found
def told(reply):
    servers = reply.get(23, b"")
    lease = parse(reply.get(3, b"")[12:]).get(5, b"")
    text = lambda data: socket.inet_ntop(socket.AF_INET6, data[:16]) if data else ""
    return {"dns": [text(servers[n:n + 16]) for n in range(0, len(servers), 16)],
            "domain": reply.get(24, b"").hex(), "address": text(lease)}
ia = struct.pack("!III", 7, 0, 0)
if kind == "ask":
    print(json.dumps(told(exchange(11, b""))))
else:
    offer = exchange(1, option(3, ia))
    reply = exchange(3, option(2, offer[2]) + option(3, offer[3])) if 3 in offer and 2 in offer else {}
    print(json.dumps(told(reply)))
"""


def dhcpv6(host: Host, guest: str, kind: str = "lease", name: str = "") -> dict[str, Any]:
    """What a guest gets by DHCPv6."""
    link_local = ("ip", "-6", "addr", "show", "dev", "eth0", "scope", "link", "-tentative")
    assert wait_for(lambda: host.run(*link_local, namespace=guest).stdout), "no link-local address to ask from"
    told: dict[str, Any] = json.loads(host.script(CLIENT, kind, name or guest, namespace=guest).stdout)
    return told


def subnet6(mode: str | None, **changes: Any) -> dict[str, Any]:
    return {"id": SUBNET, "cidr": PREFIX, "ip_version": 6, "gateway_ip": "fd00:0:0:1::1", "ipv6_mode": mode,
            "advertise": True, **changes}  # fmt: skip


def network6(mode: str | None, *hosts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    port = {"id": PORT, "mac": "fa:16:3e:00:00:02", "addresses": ["fd00:0:0:1::2/64"]}
    return network(*hosts, **{"port": port, "subnets": [subnet6(mode)], "metadata": False, **changes})


def addresses(host: Host, guest: str) -> set[str]:
    """A guest's global IPv6 addresses that are ready for use."""
    found = host.json("ip", "-j", "-6", "addr", "show", "dev", "eth0", "scope", "global", namespace=guest)
    entries = [entry for link in found for entry in link.get("addr_info", ())]
    return {entry["local"] for entry in entries if "local" in entry and not entry.get("tentative")}


def wait_for(what: Any) -> bool:
    """Whether it comes true within the deadline."""
    until = time.monotonic() + DEADLINE_S
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def default_routes(host: Host, guest: str) -> list[str]:
    return [route["gateway"] for route in host.json("ip", "-j", "-6", "route", "show", "default", namespace=guest)]


def test_guests_of_a_network_without_router_make_their_addresses(bridged: Host) -> None:
    bridged.converge("network_dhcp", networks=[network6("slaac", host_entry(5, "web", ip=WEB))])
    assert wait_for(lambda: addresses(bridged, "web") == {WEB})
    assert default_routes(bridged, "web") == [], "there is no router, so nobody says to be one"
    bridged.run("ip", "addr", "add", "10.0.0.5/24", "dev", "eth0", namespace="web")
    query = bridged.run(
        "sh", "-c", f"grep -h . /var/lib/stratiform/host/network/dhcp/{NETWORK}/names"
    ).stdout.split()
    assert query == [WEB, "web.stratiform.internal", "web"]


def test_dhcpv6_gives_each_guest_its_own_address(bridged: Host) -> None:
    hosts = host_entry(5, "web", ip="fd00:0:0:1::5"), host_entry(6, "db", ip="fd00:0:0:1::6")
    bridged.converge("network_dhcp", networks=[network6("dhcpv6-stateful", hosts[0])])
    got = dhcpv6(bridged, "web")
    assert got == {"address": "fd00:0:0:1::5", "dns": ["fd00:0:0:1::2"], "domain": (
        b"\x0astratiform\x08internal\x00").hex()}  # fmt: skip
    assert dhcpv6(bridged, "db")["address"] == "", "an unknown guest gets nothing"
    assert addresses(bridged, "web") == set(), "the prefix is not for addresses of the guests' own making"
    bridged.converge("network_dhcp", networks=[network6("dhcpv6-stateful", *hosts)])
    assert dhcpv6(bridged, "db")["address"] == "fd00:0:0:1::6"


@pytest.mark.parametrize("runs", [1, 2])
def test_a_reassigned_address_is_free_at_once(bridged: Host, runs: int) -> None:
    first = network6("dhcpv6-stateful", host_entry(5, "web", ip="fd00:0:0:1::5"))
    bridged.converge("network_dhcp", networks=[first])
    assert dhcpv6(bridged, "web")["address"] == "fd00:0:0:1::5"
    if runs == 2:
        bridged.converge("network_dhcp", networks=[network6("dhcpv6-stateful")])
    moved = host_entry(6, "db", ip="fd00:0:0:1::5")
    bridged.converge("network_dhcp", networks=[network6("dhcpv6-stateful", moved)])
    assert wait_for(lambda: dhcpv6(bridged, "db")["address"] == "fd00:0:0:1::5")


def test_stateless_dhcpv6_tells_name_servers_alone(bridged: Host) -> None:
    web = host_entry(5, "web", ip=WEB)
    own = subnet6("dhcpv6-stateless", dns_nameservers=["2001:db8::53"])
    bridged.converge("network_dhcp", networks=[network6("dhcpv6-stateless", web, subnets=[own])])
    assert wait_for(lambda: addresses(bridged, "web") == {WEB})
    assert dhcpv6(bridged, "web", "ask")["dns"] == ["2001:db8::53"]
    quiet = subnet6("dhcpv6-stateless", advertise=False)
    bridged.converge("network_dhcp", networks=[network6("dhcpv6-stateless", web, subnets=[quiet])])
    assert dhcpv6(bridged, "web", "ask")["dns"] == ["fd00:0:0:1::2"], "its router advertises, and asks to ask us"


def test_both_versions_on_one_network(bridged: Host) -> None:
    both = network6(
        "dhcpv6-stateful", host_entry(5, "web"), host_entry(5, "web", ip="fd00:0:0:1::5", subnet_id=ROUTER),
        subnets=[{"id": SUBNET, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1"},
                 subnet6("dhcpv6-stateful", id=ROUTER)],
        port={"id": PORT, "mac": "fa:16:3e:00:00:02", "addresses": ["10.0.0.2/24", "fd00:0:0:1::2/64"]},
    )  # fmt: skip
    bridged.converge("network_dhcp", networks=[both])
    assert lease(bridged, "web")["ip"] == "10.0.0.5"
    assert dhcpv6(bridged, "web")["address"] == "fd00:0:0:1::5"
    bridged.run("ip", "addr", "add", "10.0.0.5/24", "dev", "eth0", namespace="web")
    assert resolve(bridged, "web", 28) == "0 fd000000000000010000000000000005"


def test_subnets_that_dnsmasq_cannot_serve_are_left_out(bridged: Host) -> None:
    wide = subnet6("dhcpv6-stateful", cidr="fd00::/56")
    port = {"id": PORT, "mac": "fa:16:3e:00:00:02", "addresses": ["fd00::2/56"]}
    bridged.converge("network_dhcp", networks=[network6(None, subnets=[wide], port=port)])
    assert dhcpv6(bridged, "web")["address"] == ""


@pytest.fixture
def twins(host: Host) -> Host:
    """Two networks with a guest each that has no address."""
    for bridge in (BRIDGE, SECOND, "br-ext"):
        host.run("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0")
        host.run("ip", "link", "set", bridge, "up")
    host.add_guest("a", BRIDGE, "tap0000000a-00", "fa:16:3e:00:00:05")
    host.add_guest("c", SECOND, "tap0000000c-00", "fa:16:3e:00:00:06")
    host.add_guest("out", "br-ext", "tap0000000d-00", "fa:16:3e:00:00:0d", ["203.0.113.1/24", "2001:db8::1/64"])
    host.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", namespace="out")
    return host


def advertising(mode: str = "slaac", **changes: Any) -> list[dict[str, Any]]:
    return [
        {**interface(0x10 + number, f"fd00:0:0:{number}::1/64", bridge), "dns_nameservers": ["2001:db8::53"],
         "advertised": [{"cidr": f"fd00:0:0:{number}::/64", "mode": mode}], **changes}
        for number, bridge in ((1, BRIDGE), (2, SECOND))
    ]  # fmt: skip


def test_a_router_advertises_itself_and_its_prefixes(twins: Host) -> None:
    gateway = {**router()["gateway"], "port_id": "00000020-0000-4000-8000-000000000000",
               "addresses": ["203.0.113.10/24", "2001:db8::10/64"],
               "gateway_ips": ["203.0.113.1", "2001:db8::1"]}  # fmt: skip
    wanted = router(interfaces=advertising(), gateway=gateway)
    twins.converge("network_router", routers=[wanted])
    assert wait_for(lambda: addresses(twins, "a") == {WEB})
    assert wait_for(lambda: addresses(twins, "c") == {"fd00::2:f816:3eff:fe00:6"})
    assert default_routes(twins, "a") == ["fe80::f816:3eff:fe00:211"], "the interface's link-local address"
    assert twins.pings("a", "fd00::2:f816:3eff:fe00:6"), "between the router's networks"
    twins.run("ip", "-6", "route", "add", "fd00::/48", "via", "2001:db8::10", namespace="out")
    assert wait_for(lambda: twins.pings("a", "2001:db8::1")), "out by the gateway, under the guest's own address"
    assert twins.pings("out", WEB), "nothing is translated"


def test_a_router_s_radvd_follows_and_comes_back(twins: Host) -> None:
    wanted = router(interfaces=advertising(), gateway=None)
    twins.converge("network_router", routers=[wanted])
    pid = twins.read(f"/var/lib/stratiform/host/network/routers/{ROUTER}.radvd-pid").strip()
    stateful = router(interfaces=advertising("dhcpv6-stateful"), gateway=None)
    twins.converge("network_router", routers=[stateful])
    assert twins.read(f"/var/lib/stratiform/host/network/routers/{ROUTER}.radvd-pid").strip() == pid
    twins.run("kill", "-9", pid)
    assert twins.converge("network_router", routers=[stateful])["changed"] is True
    twins.converge("network_router", routers=[wanted])
    assert wait_for(lambda: addresses(twins, "a") == {WEB})
    twins.converge("network_router", routers=[router(interfaces=advertising(advertised=[]), gateway=None)])
    assert "radvd" not in twins.run("ps", "-eo", "comm").stdout
    twins.converge("network_router", routers=[wanted])
    twins.converge("network_router", routers=[{"id": ROUTER, "state": "absent"}])
    assert "radvd" not in twins.run("ps", "-eo", "comm").stdout
    assert twins.run("ls", "/var/lib/stratiform/host/network/routers").stdout == ""
    assert ROUTER_NAMESPACE not in twins.run("ip", "netns").stdout


FRAME = """
import socket, struct, sys
target, source = (socket.inet_pton(socket.AF_INET6, text) for text in sys.argv[1:3])
kind, body = int(sys.argv[3]), bytes.fromhex(sys.argv[4])
mac = bytes.fromhex(sys.argv[5])
packet = bytes([kind, 0, 0, 0]) + body
total = source + target + struct.pack("!IxxxB", len(packet), 58) + packet
total += b"\\0" * (len(total) % 2)
number = sum(struct.unpack(f"!{len(total) // 2}H", total))
while number >> 16: number = (number & 65535) + (number >> 16)
packet = packet[:2] + struct.pack("!H", ~number & 65535) + packet[4:]
frame = bytes.fromhex("333300000001") + mac + b"\\x86\\xdd" + struct.pack("!IHBB", 6 << 28, len(packet), 58, 255)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); s.send(frame + source + target + packet)
"""
# Says, overriding what is known, that fd00::77 is at fa:16:3e:00:00:01.
NEIGHBOUR = "20000000" + "fd000000000000000000000000000077" + "0201fa163e000001"
LINK_LOCAL = "fe80::f816:3eff:fe00:1"


def neighbour_of(host: Host, address: str) -> str:
    """Who b believes to have an address."""
    known = host.json("ip", "-j", "-6", "neigh", "show", address, "dev", "eth0", namespace="b")
    return known[0]["lladdr"] if known else ""


def test_guests_advertise_neither_routers_nor_others_addresses(guarded: Host) -> None:
    """With port security off the same frames have their effect, so the test's own frames are good ones."""
    everything = {"direction": "ingress", "ethertype": "IPv6"}
    advertisement = "40000708" + "00" * 8 + "0304" + "40c0" + "0000ffff" * 2 + "00" * 4
    advertisement += "fd000000000000990000000000000000"
    for secured in (True, False):
        ports = [guest_port(1, port_security=secured), guest_port(2, everything)]
        guarded.converge("security_group", ports=ports)
        for address in ("fd00::77", "fd00::1"):
            guarded.run("ip", "-6", "neigh", "replace", address, "lladdr", "fa:16:3e:00:00:77", "dev", "eth0",
                        "nud", "stale", namespace="b")  # fmt: skip
        guarded.script(FRAME, "ff02::1", LINK_LOCAL, "134", advertisement, "fa163e000001", namespace="a")
        guarded.script(FRAME, "ff02::1", "fd00::1", "136", NEIGHBOUR, "fa163e000001", namespace="a")

        def taken_in() -> tuple[bool, bool]:
            prefix = any(address.startswith("fd00::99:") for address in addresses(guarded, "b"))
            return prefix, neighbour_of(guarded, "fd00::77") == "fa:16:3e:00:00:01"

        if secured:
            # A frame that may pass comes after those that may not: when it is there, they would be too.
            guarded.script(FRAME, "ff02::1", "fd00::1", "136", NEIGHBOUR.replace("0077", "0001"), "fa163e000001",
                           namespace="a")  # fmt: skip
            assert wait_for(lambda: neighbour_of(guarded, "fd00::1") == "fa:16:3e:00:00:01")
            assert taken_in() == (False, False)
        else:
            assert wait_for(lambda: taken_in() == (True, True))


def test_link_local_traffic_is_by_own_address_and_rules(guarded: Host) -> None:
    everything = {"direction": "ingress", "ethertype": "IPv6"}
    target = "fe80::f816:3eff:fe00:2%eth0"
    guarded.converge("security_group", ports=[guest_port(1), guest_port(2)])
    assert guarded.hears_nothing("a", target)
    guarded.converge("security_group", ports=[guest_port(1), guest_port(2, everything)])
    assert wait_for(lambda: guarded.pings("a", target))
    guarded.run("ip", "addr", "add", "fe80::77/64", "dev", "eth0", "nodad", namespace="a")
    guarded.run("ip", "addr", "del", f"{LINK_LOCAL}/64", "dev", "eth0", namespace="a")
    assert guarded.hears_nothing("a", target)
    pairs = [{"ip_address": "fe80::77"}]
    guarded.converge("security_group", ports=[guest_port(1, allowed_address_pairs=pairs), guest_port(2, everything)])
    assert guarded.pings("a", target), "only the address was amiss"


@pytest.mark.parametrize("pair", ["fd00::77", "fd00::70/125", "fd00::/64", "::/0"])
def test_allowed_addresses_may_be_advertised(guarded: Host, pair: str) -> None:
    ports = [guest_port(1, allowed_address_pairs=[{"ip_address": pair}]), guest_port(2)]
    guarded.converge("security_group", ports=ports)
    guarded.run("ip", "-6", "neigh", "replace", "fd00::77", "lladdr", "fa:16:3e:00:00:77", "dev", "eth0",
                "nud", "stale", namespace="b")  # fmt: skip
    guarded.script(FRAME, "ff02::1", "fd00::1", "136", NEIGHBOUR, "fa163e000001", namespace="a")
    assert wait_for(lambda: neighbour_of(guarded, "fd00::77") == "fa:16:3e:00:00:01")
