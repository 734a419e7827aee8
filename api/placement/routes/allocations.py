"""/allocations, /usages and /reshaper: what consumers hold."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.http.current import context, read_session, write_session
from api.http.microversions import at_least, available, microversion
from api.http.responses import empty
from api.http.validation import json_body
from api.placement import allocations, schemas
from api.placement.allocations import NOBODY, UNCHECKED
from api.placement.claims import Claim
from api.placement.routes.base import allow, answer, blueprint, consumer


def _claim(consumer_id: str, body: dict[str, Any]) -> tuple[Claim, object]:
    """The claim that a body states, and the consumer's generation that it was made for."""
    claim = Claim(
        consumer_id, body.get("project_id", NOBODY), body.get("user_id", NOBODY),
        allocations.described(body["allocations"]), body.get("consumer_type"),
    )  # fmt: skip
    return claim, body.get("consumer_generation", UNCHECKED)


@blueprint.get("/allocations/<consumer_uuid>")
def show_allocations(consumer_uuid: str) -> Response:
    allow("allocations:list")
    owner, held = allocations.of_consumer(read_session(), consumer(consumer_uuid))
    body: dict[str, Any] = {"allocations": held}
    if owner is not None and held:
        if at_least(1, 12):
            body |= {"project_id": owner.project_id, "user_id": owner.user_id}
        if at_least(1, 28):
            body["consumer_generation"] = owner.generation
        if at_least(1, 38):
            body["consumer_type"] = owner.type or allocations.UNKNOWN_TYPE
    return answer(body)


@blueprint.put("/allocations/<consumer_uuid>")
def set_allocations(consumer_uuid: str) -> Response:
    allow("allocations:update")
    body = json_body(schemas.allocations(microversion()))
    allocations.write(write_session(), [_claim(consumer(consumer_uuid), body)])
    return empty()


@blueprint.delete("/allocations/<consumer_uuid>")
def delete_allocations(consumer_uuid: str) -> Response:
    allow("allocations:delete")
    allocations.release(write_session(), consumer(consumer_uuid))
    return empty()


@blueprint.post("/allocations")
@available(since=(1, 13))
def set_many_allocations() -> Response:
    allow("allocations:manage")
    body = json_body(schemas.consumers(microversion()))
    allocations.write(write_session(), [_claim(consumer(name), item) for name, item in body.items()])
    return empty()


@blueprint.get("/usages")
@available(since=(1, 9))
def show_usages() -> Response:
    query = (schemas.USAGES_BY_TYPE if at_least(1, 38) else schemas.USAGES).check(request.args.to_dict())
    project_id, user_id = query["project_id"], query.get("user_id")
    allow("usages", {"project_id": project_id, "user_id": context().user_id})
    if at_least(1, 38):
        kind = query.get("consumer_type")
        return answer({"usages": allocations.usages_by_type(read_session(), project_id, user_id, kind)})
    return answer({"usages": allocations.usages(read_session(), project_id, user_id)})


@blueprint.post("/reshaper")
@available(since=(1, 30))
def reshape() -> Response:
    body = json_body(schemas.reshape(microversion()))
    allow("reshaper:reshape")
    inventories = {
        name.lower(): (item["resource_provider_generation"], item["inventories"])
        for name, item in body["inventories"].items()
    }
    wanted = [_claim(consumer(name), item) for name, item in body["allocations"].items()]
    allocations.reshape(write_session(), inventories, wanted)
    return empty()
