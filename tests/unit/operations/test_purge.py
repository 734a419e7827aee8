"""Projects with leftovers: the tree of what hangs on one, and emptying it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from api.compute.models import Server
from api.db.base import utcnow
from api.db.hosts import Host
from api.engine.models import DONE, Job
from api.operations import actions, purging
from api.operations.models import ProjectPurge

PUBLIC = {"name": "public", "router:external": True, "provider:network_type": "flat",
          "provider:physical_network": "public"}  # fmt: skip


def post(client: Any, path: str, noun: str, **fields: Any) -> dict[str, Any]:
    answer = client.post(path, json={noun: fields})
    assert answer.status_code in (200, 201, 202), answer.json
    made: dict[str, Any] = answer.json[noun]
    return made


def fill(cloud: Any) -> dict[str, str]:
    """A little of everything in the project; ids by what they are."""
    with cloud.write() as session:
        session.add(Host(name="one", groups=["control", "network", "compute"], heartbeat_at=utcnow(),
                         variables={"stratiform_tunnel_ip": "192.0.2.10"}))  # fmt: skip
    public = post(cloud.admin, "/network/v2.0/networks", "network", **PUBLIC)["id"]
    post(cloud.admin, "/network/v2.0/subnets", "subnet", network_id=public, cidr="203.0.113.0/24", ip_version=4)
    network = post(cloud.member, "/network/v2.0/networks", "network", name="inner")["id"]
    subnet = post(cloud.member, "/network/v2.0/subnets", "subnet", network_id=network, cidr="10.0.0.0/24",
                  ip_version=4)["id"]  # fmt: skip
    router = post(cloud.member, "/network/v2.0/routers", "router", name="way out",
                  external_gateway_info={"network_id": public})["id"]  # fmt: skip
    plugged = cloud.member.put(f"/network/v2.0/routers/{router}/add_router_interface", json={"subnet_id": subnet})
    assert plugged.status_code == 200, plugged.json
    port = post(cloud.member, "/network/v2.0/ports", "port", network_id=network)["id"]
    floating = post(cloud.member, "/network/v2.0/floatingips", "floatingip", floating_network_id=public,
                    port_id=port)["id"]  # fmt: skip
    group = post(cloud.member, "/network/v2.0/security-groups", "security_group", name="own")["id"]
    image = cloud.member.post("/image/v2/images", json={"name": "kept", "protected": True, "disk_format": "raw",
                                                        "container_format": "bare"}).json["id"]  # fmt: skip
    path = f"/identity/v3/users/{cloud.user_ids['member']}/application_credentials"
    credential = post(cloud.member, path, "application_credential", name="program")["id"]
    return {"network": network, "subnet": subnet, "router": router, "port": port, "floating_ip": floating,
            "security_group": group, "image": image, "application_credential": credential}  # fmt: skip


def make_server(cloud: Any, host: str | None) -> str:
    now = utcnow()
    with cloud.write() as session:
        server = Server(
            name="guest", project_id=cloud.project_id, user_id=cloud.user_ids["member"], vm_state="active", host=host,
            created_at=now, updated_at=now, **{
                column.name: _filler(column) for column in Server.__table__.columns
                if not column.nullable and column.default is None and column.server_default is None
                and not column.primary_key
                and column.name not in ("name", "project_id", "user_id", "vm_state", "created_at", "updated_at")},
        )  # fmt: skip
        session.add(server)
        session.flush()
        return str(server.id)


def _filler(column: Any) -> Any:
    kind = column.type.python_type
    return {dict: {}, list: []}.get(kind, kind() if kind in (str, int, bool) else utcnow())


def hangs_on(cloud: Any, client: Any) -> dict[str, Any]:
    answer = client.get(f"/operations/v1/projects/{cloud.project_id}/hangs-on")
    assert answer.status_code == 200, answer.json
    body: dict[str, Any] = answer.json
    return body


def a_pass(cloud: Any) -> ProjectPurge:
    """The engine has carried out the jobs, and a host's heart beats."""
    with cloud.write() as session:
        session.execute(update(Job).values(state=DONE))
        actions.Purger()(session, "host", {})
        purge = session.get(ProjectPurge, cloud.project_id)
        assert purge is not None
        return purge


def test_what_hangs_on_a_project_is_a_tree(cloud: Any) -> None:
    ids = fill(cloud)
    shown = hangs_on(cloud, cloud.reader)
    assert shown["counts"]["network.router"] == shown["counts"]["network.subnet"] == 1
    assert shown["count"] == sum(shown["counts"].values())
    by_id = {node["id"]: node for node in shown["hanging"]}
    below = {node["type"] for node in by_id[ids["network"]]["hanging"]}
    assert below == {"network.subnet", "network.port"}
    assert by_id[ids["image"]]["name"] == "kept"
    assert ids["floating_ip"] in by_id
    assert cloud.other.get(f"/operations/v1/projects/{cloud.project_id}/hangs-on").status_code == 404
    assert cloud.admin.get("/operations/v1/projects/none/hangs-on").status_code == 404


def test_who_may_purge(cloud: Any) -> None:
    path = f"/operations/v1/projects/{cloud.project_id}/purge"
    assert cloud.member.post(path).status_code == 403
    assert cloud.other.post(path).status_code == 404
    assert cloud.manager.get(path).status_code == 404
    answer = cloud.manager.post(path)
    assert (answer.status_code, answer.json["purge"]["state"]) == (202, "done")


def test_a_purge_empties_a_project_and_says_what_it_cannot(cloud: Any) -> None:
    ids = fill(cloud)
    path = f"/operations/v1/projects/{cloud.project_id}/purge"
    answer = cloud.admin.post(path)
    assert answer.status_code == 202, answer.json
    for _ in range(3):
        purge = a_pass(cloud)
    assert purge.state == "incomplete"
    (left,) = cloud.manager.get(path).json["purge"]["leftovers"]
    assert (left["type"], left["id"]) == ("image.image", ids["image"])
    assert "protected" in left["reason"]
    assert hangs_on(cloud, cloud.manager)["count"] == 1
    patch = [{"op": "replace", "path": "/protected", "value": False}]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert cloud.member.patch(f"/image/v2/images/{ids['image']}", json=patch, headers=kind).status_code == 200
    assert cloud.admin.post(path).json["purge"]["state"] == "done"
    assert hangs_on(cloud, cloud.manager)["hanging"] == []
    assert cloud.admin.delete(f"/identity/v3/projects/{cloud.project_id}").status_code == 204
    with cloud.read() as session:
        assert session.get(ProjectPurge, cloud.project_id) is None


def test_a_purge_waits_for_servers_to_leave_their_host(cloud: Any) -> None:
    gone, staying = make_server(cloud, None), make_server(cloud, "compute1")
    path = f"/operations/v1/projects/{cloud.project_id}/purge"
    answer = cloud.admin.post(path).json["purge"]
    assert (answer["state"], answer["remaining"]) == ("running", 1)
    assert [node["id"] for node in answer["leftovers"]] == [staying] != [gone]
    with cloud.read() as session:
        jobs = session.query(Job).filter_by(request_id=answer["request_id"], action="compute.server.delete").all()
        assert len(jobs) == 1
    assert cloud.admin.post(path).json["purge"]["request_id"] == answer["request_id"], "it is under way"
    with cloud.write() as session:
        purging.go_on_with_all(session)
        assert session.get_one(ProjectPurge, cloud.project_id).state == "running"
        session.execute(update(Server).where(Server.id == staying).values(deleted=True))
        purging.go_on_with_all(session)
        assert session.get_one(ProjectPurge, cloud.project_id).state == "running", "its host is not clean"
    assert a_pass(cloud).state == "done"


def test_a_purge_that_does_not_move_ends(cloud: Any) -> None:
    make_server(cloud, "compute1")
    cloud.admin.post(f"/operations/v1/projects/{cloud.project_id}/purge")
    purge = a_pass(cloud)
    assert purge.state == "incomplete"
    assert purge.leftovers[0]["status"] == "deleting"
