#!/usr/bin/python
"""Ansible module: routers with source NAT and floating IPs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_router
short_description: Routers with source NAT and floating IPs
description:
  - Keeps a namespace C(qrouter-<router id>) for each router, with an interface on each of its networks.
  - What leaves by the gateway gets the gateway's first address or the guest's floating IP as its source. From outside,
    only floating IPs lead in, unless source NAT is off. Guests reach floating IPs of their own router too.
  - New addresses are announced to their neighbours. Connections through a floating IP that was removed or moved end.
  - With O(routers[].metadata), guests reach the metadata agent at 169.254.169.254 through the router.
  - IPv6 networks are routed. The router sends no router advertisements.
  - Needs nftables, conntrack and pyroute2 (Debian python3-pyroute2) on the host.
version_added: "0.1.0"
author: Stratiform contributors (@stratiform)
options:
  routers:
    description: The routers, each stated whole.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The router's id.
        type: str
        required: true
      interfaces:
        description: The router's interfaces on tenants' networks.
        type: list
        elements: dict
        default: []
        suboptions:
          <<: &interface
            port_id:
              description: The interface's port.
              type: str
              required: true
            mac:
              description: The interface's MAC address.
              type: str
              required: true
            mtu:
              description: The network's MTU in bytes.
              type: int
              default: 1500
            bridge:
              description: The network's bridge on this host.
              type: str
              required: true
            addresses:
              description: The interface's addresses with prefix length.
              type: list
              elements: str
              default: []
          advertised:
            description: IPv6 prefixes that router advertisements announce to the network's guests.
            type: list
            elements: dict
            default: []
            suboptions:
              cidr:
                description: The prefix.
                type: str
                required: true
              mode:
                description:
                  - V(slaac) and V(dhcpv6-stateless) let guests make their addresses themselves, V(dhcpv6-stateful) has
                    them ask DHCPv6 for one. V(dhcpv6-stateless) has them ask for the rest.
                type: str
                choices: [slaac, dhcpv6-stateful, dhcpv6-stateless]
                required: true
          dns_nameservers:
            description: IPv6 name servers to announce with the prefixes.
            type: list
            elements: str
            default: []
      gateway:
        description: The router's interface on an external network.
        type: dict
        suboptions:
          <<: *interface
          gateway_ips:
            description: The next hops of everything else.
            type: list
            elements: str
            default: []
          enable_snat:
            description: Whether guests without floating IP leave under the gateway's address.
            type: bool
            default: true
      floating_ips:
        description: The floating IPs of guests behind the router.
        type: list
        elements: dict
        default: []
        suboptions:
          id:
            description: The floating IP's id.
            type: str
            required: true
          floating_ip:
            description: The address outside.
            type: str
            required: true
          fixed_ip:
            description: The guest's address inside.
            type: str
            required: true
      routes:
        description: Routes besides.
        type: list
        elements: dict
        default: []
        suboptions:
          destination:
            description: The destination's CIDR.
            type: str
            required: true
          nexthop:
            description: The next hop's address, in a network of the router.
            type: str
            required: true
      metadata:
        description: Whether guests reach their metadata through this router.
        type: bool
        default: true
      state:
        description: Whether the router shall be on this host.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description: Remove routers that are not listed as present.
    type: bool
    default: false
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
"""

EXAMPLES = r"""
- name: Route a network outwards, with a floating IP for one guest
  stratiform.cloud.network_router:
    routers:
      - id: 2e1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00
        interfaces:
          - port_id: 6b1f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
            mac: fa:16:3e:00:00:10
            mtu: 1450
            bridge: brq7d1a7a4c-2f
            addresses: [10.0.0.1/24]
        gateway:
          port_id: 7c1f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
          mac: fa:16:3e:00:00:11
          bridge: br-ext
          addresses: [203.0.113.10/24]
          gateway_ips: [203.0.113.1]
        floating_ips:
          - id: 8d1f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
            floating_ip: 203.0.113.20
            fixed_ip: 10.0.0.5

- name: Remove all routers from the host
  stratiform.cloud.network_router:
    purge: true
"""

RETURN = r"""
ansible_stats:
  description: What was observed of each router, as custom stats (RV(ansible_stats.data)).
  returned: always
  type: dict
  sample:
    data:
      results:
        2e1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00:
          {namespace: qrouter-2e1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00, present: true}
    per_host: true
    aggregate: true
failed_resources:
  description: The ids of the routers that could not be made as desired. The others were.
  returned: when some failed
  type: list
  elements: str
stale:
  description: Whether a newer job had stated some of the routers already, which then were left alone.
  returned: always
  type: bool
stale_ids:
  description: The ids of those routers; V(*) stands for everything.
  returned: when O(generation) was too old for some
  type: list
  elements: str
"""

import contextlib
import os
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.network import names, namespaces, router
from ansible_collections.stratiform.cloud.plugins.module_utils.network.call import NamespacesCall
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import Netlink

INTERFACE = {
    "port_id": {"type": "str", "required": True},
    "mac": {"type": "str", "required": True},
    "mtu": {"type": "int", "default": 1500},
    "bridge": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
}
GATEWAY = {
    **INTERFACE,
    "gateway_ips": {"type": "list", "elements": "str", "default": []},
    "enable_snat": {"type": "bool", "default": True},
}
FLOATING_IP = {
    "id": {"type": "str", "required": True},
    "floating_ip": {"type": "str", "required": True},
    "fixed_ip": {"type": "str", "required": True},
}
ROUTE = {"destination": {"type": "str", "required": True}, "nexthop": {"type": "str", "required": True}}
PREFIX = {
    "cidr": {"type": "str", "required": True},
    "mode": {"type": "str", "choices": ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"], "required": True},
}
INSIDE = {
    **INTERFACE,
    "advertised": {"type": "list", "elements": "dict", "default": [], "options": PREFIX},
    "dns_nameservers": {"type": "list", "elements": "str", "default": []},
}
ROUTER = {
    "id": {"type": "str", "required": True},
    "interfaces": {"type": "list", "elements": "dict", "default": [], "options": INSIDE},
    "gateway": {"type": "dict", "options": GATEWAY},
    "floating_ips": {"type": "list", "elements": "dict", "default": [], "options": FLOATING_IP},
    "routes": {"type": "list", "elements": "dict", "default": [], "options": ROUTE},
    "metadata": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
ARGUMENTS = {
    "routers": {"type": "list", "elements": "dict", "default": [], "options": ROUTER},
    "purge": {"type": "bool", "default": False},
    "generation": {"type": "int"},
}


class RouterCall(NamespacesCall[router.RouterPlan]):
    """Carries out one call."""

    objects = "routers"
    kind = "router"

    def plan(self, arguments: dict[str, Any]) -> router.RouterPlan:
        return router.RouterPlan(arguments)

    def observe(self, host: Netlink, inside: Netlink | None, plan: router.RouterPlan) -> dict[str, Any] | None:
        return router.observe(host, inside, plan)

    def desired(self, plan: router.RouterPlan) -> dict[str, Any] | None:
        return plan.desired(remember=not self.check_mode)

    def apply(
        self,
        host: Netlink,
        inside: Netlink,
        plan: router.RouterPlan,
        before: dict[str, Any] | None,
        after: dict[str, Any],
    ) -> None:
        router.apply(host, inside, plan, before or {}, after)

    def remove(self, host: Netlink, object_id: str, plan: router.RouterPlan | None) -> None:
        router.remove(host, object_id)

    def found(self) -> set[str]:
        ids = {match[1] for name in namespaces.names() if (match := names.ROUTER_NAMESPACE_PATTERN.fullmatch(name))}
        with contextlib.suppress(FileNotFoundError):
            ids |= {name.partition(".")[0] for name in os.listdir(router.ROUTERS_DIR)}
        return ids


def main() -> None:
    """Run the module."""
    RouterCall.main("network_router", ARGUMENTS)


if __name__ == "__main__":
    main()
