"""/v3/regions, /v3/services, /v3/endpoints, and the caller's catalog."""

from __future__ import annotations

from flask import Response
from sqlalchemy import select

from api.http.current import context, read_session, write_session
from api.http.faults import Forbidden
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import catalog, effective, endpoints, rows, schemas
from api.identity.models import CatalogService, Endpoint, Region
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, listing, plain_list

_REGION_FILTERS = {"id": Region.id, "parent_region_id": Region.parent_region_id}
_SERVICE_FILTERS = {"id": CatalogService.id, "type": CatalogService.type, "name": CatalogService.name}
_ENDPOINT_FILTERS = {
    "id": Endpoint.id, "interface": Endpoint.interface, "service_id": Endpoint.service_id,
    "region_id": Endpoint.region_id,
}  # fmt: skip


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


@blueprint.get("/v3/regions")
def list_regions() -> Response:
    authorize("list_regions")
    return listing("regions", "regions", select(Region), _REGION_FILTERS,
                   lambda _, found: [endpoints.region_view(region) for region in found], order="id")  # fmt: skip


@blueprint.post("/v3/regions")
def create_region() -> Response:
    given = json_body(schemas.REGION_CREATE)["region"]
    authorize("create_region")
    return json_response({"region": endpoints.region_view(endpoints.create_region(write_session(), given))}, 201)


@blueprint.get("/v3/regions/<region_id>")
def show_region(region_id: str) -> Response:
    authorize("get_region")
    return json_response({"region": endpoints.region_view(rows.get(read_session(), Region, region_id, "region"))})


@blueprint.patch("/v3/regions/<region_id>")
def update_region(region_id: str) -> Response:
    given = json_body(schemas.REGION_UPDATE)["region"]
    authorize("update_region")
    return json_response({"region": endpoints.region_view(endpoints.change_region(write_session(), region_id, given))})


@blueprint.delete("/v3/regions/<region_id>")
def delete_region(region_id: str) -> Response:
    authorize("delete_region")
    endpoints.remove_region(write_session(), region_id)
    return empty()


@blueprint.get("/v3/services")
def list_services() -> Response:
    authorize("list_services")
    return listing("services", "services", select(CatalogService), _SERVICE_FILTERS,
                   lambda _, found: [endpoints.service_view(service) for service in found], order="type")  # fmt: skip


@blueprint.post("/v3/services")
def create_service() -> Response:
    given = json_body(schemas.SERVICE_CREATE)["service"]
    authorize("create_service")
    return json_response({"service": endpoints.service_view(endpoints.create_service(write_session(), given))}, 201)


@blueprint.get("/v3/services/<service_id>")
def show_service(service_id: str) -> Response:
    authorize("get_service")
    service = rows.get(read_session(), CatalogService, service_id, "service")
    return json_response({"service": endpoints.service_view(service)})


@blueprint.patch("/v3/services/<service_id>")
def update_service(service_id: str) -> Response:
    given = json_body(schemas.SERVICE_UPDATE)["service"]
    authorize("update_service")
    service = endpoints.change_service(write_session(), service_id, given)
    return json_response({"service": endpoints.service_view(service)})


@blueprint.delete("/v3/services/<service_id>")
def delete_service(service_id: str) -> Response:
    authorize("delete_service")
    endpoints.remove_service(write_session(), service_id)
    return empty()


@blueprint.get("/v3/endpoints")
def list_endpoints() -> Response:
    authorize("list_endpoints")
    return listing("endpoints", "endpoints", select(Endpoint), _ENDPOINT_FILTERS,
                   lambda _, found: [endpoints.endpoint_view(endpoint) for endpoint in found], order="id")  # fmt: skip


@blueprint.post("/v3/endpoints")
def create_endpoint() -> Response:
    given = json_body(schemas.ENDPOINT_CREATE)["endpoint"]
    authorize("create_endpoint")
    endpoint = endpoints.create_endpoint(write_session(), given)
    return json_response({"endpoint": endpoints.endpoint_view(endpoint)}, 201)


@blueprint.get("/v3/endpoints/<endpoint_id>")
def show_endpoint(endpoint_id: str) -> Response:
    authorize("get_endpoint")
    endpoint = rows.get(read_session(), Endpoint, endpoint_id, "endpoint")
    return json_response({"endpoint": endpoints.endpoint_view(endpoint)})


@blueprint.patch("/v3/endpoints/<endpoint_id>")
def update_endpoint(endpoint_id: str) -> Response:
    given = json_body(schemas.ENDPOINT_UPDATE)["endpoint"]
    authorize("update_endpoint")
    endpoint = endpoints.change_endpoint(write_session(), endpoint_id, given)
    return json_response({"endpoint": endpoints.endpoint_view(endpoint)})


@blueprint.delete("/v3/endpoints/<endpoint_id>")
def delete_endpoint(endpoint_id: str) -> Response:
    authorize("delete_endpoint")
    endpoints.remove_endpoint(write_session(), endpoint_id)
    return empty()
