"""Images as rows: create, show, change, tag, delete, and who may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

PATCH = "application/openstack-images-v2.1-json-patch"
HOSTILE = [
    "{{ lookup('pipe','touch /tmp/x') }}", "{% for x in y %}", "a\"b'c", "line\nbreak", "🦆 emoji", "../../etc/passwd",
    "x" * 255, "%s %(name)s", "\\", "<b>", "' OR 1=1 --",
]  # fmt: skip
Make = Callable[..., dict[str, Any]]


def patch(client: Any, image: dict[str, Any], *changes: Any, kind: str = PATCH) -> Any:
    return client.patch(f"/image{image['self']}", data=json.dumps(changes), headers={"Content-Type": kind})


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def test_a_new_image_has_every_attribute_and_its_own_properties_at_the_top(cloud: Any) -> None:
    answer = cloud.member.post("/image/v2/images", json={
        "name": "debian", "disk_format": "qcow2", "container_format": "bare", "min_disk": 2, "min_ram": 256,
        "tags": ["b", "a", "b"], "hw_disk_bus": "scsi", "os_hidden": True, "protected": True,
    })  # fmt: skip
    image = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"https://cloud.test:8443/image/v2/images/{image['id']}"
    assert image["self"] == f"/v2/images/{image['id']}" and image["file"] == f"{image['self']}/file"
    expected = {
        "name": "debian", "status": "queued", "visibility": "shared", "owner": cloud.project_id, "protected": True,
        "os_hidden": True, "min_disk": 2, "min_ram": 256, "hw_disk_bus": "scsi", "size": None, "virtual_size": None,
        "checksum": None, "os_hash_algo": None, "os_hash_value": None, "schema": "/v2/schemas/image",
    }  # fmt: skip
    assert expected.items() <= image.items()
    assert sorted(image["tags"]) == ["a", "b"]
    assert cloud.member.get(f"/image{image['self']}").json == image


def test_a_client_may_choose_the_id_once_and_for_ever(cloud: Any) -> None:
    chosen = "11111111-2222-3333-4444-555555555555"
    assert cloud.member.post("/image/v2/images", json={"id": chosen}).json["id"] == chosen
    assert cloud.other.post("/image/v2/images", json={"id": chosen}).status_code == 409
    assert cloud.member.delete(f"/image/v2/images/{chosen}").status_code == 204
    assert cloud.other.post("/image/v2/images", json={"id": chosen}).status_code == 409


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"id": "../../etc/passwd"}, 400), ({"id": 5}, 400), ({"name": "x" * 256}, 400), ({"min_disk": -1}, 400),
    ({"min_ram": 2**40}, 400), ({"disk_format": "vmdk"}, 400), ({"container_format": "ova"}, 400),
    ({"visibility": "secret"}, 400), ({"protected": "yes"}, 400), ({"tags": ["x" * 256]}, 400), ({"tags": "x"}, 400),
    ({"custom": 5}, 400), ({"custom": None}, 400), ({"x" * 256: "y"}, 400), ({"": "y"}, 400),
    ({"disk_format": "aki", "container_format": "bare"}, 400),
    ({"status": "active"}, 403), ({"size": 5}, 403), ({"checksum": "x"}, 403), ({"self": "/x"}, 403),
    ({"locations": []}, 403), ({"deleted": "true"}, 403), ({"location": "x"}, 403), ({"os_glance_x": "x"}, 403),
    ({"visibility": "public"}, 403), ({"owner": "somebody-else"}, 403),
    ({f"p{number}": "v" for number in range(129)}, 413), ({"tags": [str(n) for n in range(129)]}, 413),
]  # fmt: skip


def test_what_may_not_be_set_is_refused(cloud: Any) -> None:
    for body, status in REFUSED:
        answer = cloud.member.post("/image/v2/images", json=body)
        assert answer.status_code == status, (body, answer.json)
        assert answer.json["message"] and answer.json["code"].startswith(str(status))
    assert cloud.admin.get("/image/v2/images").json["images"] == []


def test_administrators_make_public_images_and_images_of_others(cloud: Any) -> None:
    body = {"visibility": "public", "owner": cloud.project_id}
    image = cloud.admin.post("/image/v2/images", json=body).json
    assert (image["visibility"], image["owner"]) == ("public", cloud.project_id)


def test_readers_create_change_and_delete_nothing(cloud: Any, make_image: Make) -> None:
    image = make_image()
    assert cloud.reader.get(f"/image{image['self']}").status_code == 200
    for answer in (
        cloud.reader.post("/image/v2/images", json={}), patch(cloud.reader, image, replace("/name", "x")),
        cloud.reader.delete(f"/image{image['self']}"), cloud.reader.put(f"/image{image['self']}/tags/x"),
        cloud.reader.put(f"/image{image['file']}", data=b"x", headers={"Content-Type": "application/octet-stream"}),
        cloud.reader.post(f"/image{image['self']}/actions/deactivate"),
    ):  # fmt: skip
        assert answer.status_code == 403, answer.json


def test_other_projects_images_are_not_there(cloud: Any, make_image: Make) -> None:
    for visibility in ("private", "shared"):
        image = make_image(visibility=visibility)
        here = f"/image{image['self']}"
        for answer in (
            cloud.other.get(here), cloud.other.get(f"{here}/file"), cloud.other.delete(here),
            patch(cloud.other, image, replace("/name", "x")), cloud.other.put(f"{here}/tags/x"),
            cloud.other.get(f"{here}/members"), cloud.other.post(f"{here}/actions/deactivate"),
            cloud.other.put(f"{here}/file", data=b"x", headers={"Content-Type": "application/octet-stream"}),
        ):  # fmt: skip
            assert answer.status_code == 404, answer.json
        assert cloud.other.get("/image/v2/images?visibility=all").json["images"] == []


def test_what_others_show_may_not_be_changed(cloud: Any, make_image: Make) -> None:
    for image in (make_image(client=cloud.admin, visibility="public"), make_image(visibility="community")):
        assert cloud.other.get(f"/image{image['self']}").status_code == 200
        assert patch(cloud.other, image, replace("/name", "mine")).status_code == 403
        assert cloud.other.delete(f"/image{image['self']}").status_code == 403


def test_hostile_text_comes_back_as_sent(cloud: Any, make_image: Make) -> None:
    for text in HOSTILE:
        image = make_image(name=text, property=text, tags=[text])
        assert patch(cloud.member, image, {"op": "add", "path": "/more", "value": text}).status_code == 200
        shown = cloud.member.get(f"/image{image['self']}").json
        assert [shown["name"], shown["property"], shown["more"], *shown["tags"]] == [text] * 4
        found = cloud.member.get("/image/v2/images", query_string={"property": text, "tag": text}).json["images"]
        assert [entry["id"] for entry in found] == [image["id"]]


def test_patch_adds_replaces_and_removes(cloud: Any, make_image: Make) -> None:
    image = make_image(one="1", two="2", tags=["old"])
    answer = patch(
        cloud.member, image, replace("/name", None), replace("/one", "eins"), {"op": "remove", "path": "/two"},
        {"op": "add", "path": "/a~1b~0c", "value": "x"}, replace("/tags", ["new", "new"]), replace("/min_disk", 7),
        {"op": "add", "path": "/protected", "value": True},
    )  # fmt: skip
    assert answer.status_code == 200
    shown = cloud.member.get(f"/image{image['self']}").json
    assert shown == answer.json
    expected = {"name": None, "one": "eins", "a/b~c": "x", "tags": ["new"], "min_disk": 7, "protected": True}
    assert expected.items() <= shown.items()
    assert "two" not in shown


def test_patch_takes_the_older_form_too(cloud: Any, make_image: Make) -> None:
    kind = "application/openstack-images-v2.0-json-patch"
    image = make_image(one="1")
    answer = patch(cloud.member, image, {"replace": "/name", "value": "n"}, {"remove": "/one"}, kind=kind)
    assert answer.status_code == 200
    assert answer.json["name"] == "n" and "one" not in answer.json
    assert patch(cloud.member, image, {"add": "/x", "remove": "/x", "value": ""}, kind=kind).status_code == 400


REFUSED_CHANGES: list[tuple[Any, int]] = [
    (replace("/status", "active"), 403), (replace("/id", "x"), 403), (replace("/size", 1), 403),
    (replace("/deleted", "x"), 403), (replace("/os_glance_x", "x"), 403), (replace("/owner", "x"), 403),
    (replace("/visibility", "public"), 403), (replace("/locations", []), 403),
    ({"op": "remove", "path": "/name"}, 403), ({"op": "remove", "path": "/nothing"}, 409),
    (replace("/nothing", "x"), 409), (replace("/min_disk", "1"), 400), (replace("/name", 5), 400),
    (replace("/visibility", "nobody"), 400), (replace("/custom", 5), 400), (replace("/a/b", "x"), 400),
    (replace("no-slash", "x"), 400), (replace("/", "x"), 400), (replace("/~2", "x"), 400), (replace("/x~", "x"), 400),
    (replace(5, "x"), 400), ({"op": "move", "path": "/x", "value": 1}, 400), ({"path": "/x"}, 400),
    ({"op": "add", "value": "x"}, 400), ({"op": "add", "path": "/x"}, 400), ("text", 400), ([], 400),
    (replace("/disk_format", "aki"), 400),
]  # fmt: skip


def test_patch_refuses_and_changes_nothing(cloud: Any, make_image: Make) -> None:
    image = make_image(custom="x")
    for change, status in REFUSED_CHANGES:
        answer = patch(cloud.member, image, replace("/name", "changed before"), change)
        assert answer.status_code == status, (change, answer.json)
        assert answer.json["message"]
        assert cloud.member.get(f"/image{image['self']}").json == image


def test_patch_wants_its_own_media_type_and_a_list(cloud: Any, make_image: Make) -> None:
    image = make_image()
    answer = patch(cloud.member, image, replace("/name", "x"), kind="application/json")
    assert answer.status_code == 415
    assert PATCH in answer.headers["Accept-Patch"]
    for body in (b'{"op": "add"}', b"[", b"5"):
        answer = cloud.member.patch(f"/image{image['self']}", data=body, headers={"Content-Type": PATCH})
        assert answer.status_code == 400


def test_formats_are_fixed_once_there_are_bytes(cloud: Any, make_image: Make) -> None:
    image = make_image(b"x" * 512)
    assert patch(cloud.member, image, replace("/disk_format", "qcow2")).status_code == 403
    assert patch(cloud.member, make_image(), replace("/disk_format", "qcow2")).status_code == 200


def test_tags_come_and_go_one_by_one(cloud: Any, make_image: Make) -> None:
    here = f"/image{make_image()['self']}"
    assert cloud.member.put(f"{here}/tags/a%20b").status_code == 204
    assert cloud.member.put(f"{here}/tags/a%20b").status_code == 204
    assert cloud.member.put(f"{here}/tags/{'x' * 256}").status_code == 400
    assert cloud.member.get(here).json["tags"] == ["a b"]
    assert cloud.member.delete(f"{here}/tags/other").status_code == 404
    assert cloud.member.delete(f"{here}/tags/a%20b").status_code == 204
    assert cloud.member.get(here).json["tags"] == []


def test_protected_images_stay(cloud: Any, make_image: Make) -> None:
    image = make_image(protected=True)
    assert cloud.member.delete(f"/image{image['self']}").status_code == 403
    patch(cloud.member, image, replace("/protected", False))
    assert cloud.member.delete(f"/image{image['self']}").status_code == 204
    assert cloud.member.get(f"/image{image['self']}").status_code == 404
    assert cloud.member.delete(f"/image{image['self']}").status_code == 404


def test_deactivated_images_give_their_bytes_to_administrators_only(cloud: Any, make_image: Make) -> None:
    image = make_image(b"bytes")
    here = f"/image{image['self']}"
    assert cloud.member.post(f"{here}/actions/deactivate").status_code == 204
    assert cloud.member.post(f"{here}/actions/deactivate").status_code == 204
    assert cloud.member.get(here).json["status"] == "deactivated"
    assert cloud.member.get(f"{here}/file").status_code == 403
    assert cloud.admin.get(f"{here}/file").data == b"bytes"
    assert cloud.member.post(f"{here}/actions/reactivate").status_code == 204
    assert cloud.member.get(f"{here}/file").data == b"bytes"
    assert cloud.member.post(f"/image{make_image()['self']}/actions/deactivate").status_code == 403


def test_sharing_is_offered_answered_and_withdrawn(cloud: Any, make_image: Make) -> None:
    image = make_image(b"bytes")
    members = f"/image{image['self']}/members"
    other = cloud.other_project_id
    offered = cloud.member.post(members, json={"member": other})
    assert offered.status_code == 200
    assert (offered.json["status"], offered.json["member_id"]) == ("pending", other)
    assert cloud.member.post(members, json={"member": other}).status_code == 409
    assert cloud.other.get(f"/image{image['self']}").status_code == 200
    assert cloud.other.get("/image/v2/images").json["images"] == []
    listed = cloud.other.get("/image/v2/images?member_status=pending&visibility=shared").json["images"]
    assert [entry["id"] for entry in listed] == [image["id"]]
    assert cloud.member.put(f"{members}/{other}", json={"status": "accepted"}).status_code == 403
    assert cloud.other.put(f"{members}/{other}", json={"status": "perhaps"}).status_code == 400
    assert cloud.other.put(f"{members}/{other}", json={"status": "accepted"}).json["status"] == "accepted"
    assert [entry["id"] for entry in cloud.other.get("/image/v2/images").json["images"]] == [image["id"]]
    assert cloud.other.get(f"/image{image['file']}").data == b"bytes"
    assert cloud.other.get(f"{members}/{other}").json["status"] == "accepted"
    assert len(cloud.member.get(members).json["members"]) == 1
    assert cloud.other.delete(f"{members}/{other}").status_code == 403
    assert cloud.other.post(members, json={"member": "third"}).status_code == 403
    assert cloud.member.delete(f"{members}/{other}").status_code == 204
    assert cloud.other.get(f"/image{image['self']}").status_code == 404
    assert cloud.member.delete(f"{members}/{other}").status_code == 404


def test_a_member_sees_no_other_members(cloud: Any, make_image: Make) -> None:
    image = make_image()
    members = f"/image{image['self']}/members"
    for project in (cloud.other_project_id, "third"):
        cloud.member.post(members, json={"member": project})
    assert [entry["member_id"] for entry in cloud.other.get(members).json["members"]] == [cloud.other_project_id]
    assert cloud.other.get(f"{members}/third").status_code == 404
    assert len(cloud.member.get(members).json["members"]) == 2


def test_only_shared_images_have_members(cloud: Any, make_image: Make) -> None:
    image = make_image(visibility="private")
    assert cloud.member.post(f"/image{image['self']}/members", json={"member": "x"}).status_code == 403
    assert cloud.member.post(f"/image{make_image()['self']}/members", json={}).status_code == 400


def test_what_clients_read_of_the_service(cloud: Any) -> None:
    versions = cloud.anonymous.get("/image/")
    assert versions.status_code == 300
    assert [entry["id"] for entry in versions.json["versions"] if entry["status"] == "CURRENT"] == ["v2.16"]
    assert versions.json["versions"][-1]["id"] == "v2.0"
    for name in ("image", "images", "member", "members"):
        assert cloud.member.get(f"/image/v2/schemas/{name}").json["name"] == name
    assert cloud.member.get("/image/v2/schemas/nothing").status_code == 404
    methods = cloud.member.get("/image/v2/info/import").json["import-methods"]["value"]
    assert methods == ["glance-direct", "web-download"]
    assert cloud.member.get("/image/v2/info/stores").json == {"stores": [{"id": "file", "default": "true"}]}
    assert cloud.anonymous.get("/image/v2/schemas/image").status_code == 401


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_empty_id_names_no_image(cloud: Any, method: str) -> None:
    assert cloud.member.request(method, "/image/v2/images/").status_code == 404
