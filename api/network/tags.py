"""Tags of any resource (Neutron's standard-attr-tag)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.http.faults import NotFound
from api.network import faults
from api.network.models import Tag

MAX_LENGTH = 255
MAX_TAGS = 50


def of(session: Session, resource_id: str) -> list[str]:
    """A resource's tags in order."""
    return list(session.scalars(select(Tag.tag).where(Tag.resource_id == resource_id).order_by(Tag.tag)))


def checked(wanted: Any) -> list[str]:
    """The tags of a request, each once; 400 for what cannot be one."""
    if not isinstance(wanted, list):
        raise faults.invalid("Invalid input for tags. Reason: a list of texts is expected.")
    for tag in wanted:
        if not isinstance(tag, str) or not 0 < len(tag) <= MAX_LENGTH or "," in tag:
            raise faults.invalid(f"Invalid input for tags. Reason: {tag!r} is not a text of 1 to {MAX_LENGTH} "
                                 "characters without commas.")  # fmt: skip
    return list(dict.fromkeys(wanted))


def store(session: Session, row: Any, wanted: list[str]) -> list[str]:
    """Makes these the resource's tags."""
    if len(wanted) > MAX_TAGS:
        raise faults.invalid(f"Invalid input for tags. Reason: at most {MAX_TAGS} tags are possible.")
    clear(session, row.id)
    session.add_all(Tag(resource_id=row.id, tag=tag) for tag in wanted)
    row.bump()
    session.flush()
    return sorted(wanted)


def take_away(session: Session, row: Any, tag: str) -> None:
    """Removes one tag; 404 when the resource lacks it."""
    found = session.get(Tag, (row.id, tag))
    if found is None:
        raise NotFound(f"Tag {tag} could not be found.", kind="TagNotFound")
    session.delete(found)
    row.bump()
    session.flush()


def require(session: Session, row: Any, tag: str) -> None:
    """404 unless the resource has the tag."""
    if session.get(Tag, (row.id, tag)) is None:
        raise NotFound(f"Tag {tag} could not be found.", kind="TagNotFound")


def clear(session: Session, resource_id: str) -> None:
    """Removes all tags of a resource."""
    session.execute(delete(Tag).where(Tag.resource_id == resource_id))
