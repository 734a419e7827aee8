"""Tokens: what one says, whether it still holds, and this process's copies of those already looked at.

Nothing of a token is stored. Each validation reads user, scope and roles as they are now; a copy of the result is kept
for as long as the number of api/identity/versions.py stays the same.
"""

from __future__ import annotations

import datetime
import threading
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.orm import Session, aliased

from api.config import settings
from api.db.base import utcnow
from api.db.session import Database, database
from api.http.context import Context
from api.http.responses import iso_zeros
from api.identity import access_rules, catalog, effective, fernet, password_rules, times, trusts, versions
from api.identity.models import PROJECT, SYSTEM_TARGET, ApplicationCredential, Project, RevokedToken, Trust, User
from api.identity.payload import METHODS, InvalidPayload, Payload, new_audit_id, unpack

CACHED_TOKENS = 4096
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_Domain = aliased(Project)


class InvalidToken(Exception):
    """The token does not hold (any more); the message says why, for the log alone."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a valid token says: its payload, its body as the API shows it (without catalog), the roles' names."""

    payload: Payload
    body: dict[str, Any]
    roles: tuple[str, ...]
    number: int

    @property
    def project_id(self) -> str | None:
        """The project of its scope."""
        return self.payload.scope_id if self.payload.scope == "project" else None

    @property
    def user_id(self) -> str:
        """Whom the token speaks for: with an impersonating trust the trustor, else who authenticated."""
        user_id: str = self.body["user"]["id"]
        return user_id

    def context(self, request_id: str, global_request_id: str | None) -> Context:
        """The caller of a request that carries this token."""
        user, project = self.body["user"], self.body.get("project", {})
        return Context(
            request_id=request_id, global_request_id=global_request_id,
            user_id=user["id"], user_name=user["name"], user_domain_id=user["domain"]["id"],
            project_id=project.get("id"), project_name=project.get("name"),
            project_domain_id=project["domain"]["id"] if project else None,
            domain_id=self.payload.scope_id if self.payload.scope == "domain" else None,
            system_scope=SYSTEM_TARGET if self.payload.scope == "system" else None,
            roles=self.roles, token=self.body,
        )  # fmt: skip


def issue(
    session: Session, *, user_id: str, methods: tuple[str, ...], scope: str, scope_id: str | None,
    application_credential_id: str | None = None, expires_us: int | None = None, parent_audit_id: str | None = None,
    trust_id: str | None = None,
) -> tuple[str, Subject]:  # fmt: skip
    """A new token and what it says; InvalidToken when the user may not have it."""
    issued_us = time.time_ns() // 1000
    payload = Payload(
        user_id=user_id, methods=tuple(method for method in METHODS if method in methods),
        scope=scope, scope_id=scope_id, application_credential_id=application_credential_id, issued_us=issued_us,
        expires_us=expires_us or issued_us + settings().identity.token_lifetime_s * 1_000_000,
        audit_ids=(new_audit_id(), *((parent_audit_id,) if parent_audit_id else ())),
        trust_id=trust_id,
    )  # fmt: skip
    subject = examine(session, payload)
    token = fernet.encrypt(payload.pack())
    _cache().put(token, subject)
    return token, subject


def validate(token: str) -> Subject:
    """What the token says, if it holds now; InvalidToken otherwise."""
    cache = _cache()
    current = versions.current()
    known = cache.get(token, current)
    if known is None:
        known = _look_at(token)
        cache.put(token, known)
    elif known.payload.expires_us <= time.time_ns() // 1000:
        raise InvalidToken("expired")
    return known


def _look_at(token: str) -> Subject:
    raw = fernet.decrypt(token)
    if raw is None:
        raise InvalidToken("not made by a key of ours")
    try:
        payload = unpack(raw)
    except InvalidPayload as error:
        raise InvalidToken(str(error)) from error
    with database().read() as session:
        return examine(session, payload)


def examine(session: Session, payload: Payload) -> Subject:
    """What a payload says as things stand in the session's transaction; InvalidToken when it does not hold."""
    number = versions.number(session)
    if payload.expires_us <= time.time_ns() // 1000:
        raise InvalidToken("expired")
    issued = _time(payload.issued_us)
    if session.scalar(select(RevokedToken.audit_id).where(RevokedToken.audit_id == payload.audit_ids[0])):
        raise InvalidToken("revoked")
    user = _living_user(session, payload.user_id, issued)
    trust = trusts.holding(session, payload.trust_id) if payload.trust_id else None
    if payload.trust_id:
        if trust is None or trust.trustee_user_id != user.id or trust.project_id != payload.scope_id:
            raise InvalidToken("the trust is over")
        trustor = _living_user(session, trust.trustor_user_id, issued)
        user = trustor if trust.impersonation else user
    end = password_rules.expires_at(user) if user.password_hash else None
    body: dict[str, Any] = {
        "methods": list(payload.methods),
        "user": {
            "id": user.id, "name": user.name, "domain": {"id": user.domain_id, "name": user.domain_name},
            "password_expires_at": times.iso_micro(end),
        },
        "audit_ids": list(payload.audit_ids), "expires_at": iso_zeros(_time(payload.expires_us)),
        "issued_at": iso_zeros(issued),
    }  # fmt: skip
    if trust is not None:
        body["OS-TRUST:trust"] = trusts.token_view(trust)
    if payload.scope == "project":
        body |= _project_scope(session, payload, issued)
    elif payload.scope == "domain":
        body |= _domain_scope(session, payload, issued)
    elif payload.scope == "system":
        body["system"] = {SYSTEM_TARGET: True}
    names: tuple[str, ...] = ()
    if payload.scope != "unscoped":
        roles = _trusted_roles(session, trust) if trust is not None else _roles(session, payload, body)
        if not roles:
            raise InvalidToken("the user has no role there")
        body["roles"] = [{"id": role_id, "name": name} for role_id, name in roles]
        names = tuple(name for _, name in roles)
    return Subject(payload, body, names, number)


def _living_user(session: Session, user_id: str, issued: datetime.datetime) -> Row[Any]:
    user = find_user(session, User.id == user_id)
    if user is None or not (user.enabled and user.domain_enabled):
        raise InvalidToken("the user is gone or disabled")
    _check_age(issued, user.valid_after, user.domain_valid_after)
    return user


def _trusted_roles(session: Session, trust: Trust) -> list[tuple[str, str]]:
    """The trust's roles and what they imply; the trustor must still have each of them."""
    held = effective.roles_on(session, trust.trustor_user_id, PROJECT, trust.project_id)
    if set(trust.role_ids) - {role_id for role_id, _ in held}:
        raise InvalidToken("the trustor has not all of the trust's roles any more")
    granted = effective.closure(trust.role_ids, effective.implications(session))
    return [role for role in held if role[0] in granted]


def _project_scope(session: Session, payload: Payload, issued: datetime.datetime) -> dict[str, Any]:
    project = session.execute(
        select(Project.id, Project.name, Project.enabled, Project.tokens_valid_after.label("valid_after"),
               _Domain.id.label("domain_id"), _Domain.name.label("domain_name"),
               _Domain.enabled.label("domain_enabled"), _Domain.tokens_valid_after.label("domain_valid_after"))
        .join(_Domain, _Domain.id == Project.domain_id).where(Project.id == payload.scope_id)
    ).one_or_none()  # fmt: skip
    if project is None or not (project.enabled and project.domain_enabled):
        raise InvalidToken("the project is gone or disabled")
    _check_age(issued, project.valid_after, project.domain_valid_after)
    domain = {"id": project.domain_id, "name": project.domain_name}
    return {"project": {"id": project.id, "name": project.name, "domain": domain}, "is_domain": False}


def _domain_scope(session: Session, payload: Payload, issued: datetime.datetime) -> dict[str, Any]:
    domain = session.execute(
        select(Project.id, Project.name, Project.enabled, Project.tokens_valid_after)
        .where(Project.id == payload.scope_id, Project.is_domain.is_(True))
    ).one_or_none()  # fmt: skip
    if domain is None or not domain.enabled:
        raise InvalidToken("the domain is gone or disabled")
    _check_age(issued, domain.tokens_valid_after)
    return {"domain": {"id": domain.id, "name": domain.name}}


def _roles(session: Session, payload: Payload, body: dict[str, Any]) -> list[tuple[str, str]]:
    roles = effective.roles_on(session, payload.user_id, payload.scope, payload.scope_id)
    if payload.application_credential_id is None:
        return roles
    credential = session.get(ApplicationCredential, payload.application_credential_id)
    if credential is None or credential.user_id != payload.user_id or credential.project_id != payload.scope_id:
        raise InvalidToken("the application credential is gone")
    if credential.expires_at and credential.expires_at <= utcnow():
        raise InvalidToken("the application credential expired")
    body["application_credential"] = {
        "id": credential.id, "name": credential.name, "restricted": not credential.unrestricted}  # fmt: skip
    if credential.access_rule_ids is not None:
        known = access_rules.by_id(session, credential.user_id)
        body["application_credential"]["access_rules"] = [
            access_rules.reference(known[id_]) for id_ in credential.access_rule_ids if id_ in known
        ]
    granted = effective.closure(credential.role_ids, effective.implications(session))
    return [role for role in roles if role[0] in granted]


def find_user(session: Session, *where: Any) -> Row[Any] | None:
    """One user with its domain, as columns."""
    query: Any = (
        select(User.id, User.name, User.enabled, User.default_project_id, User.password_hash, User.options,
               User.password_at, User.created_at, User.must_change_password,
               User.tokens_valid_after.label("valid_after"), _Domain.id.label("domain_id"),
               _Domain.name.label("domain_name"), _Domain.enabled.label("domain_enabled"),
               _Domain.tokens_valid_after.label("domain_valid_after"))
        .join(_Domain, _Domain.id == User.domain_id).where(*where)
    )  # fmt: skip
    row: Row[Any] | None = session.execute(query).one_or_none()
    return row


def revoke(session: Session, payload: Payload) -> None:
    """Ends one token, and forgets revocations of tokens that are over anyway."""
    session.execute(delete(RevokedToken).where(RevokedToken.expires_at < utcnow()))
    if session.get(RevokedToken, payload.audit_ids[0]) is None:
        session.add(RevokedToken(audit_id=payload.audit_ids[0], expires_at=_time(payload.expires_us)))


def catalog_of(session: Session, subject: Subject) -> list[dict[str, Any]]:
    """The catalog for the token's holder."""
    templates = _cache().catalog(session, subject.number)
    return catalog.render(templates, subject.user_id, subject.project_id)


def _check_age(issued: datetime.datetime, *limits: datetime.datetime | None) -> None:
    if any(limit is not None and issued < limit for limit in limits):
        raise InvalidToken("older than a change that ended the tokens")


def _time(microseconds: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=microseconds)


class _Cache:
    """Subjects by token, and the catalog. The oldest half is dropped when it is full."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._subjects: dict[str, Subject] = {}
        self._lock = threading.Lock()
        self._catalog: tuple[int, catalog.Catalog] = (-1, catalog.Catalog())

    def catalog(self, session: Session, number: int) -> catalog.Catalog:
        """The catalog's templates as of the number, or newer."""
        known, templates = self._catalog
        if known != number:
            seen, templates = versions.number(session), catalog.load(session)
            self._catalog = (seen, templates)
        return templates

    def get(self, token: str, number: int) -> Subject | None:
        subject = self._subjects.get(token)
        return subject if subject is not None and subject.number == number else None

    def put(self, token: str, subject: Subject) -> None:
        with self._lock:
            if len(self._subjects) >= CACHED_TOKENS:
                for old in list(self._subjects)[: CACHED_TOKENS // 2]:
                    del self._subjects[old]
            self._subjects[token] = subject


_current: _Cache | None = None


def _cache() -> _Cache:
    global _current
    db = database()
    if _current is None or _current.db is not db:
        _current = _Cache(db)
    return _current
