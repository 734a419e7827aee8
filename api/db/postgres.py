"""What PostgreSQL has beyond tables, for those who write: notifications, which wake engines on other hosts."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

CHANNEL = "stratiform_jobs"


def is_postgres(session: Session) -> bool:
    """Whether the session's database is PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


def notify(session: Session) -> None:
    """Wakes every engine once this transaction is committed."""
    if is_postgres(session):
        session.execute(text(f"NOTIFY {CHANNEL}"))
