"""A run killed at any moment leaves nothing that its repetition does not put right."""

from __future__ import annotations

from typing import Any

import pytest

from . import test_network_bridge, test_network_dhcp, test_network_router, test_security_group
from .conftest import Host

ROUTER = test_network_router.router(("203.0.113.20", "10.0.0.10"))
FILTER = [test_security_group.guest_port(number, test_security_group.PING) for number in range(1, 30)]
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "network_bridge",
        {"networks": [test_network_bridge.network()], "ports": [test_network_bridge.port()]},
        {"purge": True},
    ),
    (
        "network_dhcp",
        {"networks": [test_network_dhcp.network(test_network_dhcp.host_entry(5, "web"))]},
        {"networks": [{"id": test_network_dhcp.NETWORK, "state": "absent"}]},
    ),
    (
        "network_router",
        {"routers": [ROUTER]},
        {"routers": [{"id": test_network_router.ROUTER, "state": "absent"}]},
    ),
    ("security_group", {"ports": FILTER}, {"state": "absent"}),
]


@pytest.mark.parametrize(("name", "present", "absent"), CASES, ids=[case[0] for case in CASES])
def test_killed_runs_are_made_good(host: Host, name: str, present: dict[str, Any], absent: dict[str, Any]) -> None:
    if name != "network_bridge":
        for bridge in (test_network_router.BRIDGE, test_network_router.SECOND, "br-ext"):
            host.run("ip", "link", "add", bridge, "type", "bridge")
    clean = set(host.links())
    usual_s = []
    for arguments in (present, absent):
        assert host.module(name, **arguments)["changed"] is True
        usual_s.append(host.elapsed_s)
    killed = 0
    for part in (0.1, 0.25, 0.4, 0.55, 0.7, 0.85):
        killed += host.killed_module(name, part * usual_s[0], **present)
        host.converge(name, **present)
        killed += host.killed_module(name, part * usual_s[1], **absent)
        host.converge(name, **absent)
        assert set(host.links()) == clean
        assert host.run("ip", "netns").stdout == ""
        assert host.run("nft", "list", "ruleset").stdout == ""
    assert killed >= 2, "a run that ends before its kill tries nothing"
