#!/usr/bin/python
"""Ansible module: networks and taps on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_bridge
short_description: Networks and taps on a host
description:
  - Makes a Linux bridge for each network, a VXLAN device with static flooding entries to the other hosts, and a
    persistent tap for each guest's port.
  - Bridges, VXLAN devices and taps speak no IPv6 themselves, and bridges run no spanning tree and no forward delay.
  - A flat network uses a bridge that the host has already. That bridge is never made, changed or removed.
  - Needs pyroute2 (Debian python3-pyroute2) on the host.
version_added: "0.1.0"
author: Stratiform contributors (@stratiform)
options:
  networks:
    description: The networks.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The network's id.
        type: str
        required: true
      type:
        description: How the network reaches other hosts.
        type: str
        choices: [vxlan, flat, local]
        default: vxlan
      bridge:
        description:
          - The bridge's name, V(brq) and the first 11 characters of the network's id.
          - For a flat network the same as O(networks[].physical_bridge).
        type: str
        required: true
      vni:
        description: The VXLAN network identifier, 1 to 16777215.
        type: int
      mtu:
        description: MTU of the bridge and the VXLAN device in bytes.
        type: int
        default: 1500
      tunnel_ip:
        description: This host's address towards the other hosts. Without it no VXLAN device is made.
        type: str
      peers:
        description: The other hosts' tunnel addresses.
        type: list
        elements: str
        default: []
      physical_bridge:
        description: The host's own bridge of a flat network.
        type: str
      state:
        description: Whether the network shall be on this host. An absent one takes leftover taps along.
        type: str
        choices: [present, absent]
        default: present
  ports:
    description: The ports.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The port's id.
        type: str
        required: true
      tap:
        description: The device's name, V(tap) and the first 11 characters of the port's id.
        type: str
        required: true
      bridge:
        description: The bridge that it belongs to. Required for a present port.
        type: str
      mac:
        description:
          - The guest's MAC address. The host's side gets the same with V(fe) in front.
          - Required for a present tap.
        type: str
      mtu:
        description: MTU in bytes.
        type: int
        default: 1500
      kind:
        description:
          - V(tap) makes a tap for a guest.
          - V(veth_peer) is the bridge's side of a pair that M(stratiform.cloud.network_dhcp) or
            M(stratiform.cloud.network_router) makes. It is put on its bridge when it is there.
        type: str
        choices: [tap, veth_peer]
        default: tap
      state:
        description: Whether the port's device shall be there.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description: Remove our taps, VXLAN devices and bridges that are not listed as present.
    type: bool
    default: false
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
"""

EXAMPLES = r"""
- name: Make a network and a guest's tap
  stratiform.cloud.network_bridge:
    networks:
      - id: 7d1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00
        type: vxlan
        bridge: brq7d1a7a4c-2f
        vni: 1001
        mtu: 1450
        tunnel_ip: 192.0.2.11
        peers: [192.0.2.12]
    ports:
      - id: 0a6f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
        tap: tap0a6f4f5e-8f
        bridge: brq7d1a7a4c-2f
        mac: fa:16:3e:00:00:01
        mtu: 1450

- name: Remove all of our networks from the host
  stratiform.cloud.network_bridge:
    purge: true
"""

RETURN = r"""
ansible_stats:
  description: What was observed of each network and port, as custom stats (RV(ansible_stats.data)).
  returned: always
  type: dict
  sample:
    data:
      results:
        0a6f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00:
          {tap: tap0a6f4f5e-8f, bridge: brq7d1a7a4c-2f, present: true, carrier: false}
    per_host: true
    aggregate: true
failed_resources:
  description: The ids of the networks and ports that could not be made as desired. The others were.
  returned: when some failed
  type: list
  elements: str
stale:
  description: Whether a newer job had stated some of the objects already, which then were left alone.
  returned: always
  type: bool
stale_ids:
  description: The ids of those objects; V(*) stands for everything.
  returned: when O(generation) was too old for some
  type: list
  elements: str
"""

from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import Generations
from ansible_collections.stratiform.cloud.plugins.module_utils.network import bridges
from ansible_collections.stratiform.cloud.plugins.module_utils.network.call import Call
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import Netlink

STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
ARGUMENTS = {
    "networks": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "id": {"type": "str", "required": True},
            "type": {"type": "str", "choices": ["vxlan", "flat", "local"], "default": "vxlan"},
            "bridge": {"type": "str", "required": True},
            "vni": {"type": "int"},
            "mtu": {"type": "int", "default": 1500},
            "tunnel_ip": {"type": "str"},
            "peers": {"type": "list", "elements": "str", "default": []},
            "physical_bridge": {"type": "str"},
            "state": STATE,
        },
    },
    "ports": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "id": {"type": "str", "required": True},
            "tap": {"type": "str", "required": True},
            "bridge": {"type": "str"},
            "mac": {"type": "str"},
            "mtu": {"type": "int", "default": 1500},
            "kind": {"type": "str", "choices": ["tap", "veth_peer"], "default": "tap"},
            "state": STATE,
        },
    },
    "purge": {"type": "bool", "default": False},
    "generation": {"type": "int"},
}


class BridgeCall(Call):
    """Carries out one call."""

    def run(self, host: Netlink) -> Generations:
        """Present networks, then ports, then absent networks, then what is not listed."""
        parameters = self.module.params
        with self.generations() as generations:
            if parameters["purge"] and generations.refuses():
                return generations
            networks = [
                plan
                for plan in self.plans(bridges.NetworkPlan, parameters["networks"])
                if not generations.refuses(plan.id)
            ]
            ports = [
                plan for plan in self.plans(bridges.PortPlan, parameters["ports"]) if not generations.refuses(plan.id)
            ]
            generations.save()
            host.preload([name for plan in networks for name in plan.link_names()] + [plan.tap for plan in ports])
            for network in networks:
                if network.present:
                    self._network(host, network)
            for port in ports:
                self._port(host, port)
            for network in networks:
                if not network.present:
                    self._network(host, network)
            if parameters["purge"] and not self.outcome.failures:
                self._purge(host, networks, ports)
        return generations

    def _network(self, netlink: Netlink, plan: bridges.NetworkPlan) -> None:
        with self.item(plan.id):
            if plan.is_flat:
                self._flat_network(netlink, plan)
                return
            before, after = bridges.observe_network(netlink, plan), plan.desired()
            if self.outcome.change(f"network {plan.id}", before, after) and not self.check_mode:
                bridges.apply_network(netlink, before, after)
            self.outcome.record(plan.id, bridge=plan.bridge, present=plan.present)

    def _flat_network(self, netlink: Netlink, plan: bridges.NetworkPlan) -> None:
        link = netlink.link(plan.bridge)
        if plan.present and (link is None or link.kind != "bridge"):
            self.outcome.fail(
                plan.id,
                f"This host has no bridge {plan.bridge} for the provider network: make it, or correct this host's "
                "stratiform_physical_networks.",
            )
            return
        self.outcome.record(plan.id, bridge=plan.bridge, present=plan.present)

    def _port(self, netlink: Netlink, plan: bridges.PortPlan) -> None:
        with self.item(plan.id):
            before, after = bridges.observe_port(netlink, plan), plan.desired()
            if before is None and not plan.is_tap:
                self.outcome.record(plan.id, tap=plan.tap, bridge=plan.bridge, present=False, carrier=False)
                return
            if plan.present and netlink.link(plan.bridge) is None and not self.check_mode:
                self.outcome.fail(plan.id, f"This host has no bridge {plan.bridge}: list the port's network before it.")
                return
            if self.outcome.change(f"port {plan.id}", before, after) and not self.check_mode:
                bridges.apply_port(netlink, before, after)
            link = netlink.link(plan.tap)
            self.outcome.record(
                plan.id, tap=plan.tap, bridge=plan.bridge, present=plan.present, carrier=bool(link and link.carrier)
            )

    def _purge(self, netlink: Netlink, networks: list[bridges.NetworkPlan], ports: list[bridges.PortPlan]) -> None:
        present = [plan for plan in networks if plan.present]
        leftovers = bridges.unlisted(
            netlink,
            {plan.bridge for plan in present},
            {plan.vxlan for plan in present if plan.vxlan},
            {plan.tap for plan in ports if plan.present},
        )
        for name in leftovers:
            with self.item(name):
                self.outcome.change(f"leftover {name}", {"name": name}, None)
                if not self.check_mode:
                    netlink.delete_link(name)


def main() -> None:
    """Run the module."""
    BridgeCall.main("network_bridge", ARGUMENTS)


if __name__ == "__main__":
    main()
