"""/allocation_candidates."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.http.current import read_session
from api.http.microversions import at_least, available, microversion
from api.placement import candidates, queries, trees
from api.placement.candidates import Candidate
from api.placement.routes.base import allow, answer, blueprint


@blueprint.get("/allocation_candidates")
@available(since=(1, 10))
def list_candidates() -> Response:
    allow("allocation_candidates:list")
    asked = queries.of_candidates(read_session(), request.args, microversion())
    found = trees.load(read_session())
    chosen = candidates.find(found, asked, nested=at_least(1, 29))
    wanted = {name for group in asked.groups.values() for name in group.resources}
    return answer({
        "allocation_requests": [_request(candidate) for candidate in chosen],
        "provider_summaries": {
            provider.id: _summary(provider, wanted) for provider in _summarised(found, chosen)
        },
    })  # fmt: skip


def _request(candidate: Candidate) -> dict[str, Any]:
    if not at_least(1, 12):
        return {
            "allocations": [
                {"resource_provider": {"uuid": name}, "resources": amounts}
                for name, amounts in candidate.amounts.items()
            ]
        }
    body: dict[str, Any] = {
        "allocations": {name: {"resources": amounts} for name, amounts in candidate.amounts.items()}
    }
    if at_least(1, 34):
        body["mappings"] = candidate.mappings
    return body


def _summarised(found: trees.Providers, chosen: list[Candidate]) -> list[trees.Provider]:
    """The providers that candidates use; from 1.29 on all of their trees."""
    used = {name for candidate in chosen for names in candidate.mappings.values() for name in names}
    if not at_least(1, 29):
        return [provider for provider in found.values() if provider.id in used]
    roots = {found[name].root_id for name in used}
    return [provider for provider in found.values() if provider.root_id in roots]


def _summary(provider: trees.Provider, wanted: set[str]) -> dict[str, Any]:
    shown = provider.inventories if at_least(1, 27) else [name for name in provider.inventories if name in wanted]
    body: dict[str, Any] = {
        "resources": {name: {"capacity": provider.capacity(name), "used": provider.used.get(name, 0)} for name in shown}
    }
    if at_least(1, 17):
        body["traits"] = sorted(provider.traits)
    if at_least(1, 29):
        body |= {"parent_provider_uuid": provider.parent_id, "root_provider_uuid": provider.root_id}
    return body
