"""The wire contract that every client relies on (docs/architecture.md, "The wire contract"), service by service.

A later service adds a row to SERVICES, and is held to all of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest

REQUEST_ID = re.compile(r"^req-[0-9a-f-]{36}$")
PUBLIC_URL = "https://cloud.example:8443"


@dataclass(frozen=True)
class Row:
    """What differs between services."""

    prefix: str
    root_status: int
    version_path: str
    list_path: str
    missing: str
    bad_create: tuple[str, dict[str, Any]]
    fault: tuple[str, ...]
    microversions: tuple[str, str, str] | None = None  # type, minimum, maximum
    legacy_header: str | None = None


SERVICES = {
    "identity": Row("/identity", 300, "/identity/v3", "/identity/v3/projects", "/identity/v3/projects/a-name",
                    ("/identity/v3/projects", {"project": {"name": 7}}), ("error", "message")),
    "image": Row("/image", 300, "/image/v2", "/image/v2/images", "/image/v2/images/a-name",
                 ("/image/v2/images", {"name": 7}), ("message",)),
    "network": Row("/network", 200, "/network/v2.0", "/network/v2.0/networks", "/network/v2.0/networks/a-name",
                   ("/network/v2.0/networks", {"network": {"admin_state_up": "perhaps"}}), ("NeutronError", "message")),
    "compute": Row("/compute", 200, "/compute/v2.1", "/compute/v2.1/servers", "/compute/v2.1/servers/a-name",
                   ("/compute/v2.1/servers", {"server": {"name": 7}}), ("*", "message"),
                   ("compute", "2.1", "2.96"), "X-OpenStack-Nova-API-Version"),
    "placement": Row("/placement", 200, "/placement/", "/placement/resource_providers",
                     "/placement/resource_providers/a-name", ("", {}), ("errors", "0", "detail"),
                     ("placement", "1.0", "1.39")),
    "operations": Row("/operations", 200, "/operations/v1", "/operations/v1/operations",
                      "/operations/v1/operations/a-name", ("", {}), ("error", "message")),
}  # fmt: skip


def dig(body: Any, path: tuple[str, ...]) -> Any:
    """The value at `path`; `*` takes the only key, digits index a list."""
    for step in path:
        if step == "*":
            (body,) = body.values()
        else:
            body = body[int(step)] if step.isdigit() else body[step]
    return body


@pytest.fixture(params=sorted(SERVICES))
def row(request: pytest.FixtureRequest) -> Row:
    return SERVICES[request.param]


def entries(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The version entries of a version document, however the service nests them."""
    found = body.get("versions", body.get("version"))
    if isinstance(found, dict):
        found = found.get("values", found)
    return found if isinstance(found, list) else [found]


def test_version_documents_need_no_token(cloud: Any, row: Row) -> None:
    for path, status in ((f"{row.prefix}/", row.root_status), (row.version_path, 200)):
        answer = cloud.anonymous.get(path)
        assert answer.status_code == status, path
        if path.endswith("v2.0"):
            assert answer.json["resources"]
            continue
        for entry in entries(answer.json):
            assert {"id", "status", "links"} <= set(entry)
            assert any(link["rel"] == "self" for link in entry["links"])
        if row.microversions:
            newest = next(entry for entry in entries(answer.json) if entry["status"] == "CURRENT")
            assert newest["min_version"] == row.microversions[1]
            assert newest.get("max_version", newest.get("version")) == row.microversions[2]


def test_links_come_from_the_public_url_not_from_the_host_header(cloud: Any, row: Row) -> None:
    answer = cloud.anonymous.get(f"{row.prefix}/", headers={"Host": "evil.example"})
    assert b"evil.example" not in answer.data


def test_every_answer_carries_our_own_request_id(cloud: Any, row: Row) -> None:
    sent = "req-00000000-0000-0000-0000-000000000001"
    for client, path in ((cloud.anonymous, f"{row.prefix}/"), (cloud.admin, row.list_path), (cloud.admin, row.missing),
                         (cloud.anonymous, row.list_path)):  # fmt: skip
        answer = client.get(path, headers={"X-OpenStack-Request-ID": sent})
        assert REQUEST_ID.match(answer.headers["x-openstack-request-id"])
        assert answer.headers["x-openstack-request-id"] != sent
        if row.prefix == "/compute":
            assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]


def test_401_names_identity(cloud: Any, row: Row) -> None:
    for headers in ({}, {"X-Auth-Token": "gAAAAAno-token"}):
        answer = cloud.anonymous.get(row.list_path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Keystone uri="')
        assert dig(answer.json, row.fault)


def test_a_name_where_an_id_is_expected_is_404_in_the_services_own_shape(cloud: Any, row: Row) -> None:
    answer = cloud.admin.get(row.missing)
    assert answer.status_code == 404
    assert dig(answer.json, row.fault)


def test_unknown_urls_and_methods_are_faults_too(cloud: Any, row: Row) -> None:
    unknown = cloud.admin.get(f"{row.version_path.rstrip('/')}/no-such-thing")
    assert unknown.status_code == 404
    assert dig(unknown.json, row.fault)
    refused = cloud.admin.patch(row.list_path, json={})
    assert refused.status_code in (404, 405)
    assert dig(refused.json, row.fault)


def test_bodies_are_validated_and_faults_name_the_field(cloud: Any, row: Row) -> None:
    path, body = row.bad_create
    if not path:
        return
    answer = cloud.admin.post(path, json=body)
    assert answer.status_code == 400, answer.json
    assert dig(answer.json, row.fault)
    broken = cloud.admin.post(path, data=b"{", content_type="application/json")
    assert broken.status_code == 400
    assert dig(broken.json, row.fault)


def test_a_body_over_the_limit_is_413(cloud: Any, row: Row) -> None:
    path, _ = row.bad_create
    if not path:
        return
    answer = cloud.admin.post(path, data=b'{"x": "' + b"x" * (2 << 20) + b'"}', content_type="application/json")
    assert answer.status_code == 413
    assert dig(answer.json, row.fault)


def test_lists_answer_200_with_json(cloud: Any, row: Row) -> None:
    answer = cloud.admin.get(row.list_path)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"


def test_microversions_are_negotiated(cloud: Any, row: Row) -> None:
    if row.microversions is None:
        return
    service, minimum, maximum = row.microversions
    cases = [(None, 200, minimum), (f"{service} latest", 200, maximum), (f"{service} {maximum}", 200, maximum),
             (f"{service} 99.0", 406, None), (f"{service} nonsense", 400, None),
             ("other 9.9", 200, minimum)]  # fmt: skip
    for asked, status, answered in cases:
        headers = {"OpenStack-API-Version": asked} if asked else {}
        answer = cloud.admin.get(row.list_path, headers=headers)
        assert answer.status_code == status, asked
        assert "OpenStack-API-Version" in answer.headers["Vary"]
        if answered:
            assert answer.headers["OpenStack-API-Version"] == f"{service} {answered}"
        else:
            assert dig(answer.json, row.fault)
    if row.legacy_header:
        answer = cloud.admin.get(row.list_path, headers={row.legacy_header: maximum})
        assert answer.headers[row.legacy_header] == maximum
        assert row.legacy_header in answer.headers["Vary"]


def test_a_reader_may_read_and_not_write(cloud: Any, row: Row) -> None:
    if row.prefix in ("/identity", "/placement"):
        return  # there, reading lists is the operator's alone
    assert cloud.reader.get(row.list_path).status_code == 200
    if row.prefix == "/operations":
        return  # nothing is made there; tests/unit/operations has who may cancel and retry
    path, body = {
        "/image": ("/image/v2/images", {"name": "x", "disk_format": "raw", "container_format": "bare"}),
        "/network": ("/network/v2.0/networks", {"network": {"name": "x"}}),
        "/compute": ("/compute/v2.1/os-keypairs", {"keypair": {"name": "x"}}),
    }[row.prefix]
    answer = cloud.reader.post(path, json=body)
    if row.prefix == "/compute":
        assert answer.status_code in (200, 403)  # key pairs belong to users: any role may make them
    else:
        assert answer.status_code == 403
        assert dig(answer.json, row.fault)
