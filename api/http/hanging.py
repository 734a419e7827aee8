"""What hangs on a project: each room tells of its own, and takes its own away when the project is purged.

Announced (api/db/events.py): `project.hangs_on` with `project_id` and `found`, to which listeners append;
`project.purge` with `context` (an administrator's, in that project) and `purge`, by which they remove what they can.
Knows no Flask: the engine goes on with purges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from api.http.faults import Fault

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Hanging:
    """One thing of a project; `type` as in `compute.server`. `under` is what it goes along with, if that is there."""

    type: str
    id: str
    name: str = ""
    status: str = ""
    under: Key | None = None

    @property
    def key(self) -> Key:
        """What others name it by."""
        return (self.type, self.id)


@dataclass
class Purge:
    """One pass over a project: how many removals it may still try, how many went well, and why others did not."""

    left: int
    removed: int = 0
    refused: dict[Key, str] = field(default_factory=dict)

    def remove(self, session: Session, type_: str, id_: str, removal: Callable[[], object]) -> None:
        """Tries one removal, by itself: a fault is written down and undoes nothing else."""
        if self.left <= 0:
            return
        self.left -= 1
        try:
            with session.begin_nested():
                removal()
        except Fault as fault:
            self.refused[(type_, id_)] = fault.message
        else:
            self.removed += 1


def tree(found: Iterable[Hanging], refused: dict[Key, str] | None = None) -> list[dict[str, Any]]:
    """What was found, each below what it goes along with; `reason` says why a purge could not remove it."""
    items = list(found)
    nodes: dict[Key, dict[str, Any]] = {}
    for item in items:
        nodes[item.key] = {"type": item.type, "id": item.id, "name": item.name, "status": item.status}
        if refused and item.key in refused:
            nodes[item.key]["reason"] = refused[item.key]
        nodes[item.key]["hanging"] = []
    roots: list[dict[str, Any]] = []
    for item in items:
        above = nodes.get(item.under) if item.under is not None else None
        (roots if above is None else above["hanging"]).append(nodes[item.key])
    return roots
