"""Who may do what: oslo.policy, with OpenStack's own rule names; operators override rules in `policy_file`.

The rooms' services import this module, and the engine imports the services: so oslo.policy is loaded where rules are
enforced, which the engine never does (6 MB).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.config import settings
from api.http.context import Context
from api.http.faults import Forbidden

if TYPE_CHECKING:
    from oslo_policy import policy

_rules: dict[str, policy.RuleDefault] = {}


def leave_out_http_checks() -> None:
    """Keeps the parser from loading oslo.policy's `http:` checks, which need requests (5 MB), for rules without any.

    To be called before any rule is made. Overrides that have such checks get them.
    """
    from oslo_policy import _checks

    if _checks.extension_checks is None:
        _checks.extension_checks = {}


def register(rules: Iterable[policy.RuleDefault]) -> None:
    """Adds a service's rules; to be called before the first request."""
    _rules.update({rule.name: rule for rule in rules})
    _enforcer.cache_clear()


@functools.cache
def _enforcer() -> policy.Enforcer:
    import yaml
    from oslo_config import cfg
    from oslo_policy import _checks, policy

    conf = cfg.ConfigOpts()
    conf([], project="stratiform", default_config_files=[])
    enforcer = policy.Enforcer(conf, use_conf=False)
    enforcer.suppress_default_change_warnings = True
    enforcer.suppress_deprecation_warnings = True
    enforcer.register_defaults(list(_rules.values()))
    overrides = Path(settings().policy_file)
    texts = {name: rule.check_str for name, rule in _rules.items()}
    if overrides.exists():
        written = overrides.read_text()
        if "http:" in written or "https:" in written:
            _checks.extension_checks = None  # oslo.policy looks them up itself
        texts |= yaml.safe_load(written) or {}
    enforcer.set_rules(policy.Rules.from_dict(texts), use_conf=False)
    return enforcer


def load() -> None:
    """Reads the rules and the operator's overrides now instead of at the first request."""
    _enforcer()


def allowed(context: Context, rule: str, target: Mapping[str, Any] | None = None) -> bool:
    """Whether policy lets the caller do `rule` to `target` (default: something of the caller's own project)."""
    if rule not in _rules:
        raise KeyError(f"policy rule {rule!r} is not registered")
    if target is None:
        target = {"project_id": context.project_id, "tenant_id": context.project_id, "user_id": context.user_id}
    return bool(_enforcer().enforce(rule, dict(target), context.credentials()))


def authorize(context: Context, rule: str, target: Mapping[str, Any] | None = None) -> None:
    """Raises Forbidden unless `allowed`."""
    if not allowed(context, rule, target):
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.", kind="PolicyNotAuthorized")
