"""Walks every URL rule with what goes wrong: each answer is a fault in its service's own shape, never a 500."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

Method = tuple[str, Rule]

REQUEST_ID = re.compile(r"^req-[0-9a-f-]{36}$")
UNKNOWN = "00000000-0000-4000-8000-000000000bad"
VERSIONS = {"compute": "compute 2.96", "placement": "placement 1.39"}
PATCH_TYPE = "application/openstack-images-v2.1-json-patch"

PUBLIC = {
    "GET /", "GET /compute/", "GET /compute/v2.1/", "GET /compute/v2.1/versions/<id_>", "GET /identity/",
    "GET /identity/v3", "POST /identity/v3/auth/tokens", "POST /identity/v3/users/<user_id>/password", "GET /image/",
    "GET /image/v2", "GET /image/versions", "GET /internal/images/<image_id>", "GET /internal/metadata",
    "GET /internal/metrics", "GET /network/", "GET /network/v2.0", "GET /operations/", "GET /operations/v1",
    "GET /placement/", "PUT /internal/images/<image_id>",
}  # fmt: skip
"""All that answers without a token: versions, ways to a token, and what carries a signature instead."""

BODYLESS = re.compile(
    r"^PUT /(?!image/v2/metadefs).*(/tags/<(path:)?\w+>|"
    r"/roles/<role_id>(/inherited_to_projects)?|/users/<user_id>|/implies/<implied_id>)$"
    r"|^PUT /identity/v3/OS-EP-FILTER/|^PUT /placement/(traits|resource_classes)/<name>$"
    r"|^POST .*/actions/(de|re)activate$|^POST /operations/.*/(cancel|retry|purge)$"
    r"|^POST /image/v2/metadefs/namespaces/<namespace>/tags/<name>$"
)
"""Rules whose PUT or POST takes no body."""

BODIES: dict[str, Any] = {
    "PUT /compute/v2.1/flavors/<flavor_id>": {"flavor": {"description": "x"}},
    "POST /compute/v2.1/flavors/<flavor_id>/action": {"removeTenantAccess": {"tenant": UNKNOWN}},
    "POST /compute/v2.1/flavors/<flavor_id>/os-extra_specs": {"extra_specs": {"a": "b"}},
    "PUT /compute/v2.1/flavors/<flavor_id>/os-extra_specs/<key>": {UNKNOWN: "b"},
    "PUT /compute/v2.1/os-aggregates/<id_>": {"aggregate": {"name": "x"}},
    "POST /compute/v2.1/os-aggregates/<id_>/action": {"add_host": {"host": "x"}},
    "PUT /compute/v2.1/os-quota-sets/<project_id>": {"quota_set": {"cores": 3}},
    "PUT /compute/v2.1/os-services/<which>": {"status": "disabled"},
    "PUT /compute/v2.1/servers/<server_id>": {"server": {"name": "x"}},
    "POST /compute/v2.1/servers/<server_id>/action": {"os-start": None},
    "POST /compute/v2.1/servers/<server_id>/os-interface": {"interfaceAttachment": {"port_id": UNKNOWN}},
    "POST /compute/v2.1/servers/<server_id>/metadata": {"metadata": {"a": "b"}},
    "POST /compute/v2.1/servers/<server_id>/migrations/<number>/action": {"force_complete": None},
    "PUT /compute/v2.1/servers/<server_id>/metadata": {"metadata": {"a": "b"}},
    "PUT /compute/v2.1/servers/<server_id>/metadata/<key>": {"meta": {UNKNOWN: "b"}},
    "PUT /compute/v2.1/servers/<server_id>/tags": {"tags": ["a"]},
    "PUT /identity/v3/projects/<project_id>/tags": {"tags": ["a"]},
    "PATCH /identity/v3/OS-EP-FILTER/endpoint_groups/<id_>": {"endpoint_group": {"description": "x"}},
    "PATCH /identity/v3/policies/<id_>": {"policy": {"type": "text/plain"}},
    "POST /identity/v3/users/<user_id>/credentials/OS-EC2": {"tenant_id": UNKNOWN},
    "POST /identity/v3/users/<user_id>/application_credentials": {"application_credential": {"name": "x"}},
    "POST /identity/v3/users/<user_id>/password": {"user": {"password": "a password", "original_password": "another"}},
    "POST /image/v2/images/<image_id>/members": {"member": UNKNOWN},
    "PUT /image/v2/images/<image_id>/members/<member_id>": {"status": "accepted"},
    "POST /image/v2/images/<image_id>/import": {"method": {"name": "glance-direct"}},
    "PUT /identity/v3/regions/<region_id>": {"region": {"parent_region_id": "nowhere"}},
    "PUT /image/v2/metadefs/namespaces/<namespace>": {"namespace": "x"},
    **{f"POST /image/v2/metadefs/namespaces/<namespace>/{what}": body for what, body in (
        ("objects", {"name": "x"}), ("properties", {"name": "x", "title": "x", "type": "string"}),
        ("resource_types", {"name": "x"}), ("tags", {"tags": []}))},
    **{f"PUT /image/v2/metadefs/namespaces/<namespace>/{what}/<name>": body for what, body in (
        ("objects", {"name": "x"}), ("properties", {"name": "x", "title": "x", "type": "string"}),
        ("tags", {"name": "x"}))},
    "PUT /network/v2.0/quotas/<project_id>": {"quota": {"port": 3}},
    "PUT /placement/allocations/<consumer_uuid>": {
        "allocations": {UNKNOWN: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
        "consumer_generation": None, "consumer_type": "INSTANCE"},
    "PUT /placement/resource_providers/<uuid>": {"name": "x"},
    "PUT /placement/resource_providers/<uuid>/aggregates": {"aggregates": [], "resource_provider_generation": 0},
    "PUT /placement/resource_providers/<uuid>/inventories": {"inventories": {}, "resource_provider_generation": 0},
    "POST /placement/resource_providers/<uuid>/inventories": {
        "resource_class": "VCPU", "total": 1, "resource_provider_generation": 0},
    "PUT /placement/resource_providers/<uuid>/inventories/<resource_class>": {
        "total": 1, "resource_provider_generation": 0},
    "PUT /placement/resource_providers/<uuid>/traits": {"traits": [], "resource_provider_generation": 0},
}
"""Valid bodies where they are not `{<resource>: {"description": ...}}`, so that only the unknown id is wrong."""

ANSWERS_TO_UNKNOWN = {
    # Nova's word on projects that identity does not know; the defaults, and forgetting limits, ask nobody.
    "GET /compute/v2.1/os-quota-sets/<project_id>": 400,
    "GET /compute/v2.1/os-quota-sets/<project_id>/detail": 400,
    "PUT /compute/v2.1/os-quota-sets/<project_id>": 400,
    "DELETE /compute/v2.1/os-quota-sets/<project_id>": 202,
    "GET /compute/v2.1/os-quota-sets/<project_id>/defaults": 200,
    # Application credentials are their user's own alone.
    "POST /identity/v3/users/<user_id>/application_credentials": 403,
    # Who may not even be a user learns nothing; a URL without a signature neither.
    "POST /identity/v3/users/<user_id>/password": 401,
    "GET /internal/images/<image_id>": 403,
    "PUT /internal/images/<image_id>": 403,
    # Without a default external network nobody gets a topology; one that is not there is gone already.
    "GET /network/v2.0/auto-allocated-topology/<project_id>": 409,
    "DELETE /network/v2.0/auto-allocated-topology/<project_id>": 204,
    # Neutron knows no projects: each has the default limits.
    "GET /network/v2.0/quotas/<project_id>": 200,
    "PUT /network/v2.0/quotas/<project_id>": 200,
    "DELETE /network/v2.0/quotas/<project_id>": 204,
    "GET /network/v2.0/quotas/<project_id>/default": 200,
    "GET /network/v2.0/quotas/<project_id>/details": 200,
    "GET /network/v2.0/quotas/<project_id>/details.json": 200,
    # A consumer that holds nothing is shown so; a claim on an unknown provider, and a name of no operator's, are 400.
    "GET /placement/allocations/<consumer_uuid>": 200,
    "PUT /placement/allocations/<consumer_uuid>": 400,
    "PUT /placement/traits/<name>": 400,
    "PUT /placement/resource_classes/<name>": 400,
}
"""The services' own answers, where an unknown id is not 404."""

DEEP = b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"
BAD_BODIES = (b"{", b"", b"\xff\xfe", b"[]", b"null", b"7", b'"x"', b'{"a": "\\ud800"}', DEEP)
HUGE = "9" * 30
BAD_QUERIES = (
    "limit=-1", "limit=x", f"limit={HUGE}", f"limit={'9' * 5000}", "marker=%00", f"marker={UNKNOWN}", "sort_key=nope",
    "sort_key=name&sort_dir=up", "sort=name:up", "name=%00&id=%ff&tags=%00", "changes-since=x", "created_at=gt:x",
    f"minDisk={HUGE}&minRam=-1", f"power_state={HUGE}", "power_state=x", f"mtu={HUGE}", f"size_min={HUGE}",
    f"port_range_min={HUGE}", f"min_ram={HUGE}", "visibility=x", "member_status=x", "fixed_ips=x", "ip=%5B(",
    "enabled=x", "all_tenants=x", "resources=VCPU:x", f"resources=VCPU:{HUGE}", "required=x", "member_of=x",
)  # fmt: skip
BAD_VALUES = ("a%00b", "%ff%fe", "x" * 3000, "..%2f%27%22;--%F0%9F%92%A9", HUGE)


def shape_of(service: str, answer: TestResponse) -> tuple[Any, Any]:
    """The status code that the fault's body tells, and its message."""
    body = answer.json
    if service in ("identity", "operations"):
        return body["error"]["code"], body["error"]["message"]
    if service in ("image", "internal"):
        return int(body["code"].split()[0]), body["message"]
    if service == "network":
        assert set(body["NeutronError"]) == {"type", "message", "detail"}
        return answer.status_code, body["NeutronError"]["type"] and body["NeutronError"]["message"]
    if service == "placement":
        (error,) = body["errors"]
        assert error["request_id"] == answer.headers["x-openstack-request-id"]
        return error["status"], error["detail"]
    (error,) = body.values()  # compute's, and the shape of what belongs to no service
    return error["code"], error["message"]


def complaint(service: str, answer: TestResponse) -> str:
    """What is wrong with an answer as such; empty when nothing is."""
    if not REQUEST_ID.match(answer.headers.get("x-openstack-request-id", "")):
        return "no request id"
    if service == "compute" and "x-compute-request-id" not in answer.headers:
        return "no x-compute-request-id"
    if answer.status_code >= 500:
        return "a failure of the server"
    if answer.status_code < 400 or answer.request.method == "HEAD":
        return ""
    if answer.content_type != "application/json":
        return f"content type {answer.content_type}"
    if answer.status_code == 401 and not answer.headers.get("WWW-Authenticate", "").startswith("Keystone uri="):
        return "401 without WWW-Authenticate"
    code, message = shape_of(service, answer)
    if code != answer.status_code or not isinstance(message, str) or not message:
        return f"not a fault of {service}: {answer.get_data(as_text=True)[:200]}"
    return ""


class Walk:
    """Calls rules and collects what is wrong, so that a run names all of it."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.wrong: list[str] = []

    def rules(self, *methods: str) -> Iterator[Method]:
        for rule in sorted(self.cloud.app.url_map.iter_rules(), key=str):
            for method in sorted(rule.methods or ()):
                if method in (methods or ("GET", "POST", "PUT", "PATCH", "DELETE")):
                    yield method, rule

    def call(
        self, client: Any, method: str, rule: Rule, expected: Callable[[int], bool], value: str = UNKNOWN,
        query: str = "", **options: Any,
    ) -> TestResponse:  # fmt: skip
        path = re.sub(r"<[^>]+>", value, str(rule)) + (f"?{query}" if query else "")
        service = path.split("/")[1]
        headers = {"OpenStack-API-Version": VERSIONS[service]} if service in VERSIONS else {}
        answer = client.request(method, path, headers=headers, **options)
        found = complaint(service, answer)
        if not found and not expected(answer.status_code):
            found = answer.get_data(as_text=True)[:200] or "unexpected"
        if found:
            sent = {name: str(text)[:60] for name, text in options.items()}
            self.wrong.append(f"{method} {path[:160]} {sent}: {answer.status_code} {found}")
        return answer

    def end(self) -> None:
        assert not self.wrong, "\n".join(self.wrong)


@pytest.fixture
def walk(cloud: Any) -> Iterator[Walk]:
    walk = Walk(cloud)
    yield walk
    assert walk.cloud.admin.get("/compute/v2.1/servers").status_code == 200, "the walk broke the API"


def resource_body(method: str, rule: Rule) -> Any:
    """A valid body for a change of one resource: from BODIES, else one with a new description."""
    if found := BODIES.get(f"{method} {rule}"):
        return found
    if str(rule).startswith("/network/") and str(rule).endswith("/tags"):
        return {"tags": ["a"]}
    collection = str(rule).split("/")[3].replace("-", "_")
    return {collection.removesuffix("s"): {"description": "x"}}


def test_only_the_named_routes_answer_without_a_token(walk: Walk) -> None:
    handlers = walk.cloud.app.view_functions
    found = {f"{method} {rule}" for method, rule in walk.rules()
             if getattr(handlers[rule.endpoint], "stratiform_public", False)}  # fmt: skip
    assert found == PUBLIC
    bad = walk.cloud.client("gAAAAAno-token")
    for method, rule in walk.rules("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        named = "GET" if method in ("HEAD", "OPTIONS") else method
        if f"{named} {rule}" in PUBLIC or (method == "OPTIONS" and f"POST {rule}" in PUBLIC):
            continue
        for client in (walk.cloud.anonymous, bad):
            walk.call(client, method, rule, lambda status: status == 401)
    walk.end()


def test_unknown_ids_are_404_or_what_the_service_says_of_them(walk: Walk) -> None:
    for method, rule in walk.rules():
        name = f"{method} {rule}"
        if not rule.arguments or name in ("PATCH /image/v2/images/<image_id>", "PUT /image/v2/images/<image_id>/file",
                                          "PUT /image/v2/images/<image_id>/stage"):
            continue
        wanted = ANSWERS_TO_UNKNOWN.get(name, 404)
        takes_body = method in ("POST", "PUT", "PATCH") and not BODYLESS.search(f"{method} {rule}")
        options = {"json": resource_body(method, rule)} if takes_body else {}
        walk.call(walk.cloud.admin, method, rule, lambda status, wanted=wanted: status == wanted, **options)
    walk.end()


def test_unknown_images_are_404_to_their_own_content_types(walk: Walk) -> None:
    for name, data, kind in (("PATCH /image/v2/images/<image_id>", b"[]", PATCH_TYPE),
                             ("PUT /image/v2/images/<image_id>/stage", b"x", "application/octet-stream"),
                             ("PUT /image/v2/images/<image_id>/file", b"x", "application/octet-stream")):  # fmt: skip
        (rule,) = (rule for method, rule in walk.rules() if f"{method} {rule}" == name)
        walk.call(walk.cloud.admin, name.split()[0], rule, lambda status: status == 404, data=data, content_type=kind)
    walk.end()


def test_bodies_that_are_no_json_object_are_refused(walk: Walk) -> None:
    for method, rule in walk.rules("POST", "PUT", "PATCH"):
        if BODYLESS.search(f"{method} {rule}") or str(rule).startswith("/internal/"):
            continue  # what is signed takes bytes, from those who can sign
        patch, data = method == "PATCH" and "/image/" in str(rule), str(rule).endswith(("/file", "/stage"))
        kind = PATCH_TYPE if patch else "application/json"
        for body in BAD_BODIES:
            if patch and body == b"[]":
                continue  # no changes: a valid patch
            walk.call(walk.cloud.admin, method, rule, lambda status, data=data: status == (415 if data else 400),
                      data=body, content_type=kind)  # fmt: skip
        for other in ("text/plain", "application/xml", "application/json" if patch else PATCH_TYPE):
            walk.call(walk.cloud.admin, method, rule, lambda status: status == 415, data=b"{}", content_type=other)
    walk.end()


def test_odd_queries_never_fail_the_server(walk: Walk) -> None:
    for method, rule in walk.rules("GET"):
        if rule.arguments:
            continue  # lists take queries
        for query in BAD_QUERIES:
            walk.call(walk.cloud.admin, method, rule, lambda status: status < 500, query=query)
    walk.end()


def test_odd_values_in_paths_never_fail_the_server(walk: Walk) -> None:
    for method, rule in walk.rules():
        if not rule.arguments:
            continue
        takes_body = method in ("POST", "PUT", "PATCH") and not BODYLESS.search(f"{method} {rule}")
        options = {"json": resource_body(method, rule)} if takes_body else {}
        for value in BAD_VALUES:
            walk.call(walk.cloud.admin, method, rule, lambda status: status < 500, value=value, **options)
    walk.end()


def test_methods_that_a_url_does_not_have_are_405_and_name_those_that_it_has(walk: Walk) -> None:
    adapter = walk.cloud.app.url_map.bind("cloud.test")
    for _, rule in walk.rules("OPTIONS"):
        path = re.sub(r"<[^>]+>", UNKNOWN, str(rule))
        allowed = set(adapter.allowed_methods(path))
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
            answer = walk.call(walk.cloud.admin, method, rule, lambda status: status == 405)
            assert set(answer.headers["Allow"].split(", ")) == allowed
    walk.end()


@pytest.mark.parametrize("path", ["/compute/v2.1/servers/x/metadata/file", "/image/v2/images/x/tags/file"])
def test_only_an_images_bytes_may_be_larger_than_the_limit(cloud: Any, path: str) -> None:
    answer = cloud.admin.put(path, data=b'{"x": "' + b"x" * (2 << 20) + b'"}', content_type="application/json")
    assert answer.status_code == 413
    assert not complaint(path.split("/")[1], answer)
