#!/usr/bin/python
"""Ansible module: DHCP, DNS and a metadata listener for networks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: network_dhcp
short_description: DHCP, DNS and a metadata listener for networks
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
            description: The IP version. DHCP is for version 4 only.
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
            description: Whether the subnet's guests get their addresses by DHCP.
            type: bool
            default: true
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import Generations
from ansible_collections.stratiform.cloud.plugins.module_utils.network import dhcp, dnsmasq, names, namespaces
from ansible_collections.stratiform.cloud.plugins.module_utils.network.call import Call
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
}
HOST = {
    "port_id": {"type": "str"},
    "mac": {"type": "str", "required": True},
    "hostname": {"type": "str"},
    "subnet_id": {"type": "str", "required": True},
    "ip": {"type": "str", "required": True},
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


class DhcpCall(Call):
    """Carries out one call."""

    def run(self, host: Netlink) -> Generations:
        """The listed networks, then what is not listed."""
        parameters = self.module.params
        with self.generations() as generations:
            if parameters["purge"] and generations.refuses():
                return generations
            plans = [
                plan for plan in self.plans(dhcp.DhcpPlan, parameters["networks"]) if not generations.refuses(plan.id)
            ]
            generations.save()
            for plan in plans:
                with self.item(plan.id):
                    self._network(host, plan)
            if parameters["purge"] and not self.outcome.failures:
                self._purge(host, {plan.id for plan in plans if plan.present})
        return generations

    def _network(self, host: Netlink, plan: dhcp.DhcpPlan) -> None:
        with contextlib.ExitStack() as stack:
            inside = stack.enter_context(Netlink(plan.namespace)) if namespaces.exists(plan.namespace) else None
            before, after = dhcp.observe(host, inside, plan), plan.desired()
            changed = self.outcome.change(f"DHCP of network {plan.id}", before, after)
            if not self.check_mode:
                if after is None:
                    if changed:
                        dhcp.remove(host, plan.id, plan.namespace, getattr(plan, "tap", None))
                else:
                    if inside is None:
                        namespaces.create(plan.namespace)
                        inside = stack.enter_context(Netlink(plan.namespace))
                    dhcp.apply(host, inside, plan, before, after)
        self.outcome.record(plan.id, namespace=plan.namespace, present=plan.present)

    def _purge(self, host: Netlink, listed: set[str]) -> None:
        found = {match[1] for name in namespaces.names() if (match := names.DHCP_NAMESPACE_PATTERN.fullmatch(name))}
        with contextlib.suppress(FileNotFoundError):
            found |= set(os.listdir(dnsmasq.DHCP_DIR))
        for network_id in sorted(found - listed):
            with self.item(network_id):
                self.outcome.change(f"leftover DHCP of network {network_id}", {"namespace": True}, None)
                if not self.check_mode:
                    dhcp.remove(host, network_id, f"qdhcp-{network_id}", None)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    call = DhcpCall(module, "network_dhcp")
    with Netlink() as host:
        generations = call.run(host)
    call.finish(generations)


if __name__ == "__main__":
    main()
