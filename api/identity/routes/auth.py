"""/v3/auth: tokens, and what the holder of one may see and reach."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.http import policy
from api.http.current import context, public, read_session, write_session
from api.http.faults import BadRequest, NotFound
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import authentication, schemas, tokens
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize


def _shown(subject: tokens.Subject) -> dict[str, Any]:
    """The body of a token, with the catalog unless the query says `nocatalog` or the token has no scope."""
    body = dict(subject.body)
    if subject.payload.scope != "unscoped" and "nocatalog" not in request.args:
        body["catalog"] = tokens.catalog_of(read_session(), subject)
    return {"token": body}


def _subject(rule: str) -> tokens.Subject:
    """The token that X-Subject-Token names, if the caller may do `rule` with it; 404 when it does not hold."""
    token = request.headers.get("X-Subject-Token")
    if not token:
        raise BadRequest("The header X-Subject-Token is missing: send the token in question in it.")
    try:
        subject = tokens.validate(token)
    except tokens.InvalidToken:
        raise NotFound("Failed to validate token") from None
    policy.authorize(context(), rule, {"target.token.user_id": subject.user_id})
    return subject


@blueprint.post("/v3/auth/tokens")
@public
def create_token() -> Response:
    auth = json_body(schemas.AUTHENTICATE)["auth"]
    token, subject = authentication.authenticate(read_session(), auth)
    return json_response(_shown(subject), 201, {"X-Subject-Token": token})


@blueprint.get("/v3/auth/tokens")
def show_token() -> Response:
    subject = _subject("identity:check_token" if request.method == "HEAD" else "identity:validate_token")
    return json_response(_shown(subject), headers={"X-Subject-Token": request.headers["X-Subject-Token"]})


@blueprint.post("/v3/ec2tokens")
def create_ec2_token() -> Response:
    body = json_body(schemas.EC2_SIGNED)
    authorize("ec2tokens_validate")
    given = body.get("ec2Credentials") or body["credentials"]
    token, subject = authentication.by_ec2(read_session(), given)
    return json_response(_shown(subject), headers={"X-Subject-Token": token})


@blueprint.post("/v3/s3tokens")
def create_s3_token() -> Response:
    given = json_body(schemas.S3_SIGNED)["credentials"]
    authorize("s3tokens_validate")
    token, subject = authentication.by_s3(read_session(), given)
    return json_response(_shown(subject), headers={"X-Subject-Token": token})


@blueprint.delete("/v3/auth/tokens")
def revoke_token() -> Response:
    subject = _subject("identity:revoke_token")
    tokens.revoke(write_session(), subject.payload)
    return empty()
