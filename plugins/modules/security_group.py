#!/usr/bin/python
"""Ansible module: the host's port filter."""

from __future__ import annotations

DOCUMENTATION = r"""
module: security_group
short_description: The host's port filter, by security groups
description:
  - Filters what guests send and get by the rules of their ports' security groups, with connection tracking, and keeps
    them from sending under other MAC or IP addresses than their own and their allowed address pairs (ARP included).
  - States the host's whole filter, the nftables tables C(inet stratiform) and C(bridge stratiform), in one transaction.
    Tables that were changed or flushed by hand are put right.
  - When something is no longer allowed, the connections of the ports concerned are forgotten, so that they end too.
  - DHCP, ARP and IPv6 neighbour discovery of guests always work. Guests cannot act as DHCP servers or IPv6 routers.
  - Needs nftables and conntrack on the host, and a kernel with br_netfilter, which the module switches on.
version_added: "0.1.0"
author: Stratiform contributors (@stratiform)
options:
  ports:
    description: The ports of the host's guests.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The port's id.
        type: str
        required: true
      tap:
        description: The port's device.
        type: str
        required: true
      bridge:
        description: The bridge that the device belongs to.
        type: str
        required: true
      zone:
        description:
          - The connection-tracking zone of the port's network, 1 to 65535. It keeps tenants' overlapping ranges apart.
          - Ports on a host's own bridge (a flat network) stay in the host's default zone.
        type: int
        required: true
      mac:
        description: The guest's MAC address.
        type: str
        required: true
      addresses:
        description: The guest's IP addresses.
        type: list
        elements: str
        default: []
      allowed_address_pairs:
        description: What the guest may be besides.
        type: list
        elements: dict
        default: []
        suboptions:
          mac_address:
            description: A MAC address; the port's own when left out.
            type: str
          ip_address:
            description: An address or CIDR.
            type: str
            required: true
      port_security:
        description: Whether the port is filtered at all.
        type: bool
        default: true
      rules:
        description: The rules of the port's security groups. What no rule allows is dropped.
        type: list
        elements: dict
        default: []
        suboptions:
          direction:
            description: Whether the rule is for what the guest gets or sends.
            type: str
            choices: [ingress, egress]
            required: true
          ethertype:
            description: The IP version.
            type: str
            choices: [IPv4, IPv6]
            default: IPv4
          protocol:
            description: An IP protocol by name or number. Left out, V(any) or V(0) for all.
            type: str
          port_range_min:
            description: The first port, or the ICMP type.
            type: int
          port_range_max:
            description: The last port, or the ICMP code.
            type: int
          remote_ip_prefix:
            description: The other side's CIDR.
            type: str
          remote_group:
            description: The other side's security group, an entry of O(address_sets).
            type: str
  address_sets:
    description: The addresses (or CIDRs) of the members of security groups, by the group's id.
    type: dict
    default: {}
  purge:
    description: States that O(ports) are all ports of the host, which is the only form.
    type: bool
    default: true
  state:
    description: Whether there shall be a filter at all.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
"""

EXAMPLES = r"""
- name: Let a guest send everything and be reached by SSH
  stratiform.cloud.security_group:
    ports:
      - id: 0a6f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
        tap: tap0a6f4f5e-8f
        bridge: brq7d1a7a4c-2f
        zone: 1
        mac: fa:16:3e:00:00:01
        addresses: [10.0.0.5]
        rules:
          - {direction: egress, ethertype: IPv4}
          - {direction: ingress, ethertype: IPv4, protocol: tcp, port_range_min: 22, port_range_max: 22}

- name: Remove the filter
  stratiform.cloud.security_group:
    state: absent
"""

RETURN = r"""
ansible_stats:
  description: Which ports are filtered, as custom stats (RV(ansible_stats.data)).
  returned: always
  type: dict
  sample:
    data: {results: {0a6f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00: {tap: tap0a6f4f5e-8f, filtered: true}}}
    per_host: true
    aggregate: true
failed_resources:
  description: The ids of the ports whose filter could not be made. Nothing was changed then.
  returned: when some failed
  type: list
  elements: str
stale:
  description: Whether a newer job had stated the filter already, which then was left alone.
  returned: always
  type: bool
stale_ids:
  description: V(*) when O(stale).
  returned: when O(generation) was too old
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import (
    NETWORK_DIR,
    Generations,
    read_json,
    write_file,
    write_json,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network import (
    conntrack,
    namespaces,
    nftables,
    port_filter,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network.call import Call
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import Netlink

RULE = {
    "direction": {"type": "str", "choices": ["ingress", "egress"], "required": True},
    "ethertype": {"type": "str", "choices": ["IPv4", "IPv6"], "default": "IPv4"},
    "protocol": {"type": "str"},
    "port_range_min": {"type": "int"},
    "port_range_max": {"type": "int"},
    "remote_ip_prefix": {"type": "str"},
    "remote_group": {"type": "str"},
}
PAIR = {"mac_address": {"type": "str"}, "ip_address": {"type": "str", "required": True}}
PORT = {
    "id": {"type": "str", "required": True},
    "tap": {"type": "str", "required": True},
    "bridge": {"type": "str", "required": True},
    "zone": {"type": "int", "required": True},
    "mac": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "allowed_address_pairs": {"type": "list", "elements": "dict", "default": [], "options": PAIR},
    "port_security": {"type": "bool", "default": True},
    "rules": {"type": "list", "elements": "dict", "default": [], "options": RULE},
}
ARGUMENTS = {
    "ports": {"type": "list", "elements": "dict", "default": [], "options": PORT},
    "address_sets": {"type": "dict", "default": {}},
    "purge": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "generation": {"type": "int"},
}

TEXT_PATH = f"{NETWORK_DIR}/filter.nft"
CACHE_PATH = f"{NETWORK_DIR}/filter-listing.json"
ALLOWED_PATH = f"{NETWORK_DIR}/filter-allowed.json"
SWITCHES = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")


class FilterCall(Call):
    """Carries out one call."""

    def run(self, host: Netlink) -> Generations:
        """Compare the kernel's filter with the desired one, replace it when it differs, and cut what it forbids."""
        parameters = self.module.params
        if not parameters["purge"]:
            self.module.fail_json(msg="The filter can only be stated whole: list all ports of the host.")
        wanted = parameters["state"] == "present"
        sets: dict[str, list[str]] = parameters["address_sets"] if wanted else {}
        arguments = parameters["ports"] if wanted else []
        ports = self.plans(lambda item: port_filter.PortFilter(item, set(sets)), arguments)
        if self.outcome.failures:
            return self.generations()
        with self.generations() as generations:
            if generations.refuses():
                return generations
            generations.save()
            with self.item("filter"):
                self._converge(port_filter.render(ports, sets) if wanted else "", allowed_by(ports, sets))
        for port in ports:
            self.outcome.record(port.id, tap=port.tap, filtered=port.guarded)
        return generations

    def _converge(self, text: str, allowed: dict[str, Any]) -> None:
        tables = nftables.WholeTables(port_filter.TABLES, CACHE_PATH)
        before, after = tables.live(), tables.spelled(text, remember=not self.check_mode) if text else ""
        differs = self.outcome.change("nftables", before, after)
        switches = {path: namespaces.read_sysctl(path) for path in SWITCHES} if text else {}
        if None in switches.values():
            self.outcome.fail("filter", "This kernel has no br_netfilter: load it with modprobe br_netfilter.")
            return
        self.outcome.change("kernel settings", switches, dict.fromkeys(switches, "1"))
        if self.check_mode:
            return
        for path in switches:
            namespaces.write_sysctl(path, "1")
        known = read_json(ALLOWED_PATH) or {}
        # What must be cut is written down first: a run that is killed before it has cut all leaves it to the next.
        overdue = [tuple(entry) for entry in known.get("overdue", [])]
        cut = sorted({*overdue, *no_longer_allowed(known, allowed)})
        if cut:
            write_json(ALLOWED_PATH, {**known, "overdue": cut})
        if differs:
            tables.replace(text)
            write_file(TEXT_PATH, text, 0o600)
        conntrack.forget_guests(cut)
        if cut or known != allowed:
            write_json(ALLOWED_PATH, allowed)


def allowed_by(ports: list[port_filter.PortFilter], sets: dict[str, list[str]]) -> dict[str, Any]:
    """What the filter allows each guest's address, to find out later what it no longer does."""
    return {
        "ports": {
            port.id: {"zone": port.zone, "addresses": port.addresses, "allowances": port.allowances()} for port in ports
        },
        "sets": {group: sorted(addresses) for group, addresses in sets.items()},
    }


def no_longer_allowed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[int, str]]:
    """The zones and addresses of ports that lost an allowance, or a member of a group that an allowance names."""
    lost_groups = [
        group for group, members in before.get("sets", {}).items() if set(members) - set(after["sets"].get(group, []))
    ]
    found = []
    for port_id, old in before.get("ports", {}).items():
        new = after["ports"].get(port_id, {"zone": None, "addresses": [], "allowances": []})
        lost = set(old["allowances"]) - set(new["allowances"]) if new["allowances"] != port_filter.UNFILTERED else set()
        moved = old["zone"] != new["zone"] or set(old["addresses"]) - set(new["addresses"])
        named = any(group in allowance for group in lost_groups for allowance in old["allowances"])
        if lost or moved or named:
            found += [(old["zone"], address) for address in old["addresses"]]
    return found


def main() -> None:
    """Run the module."""
    FilterCall.main("security_group", ARGUMENTS)


if __name__ == "__main__":
    main()
