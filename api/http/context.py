"""Who asks: the caller's identity as a token tells it. Knows no Flask, so services and the engine use it too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Context:
    """The caller of one request. Exactly one of project_id, domain_id, system_scope is set, or none (unscoped)."""

    request_id: str
    user_id: str
    user_name: str = ""
    user_domain_id: str = ""
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system_scope: str | None = None
    roles: tuple[str, ...] = ()
    global_request_id: str | None = None
    token: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_admin(self) -> bool:
        """Whether the role `admin` is among the roles."""
        return "admin" in self.roles

    def credentials(self) -> dict[str, Any]:
        """What policy rules may refer to, under oslo.policy's names."""
        return {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": self.system_scope,
            "system": self.system_scope,
            "roles": list(self.roles),
            "is_admin": self.is_admin,
            "is_admin_project": True,
        }
