"""Credentials that identity keeps for users (/v3/credentials); those of type `ec2` are EC2 key pairs."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.http.faults import BadRequest, Conflict
from api.identity import rows, sealing
from api.identity.links import link
from api.identity.models import Credential, Project, User

EC2 = "ec2"


def view(credential: Credential) -> dict[str, Any]:
    """A credential as the API shows it, its content included."""
    return {
        **credential.extra, "id": credential.id, "type": credential.type, "user_id": credential.user_id,
        "project_id": credential.project_id, "blob": sealing.unseal(credential.sealed),
        "links": {"self": link("credentials", credential.id)},
    }  # fmt: skip


def create(session: Session, given: dict[str, Any], user_id: str) -> Credential:
    """A new credential of the user; an EC2 one has its id from its access key, so that it is found by that."""
    rows.get(session, User, user_id, "user")
    credential = Credential(
        user_id=user_id, project_id=given.get("project_id"), type=given["type"], sealed=sealing.seal(given["blob"]),
        extra=_extra(given),
    )  # fmt: skip
    if credential.type == EC2:
        if credential.project_id is None:
            raise BadRequest("A credential of type ec2 is for a project: name it in project_id.")
        credential.id = ec2_id(_ec2_content(given["blob"])["access"])
        if session.get(Credential, credential.id) is not None:
            raise Conflict("Conflict occurred attempting to store credential - its access key is taken.")
    session.add(credential)
    session.flush()
    return credential


def _extra(given: dict[str, Any]) -> dict[str, Any]:
    known = ("id", "type", "user_id", "project_id", "blob", "links")
    return {name: value for name, value in given.items() if name not in known}


def change(session: Session, credential_id: str, given: dict[str, Any]) -> Credential:
    """Gives a credential another content; whose, what for and of what type it is stays."""
    credential = rows.get(session, Credential, credential_id, "credential")
    for name in ("id", "type", "user_id", "project_id"):
        if name in given and given[name] != getattr(credential, name):
            raise BadRequest(f"{name} of a credential cannot be changed: make another one.")
    if "blob" in given:
        if credential.type == EC2:
            _ec2_content(given["blob"])
        credential.sealed = sealing.seal(given["blob"])
    credential.extra = {**credential.extra, **_extra(given)}
    session.flush()
    return credential


def remove(session: Session, credential_id: str) -> None:
    """Deletes a credential."""
    session.delete(rows.get(session, Credential, credential_id, "credential"))


def forget_project(session: Session, *, project_id: str) -> None:
    """A project's credentials go with it."""
    session.execute(delete(Credential).where(Credential.project_id == project_id))


def ec2_id(access: str) -> str:
    """The id of the EC2 credential with this access key."""
    return hashlib.sha256(access.encode()).hexdigest()


def _ec2_content(blob: str) -> dict[str, Any]:
    try:
        content = orjson.loads(blob)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or not all(isinstance(content.get(name), str) for name in ("access", "secret")):
        raise BadRequest('The blob of an ec2 credential is JSON text: {"access": "...", "secret": "..."}.')
    return content


def ec2_view(credential: Credential) -> dict[str, Any]:
    """An EC2 key pair as /v3/users/<id>/credentials/OS-EC2 shows it."""
    content = _ec2_content(sealing.unseal(credential.sealed))
    return {
        "user_id": credential.user_id, "tenant_id": credential.project_id, "access": content["access"],
        "secret": content["secret"], "trust_id": None,
        "links": {"self": link("users", credential.user_id, "credentials", "OS-EC2", content["access"])},
    }  # fmt: skip


def create_ec2(session: Session, user_id: str, project_id: str) -> Credential:
    """A new EC2 key pair of the user for a project."""
    rows.get(session, Project, project_id, "project")
    blob = orjson.dumps({"access": uuid.uuid4().hex, "secret": uuid.uuid4().hex, "trust_id": None}).decode()
    return create(session, {"type": EC2, "project_id": project_id, "blob": blob}, user_id)


def ec2_of_user(session: Session, user_id: str) -> list[Credential]:
    """A user's EC2 key pairs."""
    query = select(Credential).where(Credential.user_id == user_id, Credential.type == EC2).order_by(Credential.id)
    return list(session.scalars(query))


def ec2_by_access(session: Session, access: str, user_id: str | None = None) -> Credential:
    """The key pair with this access key (of this user), or 404."""
    found = session.get(Credential, ec2_id(access))
    if found is None or found.type != EC2 or user_id not in (None, found.user_id):
        rows.missing(f"credential: {access}")
    return found


def secret_of(credential: Credential) -> str:
    """An EC2 key pair's secret."""
    secret: str = _ec2_content(sealing.unseal(credential.sealed))["secret"]
    return secret
