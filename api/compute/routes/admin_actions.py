"""Actions of operators, on what reaches a server, and what this cloud answers without doing."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from api.compute import action_schemas, admin, create, hostqueries, lifecycle, moving, passwords
from api.compute.models import Server
from api.compute.routes.base import answer, target
from api.compute.routes.dispatch import raw_action, server_action
from api.db.session import database
from api.http import policy
from api.http.current import context
from api.http.faults import Gone
from api.http.microversions import at_least
from api.http.responses import empty
from api.network import service as network

PASSWORD_WAIT_S = 20.0
_LAST_PROXY = (2, 43)


@raw_action("changePassword")
def change_password(server_id: str, body: dict[str, Any]) -> Response:
    """The answer waits for the guest's agent, so no transaction is held meanwhile."""
    password = action_schemas.CHANGE_PASSWORD.check(body)["changePassword"]["adminPass"]
    with database().write() as session:
        server = lifecycle.get(session, context(), server_id)
        policy.authorize(context(), "os_compute_api:os-admin-password", target(server))
        job_id = passwords.change(session, context(), server, password)
    hostqueries.wait(job_id, server_id, "Setting the password", PASSWORD_WAIT_S)
    return empty(202)


@server_action("os-resetState", "os-admin-actions:reset_state", action_schemas.RESET_STATE)
def reset_state(session: Session, server: Server, value: Any) -> None:
    admin.reset_state(session, context(), server, value["state"])


@server_action("forceDelete", "os-deferred-delete:force")
def force_delete(session: Session, server: Server, _value: Any) -> None:
    lifecycle.delete(session, context(), server, "forceDelete")


@server_action("restore", "os-deferred-delete:restore")
def restore(_session: Session, server: Server, _value: Any) -> None:
    """Servers are deleted at once in this cloud, so there is none to restore: always 409."""
    lifecycle.check(context(), server, "restore")


@server_action("migrate", "os-migrate-server:migrate", action_schemas.migrate)
def migrate(session: Session, server: Server, value: Any) -> None:
    host = value.get("host") if at_least(2, 56) and value else None
    if host:
        policy.authorize(context(), "os_compute_api:os-migrate-server:migrate:host")
    moving.migrate(session, context(), server, host)


@server_action("os-migrateLive", "os-migrate-server:migrate_live", action_schemas.migrate_live)
def migrate_live(session: Session, server: Server, value: Any) -> None:
    if value["host"]:
        policy.authorize(context(), "os_compute_api:os-migrate-server:migrate_live:host")
    moving.migrate_live(session, context(), server, value["host"])


@server_action("evacuate", "os-evacuate", action_schemas.evacuate)
def evacuate(session: Session, server: Server, value: Any) -> Response:
    moving.evacuate(session, context(), server, value.get("host"))
    password = value.get("adminPass") or create.admin_password()
    return empty(200) if at_least(2, 14) else answer({"adminPass": password})


@server_action("addSecurityGroup", "os-security-groups:add", action_schemas.ADD_GROUP)
def add_security_group(session: Session, server: Server, value: Any) -> None:
    network.add_security_group(session, context(), server.id, server.project_id, value["name"])


@server_action("removeSecurityGroup", "os-security-groups:remove", action_schemas.REMOVE_GROUP)
def remove_security_group(session: Session, server: Server, value: Any) -> None:
    network.remove_security_group(session, context(), server.id, server.project_id, value["name"])


@server_action("addFloatingIp", "os-floating-ips:add", action_schemas.ADD_FLOATING_IP, until=_LAST_PROXY)
def add_floating_ip(session: Session, server: Server, value: Any) -> None:
    network.add_floating_ip(session, context(), server.id, value["address"], value.get("fixed_address"))


@server_action("removeFloatingIp", "os-floating-ips:remove", action_schemas.REMOVE_FLOATING_IP, until=_LAST_PROXY)
def remove_floating_ip(session: Session, server: Server, value: Any) -> None:
    network.remove_floating_ip(session, context(), server.id, value["address"])


@raw_action("resetNetwork")
@raw_action("injectNetworkInfo")
def gone(_server_id: str, _body: dict[str, Any]) -> Response:
    raise Gone("This action was of a hypervisor that OpenStack no longer has.")
