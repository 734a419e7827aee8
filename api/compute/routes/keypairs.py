"""/os-keypairs."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.compute import keypairs, queries, quotas, schemas
from api.compute.models import KeyPair
from api.compute.routes.base import V2, answer, blueprint
from api.http import paging, policy
from api.http.current import context, read_session, write_session
from api.http.microversions import at_least, microversion
from api.http.responses import empty, iso_micro
from api.http.validation import json_body


def _owner(rule: str, user_id: str | None = None) -> str:
    """Whose key pairs are meant: the caller's, from 2.10 on anybody's whom policy allows."""
    asked = (user_id or request.args.get("user_id")) if at_least(2, 10) else None
    owner = asked or context().user_id
    policy.authorize(context(), f"os_compute_api:os-keypairs:{rule}", {"user_id": owner})
    return owner


def _brief(pair: KeyPair) -> dict[str, Any]:
    body = {"name": pair.name, "public_key": pair.public_key, "fingerprint": pair.fingerprint}
    return body | {"type": pair.type} if at_least(2, 2) else body


@blueprint.get(f"{V2}/os-keypairs")
def list_keypairs() -> Response:
    owner = _owner("index")
    limit = paging.parse_limit(queries.MAX_LIMIT) if at_least(2, 35) else None
    marker = request.args.get("marker") if at_least(2, 35) else None
    pairs = keypairs.list_pairs(read_session(), owner, marker=marker, limit=None if limit is None else limit + 1)
    shown = pairs if limit is None else pairs[:limit]
    body: dict[str, Any] = {"keypairs": [{"keypair": _brief(pair)} for pair in shown]}
    if len(pairs) > len(shown) and shown:
        link = paging.next_link(f"/compute{V2}/os-keypairs", shown[-1].name, limit)
        body["keypairs_links"] = [{"rel": "next", "href": link}]
    return answer(body)


@blueprint.post(f"{V2}/os-keypairs")
def create_keypair() -> Response:
    body = json_body(schemas.keypair_create(microversion()))["keypair"]
    owner = _owner("create", body.get("user_id"))
    type_ = body.get("type", "ssh")
    material = keypairs.make(type_, owner, body.get("public_key"))
    session = write_session()
    quotas.check_keypairs(session, context().project_id or "", owner)
    pair = keypairs.store(session, owner, body["name"], type_, material)
    shown = _brief(pair) | {"user_id": owner}
    if material.private_key:
        shown["private_key"] = material.private_key
    return answer({"keypair": shown}, 201 if at_least(2, 2) else 200)


@blueprint.get(f"{V2}/os-keypairs/<name>")
def show_keypair(name: str) -> Response:
    pair = keypairs.get(read_session(), _owner("show"), name)
    more = {"user_id": pair.user_id, "id": pair.number, "created_at": iso_micro(pair.created_at), "deleted": False,
            "deleted_at": None, "updated_at": None}  # fmt: skip
    return answer({"keypair": _brief(pair) | more})


@blueprint.delete(f"{V2}/os-keypairs/<name>")
def delete_keypair(name: str) -> Response:
    owner = _owner("delete")
    session = write_session()
    session.delete(keypairs.get(session, owner, name))
    return empty(204 if at_least(2, 2) else 202)

