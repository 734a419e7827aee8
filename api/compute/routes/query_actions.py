"""Queries of a server's host: the API waits for the job's answer."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.compute import hostqueries, lifecycle, schemas
from api.compute.routes.base import answer, target
from api.compute.routes.dispatch import raw_action
from api.db.session import database
from api.http import policy
from api.http.current import context


@raw_action("os-getConsoleOutput")
def console(server_id: str, body: dict[str, Any]) -> Response:
    length = (schemas.CONSOLE.check(body)["os-getConsoleOutput"] or {}).get("length")
    with database().write() as session:
        server = lifecycle.get(session, context(), server_id)
        policy.authorize(context(), "os_compute_api:os-console-output", target(server))
        args = {"length": None if length in (None, "", -1, "-1") else int(length)}
        job_id = hostqueries.ask(session, context(), server, "compute.server.console", args)
    return answer({"output": str(hostqueries.wait(job_id, server_id, "Reading the console").get("output", ""))})
