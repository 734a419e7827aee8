"""/servers/{id}/os-interface."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.compute import interfaces, lifecycle, server_schemas
from api.compute.routes.base import V2, answer, blueprint, readable
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest
from api.http.microversions import at_least, microversion
from api.http.responses import empty
from api.http.validation import json_body
from api.network.service import PortView, RequestedPort

INTERFACES = f"{V2}/servers/<server_id>/os-interface"
_RULE = "os_compute_api:os-attach-interfaces"


def _shown(port: PortView) -> dict[str, Any]:
    body: dict[str, Any] = {
        "port_id": port.id, "net_id": port.network_id, "mac_addr": port.mac, "port_state": port.status,
        "fixed_ips": [{"ip_address": ip.address, "subnet_id": ip.subnet_id} for ip in port.fixed_ips],
    }  # fmt: skip
    return body | {"tag": port.tag} if at_least(2, 70) else body


@blueprint.get(INTERFACES)
def list_interfaces(server_id: str) -> Response:
    server = readable(server_id, f"{_RULE}:list")
    found = interfaces.ports_of(read_session(), server)
    return answer({"interfaceAttachments": [_shown(port) for port in found]})


@blueprint.get(f"{INTERFACES}/<port_id>")
def show_interface(server_id: str, port_id: str) -> Response:
    server = readable(server_id, f"{_RULE}:show")
    return answer({"interfaceAttachment": _shown(interfaces.find(read_session(), server, port_id))})


@blueprint.post(INTERFACES)
def attach_interface(server_id: str) -> Response:
    body = json_body(server_schemas.interface(microversion())).get("interfaceAttachment") or {}
    wanted = _wanted(body)
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, f"{_RULE}:create")
    return answer({"interfaceAttachment": _shown(interfaces.attach(session, context(), server, wanted))})


def _wanted(body: dict[str, Any]) -> RequestedPort | None:
    network_id, port_id = body.get("net_id"), body.get("port_id")
    addresses = body.get("fixed_ips") or []
    if network_id and port_id:
        raise BadRequest("Must not input both network_id and port_id")
    if addresses and not network_id:
        raise BadRequest("Must input network_id when request IP address")
    if not network_id and not port_id:
        return None
    return RequestedPort(network_id, port_id, addresses[0]["ip_address"] if addresses else None, body.get("tag"))


@blueprint.delete(f"{INTERFACES}/<port_id>")
def detach_interface(server_id: str, port_id: str) -> Response:
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, f"{_RULE}:delete")
    interfaces.detach(session, context(), server, port_id)
    return empty(202)
