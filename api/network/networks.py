"""Networks: VNIs, provider attributes, sharing, deletion."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from api.config import settings
from api.db.hosts import list_hosts
from api.http.context import Context
from api.http.faults import NotFound
from api.network import dhcp, faults, jobs, plan, quotas
from api.network.models import DHCP_OWNER, GATEWAY_OWNER, Network, Port, Router, Subnet

VXLAN_OVERHEAD = 50
"""Bytes of outer Ethernet, IPv4, UDP and VXLAN headers (RFC 7348)."""
MIN_MTU = 68
IPV6_MIN_MTU = 1280
ZONES = (1, 65535)
_PROVIDER = ("network_type", "physical_network", "segmentation_id")


def _next_free(session: Session, column: Any, low: int, high: int) -> int:
    """A number of the range that no network has: above the highest in use, else the lowest gap."""
    highest = session.scalar(select(func.max(column)).where(column.between(low, high)))
    if highest is None or highest < high:
        return low if highest is None else int(highest) + 1
    if session.scalar(select(column).where(column == low)) is None:
        return low
    other = aliased(Network)
    behind = getattr(other, column.key)
    gap = session.scalar(
        select(column).where(column.between(low, high - 1), ~select(behind).where(behind == column + 1).exists())
        .order_by(column).limit(1)
    )  # fmt: skip
    if gap is None:
        raise faults.no_network_available()
    return int(gap) + 1


def create(session: Session, context: Context, values: dict[str, Any]) -> Network:
    """A new network; VXLAN unless provider attributes say otherwise."""
    check_zones(session, values.get("availability_zone_hints", []))
    quotas.reserve(session, values["project_id"], "network")
    quotas.lock(session, "network-segments")
    values |= _segment(session, values)
    values["mtu"] = _mtu(values)
    network = Network(**values, zone=_next_free(session, Network.zone, *ZONES))
    if network.is_default:
        _only_default(session, network)
    session.add(network)
    session.flush()
    return network


def check_zones(session: Session, hints: list[str]) -> None:
    """404 for availability zones that no network host is in."""
    if not hints:
        return
    known = {jobs.zone_of(host) for host in list_hosts(session, "network")}
    for hint in hints:
        if hint not in known:
            raise NotFound(f"AvailabilityZone {hint} could not be found.", kind="AvailabilityZoneNotFound")


def _segment(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    type_ = values.get("network_type") or "vxlan"
    physical, number = values.get("physical_network"), values.get("segmentation_id")
    if not values.get("network_type") and (physical or number is not None):
        raise faults.invalid_input("network_type required")
    if type_ == "vxlan":
        low, high = settings().network.vni_range
        if physical:
            raise faults.invalid_input("provider:physical_network specified for vxlan network")
        if number is None:
            number = _next_free(session, Network.segmentation_id, low, high)
        elif not 1 <= number <= 16_777_215:
            raise faults.invalid_input(f"segmentation_id {number} is out of the range 1 to 16777215")
        elif session.scalar(select(Network.id).where(Network.segmentation_id == number)) is not None:
            message = f"Unable to create the network. The tunnel ID {number} is in use."
            raise faults.conflict("TunnelIdInUse", message)
        return {"network_type": type_, "physical_network": None, "segmentation_id": number}
    if type_ not in ("flat", "local"):
        raise faults.invalid_input(f"network_type value '{type_}' not supported")
    if number is not None:
        raise faults.invalid_input(f"segmentation_id specified for {type_} network")
    if type_ == "local":
        if physical:
            raise faults.invalid_input("physical_network specified for local network")
        return {"network_type": type_, "physical_network": None, "segmentation_id": None}
    if not physical:
        raise faults.invalid_input("physical_network required for flat provider network")
    if physical not in settings().network.physical_networks:
        raise faults.invalid_input(f"physical_network '{physical}' unknown for flat provider network")
    if session.scalar(select(Network.id).where(Network.physical_network == physical)) is not None:
        raise faults.conflict("FlatNetworkInUse", "Unable to create the flat network. Physical network "
                              f"{physical} is in use.")  # fmt: skip
    return {"network_type": type_, "physical_network": physical, "segmentation_id": None}


def _mtu(values: dict[str, Any]) -> int:
    largest = settings().network.mtu - (VXLAN_OVERHEAD if values["network_type"] == "vxlan" else 0)
    wanted = values.get("mtu") or largest
    if wanted > largest:
        raise faults.invalid_input(f"Requested MTU is too big, maximum is {largest}")
    if wanted < MIN_MTU:
        raise faults.invalid_input(f"Requested MTU is too small, minimum is {MIN_MTU}")
    return int(wanted)


def _only_default(session: Session, network: Network) -> None:
    if not network.external:
        raise faults.invalid_input("Only an external network can be the default one")
    other = session.scalar(select(Network.id).where(Network.is_default, Network.id != network.id))
    if other is not None:
        raise faults.conflict("DefaultExternalNetworkExists", "A default external network already exists: "
                              f"{other}.")  # fmt: skip


def update(session: Session, context: Context, network: Network, values: dict[str, Any]) -> Network:
    """Changes a network; its hosts learn of what concerns them."""
    if any(key in values and values[key] != getattr(network, key) for key in _PROVIDER):
        raise faults.invalid_input("Plugin does not support updating provider attributes")
    if values.get("shared") is False and network.shared:
        _refuse_unshare(session, network)
    if values.get("external") is False and network.external:
        in_use = Router.gateway_network_id == network.id
        if session.scalar(select(Router.id).where(in_use).limit(1)) is not None:
            raise faults.conflict("ExternalNetworkInUse", f"External network {network.id} cannot be updated to be made "
                                  "non-external, since it has existing gateway ports.")  # fmt: skip
    if "mtu" in values:
        values["mtu"] = _mtu({"network_type": network.network_type, "mtu": values["mtu"]})
        with_ipv6 = select(Subnet.id).where(Subnet.network_id == network.id, Subnet.ip_version == 6)
        if values["mtu"] < IPV6_MIN_MTU and session.scalar(with_ipv6.limit(1)) is not None:
            raise faults.small_mtu(network.id, values["mtu"])
    concerns_hosts = any(values.get(key, getattr(network, key)) != getattr(network, key)
                         for key in ("mtu", "dns_domain"))  # fmt: skip
    for key, value in values.items():
        setattr(network, key, value)
    if values.get("is_default"):
        _only_default(session, network)
    network.bump()
    session.flush()
    if concerns_hosts:
        by = jobs.origin(context)
        jobs.apply_network(session, by, network.id)
        plugged = select(Port.router_id).where(Port.network_id == network.id, Port.router_id.is_not(None)).distinct()
        for router_id in session.scalars(plugged):
            if router_id:
                jobs.apply_router(session, by, router_id, [("network", network.id)])
    return network


def _refuse_unshare(session: Session, network: Network) -> None:
    others = select(Port.id).where(
        Port.network_id == network.id, Port.project_id != network.project_id, Port.device_owner != DHCP_OWNER,
        Port.device_owner != GATEWAY_OWNER, Port.project_id != "",
    )  # fmt: skip
    foreign = select(Subnet.id).where(Subnet.network_id == network.id, Subnet.project_id != network.project_id)
    if session.scalar(others.limit(1)) is not None or session.scalar(foreign.limit(1)) is not None:
        raise faults.conflict("InvalidSharedSetting", "Unable to reconfigure sharing settings for network "
                              f"{network.id}. Multiple projects are using it.")  # fmt: skip


def remove(session: Session, context: Context, network: Network) -> None:
    """Deletes a network that nothing is plugged into, with its subnets and its DHCP."""
    plugged = select(Port.id).where(Port.network_id == network.id, Port.device_owner != DHCP_OWNER)
    if ids := list(session.scalars(plugged.limit(10))):
        raise faults.network_in_use(network.id, "There are one or more ports still in use on the network, id for "
                                    f"these ports is: {','.join(ids)}")  # fmt: skip
    dhcp_host = network.dhcp_host
    if (port := dhcp.dhcp_port(session, network.id)) is not None:
        section = removal_args(session, network, dhcp_host or "")
        session.delete(port)
        session.flush()
        jobs.apply_network(session, jobs.origin(context), network.id, **section)
    for subnet in session.scalars(select(Subnet).where(Subnet.network_id == network.id)):
        session.delete(subnet)
    session.flush()
    session.delete(network)
    session.flush()


def removal_args(session: Session, network: Network, host: str) -> dict[str, Any]:
    """What a job must know to take a network off a host once its rows are gone."""
    port = dhcp.dhcp_port(session, network.id)
    variables = plan.variables_of(session)
    section = plan.network_section(network, host, set(), variables, present=False)
    served = {"bridge": section["bridge"], "mtu": network.mtu, "domain": "", "subnets": [], "hosts": [],
              "metadata": False, "port": {"id": port.id if port else network.id,
                                          "mac": port.mac_address if port else "", "addresses": []}}  # fmt: skip
    return {"removed_hosts": [host], "section": section, "dhcp": served}
