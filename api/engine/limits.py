"""How many runs a host takes, counted over all engines. Only on PostgreSQL are there several."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from api.db.session import Database
from api.engine.models import RUNNING, Job


def admit(db: Database, number: int, hosts: list[str], per_host: int) -> bool:
    """Notes that a claimed job now runs on `hosts`, unless one of them has `per_host` runs already.

    A job that is claimed but does not run has no hosts. The transaction is alone: no two engines take the last place.
    """
    with db.write() as session:
        others = session.scalars(select(Job.hosts).where(Job.state == RUNNING, Job.number != number))
        busy = Counter(host for taken in others for host in taken)
        if any(busy[host] >= per_host for host in hosts):
            return False
        session.get_one(Job, number).hosts = hosts
        return True
