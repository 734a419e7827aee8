"""The host's port filter as nftables text: security groups with connection tracking, and anti-spoofing.

Connection tracking knows no bridge family on every kernel, but br_netfilter shows bridged packets to the inet family.
So table inet puts each network into its tracking zone and leaves the packet's state in its mark; table bridge, in
hooks that come after br_netfilter's, decides by the mark and the port. A packet without a mark (br_netfilter was
switched off) counts as new, so a fault closes the filter and does not open it.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import fingerprint
from ansible_collections.stratiform.cloud.plugins.module_utils.network import names, security_rules

TABLES = ("inet stratiform", "bridge stratiform")
UNFILTERED = ["everything"]

_ESTABLISHED, _NEW, _INVALID = "0x5f000001", "0x5f000002", "0x5f000003"

_INET = """
table inet stratiform {{
  {bridges}
  chain zones {{
    type filter hook prerouting priority raw; policy accept;
    {zones}
  }}
  chain state {{
    ct state established,related meta mark set {established} return
    ct state invalid meta mark set {invalid} return
    meta mark set {new}
  }}
  chain bridged {{
    type filter hook prerouting priority mangle; policy accept;
    iifname @bridges jump state
  }}
  chain forwarded {{
    type filter hook forward priority mangle; policy accept;
    oifname @bridges jump state
  }}
  chain local {{
    type filter hook output priority mangle; policy accept;
    oifname @bridges jump state
  }}
}}
"""

_BRIDGE = """
table bridge stratiform {{
  {guarded}
  {macs}
  {pairs4}
  {pairs6}
  {targets6}
  {egress}
  {ingress}
  chain spoofing {{
    type filter hook prerouting priority -300; policy accept;
    iifname @guarded jump source
  }}
  chain source {{
    iifname . ether saddr != @macs drop
    ether type arp jump source_arp
    ether type ip jump source_ip
    ether type ip6 jump source_ip6
    ether type 0x8035 accept
    drop
  }}
  chain source_arp {{
    arp saddr ip 0.0.0.0 accept
    iifname . arp saddr ether . arp saddr ip @pairs4 accept
    {arp_ranges}
    drop
  }}
  chain source_ip {{
    udp sport 67 udp dport 68 drop
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
    iifname . ether saddr . ip saddr @pairs4 accept
    {ip_ranges}
    drop
  }}
  chain source_ip6 {{
    icmpv6 type {{ nd-router-advert, nd-redirect }} drop
    icmpv6 type nd-neighbor-advert jump target_ip6
    udp sport 547 udp dport 546 drop
    ip6 saddr :: icmpv6 type {{ nd-neighbor-solicit, nd-router-solicit, mld2-listener-report }} accept
    iifname . ether saddr . ip6 saddr @pairs6 accept
    {ip6_ranges}
    drop
  }}
  chain target_ip6 {{
    iifname . ether saddr . @th,64,128 @targets6 return
    {target_ranges}
    drop
  }}
  chain from_guest {{
    type filter hook prerouting priority 100; policy accept;
    iifname @guarded jump leave
  }}
  chain leave {{
    ether type {{ arp, 0x8035 }} accept
    ether type ip udp sport 68 udp dport 67 accept
    ether type ip6 udp sport 546 udp dport 547 accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
    icmpv6 type {{ mld-listener-report, mld-listener-done, mld2-listener-report }} accept
    meta mark {established} accept
    meta mark {invalid} drop
    iifname vmap @egress
    drop
  }}
  chain to_guest {{
    type filter hook forward priority 100; policy accept;
    oifname @guarded jump enter
  }}
  chain from_host {{
    type filter hook output priority 100; policy accept;
    oifname @guarded jump enter
  }}
  chain enter {{
    ether type {{ arp, 0x8035 }} accept
    ether type ip udp sport 67 udp dport 68 accept
    ether type ip6 udp sport 547 udp dport 546 accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, mld-listener-query }} accept
    meta mark {established} accept
    meta mark {invalid} drop
    oifname vmap @ingress
    drop
  }}
  chain delivered {{
    type filter hook input priority 100; policy accept;
    meta mark {{ {established}, {new}, {invalid} }} meta mark set 0
  }}
  chain sent {{
    type filter hook postrouting priority 100; policy accept;
    meta mark {{ {established}, {new}, {invalid} }} meta mark set 0
  }}
{rule_chains}
}}
"""


def _collection(kind: str, name: str, of: str, elements: list[str], flags: str = "") -> str:
    listed = f"elements = {{ {', '.join(elements)} }}" if elements else ""
    return f"{kind} {name} {{ type {of}; {flags} {listed} }}".replace("; ;", ";")


class PortFilter:
    """One guest's port: who it may be, and what it may send and get."""

    def __init__(self, arguments: dict[str, Any], known_groups: set[str]) -> None:
        self.id = names.uuid(arguments["id"])
        self.tap = names.device(arguments["tap"])
        self.bridge = names.device(arguments["bridge"])
        # A host's own bridge stays in the default zone, in which the host's own firewall and NAT know its traffic.
        self.zone: int = arguments["zone"] if names.BRIDGE_PATTERN.fullmatch(self.bridge) else 0
        if not 1 <= arguments["zone"] <= 65535:
            raise names.Unusable(f"A connection-tracking zone is a number from 1 to 65535, not {arguments['zone']}.")
        self.guarded: bool = arguments["port_security"]
        self.addresses = sorted({names.address(address) for address in arguments["addresses"]})
        own = names.mac(arguments["mac"])
        self.identities = [(own, names.network(address)) for address in self.addresses]
        for pair in arguments["allowed_address_pairs"]:
            self.identities.append((names.mac(pair["mac_address"] or own), names.network(pair["ip_address"])))
        self.macs = sorted({own, *(mac for mac, _network in self.identities)})
        self.identities += [(mac, f"{link_local(mac)}/128") for mac in self.macs]
        rules = {direction: set[str]() for direction in ("ingress", "egress")}
        for rule in arguments["rules"]:
            rules[rule["direction"]].add(security_rules.match_of(rule, known_groups))
        self.rules = {direction: sorted(matches) for direction, matches in rules.items()}

    def single(self, is_ipv6: bool) -> list[str]:
        """The identities with one address, as elements of a set."""
        length = "/128" if is_ipv6 else "/32"
        return sorted(
            {
                f'"{self.tap}" . {mac} . {network.removesuffix(length)}'
                for mac, network in self.identities
                if names.is_ipv6(network) == is_ipv6 and network.endswith(length)
            }
        )

    def ranges(self, is_ipv6: bool) -> list[tuple[str, str]]:
        """The identities with a range of addresses."""
        length = "/128" if is_ipv6 else "/32"
        return sorted(
            {
                (mac, network)
                for mac, network in self.identities
                if names.is_ipv6(network) == is_ipv6 and not network.endswith(length)
            }
        )

    def allowances(self) -> list[str]:
        """Everything that this port allows, to be compared with what it allowed before."""
        if not self.guarded:
            return UNFILTERED
        return sorted(f"{direction} {match}" for direction in self.rules for match in self.rules[direction])


def link_local(mac: str) -> str:
    """The IPv6 link-local address that a guest makes of its MAC (RFC 4291, appendix A)."""
    parts = [int(part, 16) for part in mac.split(":")]
    interface_id = bytes([parts[0] ^ 2, *parts[1:3], 0xFF, 0xFE, *parts[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface_id))


def render(ports: list[PortFilter], address_sets: dict[str, list[str]]) -> str:
    """The whole filter as nftables text. Ports with the same rules share a chain, so it stays short."""
    guarded = sorted((port for port in ports if port.guarded), key=lambda port: port.tap)
    zones = sorted({(port.bridge, port.zone) for port in ports if port.zone})
    if len({bridge for bridge, _zone in zones}) != len(zones):
        raise names.Unusable("Ports of one bridge are given different connection-tracking zones.")
    chains: dict[str, list[str]] = {}
    maps: dict[str, list[str]] = {"ingress": [], "egress": []}
    for port in guarded:
        for direction, matches in port.rules.items():
            chain = "rules-" + fingerprint("\n".join(matches))
            chains[chain] = matches
            maps[direction].append(f'"{port.tap}" : jump {chain}')
    bridges = sorted({f'"{port.bridge}"' for port in ports})
    zone_map = ", ".join(f'"{bridge}" : {zone}' for bridge, zone in zones)
    marks = {"established": _ESTABLISHED, "new": _NEW, "invalid": _INVALID}
    inet = _INET.format(
        bridges=_collection("set", "bridges", "ifname", bridges),
        zones=f"ct zone set iifname map {{ {zone_map} }}" if zones else "",
        **marks,
    )
    bridge = _BRIDGE.format(
        guarded=_collection("set", "guarded", "ifname", [f'"{port.tap}"' for port in guarded]),
        macs=_collection(
            "set", "macs", "ifname . ether_addr", [f'"{port.tap}" . {mac}' for port in guarded for mac in port.macs]
        ),
        pairs4=_collection(
            "set",
            "pairs4",
            "ifname . ether_addr . ipv4_addr",
            [pair for port in guarded for pair in port.single(False)],
        ),
        pairs6=_collection(
            "set", "pairs6", "ifname . ether_addr . ipv6_addr", [pair for port in guarded for pair in port.single(True)]
        ),
        targets6=_targets(guarded),
        egress=_collection("map", "egress", "ifname : verdict", maps["egress"]),
        ingress=_collection("map", "ingress", "ifname : verdict", maps["ingress"]),
        arp_ranges=_range_rules(guarded, False, "arp saddr ether {mac} arp saddr ip {network}"),
        ip_ranges=_range_rules(guarded, False, "ether saddr {mac} ip saddr {network}"),
        ip6_ranges=_range_rules(guarded, True, "ether saddr {mac} ip6 saddr {network}"),
        target_ranges=_target_range_rules(guarded),
        rule_chains="\n".join(
            [*_group_sets(address_sets, chains), *(_rule_chain(chain, chains[chain]) for chain in sorted(chains))]
        ),
        **marks,
    )
    return inet + bridge


def _range_rules(ports: list[PortFilter], is_ipv6: bool, form: str) -> str:
    return "\n    ".join(
        f'iifname "{port.tap}" {form.format(mac=mac, network=network)} accept'
        for port in ports
        for mac, network in port.ranges(is_ipv6)
    )


def _targets(ports: list[PortFilter]) -> str:
    """The addresses that guests may say to be theirs in neighbour advertisements (RFC 4861, 4.4).

    nft has a name for that field from 1.0.8 on only, so it is named by its place.
    """
    elements = [
        f'"{port.tap}" . {mac} . {int(ipaddress.IPv6Network(network).network_address):#034x}'
        for port in ports
        for mac, network in sorted(set(port.identities))
        if names.is_ipv6(network) and network.endswith("/128")
    ]
    listed = f"elements = {{ {', '.join(elements)} }}" if elements else ""
    return f"set targets6 {{ typeof iifname . ether saddr . @th,64,128; {listed} }}"


def _target_range_rules(ports: list[PortFilter]) -> str:
    lines = []
    for port in ports:
        for mac, text in port.ranges(True):
            network = ipaddress.IPv6Network(text)
            start = int(network.network_address) >> (128 - network.prefixlen)
            field = f" @th,64,{network.prefixlen} {start:#x}" if network.prefixlen else ""
            lines.append(f'iifname "{port.tap}" ether saddr {mac}{field} return')
    return "\n    ".join(lines)


def _group_sets(address_sets: dict[str, list[str]], chains: dict[str, list[str]]) -> list[str]:
    """The sets of the groups that rules name; the others' members would only make the filter longer."""
    used = " ".join(match for matches in chains.values() for match in matches)
    found = []
    for group in sorted(address_sets):
        for is_ipv6 in (False, True):
            name = security_rules.set_name(group, is_ipv6)
            if f"@{name} " in used:
                elements = collapsed(address_sets[group], is_ipv6)
                flags = "flags interval;" if any("/" in element for element in elements) else ""
                of = "ipv6_addr" if is_ipv6 else "ipv4_addr"
                found.append("  " + _collection("set", name, of, elements, flags))
    return found


def collapsed(addresses: list[str], is_ipv6: bool) -> list[str]:
    """The addresses of one family without overlaps; prefixes are merged only when there is one among them."""
    canonical = {names.network(address) for address in addresses if names.is_ipv6(address) == is_ipv6}
    length = "/128" if is_ipv6 else "/32"
    if all(network.endswith(length) for network in canonical):
        return sorted(network.removesuffix(length) for network in canonical)
    if is_ipv6:
        merged = [str(network) for network in ipaddress.collapse_addresses(map(ipaddress.IPv6Network, canonical))]
    else:
        merged = [str(network) for network in ipaddress.collapse_addresses(map(ipaddress.IPv4Network, canonical))]
    return [network.removesuffix(length) for network in merged]


def _rule_chain(name: str, matches: list[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {match}\n" for match in matches) + "  }"
