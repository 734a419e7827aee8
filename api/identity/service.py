"""What other rooms may use of identity; everything else here is private (docs/contracts.md)."""

from __future__ import annotations

import logging

from sqlalchemy.orm import Session

from api.db import events
from api.http.context import Context
from api.identity import credentials, hanging, tokens, versions
from api.identity.models import Project

__all__ = ["authenticate_token", "close", "get_project", "subscribe"]

log = logging.getLogger("stratiform.identity")


def authenticate_token(token: str, request_id: str, global_request_id: str | None) -> Context | None:
    """The caller who carries this token, or None when it does not hold."""
    try:
        return tokens.validate(token).context(request_id, global_request_id)
    except tokens.InvalidToken as error:
        log.info("%s carries a token that does not hold: %s", request_id, error)
        return None


def get_project(session: Session, project_id: str) -> Project | None:
    """The project of that id, or None. A domain is no project."""
    project = session.get(Project, project_id)
    return None if project is None or project.is_domain else project


def subscribe() -> None:
    """Listens to what happens in this room itself."""
    events.subscribe("project.before_delete", credentials.forget_project)
    events.subscribe("project.hangs_on", hanging.tell)
    events.subscribe("project.purge", hanging.purge)


def close() -> None:
    """Closes what this process keeps open (tests, tools)."""
    versions.close()
