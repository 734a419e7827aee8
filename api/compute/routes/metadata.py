"""GET /internal/metadata: every document of the guest that asks, for the metadata agents of network hosts."""

from __future__ import annotations

import base64
import hmac

from flask import Response, request

from api.compute import metadata, service
from api.http.current import read_session
from api.http.faults import BadRequest, Forbidden, NotFound
from api.http.internal import internal
from api.http.responses import json_response

SIGNATURE_HEADER = "X-Stratiform-Signature"


@internal("/metadata")
def guest_documents() -> Response:
    """Path -> base64. 403 without the agents' signature, 404 when nobody has the address."""
    given = request.headers.get(SIGNATURE_HEADER, "")
    if not hmac.compare_digest(metadata.signature(request.query_string.decode("latin-1")).encode(), given.encode()):
        raise Forbidden("The request is not signed by a metadata agent of this cloud.")
    network_id, router_id = request.args.get("network_id"), request.args.get("router_id")
    address = request.args.get("address")
    if not address or not (network_id or router_id):
        raise BadRequest("Name the guest: address, and network_id or router_id.")
    found = service.metadata_at(read_session(), network_id=network_id, router_id=router_id, address=address)
    if found is None:
        raise NotFound("No server has this address there.")
    port_id, server, documents = found
    encoded = {path: base64.b64encode(content).decode() for path, content in documents.items()}
    return json_response({"port_id": port_id, "server_id": server.id, "documents": encoded})
