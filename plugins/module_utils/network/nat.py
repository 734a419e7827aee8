"""A router's address translation as nftables text: floating IPs, source NAT, and what must not pass."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.module_utils.network import names

TABLES = ("ip stratiform",)


def _map(name: str, pairs: dict[str, str]) -> str:
    elements = ", ".join(f"{key} : {value}" for key, value in sorted(pairs.items()))
    listed = f"elements = {{ {elements} }}" if elements else ""
    return f"map {name} {{ type ipv4_addr : ipv4_addr; {listed} }}"


def render(gateway: str | None, own_address: str | None, enable_snat: bool, floating: list[tuple[str, str]]) -> str:
    """The router's table. ``gateway`` is the outer interface, ``own_address`` its first IPv4 address.

    A guest that calls a floating IP of its own router leaves and enters inside ("hairpin"): there the source is
    translated too, else the answer would take the short way and not be recognised.
    """
    outgoing, hairpin, forward, to_router = [], [], [], []
    if gateway:
        outgoing.append(f'iifname != "{gateway}" oifname "{gateway}" snat to ip saddr map @fixed')
        hairpin.append(f'iifname != "{gateway}" oifname != "{gateway}" ct status dnat snat to ip saddr map @fixed')
        if own_address:
            hairpin.append(f'iifname != "{gateway}" oifname != "{gateway}" ct status dnat snat to {own_address}')
            if enable_snat:
                outgoing.append(f'iifname != "{gateway}" oifname "{gateway}" snat to {own_address}')
        forward.append("ct state established,related accept")
        forward.append("ct status dnat accept")
        if enable_snat:
            forward.append(f'iifname "{gateway}" drop')
        to_router.append(f'iifname "{gateway}" ip daddr {names.METADATA_ADDRESS} drop')
    by_fixed: dict[str, str] = {}
    for floating_ip, fixed_ip in sorted(floating):
        by_fixed.setdefault(fixed_ip, floating_ip)
    return f"""
table ip stratiform {{
  {_map("floating", dict(floating))}
  {_map("fixed", by_fixed)}
  chain enter {{
    type nat hook prerouting priority dstnat; policy accept;
    dnat to ip daddr map @floating
  }}
  chain leave {{
    type nat hook postrouting priority srcnat; policy accept;
    {_lines(outgoing + hairpin)}
  }}
  chain pass {{
    type filter hook forward priority filter; policy accept;
    {_lines(forward)}
  }}
  chain reach {{
    type filter hook input priority filter; policy accept;
    {_lines(to_router)}
  }}
}}
"""


def _lines(rules: list[str]) -> str:
    return "\n    ".join(rules)
