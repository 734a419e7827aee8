"""/v3/regions, /v3/services, /v3/endpoints, /v3/policies, and the caller's catalog."""

from __future__ import annotations

from flask import Response

from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest, Forbidden
from api.http.responses import json_response
from api.http.validation import json_body
from api.identity import catalog, effective, endpoints, policy_documents, schemas
from api.identity.models import CatalogService, Endpoint, PolicyDocument, Region
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, plain_list
from api.identity.routes.records import Records

REGIONS = Records(
    "region", "regions", Region, {"id": Region.id, "parent_region_id": Region.parent_region_id},
    endpoints.region_view, endpoints.create_region, endpoints.change_region, endpoints.remove_region,
    (schemas.REGION_CREATE, schemas.REGION_UPDATE),
)  # fmt: skip
SERVICES = Records(
    "service", "services", CatalogService,
    {"id": CatalogService.id, "type": CatalogService.type, "name": CatalogService.name},
    endpoints.service_view, endpoints.create_service, endpoints.change_service, endpoints.remove_service,
    (schemas.SERVICE_CREATE, schemas.SERVICE_UPDATE), order="type",
)  # fmt: skip
ENDPOINTS = Records(
    "endpoint", "endpoints", Endpoint,
    {"id": Endpoint.id, "interface": Endpoint.interface, "service_id": Endpoint.service_id,
     "region_id": Endpoint.region_id},
    endpoints.endpoint_view, endpoints.create_endpoint, endpoints.change_endpoint, endpoints.remove_endpoint,
    (schemas.ENDPOINT_CREATE, schemas.ENDPOINT_UPDATE),
)  # fmt: skip
POLICIES = Records(
    "policy", "policies", PolicyDocument, {"id": PolicyDocument.id, "type": PolicyDocument.type},
    policy_documents.view, policy_documents.create, policy_documents.change, policy_documents.remove,
    (schemas.POLICY_CREATE, schemas.POLICY_UPDATE),
)  # fmt: skip

for _records in (REGIONS, SERVICES, ENDPOINTS, POLICIES):
    _records.serve()


@blueprint.put("/v3/regions/<region_id>")
def create_region_with_id(region_id: str) -> Response:
    given = json_body(schemas.REGION_CREATE)["region"]
    authorize("create_region")
    if given.get("id", region_id) != region_id:
        raise BadRequest("The id of the URL and that of the body differ.")
    region = endpoints.create_region(write_session(), given | {"id": schemas.REGION_ID.check(region_id)})
    return json_response({"region": endpoints.region_view(region)}, 201)


@blueprint.get("/v3/auth/catalog")
def my_catalog() -> Response:
    caller = context()
    if not (caller.project_id or caller.domain_id or caller.system_scope):
        raise Forbidden("The token has no scope and so no catalog. Ask for a scoped one.")
    shown = catalog.render(catalog.load(read_session()), caller.user_id, caller.project_id)
    return plain_list("catalog", "auth/catalog", shown)


@blueprint.get("/v3/auth/system")
def my_system() -> Response:
    shown = [{"all": True}] if effective.has_system_role(read_session(), context().user_id) else []
    return plain_list("system", "auth/system", shown)
