"""What a request may do to a resource: Neutron's rules for the whole and for each attribute that the request holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http import policy
from api.http.context import Context
from api.network import faults, floatingips, groups, networks, ports, routers, rules, subnetpools, subnets
from api.network.kinds import KINDS, Kind, network_target
from api.network.models import Network, SecurityGroup
from api.network.policies import TEXTS

Target = dict[str, Any]
Values = dict[str, Any]
MakeAll = Callable[[Session, Context, Kind, list[Values]], list[Any]]


def allow(context: Context, verb: str, kind: Kind, target: Target, values: Mapping[str, Any]) -> None:
    """403 unless the caller may do this, with every attribute in `values`."""
    rule = f"{verb}_{kind.name}"
    policy.authorize(context, rule, target)
    for name, value in values.items():
        attribute_rule = f"{rule}:{name}"
        if attribute_rule not in TEXTS or (verb == "create" and kind.body.is_default(name, value)):
            continue
        policy.authorize(context, attribute_rule, target)
        items = value if isinstance(value, list) else [value]
        keys = dict.fromkeys(key for item in items if isinstance(item, dict) for key in item)
        for key in keys:
            if f"{attribute_rule}:{key}" in TEXTS and not _usual(items, key):
                policy.authorize(context, f"{attribute_rule}:{key}", target)


def _usual(items: list[Any], key: str) -> bool:
    """What the whole world sends: SNAT as it is by default."""
    return key == "enable_snat" and all(item.get(key, True) in (True, "true", "True", 1, "1") for item in items)


def own_project(context: Context, values: Values) -> None:
    """Fills in whose the new resource is; another project's for administrators alone."""
    wanted = values.get("project_id")
    if wanted is None or wanted == "":
        if context.project_id is None and wanted is None:
            raise faults.invalid("Running without a project-scoped token requires that project_id is specified")
        values["project_id"] = context.project_id or ""
    elif wanted != context.project_id and not context.is_admin:
        raise faults.invalid("Specifying 'project_id' or 'tenant_id' other than the authenticated project in request "
                             "requires admin privileges")  # fmt: skip


def columns(kind: Kind, values: Values) -> Values:
    """The values under their columns' names."""
    named = {kind.body.attributes[name].column or name: value for name, value in values.items()}
    return {name: ("" if value is None and name == "device_id" else value) for name, value in named.items()}


def _network_of(session: Session, context: Context, values: Values) -> Network:
    network: Network = KINDS["network"].get(session, context, values["network_id"])
    return network


def create(session: Session, context: Context, kind: Kind, items: list[Values]) -> list[Any]:
    """Makes all of the items or, by a fault, none."""
    for values in items:
        own_project(context, values)
    return _makers[kind.name](session, context, kind, items)


def _target(values: Values) -> Target:
    return {"project_id": values["project_id"], "tenant_id": values["project_id"]}


def _plain(make: Callable[[Session, Context, Values], Any]) -> MakeAll:
    def make_all(session: Session, context: Context, kind: Kind, items: list[Values]) -> list[Any]:
        for values in items:
            allow(context, "create", kind, _target(values), values)
        return [make(session, context, columns(kind, values)) for values in items]

    return make_all


def _on_network(make: Callable[[Session, Context, Network, Values], Any]) -> MakeAll:
    def make_all(session: Session, context: Context, kind: Kind, items: list[Values]) -> list[Any]:
        made = []
        for values in items:
            network = _network_of(session, context, values)
            target = _target(values) | network_target(network)
            if kind.name == "port":
                target["device_owner"] = values.get("device_owner", "")
            allow(context, "create", kind, target, values)
            made.append(make(session, context, network, columns(kind, values)))
        return made

    return make_all


def _rules(session: Session, context: Context, kind: Kind, items: list[Values]) -> list[Any]:
    group_kind = KINDS["security_group"]
    normal: list[Values] = []
    for values in items:
        group: SecurityGroup = group_kind.get(session, context, values["security_group_id"])
        allow(context, "create", kind, _target(values) | {"security_group:project_id": group.project_id}, values)
        if remote := values.get("remote_group_id"):
            group_kind.get(session, context, remote)
        rule = rules.normalise({**values, "project_id": group.project_id})
        compared = {key: value for key, value in rule.items() if key != "description"}
        if any({key: value for key, value in other.items() if key != "description"} == compared for other in normal):
            raise faults.conflict("DuplicateSecurityGroupRuleInPost", "Duplicate Security Group Rule in POST.")
        normal.append(rule)
    return groups.create_rules(session, context, normal)


_makers: dict[str, MakeAll] = {
    "network": _plain(networks.create), "subnet": _on_network(subnets.create), "port": _on_network(ports.create),
    "subnetpool": _plain(subnetpools.create), "router": _plain(routers.create),
    "floatingip": _plain(floatingips.create), "security_group": _plain(groups.create), "security_group_rule": _rules,
}  # fmt: skip


def change(session: Session, context: Context, kind: Kind, id_: str, values: Values) -> Any:
    """Updates a resource that the caller sees and may change."""
    row = locked(session, context, kind, id_)
    target = kind.target(session, row)
    if owner := values.get("device_owner"):
        target["device_owner"] = owner
    allow(context, "update", kind, target, values)
    if kind.update is None:
        raise faults.invalid(f"{kind.name} cannot be updated")
    return kind.update(session, context, row, columns(kind, values))


def delete(session: Session, context: Context, kind: Kind, id_: str) -> None:
    """Deletes a resource that the caller sees and may delete."""
    row = locked(session, context, kind, id_)
    allow(context, "delete", kind, kind.target(session, row), {})
    kind.remove(session, context, row)


def locked(session: Session, context: Context, kind: Kind, id_: str) -> Any:
    """The row, kept from other writers until commit (SQLite has one writer anyway)."""
    row = kind.get(session, context, id_)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(kind.table.id).where(kind.table.id == id_).with_for_update())
        session.refresh(row)
    return row
