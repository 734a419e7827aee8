"""What of identity hangs on a project: projects below it, application credentials, trusts, credentials."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.hanging import Hanging, Purge
from api.identity.models import ApplicationCredential, Credential, Project, Trust


def tell(session: Session, *, project_id: str, found: list[Hanging]) -> None:
    """Adds them to `found`."""
    for project in session.scalars(select(Project).where(Project.parent_id == project_id)):
        found.append(Hanging("identity.project", project.id, project.name))
    query = select(ApplicationCredential).where(ApplicationCredential.project_id == project_id)
    for credential in session.scalars(query):
        found.append(Hanging("identity.application_credential", credential.id, credential.name))
    for trust_id in session.scalars(select(Trust.id).where(Trust.project_id == project_id)):
        found.append(Hanging("identity.trust", trust_id))
    for row in session.execute(select(Credential.id, Credential.type).where(Credential.project_id == project_id)):
        found.append(Hanging("identity.credential", row.id, row.type))


def purge(session: Session, *, context: Context, purge: Purge) -> None:
    """Removes them; projects below stay: each is purged and deleted by itself."""
    for table in (ApplicationCredential, Trust, Credential):
        ids = session.scalars(select(table.id).where(table.project_id == context.project_id)).all()
        if ids:
            session.execute(delete(table).where(table.id.in_(ids)))
            purge.removed += len(ids)
    for project_id in session.scalars(select(Project.id).where(Project.parent_id == context.project_id)):
        purge.refused[("identity.project", project_id)] = "Purge and delete the project below by itself."
