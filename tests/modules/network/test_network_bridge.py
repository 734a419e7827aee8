"""network_bridge on the real kernel."""

from __future__ import annotations

from typing import Any

from .conftest import Host

NETWORK = "7d1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00"
BRIDGE = "brq7d1a7a4c-2f"
PORT = "0a6f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00"
TAP = "tap0a6f4f5e-8f"


def network(**changes: Any) -> dict[str, Any]:
    return {
        "id": NETWORK, "type": "vxlan", "bridge": BRIDGE, "vni": 1001, "mtu": 1450, "tunnel_ip": "192.0.2.11",
        "peers": ["192.0.2.12", "192.0.2.13"], **changes,
    }  # fmt: skip


def port(**changes: Any) -> dict[str, Any]:
    return {"id": PORT, "tap": TAP, "bridge": BRIDGE, "mac": "fa:16:3e:00:00:01", "mtu": 1450, **changes}


def test_network_and_tap_are_made_as_documented(host: Host) -> None:
    result = host.converge("network_bridge", networks=[network()], ports=[port()])
    assert result["changed"] is True
    assert result["ansible_stats"]["data"]["results"][PORT] == {
        "tap": TAP, "bridge": BRIDGE, "present": True, "carrier": False,
    }  # fmt: skip
    links = host.links()
    bridge, vxlan, tap = links[BRIDGE], links["vxlan-1001"], links[TAP]
    assert (bridge["mtu"], bridge["linkinfo"]["info_data"]["stp_state"]) == (1450, 0)
    assert bridge["linkinfo"]["info_data"]["forward_delay"] == 0
    data = vxlan["linkinfo"]["info_data"]
    assert (data["id"], data["local"], data["port"], data["learning"]) == (1001, "192.0.2.11", 4789, False)
    assert (vxlan["master"], tap["master"], tap["mtu"], tap["address"]) == (BRIDGE, BRIDGE, 1450, "fe:16:3e:00:00:01")
    assert tap["linkinfo"]["info_data"]["persist"] is True
    assert "UP" in tap["flags"]
    entries = host.json("bridge", "-j", "fdb", "show", "dev", "vxlan-1001")
    assert {entry["dst"] for entry in entries if entry["mac"] == "00:00:00:00:00:00"} == {"192.0.2.12", "192.0.2.13"}
    assert host.json("ip", "-j", "-6", "addr", "show", "dev", BRIDGE) in ([], [{}])


def test_peers_come_and_go_without_a_new_device(host: Host) -> None:
    host.converge("network_bridge", networks=[network()])
    index = host.links()["vxlan-1001"]["ifindex"]
    host.converge("network_bridge", networks=[network(peers=["192.0.2.13", "192.0.2.14"], mtu=1400)])
    assert host.links()["vxlan-1001"]["ifindex"] == index
    entries = host.json("bridge", "-j", "fdb", "show", "dev", "vxlan-1001")
    assert {entry["dst"] for entry in entries if "dst" in entry} == {"192.0.2.13", "192.0.2.14"}
    host.converge("network_bridge", networks=[network(tunnel_ip="192.0.2.21")])
    assert host.links()["vxlan-1001"]["linkinfo"]["info_data"]["local"] == "192.0.2.21"


def test_drift_is_repaired(host: Host) -> None:
    host.converge("network_bridge", networks=[network()], ports=[port()])
    host.run("ip", "link", "set", TAP, "nomaster", "down")
    host.run("ip", "link", "set", BRIDGE, "type", "bridge", "stp_state", "1")
    host.run("ip", "link", "del", "vxlan-1001")
    assert host.converge("network_bridge", networks=[network()], ports=[port()])["changed"] is True
    links = host.links()
    assert links[TAP]["master"] == links["vxlan-1001"]["master"] == BRIDGE


def test_absent_takes_leftover_taps_along(host: Host) -> None:
    host.converge("network_bridge", networks=[network()], ports=[port()])
    host.converge("network_bridge", networks=[network(state="absent")])
    assert set(host.links()) & {TAP, BRIDGE, "vxlan-1001"} == set()
    host.converge("network_bridge", networks=[network(state="absent")], ports=[port(state="absent")])


def test_flat_network_uses_the_hosts_bridge(host: Host) -> None:
    flat = network(type="flat", bridge="br-ext", physical_bridge="br-ext", vni=None, tunnel_ip=None, peers=[])
    missing = host.module("network_bridge", networks=[flat], ports=[port()])
    assert missing["failed"] is True
    assert missing["failed_resources"] == [PORT, NETWORK]
    assert "no bridge br-ext" in missing["failures"][NETWORK]
    host.run("ip", "link", "add", "br-ext", "type", "bridge")
    host.converge("network_bridge", networks=[flat], ports=[port(bridge="br-ext")])
    assert host.links()[TAP]["master"] == "br-ext"
    host.converge("network_bridge", networks=[{**flat, "state": "absent"}], ports=[port(state="absent")])
    assert "br-ext" in host.links()


def test_purge_removes_only_what_is_ours(host: Host) -> None:
    host.run("ip", "link", "add", "br-ext", "type", "bridge")
    host.run("ip", "tuntap", "add", "tap-of-operator", "mode", "tap")
    host.converge("network_bridge", networks=[network()], ports=[port()])
    other = {"id": "1" * 8 + "-1111-1111-1111-" + "1" * 12, "type": "local", "bridge": "brq11111111-11"}
    host.converge("network_bridge", networks=[other], purge=True)
    assert set(host.links()) >= {"br-ext", "tap-of-operator", "brq11111111-11"}
    assert set(host.links()) & {TAP, BRIDGE, "vxlan-1001"} == set()


def test_an_older_job_changes_nothing(host: Host) -> None:
    host.converge("network_bridge", networks=[network()], generation=7)
    late = host.module("network_bridge", networks=[network(state="absent")], generation=6)
    assert (late["changed"], late["stale"], late["stale_ids"]) == (False, True, [NETWORK])
    assert BRIDGE in host.links()
    host.converge("network_bridge", networks=[network()], purge=True, generation=9)
    late = host.module("network_bridge", networks=[], purge=True, generation=8)
    assert (late["changed"], late["stale"]) == (False, True)
    assert BRIDGE in host.links()
    late = host.module("network_bridge", ports=[port()], generation=8)
    assert late["stale_ids"] == [PORT], "a purge states every object"


def test_one_bad_item_does_not_stop_the_others(host: Host) -> None:
    bad = network(id="../../etc/passwd", bridge="brqdeadbeef-00")
    result = host.module("network_bridge", networks=[bad, network()], ports=[port()])
    assert result["failed_resources"] == ["../../etc/passwd"]
    assert {BRIDGE, TAP} <= set(host.links())
    assert "brqdeadbeef-00" not in host.links()


def test_a_hundred_ports_in_one_call(host: Host) -> None:
    ports = [
        {
            "id": f"{n:08x}-0000-4000-8000-000000000000",
            "tap": f"tap{n:08x}-00",
            "bridge": BRIDGE,
            "mac": f"fa:16:3e:00:01:{n:02x}",
        }
        for n in range(100)
    ]
    host.converge("network_bridge", networks=[network(mtu=1500)], ports=ports)
    assert sum(link.get("master") == BRIDGE for link in host.links().values()) == 101
