"""Metrics for Prometheus: with a token, and on the operator's own address (HAProxy's frontend `metrics`) without."""

from __future__ import annotations

from flask import Response, request

from api.http import policy
from api.http.current import context, read_session
from api.http.faults import Forbidden
from api.http.internal import internal
from api.operations import metrics
from api.operations.routes.base import blueprint

OPERATOR_HEADER = "X-Stratiform-Operator"
"""Set by HAProxy on the operator's own address, and removed by it from all that comes by the public port."""


@blueprint.get("/v1/metrics")
def show_metrics() -> Response:
    """All metrics, for whom the policy lets."""
    policy.authorize(context(), "operations:metrics")
    return Response(metrics.text(read_session()), content_type=metrics.CONTENT_TYPE)


@internal("/metrics")
def scrape() -> Response:
    """The same for Prometheus, which knows no tokens."""
    if request.headers.get(OPERATOR_HEADER) != "local":
        raise Forbidden("Metrics are for operators: ask at the operator's address, or with a token.")
    return Response(metrics.text(read_session()), content_type=metrics.CONTENT_TYPE)
