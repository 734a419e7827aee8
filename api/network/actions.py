"""The network service's playbook runs, and what hosts report of ports."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from api.engine.actions import Action, Failure, Outcome, Plan, observe, register
from api.engine.models import QUEUED, Job
from api.network import jobs
from api.network import plan as planning
from api.network.models import (
    ACTIVE,
    DHCP_OWNER,
    ERROR,
    FloatingIp,
    Network,
    Port,
    Router,
    move,
    of_guests,
)

log = logging.getLogger("stratiform.network")


class Apply(Action):
    """States one object whole. One run covers all jobs that wait for the same object: plans are read late.

    A run that ends well marks the jobs that it saw waiting as covered; each of them then has nothing to do, and ends
    well under its own request.
    """

    key: ClassVar[str]
    """The argument that names the object."""

    def __init__(self) -> None:
        self._seen: dict[str, list[int]] = {}

    def plan(self, session: Session, job: Job) -> Plan:
        if "covered_by" in job.args:
            return Plan()
        waiting = session.execute(
            select(Job.number, Job.args).where(Job.state == QUEUED, Job.action == self.name, Job.number > job.number)
        )
        self._seen[job.id] = [number for number, args in waiting if self._same(job, args)]
        return Plan(self.sections(session, job))

    def _same(self, job: Job, args: dict[str, Any]) -> bool:
        return args.get(self.key) == job.args[self.key] and set(args) == {self.key}

    def sections(self, session: Session, job: Job) -> planning.Sections:
        """Per host the module arguments."""
        raise NotImplementedError

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        for number in self._seen.pop(job.id, []):
            other = session.get(Job, number)
            if other is not None and other.state == QUEUED:
                other.args = {**other.args, "covered_by": job.id}
        self.applied(session, job)

    def applied(self, session: Session, job: Job) -> None:
        """Writes what is now true."""

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        self._seen.pop(job.id, None)
        log.warning("%s %s failed on %s: %s", self.name, job.id, failure.host, failure.message)


class NetworkApply(Apply):
    """A network on every host where it is, with its DHCP.

    `removed_hosts` lose the DHCP, and the network too when it has nothing there any more; `gone_ports` their taps.
    """

    name = jobs.NETWORK_APPLY
    playbook = "network/network_apply.yml"
    key = "network_id"

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        hosts = jobs.hosts_of_network(session, job.args["network_id"]) | set(job.args.get("removed_hosts", ()))
        return [f"network:{job.args['network_id']}@{host}" for host in hosts]

    def sections(self, session: Session, job: Job) -> planning.Sections:
        sections: planning.Sections = {}
        network_id = job.args["network_id"]
        network = session.get(Network, network_id)
        hosts = jobs.hosts_of_network(session, network_id)
        variables = planning.variables_of(session)
        for host in job.args.get("removed_hosts", ()):
            if network is None or network.dhcp_host != host:
                gone = {"id": network_id, "state": "absent", **job.args["dhcp"]}
                planning.merge(sections, host, "network_dhcp", {"networks": [gone]})
            if host not in hosts and job.args["section"]["type"] != "flat":
                planning.merge(sections, host, "network_bridge", {"networks": [job.args["section"]]})
            planning.merge(sections, host, "network_bridge", {"ports": job.args.get("gone_ports", [])})
        if network is None:
            return sections
        for host in sorted(hosts):
            section = planning.network_section(network, host, hosts, variables, present=True)
            planning.merge(sections, host, "network_bridge", {"networks": [section], "ports": []})
        host = network.dhcp_host or ""
        if host and (served := planning.dhcp_section(session, network, variables.get(host, {}))):
            planning.merge(sections, host, "network_dhcp", {"networks": [served]})
        return sections

    def applied(self, session: Session, job: Job) -> None:
        _ports_are_up(session, Port.network_id == job.args["network_id"], Port.device_owner == DHCP_OWNER)


class RouterApply(Apply):
    """A router whole, with the networks that it joins; `host` in the arguments: it is gone, or left `left_networks`."""

    name = jobs.ROUTER_APPLY
    playbook = "network/router_apply.yml"
    key = "router_id"

    def _networks(self, session: Session, job: Job) -> set[str]:
        plugged = session.scalars(select(Port.network_id).where(Port.router_id == job.args["router_id"]))
        return set(plugged) | {section["id"] for section in job.args.get("left_networks", ())}

    def _host(self, session: Session, job: Job) -> str | None:
        return session.scalar(select(Router.host).where(Router.id == job.args["router_id"])) or job.args.get("host")

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        host = self._host(session, job)
        networks = [f"network:{id_}@{host}" for id_ in self._networks(session, job)] if host else []
        return [f"router:{job.args['router_id']}", *networks]

    def sections(self, session: Session, job: Job) -> planning.Sections:
        host, router = self._host(session, job), session.get(Router, job.args["router_id"])
        if host is None:
            return {}
        networks = planning.bridge_networks(session, host, self._networks(session, job))
        known = {section["id"] for section in networks}
        networks += [section for section in job.args.get("left_networks", ()) if section["id"] not in known]
        if router is None:
            state: planning.Section = {"id": job.args["router_id"], "interfaces": [], "gateway": None, "routes": [],
                                       "floating_ips": [], "metadata": False, "state": "absent"}  # fmt: skip
        else:
            state = planning.router_section(session, router)
        return {host: {"network_bridge": {"networks": networks, "ports": []}, "network_router": {"routers": [state]}}}

    def applied(self, session: Session, job: Job) -> None:
        router = session.get(Router, job.args["router_id"])
        if router is None:
            return
        move(router, "router", ACTIVE)
        _ports_are_up(session, Port.router_id == router.id)
        for floating in session.scalars(select(FloatingIp).where(FloatingIp.router_id == router.id)):
            move(floating, "floatingip", ACTIVE)

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        super().failed(session, job, failure)
        router = session.get(Router, job.args["router_id"])
        if router is None:
            return
        move(router, "router", ERROR)
        concerned = {resource.resource_id for resource in job.resources}
        for floating in session.scalars(select(FloatingIp).where(FloatingIp.id.in_(concerned))):
            move(floating, "floatingip", ERROR)


class FilterApply(Apply):
    """The whole port filter of a host."""

    name = jobs.FILTER_APPLY
    playbook = "network/security_group_apply.yml"
    key = "host"

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return [f"filter@{job.args['host']}"]

    def sections(self, session: Session, job: Job) -> planning.Sections:
        host = job.args["host"]
        return {host: {"security_group": planning.filter_section(session, host)}}


def _ports_are_up(session: Session, *conditions: Any) -> None:
    """Our own ports have no tap that a host reports: they are up when their job has ended well."""
    for port in session.scalars(select(Port).where(*conditions, Port.admin_state_up, Port.status != ACTIVE)):
        move(port, "port", ACTIVE)


def port_reported(session: Session, host: str, message: dict[str, Any]) -> None:
    """A guest's tap went up or down: its port is ACTIVE or DOWN."""
    prefix = str(message["id_prefix"])
    named = select(Port).where(Port.host == host, Port.id >= prefix, Port.id < prefix + "g", *of_guests())
    for port in session.scalars(named):
        port.show_link(bool(message["up"]))


def snapshot_reported(session: Session, host: str, message: dict[str, Any]) -> None:
    """What taps a host has: guests' ports without one are DOWN."""
    up = {str(port["id_prefix"]) for port in message.get("ports", ()) if port["up"]}
    for port in session.scalars(select(Port).where(Port.host == host, *of_guests())):
        port.show_link(port.id[:11] in up)


def host_restarted(session: Session, host: str, message: dict[str, Any]) -> None:
    """A host lost its kernel's state: everything that this service keeps there is made again."""
    by = jobs.repair()
    here = select(Port.network_id).where(Port.host == host)
    for network_id in session.scalars(
        select(Network.id).where(or_(Network.id.in_(here), Network.dhcp_host == host)).order_by(Network.id)
    ):
        jobs.apply_network(session, by, network_id)
    for router_id in session.scalars(select(Router.id).where(Router.host == host).order_by(Router.id)):
        jobs.apply_router(session, by, router_id)
    jobs.apply_filters(session, by, [host])


for _action in (NetworkApply(), RouterApply(), FilterApply()):
    register(_action)
observe("port", port_reported)
observe("snapshot", snapshot_reported)
observe("host_restarted", host_restarted)
