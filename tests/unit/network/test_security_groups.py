"""Security groups and rules over HTTP."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_project_has_its_default_group_at_first_sight(net: Any, other: Any) -> None:
    [group] = net.get("/security-groups")["security_groups"]
    assert group["name"] == "default"
    rules = {(rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in group["security_group_rules"]}
    assert rules == {("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", group["id"]),
                     ("ingress", "IPv6", group["id"])}  # fmt: skip
    assert len(net.get("/security-groups")["security_groups"]) == 1
    assert len(other.get("/security-group-rules")["security_group_rules"]) == 4
    assert net.refused("DELETE", f"/security-groups/{group['id']}", None, 409)[0] == "SecurityGroupCannotRemoveDefault"
    body = {"security_group": {"name": "renamed"}}
    assert net.refused("PUT", f"/security-groups/{group['id']}", body, 409)[0] == "SecurityGroupCannotUpdateDefault"
    other.get(f"/security-groups/{group['id']}", 404)
    again = {"security_group": {"name": "default"}}
    assert net.refused("POST", "/security-groups", again, 409)[0] == "SecurityGroupDefaultAlreadyExists"


def test_a_group_in_use_stays(net: Any, lan: Any) -> None:
    group = net.make("security_group", name="web")
    assert {rule["direction"] for rule in group["security_group_rules"]} == {"egress"}
    port = net.make("port", network_id=lan[0]["id"], security_groups=[group["id"]])
    assert net.refused("DELETE", f"/security-groups/{group['id']}", None, 409)[0] == "SecurityGroupInUse"
    net.call("DELETE", f"/ports/{port['id']}")
    net.call("DELETE", f"/security-groups/{group['id']}")


def test_stateless_groups_are_refused_rather_than_ignored(net: Any) -> None:
    assert "Stateless" in net.refused("POST", "/security-groups", {"security_group": {"stateful": False}}, 400)[1]


@pytest.mark.parametrize(("rule", "kind"), [
    ({"protocol": "telepathy"}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol"),
    ({"port_range_min": 80, "port_range_max": 80}, "SecurityGroupProtocolRequiredWithPorts"),
    ({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
    ({"protocol": "tcp", "port_range_min": 80}, "SecurityGroupInvalidPortRange"),
    ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "tcp", "port_range_min": 1, "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
    ({"protocol": "icmp", "port_range_max": 1}, "SecurityGroupMissingIcmpType"),
    ({"protocol": "esp", "port_range_min": 1, "port_range_max": 2}, "SecurityGroupInvalidProtocolForPort"),
    ({"ethertype": "IPX"}, "SecurityGroupRuleInvalidEtherType"),
    ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"),
    ({"remote_ip_prefix": "2001:db8::/64"}, "SecurityGroupRuleParameterConflict"),
    ({"remote_ip_prefix": "somewhere"}, "InvalidCIDR"),
    ({"direction": "sideways"}, "HTTPBadRequest"),
])  # fmt: skip
def test_wrong_rules(net: Any, rule: Any, kind: str) -> None:
    group = net.make("security_group", name="g")
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", **rule}}
    assert net.refused("POST", "/security-group-rules", body, 400)[0] == kind


def test_rules_are_normalised_and_unique(net: Any, other: Any) -> None:
    group = net.make("security_group", name="g")
    wanted = {"security_group_id": group["id"], "direction": "ingress", "protocol": "TCP", "port_range_min": "22",
              "port_range_max": 22, "remote_ip_prefix": "10.0.0.5/24"}  # fmt: skip
    rule = net.make("security_group_rule", **wanted)
    assert (rule["protocol"], rule["port_range_min"], rule["ethertype"]) == ("tcp", 22, "IPv4")
    assert rule["remote_ip_prefix"] == "10.0.0.0/24"
    kind, message = net.refused("POST", "/security-group-rules", {"security_group_rule": wanted}, 409)
    assert kind == "SecurityGroupRuleExists" and rule["id"] in message
    twice = {"security_group_rules": [{**wanted, "port_range_min": 23, "port_range_max": 23}] * 2}
    assert net.refused("POST", "/security-group-rules", twice, 409)[0] == "DuplicateSecurityGroupRuleInPost"
    both = {**wanted, "remote_group_id": group["id"]}
    assert net.refused("POST", "/security-group-rules", {"security_group_rule": both}, 400)[0] == (
        "SecurityGroupMultipleRemoteEntites")
    other.refused("POST", "/security-group-rules", {"security_group_rule": wanted}, 404)
    other.refused("DELETE", f"/security-group-rules/{rule['id']}", None, 404)
    net.call("DELETE", f"/security-group-rules/{rule['id']}")
    net.call("PUT", f"/security-group-rules/{rule['id']}", {}, 405)
