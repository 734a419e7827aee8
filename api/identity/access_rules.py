"""Access rules: the calls that a user's application credentials may be confined to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.faults import BadRequest, Forbidden
from api.identity import rows
from api.identity.links import link
from api.identity.models import AccessRule, ApplicationCredential


def reference(rule: AccessRule) -> dict[str, Any]:
    """A rule as credentials and tokens show it."""
    return {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path}


def view(rule: AccessRule) -> dict[str, Any]:
    """A rule as the API shows it."""
    return reference(rule) | {"links": {"self": link("users", rule.user_id, "access_rules", rule.id)}}


def by_id(session: Session, user_id: str) -> dict[str, AccessRule]:
    """A user's rules."""
    return {rule.id: rule for rule in session.scalars(select(AccessRule).where(AccessRule.user_id == user_id))}


def ids_of(session: Session, user_id: str, given: list[dict[str, str]] | None) -> list[str] | None:
    """The ids of the rules that a body gives, by id or written out; those that the user has not are made."""
    if given is None:
        return None
    known = by_id(session, user_id)
    same = {(rule.service, rule.method, rule.path): rule.id for rule in known.values()}
    found: list[str] = []
    for wanted in given:
        if "id" in wanted:
            if wanted["id"] not in known:
                raise BadRequest(f"Could not find access rule: {wanted['id']}.")
            found.append(wanted["id"])
            continue
        key = (wanted["service"], wanted["method"], wanted["path"])
        if key not in same:
            rule = AccessRule(user_id=user_id, service=key[0], method=key[1], path=key[2])
            session.add(rule)
            session.flush()
            same[key] = rule.id
        found.append(same[key])
    return list(dict.fromkeys(found))


def of_user(session: Session, user_id: str, rule_id: str) -> AccessRule:
    """A user's rule, or 404."""
    rule = session.get(AccessRule, rule_id)
    return rule if rule is not None and rule.user_id == user_id else rows.missing(f"access rule: {rule_id}")


def remove(session: Session, user_id: str, rule_id: str) -> None:
    """Deletes a rule; 403 while an application credential has it."""
    rule = of_user(session, user_id, rule_id)
    lists = session.scalars(
        select(ApplicationCredential.access_rule_ids).where(ApplicationCredential.user_id == user_id)
    )
    if any(rule_id in (ids or ()) for ids in lists):
        raise Forbidden(f"The access rule {rule_id} is in use: delete the application credentials that have it first.")
    session.delete(rule)
