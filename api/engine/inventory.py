"""Brings the hosts table in line with Ansible's inventory, which is where hosts come from."""

from __future__ import annotations

import logging
from typing import Any

from api.db.hosts import Host, list_hosts
from api.db.session import Database

log = logging.getLogger("stratiform.engine")


def sync(db: Database, hosts: dict[str, dict[str, Any]]) -> bool:
    """Adds, changes and removes rows as the inventory says (host -> groups, variables); whether any differed."""
    with db.read() as session:
        known = {host.name: (host.groups, host.variables) for host in list_hosts(session)}
    wanted = {name: (host["groups"], host["variables"]) for name, host in hosts.items()}
    if known == wanted:
        return False
    with db.write() as session:
        rows = {host.name: host for host in list_hosts(session)}
        for name, (groups, variables) in wanted.items():
            row = rows.pop(name, None)
            if row is None:
                session.add(Host(name=name, groups=groups, variables=variables))
            else:
                row.groups, row.variables = groups, variables
        for row in rows.values():
            session.delete(row)
    log.info("inventory: %d hosts, %d removed", len(wanted), len(set(known) - set(wanted)))
    return True
