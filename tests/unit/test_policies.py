"""Our policy rules against those that OpenStack's services declare (tests/facts/policies): names and effects."""

from __future__ import annotations

import importlib
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from oslo_config import cfg
from oslo_policy import policy

FACTS = Path(__file__).resolve().parents[1] / "facts/policies"
SERVICES = ("compute", "image", "placement", "identity")

OURS_ALONE = {
    "os_compute_api:os-used-limits": "asked together with limits; Nova folded it into os_compute_api:limits",
    "os_compute_api:servers:create:requested_destination": "Nova checks it in code since 2.74 under another name",
}
"""Rules that the service of OpenStack does not declare."""

MISSING = {
    # service: [(rules' names, why there is none of ours)]
    "compute": [
        (r"^(.*_api|admin_or_owner|context_is_admin|(service|project_(manager|member|reader))_or_admin)$",
         "a name for a check that ours spells out"),
        (r"volume|snapshot|swap", "block storage is not there yet"),
        (r"os-(baremetal-nodes|cells|fping|fixed-ips|floating-ip|networks|security-groups|tenant-networks|multinic)",
         "an API that ended with nova-network or before"),
        (r"os-(agents|cloudpipe|hosts|console-auth-tokens|server-external-events|assisted)",
         "an API that ended, or one between OpenStack's own processes"),
        (r".", "the operation is not answered yet: docs/api-coverage.md names it"),
    ],
    "image": [
        (r"location", "locations are refused: hosts fetch images by signed URLs alone"),
        (r"cache", "Glance's own cache middleware; our hosts cache images themselves"),
        (r".", "the operation is not answered yet: docs/api-coverage.md names it"),
    ],
    "placement": [(r"^admin_api$", "the deprecated form of admin_or_service_api")],
    "identity": [(r".", "the operation is not answered yet: docs/api-coverage.md names it")],
}  # fmt: skip

_PROJECTS_ADMIN = "an administrator of a project may too, as with every other rule of identity"
DIFFERENT: dict[str, str] = {
    "identity:get_access_rule": _PROJECTS_ADMIN,
    "identity:list_access_rules": _PROJECTS_ADMIN,
    "identity:delete_access_rule": _PROJECTS_ADMIN,
    "identity:ec2_create_credential": "a reader too: a key pair carries the rights of its user and no others",
    "identity:ec2_delete_credential": "a reader too: what one may make one may delete",
    "delete_image_location": "a project may take its own image out of one of several stores",
    "stores_info_detail": "administrators alone: no service of ours asks",
}
"""Rules that let in others than OpenStack's does, with the reason."""

ROLES = (("admin", "manager", "member", "reader"), ("manager", "member", "reader"), ("member", "reader"), ("reader",),
         ("service",), ())  # fmt: skip
SCOPES: tuple[dict[str, Any], ...] = (
    {"project_id": "own", "tenant_id": "own", "project_domain_id": "own",
     "token": {"project": {"domain": {"id": "own"}}}},
    {"system_scope": "all"},
    {"domain_id": "own", "token": {"domain": {"id": "own"}}},
)  # fmt: skip
TARGETS = re.compile(r"%\(([^)]+)\)s")


def theirs(service: str) -> dict[str, str]:
    lines = (FACTS / f"{service}.tsv").read_text().splitlines()
    return dict(line.split("\t") if "\t" in line else (line, "") for line in lines if not line.startswith("#"))


def ours(service: str) -> dict[str, str]:
    rules = importlib.import_module(f"api.{service}.policies").RULES
    return {rule.name: " ".join(rule.check_str.split()) for rule in rules}


def enforcer(rules: dict[str, str]) -> policy.Enforcer:
    conf = cfg.ConfigOpts()
    conf([], project="test", default_config_files=[])
    made = policy.Enforcer(conf, use_conf=False)
    made.set_rules(policy.Rules.from_dict(rules), use_conf=False)
    return made


def situations(texts: list[str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Callers and targets: each role and scope, with all that the checks ask about being the caller's own or not."""
    keys = {key for text in texts for key in TARGETS.findall(text)}
    found = []
    for roles, scope, own in itertools.product(ROLES, SCOPES, (True, False)):
        caller = {"roles": list(roles), "user_id": "own", "is_admin_project": True, **scope}
        target: dict[str, Any] = dict.fromkeys(keys, "own" if own else "another's")
        found.append((caller, target))
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_rule_of_ours_is_the_services(service: str) -> None:
    alone = set(ours(service)) - set(theirs(service))
    assert alone <= set(OURS_ALONE)


@pytest.mark.parametrize("service", SERVICES)
def test_every_rule_of_the_service_is_ours_or_has_a_reason(service: str) -> None:
    missing = set(theirs(service)) - set(ours(service))
    reasons = MISSING[service]
    assert not [name for name in sorted(missing) if not any(re.search(pattern, name) for pattern, _ in reasons)]


@pytest.mark.parametrize("service", SERVICES)
def test_our_rules_let_in_whom_the_services_do(service: str) -> None:
    """Compared by what they decide, not by how they are spelt."""
    mine, other = ours(service), theirs(service)
    our_rules, their_rules = enforcer(mine), enforcer(other)
    wrong = {}
    cases = situations([*mine.values(), *other.values()])
    for name in sorted(set(mine) & set(other)):
        if mine[name] == other[name]:
            continue
        for caller, target in cases:
            decided = [bool(side.enforce(name, dict(target), dict(caller))) for side in (our_rules, their_rules)]
            if decided[0] != decided[1]:
                wrong[name] = f"{caller}: ours says {decided[0]}; ours {mine[name]!r}, theirs {other[name]!r}"
                break
    assert set(wrong) == {name for name in DIFFERENT if name in mine}, wrong
