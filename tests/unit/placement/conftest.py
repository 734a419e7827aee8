"""Placement alone, with identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

API = "/placement"


@pytest.fixture(scope="session")
def services() -> Sequence[str]:
    return ("identity", "placement")


class Caller:
    """The administrator at a microversion; every call states the answer that it expects."""

    def __init__(self, cloud: Any, version: str = "1.39") -> None:
        self.cloud = cloud
        self.client = cloud.admin.with_headers(OpenStack_API_Version=f"placement {version}")

    def at(self, version: str) -> Caller:
        return Caller(self.cloud, version)

    def __call__(self, method: str, path: str, status: int, body: Any = None) -> Any:
        answer = self.client.request(method, API + path, **({} if body is None else {"json": body}))
        assert answer.status_code == status, answer.text
        return answer.json if answer.data else None

    def provider(self, name: str, parent: str | None = None, **inventories: int) -> str:
        """A new provider with so much of each class; its id."""
        body = {"name": name, "parent_provider_uuid": parent}
        made: str = self("POST", "/resource_providers", 200, body)["uuid"]
        described = {key: {"total": total} for key, total in inventories.items()}
        if described:
            self("PUT", f"/resource_providers/{made}/inventories", 200,
                 {"resource_provider_generation": 0, "inventories": described})  # fmt: skip
        return made

    def generation(self, provider: str) -> int:
        found: int = self("GET", f"/resource_providers/{provider}", 200)["generation"]
        return found

    def traits(self, provider: str, *names: str) -> None:
        for name in names:
            if name.startswith("CUSTOM_"):
                assert self.client.put(f"{API}/traits/{name}").status_code in (201, 204)
        self("PUT", f"/resource_providers/{provider}/traits", 200,
             {"resource_provider_generation": self.generation(provider), "traits": list(names)})  # fmt: skip

    def aggregates(self, provider: str, *ids: str) -> None:
        self("PUT", f"/resource_providers/{provider}/aggregates", 200,
             {"resource_provider_generation": self.generation(provider), "aggregates": list(ids)})  # fmt: skip


@pytest.fixture
def call(cloud: Any) -> Caller:
    return Caller(cloud)
