"""A cloud with the network room, two hosts, and short words for what tests do with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from api.db.base import utcnow
from api.db.hosts import Host
from api.engine.models import Job
from api.http.context import Context
from api.network import service

ROOT = "/network/v2.0"


@pytest.fixture(scope="package")
def services() -> Sequence[str]:
    return ("identity", "network")


class Net:
    """A caller of the network API that insists on the status it names."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def call(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        answer = self.client.request(method, f"{ROOT}{path}", **({"json": body} if body is not None else {}))
        expected = status or {"GET": 200, "POST": 201, "PUT": 200, "DELETE": 204}[method]
        assert answer.status_code == expected, (answer.status_code, answer.get_data(as_text=True))
        return answer.json if answer.data else None

    def get(self, path: str, status: int | None = None) -> Any:
        return self.call("GET", path, status=status)

    def make(self, kind: str, **values: Any) -> Any:
        plural = {"security_group": "security-groups", "security_group_rule": "security-group-rules"}
        return self.call("POST", f"/{plural.get(kind, kind + 's')}", {kind: values})[kind]

    def refused(self, method: str, path: str, body: Any, status: int) -> tuple[str, str]:
        """The fault's type and message."""
        error = self.call(method, path, body, status)["NeutronError"]
        return error["type"], error["message"]


def plug(cloud: Any, caller: Context, network: Any, server: str = "s1", host: str = "h1") -> Any:
    """A server's port on a host."""
    with cloud.write() as session:
        [port] = service.attach_ports(
            session, caller, server_id=server, host=host, availability_zone="nova", hostname="web",
            requested=[service.RequestedPort(network_id=network["id"])], security_groups=[])  # fmt: skip
    return port


@pytest.fixture
def net(cloud: Any) -> Net:
    return Net(cloud.member)


@pytest.fixture
def admin(cloud: Any) -> Net:
    return Net(cloud.admin)


@pytest.fixture
def other(cloud: Any) -> Net:
    return Net(cloud.other)


@pytest.fixture
def caller(cloud: Any) -> Context:
    """The member as services see them."""
    return Context("req-1", cloud.user_ids["member"], project_id=cloud.project_id, roles=("member", "reader"))


@pytest.fixture
def hosts(cloud: Any) -> None:
    """Two hosts; the first is a network host too."""
    with cloud.write() as session:
        for number, groups in ((1, ["control", "network", "compute"]), (2, ["compute"])):
            session.add(Host(name=f"h{number}", groups=groups, heartbeat_at=utcnow(), variables={
                "stratiform_tunnel_ip": f"192.0.2.{number}", "stratiform_physical_networks": {"public": "br-ext"}}))


@pytest.fixture
def jobs(cloud: Any) -> Any:
    """The jobs so far: (action, args)."""

    def read() -> list[tuple[str, dict[str, Any]]]:
        with cloud.read() as session:
            return [(job.action, job.args) for job in session.scalars(select(Job).order_by(Job.number))]

    return read


@pytest.fixture
def lan(net: Net) -> tuple[Any, Any]:
    """A network with a subnet of the project `demo`."""
    network = net.make("network", name="lan")
    return network, net.make("subnet", network_id=network["id"], ip_version=4, cidr="10.0.0.0/24")


@pytest.fixture
def outside(admin: Net, hosts: None) -> tuple[Any, Any]:
    """The external network."""
    network = admin.make("network", name="public", **{"router:external": True, "provider:network_type": "flat",
                                                      "provider:physical_network": "public"})  # fmt: skip
    return network, admin.make("subnet", network_id=network["id"], ip_version=4, cidr="198.51.100.0/24",
                               enable_dhcp=False)  # fmt: skip
