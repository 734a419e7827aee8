"""Security groups: the default one, membership, and what a change of them concerns on hosts."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.network import faults, jobs, quotas
from api.network.models import Port, PortSecurityGroup, SecurityGroup, SecurityGroupRule

_RULE_KEYS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
              "remote_group_id")  # fmt: skip
_NAME = re.compile(r"^default$", re.IGNORECASE)


def default_id(session: Session, project_id: str) -> str | None:
    """The id of the project's default group, if it has one yet."""
    return session.scalar(select(SecurityGroup.id).where(SecurityGroup.default_of == project_id))


def ensure_default(session: Session, project_id: str) -> str:
    """The project's default group, made at first use: members may talk to each other and to the outside."""
    quotas.lock(session, f"network-default-group:{project_id}")
    if found := default_id(session, project_id):
        return found
    group = SecurityGroup(project_id=project_id, default_of=project_id, name="default",
                          description="Default security group")  # fmt: skip
    session.add(group)
    session.flush()
    for ethertype in ("IPv4", "IPv6"):
        session.add(_egress(group, ethertype))
        session.add(SecurityGroupRule(project_id=project_id, security_group_id=group.id, direction="ingress",
                                      ethertype=ethertype, remote_group_id=group.id))  # fmt: skip
    session.flush()
    return group.id


def _egress(group: SecurityGroup, ethertype: str) -> SecurityGroupRule:
    return SecurityGroupRule(
        project_id=group.project_id, security_group_id=group.id, direction="egress", ethertype=ethertype
    )


def create(session: Session, context: Context, values: dict[str, Any]) -> SecurityGroup:
    """A new group, which lets everything out."""
    if _NAME.match(values.get("name", "")):
        raise faults.conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    _only_stateful(values)
    ensure_default(session, values["project_id"])
    quotas.reserve(session, values["project_id"], "security_group")
    group = SecurityGroup(**values)
    session.add(group)
    session.flush()
    session.add_all([_egress(group, "IPv4"), _egress(group, "IPv6")])
    session.flush()
    return group


def _only_stateful(values: dict[str, Any]) -> None:
    if values.get("stateful") is False:
        raise faults.invalid("Invalid input for stateful. Reason: Stateless security groups are not supported here; "
                             "leave stateful out.")  # fmt: skip


def update(session: Session, context: Context, group: SecurityGroup, values: dict[str, Any]) -> SecurityGroup:
    """Renames or describes a group; the default group keeps its name."""
    if group.default_of and values.get("name", "default") != "default":
        raise faults.conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
    if not group.default_of and _NAME.match(values.get("name", "")):
        raise faults.conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    _only_stateful(values)
    for key, value in values.items():
        setattr(group, key, value)
    group.bump()
    return group


def remove(session: Session, context: Context, group: SecurityGroup) -> None:
    """Deletes a group that no port uses; rules that trust it go with it."""
    if group.default_of and not context.is_admin:
        raise faults.conflict(
            "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group."
        )
    member = select(PortSecurityGroup.port_id).where(PortSecurityGroup.security_group_id == group.id).limit(1)
    if session.scalar(member) is not None:
        raise faults.conflict("SecurityGroupInUse", f"Security Group {group.id} in use.")
    hosts = jobs.hosts_of_groups(session, [group.id], remote_only=True)
    session.execute(delete(SecurityGroupRule).where(
        or_(SecurityGroupRule.security_group_id == group.id, SecurityGroupRule.remote_group_id == group.id)))
    session.delete(group)
    session.flush()
    jobs.apply_filters(session, jobs.origin(context), hosts, [("security_group", group.id)])


def rules_of(session: Session, group_ids: list[str]) -> dict[str, list[SecurityGroupRule]]:
    """Group id -> its rules, for many groups in one query."""
    found: dict[str, list[SecurityGroupRule]] = {id_: [] for id_ in group_ids}
    query = select(SecurityGroupRule).where(SecurityGroupRule.security_group_id.in_(group_ids))
    for rule in session.scalars(query.order_by(SecurityGroupRule.created_at, SecurityGroupRule.id)):
        found[rule.security_group_id].append(rule)
    return found


def create_rules(session: Session, context: Context, items: list[dict[str, Any]]) -> list[SecurityGroupRule]:
    """New rules of one or more groups, all or none. The values are normalised already (rules.normalise)."""
    made = []
    for project_id in dict.fromkeys(values["project_id"] for values in items):
        count = sum(values["project_id"] == project_id for values in items)
        quotas.reserve(session, project_id, "security_group_rule", count)
    for values in items:
        existing = select(SecurityGroupRule.id).where(
            SecurityGroupRule.security_group_id == values["security_group_id"],
            *(getattr(SecurityGroupRule, key).is_(None) if values.get(key) is None
              else getattr(SecurityGroupRule, key) == values[key] for key in _RULE_KEYS),
        )  # fmt: skip
        if (found := session.scalar(existing)) is not None:
            raise faults.conflict(
                "SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {found}."
            )
        rule = SecurityGroupRule(**values)
        session.add(rule)
        session.flush()
        made.append(rule)
    _changed(session, context, made)
    return made


def remove_rule(session: Session, context: Context, rule: SecurityGroupRule) -> None:
    """Deletes a rule."""
    session.delete(rule)
    session.flush()
    _changed(session, context, [rule])


def _changed(session: Session, context: Context, rules: list[SecurityGroupRule]) -> None:
    group_ids = list(dict.fromkeys(rule.security_group_id for rule in rules))
    for group in session.scalars(select(SecurityGroup).where(SecurityGroup.id.in_(group_ids))):
        group.bump()
    query = select(Port.host).join(PortSecurityGroup, PortSecurityGroup.port_id == Port.id)
    member = PortSecurityGroup.security_group_id.in_(group_ids)
    hosts = set(session.scalars(query.where(Port.host != "", member).distinct()))
    because = [("security_group_rule", rule.id) for rule in rules] + [("security_group", id_) for id_ in group_ids]
    jobs.apply_filters(session, jobs.origin(context), hosts, because)


def resolve(session: Session, project_id: str, wanted: list[str]) -> list[str]:
    """The ids of groups named by id or by name in a project, in order, each once."""
    found: list[str] = []
    for text in dict.fromkeys(wanted):
        if text == "default":
            found.append(ensure_default(session, project_id))
            continue
        query = select(SecurityGroup.id, SecurityGroup.name).where(
            SecurityGroup.project_id == project_id, or_(SecurityGroup.id == text, SecurityGroup.name == text)
        )
        rows = session.execute(query).all()
        exact = [id_ for id_, _ in rows if id_ == text] or [id_ for id_, _ in rows]
        if not exact:
            raise faults.bad(
                "SecurityGroupNotFound", f"Security group {text} not found for project {project_id}."
            )
        if len(exact) > 1:
            raise faults.conflict(
                "NoUniqueMatch", f"Multiple security groups found matching '{text}'. Use an ID to be more specific."
            )
        found.append(exact[0])
    return list(dict.fromkeys(found))


def put(port: Port, group_ids: list[str]) -> None:
    """Makes these the port's groups; memberships that stay are kept."""
    had = {membership.security_group_id: membership for membership in port.groups}
    wanted = []
    for position, group_id in enumerate(dict.fromkeys(group_ids)):
        membership = had.get(group_id) or PortSecurityGroup(security_group_id=group_id)
        membership.position = position
        wanted.append(membership)
    port.groups = wanted
