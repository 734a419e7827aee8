"""security_group on the real kernel: effect on traffic between namespaces that stand for guests."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .conftest import HOST_PYTHON, Host

BRIDGE = "brq7d1a7a4c-2f"
GROUP = "9c0ffee0-0000-4000-8000-000000000001"
ANY_EGRESS = {"direction": "egress", "ethertype": "IPv4"}
ANY_EGRESS6 = {"direction": "egress", "ethertype": "IPv6"}
PING = {"direction": "ingress", "ethertype": "IPv4", "protocol": "icmp"}


def tap(number: int) -> str:
    return f"tap{number:08x}-00"


def guest_port(number: int, *rules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": f"{number:08x}-0000-4000-8000-000000000000", "tap": tap(number), "bridge": BRIDGE, "zone": 7,
        "mac": f"fa:16:3e:00:00:{number:02x}", "addresses": [f"10.0.0.{number}", f"fd00::{number}"],
        "rules": [ANY_EGRESS, ANY_EGRESS6, *rules], **changes,
    }  # fmt: skip


@pytest.fixture
def network(host: Host) -> Host:
    """Two guests on one bridge: a with 10.0.0.1, b with 10.0.0.2."""
    host.run("ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
    host.run("ip", "link", "set", BRIDGE, "up")
    for number, name in ((1, "a"), (2, "b")):
        host.add_guest(
            name, BRIDGE, tap(number), f"fa:16:3e:00:00:{number:02x}", [f"10.0.0.{number}/24", f"fd00::{number}/64"]
        )
    return host


def tcp_opens(host: Host, port: int, within_s: float = 1) -> bool:
    code = "import socket, sys; socket.create_connection(('10.0.0.2', int(sys.argv[1])), float(sys.argv[2])).close()"
    return host.script(code, str(port), str(within_s), namespace="a", check=False).returncode == 0


def test_default_deny_and_rules_for_new_connections(network: Host) -> None:
    network.converge("security_group", ports=[guest_port(1), guest_port(2)])
    assert network.hears_nothing("a", "10.0.0.2")
    assert network.hears_nothing("a", "fd00::2")
    network.converge("security_group", ports=[guest_port(1), guest_port(2, PING)])
    assert network.pings("a", "10.0.0.2"), "the answer comes back as established"
    assert network.hears_nothing("b", "10.0.0.1")
    network.converge("security_group", ports=[guest_port(1), guest_port(2)])
    assert network.hears_nothing("a", "10.0.0.2")


def test_egress_is_by_rules_too(network: Host) -> None:
    network.converge("security_group", ports=[guest_port(1, rules=[]), guest_port(2, PING)])
    assert network.hears_nothing("a", "10.0.0.2")
    to_b = {"direction": "egress", "ethertype": "IPv4", "protocol": "icmp", "remote_ip_prefix": "10.0.0.2/32"}
    network.converge("security_group", ports=[guest_port(1, rules=[to_b]), guest_port(2, PING)])
    assert network.pings("a", "10.0.0.2")


def test_ipv6_types_and_neighbour_discovery(network: Host) -> None:
    echo = {"direction": "ingress", "ethertype": "IPv6", "protocol": "icmp", "port_range_min": 128, "port_range_max": 0}
    network.converge("security_group", ports=[guest_port(1), guest_port(2, echo)])
    assert network.pings("a", "fd00::2")
    other = {**echo, "port_range_min": 1}
    network.converge("security_group", ports=[guest_port(1), guest_port(2, other)])
    assert network.hears_nothing("a", "fd00::2")


def test_port_ranges_and_remote_groups(network: Host) -> None:
    listen = (
        "import socket, time; s = [socket.create_server(('10.0.0.2', p)) for p in (80, 90)];"
        "print('up', flush=True); time.sleep(60)"
    )
    server = network.popen(HOST_PYTHON, "-c", listen, namespace="b", stdout=-1)
    assert server.stdout is not None
    assert server.stdout.readline() == "up\n"
    web = {"direction": "ingress", "protocol": "tcp", "port_range_min": 79, "port_range_max": 81, "remote_group": GROUP}
    try:
        for members, opens in (([], False), (["10.0.0.1", "fd00::1"], True), (["10.0.0.0/30", "10.0.0.2"], True)):
            ports = [guest_port(1), guest_port(2, web)]
            network.converge("security_group", ports=ports, address_sets={GROUP: members})
            assert tcp_opens(network, 80, 1 if opens else 0.4) is opens
            assert not tcp_opens(network, 90, 0.4)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_a_removed_rule_cuts_the_connections_under_it(network: Host) -> None:
    network.converge("security_group", ports=[guest_port(1), guest_port(2, PING)])
    ping = network.popen("ping", "-n", "-i", "0.2", "-c", "25", "10.0.0.2", namespace="a", stdout=-1)
    time.sleep(1)
    network.converge("security_group", ports=[guest_port(1), guest_port(2)])
    output, _errors = ping.communicate(timeout=30)
    answers = output.count("bytes from")
    assert 0 < answers < 20, "one echo stream is one connection: without the cut it would go on"


@pytest.mark.parametrize("source", ["10.0.0.99", "fd00::99"])
def test_spoofed_addresses_are_dropped_unless_paired(network: Host, source: str) -> None:
    is_ipv6 = ":" in source
    own, target, length = ("fd00::1", "fd00::2", 64) if is_ipv6 else ("10.0.0.1", "10.0.0.2", 24)
    everything = {"direction": "ingress", "ethertype": "IPv6" if is_ipv6 else "IPv4"}
    network.run(
        "ip", "addr", "add", f"{source}/{length}", "dev", "eth0", *(["nodad"] if is_ipv6 else []), namespace="a"
    )
    network.converge("security_group", ports=[guest_port(1), guest_port(2, everything)])
    assert network.pings("a", target, "-I", own)
    assert network.hears_nothing("a", target, "-I", source)
    for pair in (source, "fd00::/112" if is_ipv6 else "10.0.0.96/29"):
        pairs = [{"ip_address": pair}]
        network.converge(
            "security_group", ports=[guest_port(1, allowed_address_pairs=pairs), guest_port(2, everything)]
        )
        assert network.pings("a", target, "-I", source)


def test_spoofed_mac_and_arp_are_dropped(network: Host) -> None:
    everything = {"direction": "ingress", "ethertype": "IPv4"}
    network.converge("security_group", ports=[guest_port(1), guest_port(2, everything)])
    announce = (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0));"
        "mac = bytes.fromhex('fa163e000001'); ip = bytes([10, 0, 0, 77]);"
        "head = b'\\xff' * 6 + mac + bytes.fromhex('08060001080006040001');"
        "s.send(head + mac + ip + bytes(6) + bytes([10, 0, 0, 2]))"
    )
    network.script(announce, namespace="a")
    neighbours = network.run("ip", "neigh", namespace="b").stdout
    assert "10.0.0.77" not in neighbours
    network.converge(
        "security_group",
        ports=[guest_port(1, allowed_address_pairs=[{"ip_address": "10.0.0.77"}]), guest_port(2, everything)],
    )
    network.script(announce, namespace="a")
    assert "10.0.0.77" in network.run("ip", "neigh", namespace="b").stdout, "the test's own frame is a good one"
    assert network.pings("a", "10.0.0.2")
    network.run("ip", "link", "set", "eth0", "address", "fa:16:3e:00:00:aa", namespace="a")
    assert network.hears_nothing("a", "10.0.0.2")


def test_a_port_without_port_security_is_not_filtered(network: Host) -> None:
    network.converge("security_group", ports=[guest_port(1, rules=[]), guest_port(2, rules=[], port_security=False)])
    assert network.hears_nothing("b", "10.0.0.1")
    ports = [guest_port(1, rules=[], port_security=False), guest_port(2, rules=[], port_security=False)]
    network.converge("security_group", ports=ports)
    assert network.pings("b", "10.0.0.1")


def test_overlapping_ranges_of_two_networks_stay_apart(network: Host) -> None:
    network.run("ip", "link", "add", "brq11111111-11", "type", "bridge", "forward_delay", "0")
    network.run("ip", "link", "set", "brq11111111-11", "up")
    twins = []
    for number, name in ((1, "c"), (2, "d")):
        mac = f"fa:16:3e:00:01:{number:02x}"
        network.add_guest(name, "brq11111111-11", tap(0x100 + number), mac, [f"10.0.0.{number}/24"])
        twins.append(
            guest_port(0x100 + number, bridge="brq11111111-11", zone=8, mac=mac, addresses=[f"10.0.0.{number}"])
        )
    # Network 7 lets 10.0.0.1 reach 10.0.0.2, network 8 does not: the same tuple must not count as established there.
    network.converge("security_group", ports=[guest_port(1), guest_port(2, PING), *twins])
    ping = ("ping", "-n", "-c1", "-W1", "-e", "4242", "10.0.0.2")
    assert network.run(*ping, namespace="a", check=False).returncode == 0
    assert network.run(*ping, namespace="c", check=False).returncode == 1


def test_what_the_host_itself_sends_is_filtered_too(network: Host) -> None:
    flat = {"bridge": "br-ext", "zone": 9}
    network.run("ip", "link", "add", "br-ext", "type", "bridge", "forward_delay", "0")
    network.run("ip", "addr", "add", "198.51.100.1/24", "dev", "br-ext")
    network.run("ip", "link", "set", "br-ext", "up")
    network.add_guest("e", "br-ext", tap(5), "fa:16:3e:00:00:05", ["198.51.100.5/24"])
    ping = ("ping", "-n", "-c1", "-W1", "198.51.100.5")
    network.converge("security_group", ports=[guest_port(5, addresses=["198.51.100.5"], **flat)])
    assert network.run(*ping, check=False).returncode == 1
    assert network.pings("e", "198.51.100.1"), "the host's answer is established"
    network.converge("security_group", ports=[guest_port(5, PING, addresses=["198.51.100.5"], **flat)])
    assert network.run(*ping, check=False).returncode == 0


def test_a_filter_flushed_by_hand_comes_back(network: Host) -> None:
    ports = [guest_port(1), guest_port(2)]
    network.converge("security_group", ports=ports)
    for damage in ("flush ruleset", "delete table inet stratiform", "add rule bridge stratiform enter accept"):
        network.run("nft", *damage.split())
        assert network.converge("security_group", ports=ports)["changed"] is True
        assert network.hears_nothing("a", "10.0.0.2")
    network.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
    assert network.converge("security_group", ports=ports)["changed"] is True


def test_absent_stale_and_bad_arguments(network: Host) -> None:
    ports = [guest_port(1), guest_port(2)]
    network.converge("security_group", ports=ports, generation=5)
    late = network.module("security_group", ports=[], generation=4)
    assert (late["changed"], late["stale"]) == (False, True)
    for rule in (
        {"direction": "ingress", "protocol": "tcp; drop"},
        {"direction": "ingress", "remote_group": GROUP},
        {"direction": "ingress", "protocol": "tcp", "port_range_min": 9, "port_range_max": 8},
        {"direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"},
    ):
        bad = network.module("security_group", ports=[guest_port(1, rule)], generation=6)
        assert bad["failed_resources"] == ["00000001-0000-4000-8000-000000000000"]
    assert network.hears_nothing("a", "10.0.0.2"), "nothing was changed"
    network.converge("security_group", state="absent", generation=7)
    assert network.run("nft", "list", "ruleset").stdout == ""
    assert network.pings("a", "10.0.0.2")


def test_every_protocol_name_is_taken(network: Host) -> None:
    protocols = [
        "ah", "dccp", "egp", "esp", "gre", "icmp", "icmpv6", "ipv6-icmp", "igmp", "ipip", "ospf", "pgm", "rsvp",
        "sctp", "tcp", "udp", "udplite", "vrrp", "any", "0", "254", None,
    ]  # fmt: skip
    rules = [
        {"direction": direction, "ethertype": ethertype, "protocol": protocol}
        for direction in ("ingress", "egress")
        for ethertype in ("IPv4", "IPv6")
        for protocol in protocols
    ]
    network.converge("security_group", ports=[guest_port(1, *rules)])
    ranges = [
        {"direction": "ingress", "protocol": protocol, "port_range_min": 10, "port_range_max": 20}
        for protocol in ("tcp", "udp", "sctp", "dccp", "udplite")
    ]
    network.converge("security_group", ports=[guest_port(1, *ranges)])


def test_a_hundred_ports_are_fast(network: Host) -> None:
    rules = [{**PING, "remote_ip_prefix": f"192.0.2.{n}/32"} for n in range(10)]
    ports = [guest_port(number, *rules) for number in range(1, 101)]
    network.converge("security_group", ports=ports)
