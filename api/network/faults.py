"""The network service's faults under Neutron's exception names: clients read `NeutronError.type`."""

from __future__ import annotations

from api.http.faults import BadRequest, Conflict, Fault, Forbidden, NotFound, ServiceUnavailable


def bad(kind: str, message: str) -> BadRequest:
    """400."""
    return BadRequest(message, kind=kind)


def invalid(message: str) -> BadRequest:
    """400 for a value that its attribute cannot have."""
    return BadRequest(message, kind="HTTPBadRequest")


def invalid_input(message: str, kind: str = "InvalidInput") -> BadRequest:
    """400 for values that do not fit together."""
    return BadRequest(f"Invalid input for operation: {message}.", kind=kind)


def conflict(kind: str, message: str) -> Conflict:
    """409."""
    return Conflict(message, kind=kind)


def forbidden(rule: str) -> Forbidden:
    """403 as policy says it."""
    return Forbidden(f"({rule}) is disallowed by policy", kind="PolicyNotAuthorized")


_NOT_FOUND = {
    "network": ("NetworkNotFound", "Network {} could not be found."),
    "subnet": ("SubnetNotFound", "Subnet {} could not be found."),
    "subnetpool": ("SubnetPoolNotFound", "Subnet pool {} could not be found."),
    "port": ("PortNotFound", "Port {} could not be found."),
    "router": ("RouterNotFound", "Router {} could not be found"),
    "floatingip": ("FloatingIPNotFound", "Floating IP {} could not be found"),
    "security_group": ("SecurityGroupNotFound", "Security group {} does not exist"),
    "security_group_rule": ("SecurityGroupRuleNotFound", "Security group rule {} does not exist"),
    "agent": ("AgentNotFound", "Agent {} could not be found."),
}


def not_found(kind: str, id_: str) -> NotFound:
    """404 of a resource kind."""
    name, message = _NOT_FOUND[kind]
    return NotFound(message.format(id_), kind=name)


def over_quota(resources: list[str]) -> Conflict:
    """409: the project has as much as it may."""
    return conflict("OverQuota", f"Quota exceeded for resources: {resources!r}.")


def no_network_available() -> ServiceUnavailable:
    """503: no VNI or connection-tracking zone is left."""
    return ServiceUnavailable(
        "Unable to create the network. No project network is available for allocation.", kind="NoNetworkAvailable"
    )


def network_in_use(id_: str, reason: str) -> Fault:
    """409."""
    return conflict("NetworkInUse", f"Unable to complete operation on network {id_}. {reason}.")


def small_mtu(id_: str, mtu: int) -> Fault:
    """409: IPv6 needs frames of 1280 bytes (RFC 8200, section 5)."""
    message = f"MTU of {id_} is not valid, subnets of IP version 6 need 1280 bytes: {mtu}."
    return conflict("NetworkMTUSubnetConflict", message)


def subnet_in_use(id_: str, reason: str) -> Fault:
    """409."""
    return conflict("SubnetInUse", f"Unable to complete operation on subnet {id_}: {reason}.")


def ip_in_use(network_id: str, address: str) -> Fault:
    """409."""
    return conflict(
        "IpAddressInUse",
        f"Unable to complete operation for network {network_id}. The IP address {address} is in use.",
    )
