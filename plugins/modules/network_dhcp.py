#!/usr/bin/python
"""Ansible module: DHCP, DNS and a metadata listener for networks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_dhcp
short_description: DHCP, DHCPv6, DNS and a metadata listener for networks
description:
  - Keeps a namespace C(qdhcp-<network id>) for each network, with an interface on the network's bridge, and in it a
    dnsmasq that answers the listed hosts and no others.
  - Guests resolve each other as C(hostname) and C(hostname.domain), and addresses back to names.
  - Changed hosts and options are read by the running dnsmasq, changed subnets restart it. One that died is started.
  - Leases whose host is gone are released, so that their addresses can be given to others at once.
  - With O(networks[].metadata), guests get a route to 169.254.169.254 through the interface, and the metadata agent is
    told to listen there.
  - Needs dnsmasq (Debian dnsmasq-base) and pyroute2 (python3-pyroute2) on the host. The folders down to
    C(/var/lib/stratiform/host/network) must let dnsmasq's own user pass.
version_added: "0.1.0"
author: Stratiform contributors (@stratiform)
options:
  networks:
    description: The networks, each stated whole.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: The network's id.
        type: str
        required: true
      bridge:
        description: The network's bridge on this host. Required for a present network.
        type: str
      mtu:
        description: The network's MTU in bytes; guests get it by DHCP.
        type: int
        default: 1500
      domain:
        description: The DNS domain of the guests.
        type: str
      port:
        description: The network's DHCP port on this host. Required for a present network.
        type: dict
        suboptions:
          id:
            description: The port's id.
            type: str
            required: true
          mac:
            description: The port's MAC address.
            type: str
            required: true
          addresses:
            description: The port's addresses with prefix length.
            type: list
            elements: str
            default: []
      subnets:
        description: The network's subnets.
        type: list
        elements: dict
        default: []
        suboptions:
          id:
            description: The subnet's id.
            type: str
            required: true
          cidr:
            description: The subnet's range.
            type: str
            required: true
          ip_version:
            description: The IP version.
            type: int
            choices: [4, 6]
            default: 4
          gateway_ip:
            description: The guests' default gateway.
            type: str
          dns_nameservers:
            description: The guests' name servers. When empty, dnsmasq itself.
            type: list
            elements: str
            default: []
          host_routes:
            description: Routes that the guests get.
            type: list
            elements: dict
            default: []
            suboptions:
              destination:
                description: The destination's CIDR.
                type: str
                required: true
              nexthop:
                description: The next hop's address.
                type: str
                required: true
          enable_dhcp:
            description: Whether the subnet is served.
            type: bool
            default: true
          ipv6_mode:
            description:
              - How an IPv6 subnet's guests get what they need. V(dhcpv6-stateful) gives out addresses,
                V(dhcpv6-stateless) name servers and domain, V(slaac) nothing. When empty, DHCPv6 is left to others.
              - Subnets wider than /64 have no DHCPv6.
            type: str
            choices: [slaac, dhcpv6-stateful, dhcpv6-stateless]
          advertise:
            description: Whether this host advertises the IPv6 prefix, for a /64 without router of ours.
            type: bool
            default: false
      hosts:
        description: The guests' addresses. They are the whole truth for the network.
        type: list
        elements: dict
        default: []
        suboptions:
          port_id:
            description: The guest's port.
            type: str
          mac:
            description: The guest's MAC address.
            type: str
            required: true
          hostname:
            description: The guest's name without domain.
            type: str
          subnet_id:
            description: The subnet of the address.
            type: str
            required: true
          ip:
            description: The address.
            type: str
            required: true
          options:
            description: DHCP options of this guest alone. They go before those of the subnet.
            type: list
            elements: dict
            default: []
            suboptions:
              opt_name:
                description: Name or number of the option, as C(dnsmasq --help dhcp) lists them.
                type: str
                required: true
              opt_value:
                description: The value as dnsmasq takes it.
                type: str
                required: true
              ip_version:
                description: Whether it is an option of DHCP or of DHCPv6.
                type: int
                choices: [4, 6]
                default: 4
      upstream_dns:
        description:
          - Name servers that dnsmasq asks about other names. Without them it knows the network's names only.
        type: list
        elements: str
        default: []
      metadata:
        description: Whether guests reach their metadata through this namespace.
        type: bool
        default: true
      state:
        description: Whether the network shall have DHCP on this host.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description: Remove the DHCP of networks that are not listed as present.
    type: bool
    default: false
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
"""

EXAMPLES = r"""
- name: Answer the guests of a network
  stratiform.cloud.network_dhcp:
    networks:
      - id: 7d1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00
        bridge: brq7d1a7a4c-2f
        mtu: 1450
        domain: stratiform.internal.
        port:
          id: 5b1f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
          mac: fa:16:3e:00:00:02
          addresses: [10.0.0.2/24]
        subnets:
          - id: 3c2f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
            cidr: 10.0.0.0/24
            gateway_ip: 10.0.0.1
        hosts:
          - mac: fa:16:3e:00:00:05
            hostname: web-1
            subnet_id: 3c2f4f5e-8f0d-4d0c-8a51-5b6f3d2c1b00
            ip: 10.0.0.5

- name: Remove all DHCP from the host
  stratiform.cloud.network_dhcp:
    purge: true
"""

RETURN = r"""
ansible_stats:
  description: What was observed of each network, as custom stats (RV(ansible_stats.data)).
  returned: always
  type: dict
  sample:
    data:
      results:
        7d1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00:
          {namespace: qdhcp-7d1a7a4c-2f0c-4d0e-9a5b-0f6a3d2c1b00, present: true}
    per_host: true
    aggregate: true
failed_resources:
  description: The ids of the networks that could not be made as desired. The others were.
  returned: when some failed
  type: list
  elements: str
stale:
  description: Whether a newer job had stated some of the networks already, which then were left alone.
  returned: always
  type: bool
stale_ids:
  description: The ids of those networks; V(*) stands for everything.
  returned: when O(generation) was too old for some
  type: list
  elements: str
"""

import contextlib
import os
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.network import dhcp, dnsmasq, names, namespaces
from ansible_collections.stratiform.cloud.plugins.module_utils.network.call import NamespacesCall
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import Netlink

STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
PORT = {
    "id": {"type": "str", "required": True},
    "mac": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
}
ROUTE = {"destination": {"type": "str", "required": True}, "nexthop": {"type": "str", "required": True}}
SUBNET = {
    "id": {"type": "str", "required": True},
    "cidr": {"type": "str", "required": True},
    "ip_version": {"type": "int", "choices": [4, 6], "default": 4},
    "gateway_ip": {"type": "str"},
    "dns_nameservers": {"type": "list", "elements": "str", "default": []},
    "host_routes": {"type": "list", "elements": "dict", "default": [], "options": ROUTE},
    "enable_dhcp": {"type": "bool", "default": True},
    "ipv6_mode": {"type": "str", "choices": ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]},
    "advertise": {"type": "bool", "default": False},
}
OPTION = {
    "opt_name": {"type": "str", "required": True},
    "opt_value": {"type": "str", "required": True},
    "ip_version": {"type": "int", "choices": [4, 6], "default": 4},
}
HOST = {
    "port_id": {"type": "str"},
    "mac": {"type": "str", "required": True},
    "hostname": {"type": "str"},
    "subnet_id": {"type": "str", "required": True},
    "ip": {"type": "str", "required": True},
    "options": {"type": "list", "elements": "dict", "default": [], "options": OPTION},
}
NETWORK = {
    "id": {"type": "str", "required": True},
    "bridge": {"type": "str"},
    "mtu": {"type": "int", "default": 1500},
    "domain": {"type": "str"},
    "port": {"type": "dict", "options": PORT},
    "subnets": {"type": "list", "elements": "dict", "default": [], "options": SUBNET},
    "hosts": {"type": "list", "elements": "dict", "default": [], "options": HOST},
    "upstream_dns": {"type": "list", "elements": "str", "default": []},
    "metadata": {"type": "bool", "default": True},
    "state": STATE,
}
ARGUMENTS = {
    "networks": {"type": "list", "elements": "dict", "default": [], "options": NETWORK},
    "purge": {"type": "bool", "default": False},
    "generation": {"type": "int"},
}


class DhcpCall(NamespacesCall[dhcp.DhcpPlan]):
    """Carries out one call."""

    objects = "networks"
    kind = "DHCP of network"

    def plan(self, arguments: dict[str, Any]) -> dhcp.DhcpPlan:
        return dhcp.DhcpPlan(arguments)

    def observe(self, host: Netlink, inside: Netlink | None, plan: dhcp.DhcpPlan) -> dict[str, Any] | None:
        return dhcp.observe(host, inside, plan)

    def desired(self, plan: dhcp.DhcpPlan) -> dict[str, Any] | None:
        return plan.desired()

    def apply(
        self, host: Netlink, inside: Netlink, plan: dhcp.DhcpPlan, before: dict[str, Any] | None, after: dict[str, Any]
    ) -> None:
        dhcp.apply(host, inside, plan, before, after)

    def remove(self, host: Netlink, object_id: str, plan: dhcp.DhcpPlan | None) -> None:
        dhcp.remove(host, object_id, f"qdhcp-{object_id}", plan.tap if plan else None)

    def found(self) -> set[str]:
        ids = {match[1] for name in namespaces.names() if (match := names.DHCP_NAMESPACE_PATTERN.fullmatch(name))}
        with contextlib.suppress(FileNotFoundError):
            ids |= set(os.listdir(dnsmasq.DHCP_DIR))
        return ids


def main() -> None:
    """Run the module."""
    DhcpCall.main("network_dhcp", ARGUMENTS)


if __name__ == "__main__":
    main()
