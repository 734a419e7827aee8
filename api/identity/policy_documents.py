"""/v3/policies: documents that services may fetch. Identity keeps them and does not read them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.identity import rows
from api.identity.links import link
from api.identity.models import PolicyDocument

_COLUMNS = ("type", "blob")


def view(document: PolicyDocument) -> dict[str, Any]:
    """A policy as the API shows it."""
    return {
        **document.extra, "id": document.id, "type": document.type, "blob": document.blob,
        "links": {"self": link("policies", document.id)},
    }  # fmt: skip


def create(session: Session, given: dict[str, Any]) -> PolicyDocument:
    """A new policy."""
    return _store(session, PolicyDocument(), given)


def change(session: Session, policy_id: str, given: dict[str, Any]) -> PolicyDocument:
    """The policy, changed as the body says."""
    return _store(session, rows.get(session, PolicyDocument, policy_id, "policy"), given)


def _store(session: Session, document: PolicyDocument, given: dict[str, Any]) -> PolicyDocument:
    rows.assign(document, given, _COLUMNS)
    session.add(document)
    session.flush()
    return document


def remove(session: Session, policy_id: str) -> None:
    """Deletes a policy."""
    session.delete(rows.get(session, PolicyDocument, policy_id, "policy"))
