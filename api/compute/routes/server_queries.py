"""GET /servers/{id}/diagnostics, and the password that a guest has left for its owner."""

from __future__ import annotations

from flask import Response

from api.compute import diagnostics, hostqueries, lifecycle
from api.compute.routes.base import V2, answer, blueprint, readable, target
from api.db.session import database
from api.http import policy
from api.http.current import context, write_session
from api.http.microversions import microversion
from api.http.responses import empty

PASSWORD = f"{V2}/servers/<server_id>/os-server-password"


@blueprint.get(f"{V2}/servers/<server_id>/diagnostics")
def show_diagnostics(server_id: str) -> Response:
    """A query of the host, waited for without a transaction."""
    with database().write() as session:
        server = lifecycle.get(session, context(), server_id)
        policy.authorize(context(), "os_compute_api:os-server-diagnostics", target(server))
        lifecycle.check(context(), server, "get_diagnostics", locks=False)
        job_id = hostqueries.ask(session, context(), server, "compute.server.diagnostics")
    figures = hostqueries.wait(job_id, server_id, "Reading the diagnostics")["diagnostics"]
    return answer(diagnostics.shown(figures, microversion()))


@blueprint.get(PASSWORD)
def show_password(server_id: str) -> Response:
    return answer({"password": readable(server_id, "os_compute_api:os-server-password:show").guest_password or ""})


@blueprint.delete(PASSWORD)
def clear_password(server_id: str) -> Response:
    rule = "os_compute_api:os-server-password:clear"
    lifecycle.for_change(write_session(), context(), server_id, rule).guest_password = None
    return empty(204)
