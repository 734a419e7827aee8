"""Who the caller of POST /v3/auth/tokens is, and the token for it. Every refusal looks the same from outside (401)."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import utcnow
from api.db.session import database
from api.http.faults import Forbidden, NotFound, Unauthorized
from api.identity import credentials, effective, password_rules, passwords, signatures, tokens, trusts
from api.identity.models import PROJECT, ApplicationCredential, LoginFailure, Project, User

log = logging.getLogger("stratiform.identity")
REFUSED = "The request you have made requires authentication."


def refused(why: str) -> Unauthorized:
    """The one 401 there is; `why` goes to the log, without names or secrets."""
    log.info("authentication refused: %s", why)
    return Unauthorized(REFUSED)


@dataclass
class _Proof:
    """What the methods proved together."""

    user_id: str | None = None
    expires_us: int | None = None
    parent_audit_id: str | None = None
    credential_id: str | None = None
    trust_id: str | None = None
    scope: tuple[str, str | None] | None = None
    earlier_methods: tuple[str, ...] = ()

    def is_user(self, user_id: str) -> None:
        if self.user_id not in (None, user_id):
            raise refused("the methods name different users")
        self.user_id = user_id

    def limit(self, expires_us: int) -> None:
        self.expires_us = min(self.expires_us or expires_us, expires_us)


def authenticate(session: Session, auth: dict[str, Any]) -> tuple[str, tokens.Subject]:
    """The token that the (schema-checked) body asks for; 401 without a reason, 403 where a token may not be used."""
    proof = _Proof()
    methods = tuple(dict.fromkeys(auth["identity"]["methods"]))
    for method in methods:
        if method not in _METHODS or method not in auth["identity"]:
            raise refused(f"method {method[:40]!r} is not there")
        _METHODS[method](session, proof, auth["identity"][method])
    if proof.user_id is None:
        raise refused("no method")
    scope, scope_id = proof.scope or _scope(session, proof, auth.get("scope"))
    if proof.scope is not None and auth.get("scope") is not None:
        raise refused("an application credential has its own scope")
    try:
        issued = tokens.issue(
            session, user_id=proof.user_id, methods=tuple(dict.fromkeys(methods + proof.earlier_methods)),
            scope=scope, scope_id=scope_id, application_credential_id=proof.credential_id,
            expires_us=proof.expires_us, parent_audit_id=proof.parent_audit_id, trust_id=proof.trust_id,
        )  # fmt: skip
    except tokens.InvalidToken as error:
        if proof.trust_id is not None:
            raise Forbidden(f"The trust cannot be used: {error}.") from None
        raise refused(str(error)) from None
    if proof.trust_id is not None and not trusts.use(proof.trust_id):
        raise Forbidden(f"The trust {proof.trust_id} has no uses left.")
    return issued


def _by_password(session: Session, proof: _Proof, given: dict[str, Any]) -> None:
    user = _user(session, given["user"])
    check_password(session, user, given["user"].get("password") or "")
    if user is None or password_rules.must_be_changed(user):
        raise Unauthorized("The password is expired and needs to be changed: POST /v3/users/<user id>/password.")
    proof.is_user(user.id)


def check_password(session: Session, user: Row[Any] | None, password: str) -> None:
    """Refuses a wrong password, an unknown user and a locked account, each after the same time."""
    failure = session.get(LoginFailure, user.id) if user else None
    closed = failure is not None and user is not None and _is_closed(failure, user)
    stored = user.password_hash if user and not closed else None
    right = passwords.verify(stored, password)
    if user is not None and not closed:
        _note(user, password, right=right, failed_before=failure is not None)
    if not right:
        raise refused("the account is closed for a while" if closed else "wrong user or password")


def _is_closed(failure: LoginFailure, user: Row[Any]) -> bool:
    limits = settings().identity
    if not limits.lockout_failures or user.options.get("ignore_lockout_failure_attempts"):
        return False
    age = utcnow() - failure.last_at
    return failure.failures >= limits.lockout_failures and age < datetime.timedelta(seconds=limits.lockout_s)


def _note(user: Row[Any], password: str, *, right: bool, failed_before: bool) -> None:
    """Counts a failure, or forgets them; makes an outdated hash anew. Its own transaction: a refusal rolls back."""
    fresh = passwords.hash_password(password) if right and passwords.is_outdated(user.password_hash) else None
    if right and not failed_before and fresh is None:
        return
    with database().write() as session:
        failure = session.get(LoginFailure, user.id)
        if right:
            if failure is not None:
                session.delete(failure)
            if fresh is not None:
                session.execute(update(User).where(User.id == user.id).values(password_hash=fresh))
            return
        if failure is None:
            if session.get(User, user.id) is not None:  # it may have been deleted meanwhile
                session.add(LoginFailure(user_id=user.id, failures=1, last_at=utcnow()))
            return
        window = datetime.timedelta(seconds=settings().identity.lockout_s)
        failure.failures = failure.failures + 1 if utcnow() - failure.last_at < window else 1
        failure.last_at = utcnow()


def _by_token(session: Session, proof: _Proof, given: dict[str, Any]) -> None:
    try:
        subject = tokens.validate(given["id"])
    except tokens.InvalidToken as error:
        raise refused(str(error)) from None
    payload = subject.payload
    if payload.application_credential_id is not None:
        raise Forbidden("A token of an application credential cannot be exchanged for another token.")
    if payload.trust_id is not None:
        raise Forbidden("A token of a trust cannot be exchanged for another token.")
    proof.is_user(payload.user_id)
    proof.limit(payload.expires_us)
    proof.parent_audit_id = payload.audit_ids[-1]
    proof.earlier_methods = payload.methods


def _by_application_credential(session: Session, proof: _Proof, given: dict[str, Any]) -> None:
    query = select(ApplicationCredential)
    if "id" in given:
        query = query.where(ApplicationCredential.id == given["id"])
    else:
        user = _user(session, given["user"])
        query = query.where(
            ApplicationCredential.name == given["name"], ApplicationCredential.user_id == (user.id if user else None)
        )
    credential = session.scalar(query)
    if not passwords.verify(credential.secret_hash if credential else None, given["secret"]) or credential is None:
        raise refused("wrong application credential or secret")
    proof.is_user(credential.user_id)
    proof.credential_id = credential.id
    proof.scope = (PROJECT, credential.project_id)
    if credential.expires_at:
        proof.limit(min(int(credential.expires_at.timestamp() * 1_000_000), _lifetime_end_us()))


_METHODS = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_application_credential,
}


def _user(session: Session, given: dict[str, Any]) -> Row[Any] | None:
    if "id" in given:
        return tokens.find_user(session, User.id == given["id"])
    domain_id = _domain_id(session, given["domain"])
    return tokens.find_user(session, User.name == given["name"], User.domain_id == domain_id) if domain_id else None


def _domain_id(session: Session, given: dict[str, Any]) -> str | None:
    column, value = (Project.id, given["id"]) if "id" in given else (Project.name, given["name"])
    return session.scalar(select(Project.id).where(column == value, Project.is_domain.is_(True)))


def _scope(session: Session, proof: _Proof, asked: Any) -> tuple[str, str | None]:
    """The scope asked for, or the user's default project where it has a role, or none."""
    if asked is None:
        return _default_scope(session, str(proof.user_id))
    if "OS-TRUST:trust" in asked:
        return _trust_scope(session, proof, asked["OS-TRUST:trust"]["id"])
    if asked == "unscoped" or "unscoped" in asked:
        return "unscoped", None
    if "system" in asked:
        return "system", None
    if "domain" in asked:
        domain_id = _domain_id(session, asked["domain"])
        if domain_id is None:
            raise refused("no such domain")
        return "domain", domain_id
    given = asked["project"]
    where = [Project.id == given["id"]] if "id" in given else [
        Project.name == given["name"], Project.domain_id == _domain_id(session, given["domain"])]  # fmt: skip
    project_id = session.scalar(select(Project.id).where(*where, Project.is_domain.is_(False)))
    if project_id is None:
        raise refused("no such project")
    return "project", project_id


def _trust_scope(session: Session, proof: _Proof, trust_id: str) -> tuple[str, str | None]:
    trust = trusts.holding(session, trust_id)
    if trust is None:
        raise refused("no such trust")
    if trust.trustee_user_id != proof.user_id:
        raise Forbidden("The trust is for another user.")
    proof.trust_id = trust.id
    if trust.expires_at is not None:
        proof.limit(min(int(trust.expires_at.timestamp() * 1_000_000), _lifetime_end_us()))
    return PROJECT, trust.project_id


def _lifetime_end_us() -> int:
    return time.time_ns() // 1000 + settings().identity.token_lifetime_s * 1_000_000


def _default_scope(session: Session, user_id: str) -> tuple[str, str | None]:
    project_id = session.scalar(select(User.default_project_id).where(User.id == user_id))
    if project_id is None:
        return "unscoped", None
    project = session.get(Project, project_id)
    if project is None or project.is_domain or not project.enabled:
        return "unscoped", None
    usable = effective.roles_on(session, user_id, PROJECT, project_id)
    return ("project", project_id) if usable else ("unscoped", None)


def by_ec2(session: Session, given: dict[str, Any]) -> tuple[str, tokens.Subject]:
    """The token for a request that was signed with an EC2 key pair; 401 when it was not."""
    return _by_key_pair(session, given, lambda secret: signatures.is_right(secret, given))


def by_s3(session: Session, given: dict[str, Any]) -> tuple[str, tokens.Subject]:
    """The token for an S3 request whose signed text and signature are given; 401 when they do not fit."""
    return _by_key_pair(
        session, given, lambda secret: signatures.is_right_s3(secret, given["token"], given["signature"])
    )


def _by_key_pair(
    session: Session, given: dict[str, Any], is_right: Callable[[str], bool]
) -> tuple[str, tokens.Subject]:
    try:
        credential = credentials.ec2_by_access(session, given["access"])
    except NotFound:
        raise refused("no such key pair") from None
    if not is_right(credentials.secret_of(credential)):
        raise refused("wrong signature")
    try:
        return tokens.issue(session, user_id=credential.user_id, methods=("ec2credential",), scope=PROJECT,
                            scope_id=credential.project_id)  # fmt: skip
    except tokens.InvalidToken as error:
        raise refused(str(error)) from None
