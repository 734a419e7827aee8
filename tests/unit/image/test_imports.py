"""Imports: staging, downloads, several stores, their tasks, and what a killed process leaves."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.db.base import new_uuid
from api.image import importing, repair, store, web
from api.image.models import Image, ImageTask

from .conftest import BYTES, qcow2

Make = Callable[..., dict[str, Any]]
DIRECT = {"method": {"name": "glance-direct"}}


def stage(client: Any, image: dict[str, Any], data: bytes) -> Any:
    return client.put(f"/image{image['self']}/stage", data=data, headers=BYTES)


def begin(client: Any, image: dict[str, Any], body: dict[str, Any]) -> Any:
    answer = client.post(f"/image{image['self']}/import", json=body)
    importing.wait()
    return answer


def show(cloud: Any, image: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = cloud.admin.get(f"/image{image['self']}").json
    return shown


def files(name: str | None = None) -> list[str]:
    return sorted(path.name for path in store.directory(name).glob("*"))


def test_staged_bytes_are_imported(cloud: Any, make_image: Make) -> None:
    image = make_image(disk_format="qcow2")
    assert stage(cloud.member, image, qcow2()).status_code == 204
    assert show(cloud, image)["status"] == "uploading"
    assert stage(cloud.member, image, b"again").status_code == 409
    assert cloud.member.put(f"/image{image['file']}", data=b"x", headers=BYTES).status_code == 409
    answer = begin(cloud.member, image, DIRECT)
    assert (answer.status_code, answer.data) == (202, b"")
    shown = show(cloud, image)
    assert (shown["status"], shown["stores"], shown["virtual_size"]) == ("active", "file", 1 << 30)
    assert (shown["os_glance_importing_to_stores"], shown["os_glance_failed_import"]) == ("", "")
    assert files() == [image["id"]]
    assert cloud.member.get(f"/image{image['file']}").data == qcow2()
    (task,) = cloud.member.get(f"/image{image['self']}/tasks").json["tasks"]
    assert (task["status"], task["type"]) == ("success", "api_image_import")
    assert task["request_id"] == answer.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"]["name"] == "glance-direct"
    assert task["expires_at"] is not None


def test_content_that_is_refused_queues_the_image_again(cloud: Any, make_image: Make) -> None:
    image = make_image(disk_format="qcow2")
    stage(cloud.member, image, b"no qcow2")
    assert begin(cloud.member, image, DIRECT).status_code == 202
    shown = show(cloud, image)
    assert (shown["status"], shown["size"], shown["os_glance_failed_import"]) == ("queued", None, "file")
    assert files() == []
    (task,) = cloud.member.get(f"/image{image['self']}/tasks").json["tasks"]
    assert task["status"] == "failure"
    assert "qcow2" in task["message"]
    assert stage(cloud.member, image, qcow2()).status_code == 204
    begin(cloud.member, image, DIRECT)
    assert show(cloud, image)["status"] == "active"


@pytest.mark.parametrize(("body", "status"), [
    ({}, 400), ({"method": {}}, 400), ({"method": {"name": "magic"}}, 400), ({"method": {"name": "web-download"}}, 400),
    ({"method": {"name": "web-download", "uri": "file:///etc/passwd"}}, 400),
    ({"method": {"name": "web-download", "uri": "http://[::1"}}, 400),
    ({"method": {"name": "web-download", "uri": "http://user:secret@example.com/x"}}, 400),
    ({"method": {"name": "web-download", "uri": "http://example.com:22/x"}}, 400),
    ({"method": {"name": "copy-image"}, "stores": ["file"]}, 400), ({**DIRECT, "stores": ["nowhere"]}, 400),
    ({**DIRECT, "stores": []}, 400), ({**DIRECT, "colour": "blue"}, 400), (DIRECT, 409),
])  # fmt: skip
def test_an_import_that_cannot_be(cloud: Any, make_image: Make, body: dict[str, Any], status: int) -> None:
    image = make_image()
    answer = begin(cloud.member, image, body)
    assert answer.status_code == status, answer.json
    assert answer.json["message"]
    assert show(cloud, image)["status"] == "queued"
    assert not store.directory().exists() or files() == []


def test_others_neither_stage_nor_import(cloud: Any, make_image: Make) -> None:
    image = make_image(visibility="community")
    assert stage(cloud.other, image, b"x").status_code == 403
    assert begin(cloud.other, image, DIRECT).status_code == 403
    private = make_image(visibility="private")
    assert stage(cloud.other, private, b"x").status_code == 404
    assert cloud.other.get(f"/image{private['self']}/tasks").status_code == 404


def test_a_deleted_image_takes_its_staged_bytes_along(cloud: Any, make_image: Make) -> None:
    image = make_image()
    stage(cloud.member, image, b"x")
    assert files() == [f"{image['id']}.staged"]
    assert cloud.member.delete(f"/image{image['self']}").status_code == 204
    assert files() == []


class _Handler(http.server.BaseHTTPRequestHandler):
    """/image gives bytes, /moved leads there, /away leads to another host, /short breaks off."""

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        targets = {"/moved": "/image", "/away": f"http://localhost:{port}/image", "/round": "/round"}
        if self.path in targets:
            self.send_response(302)
            self.send_header("Location", targets[self.path])
            self.end_headers()
        elif self.path in ("/image", "/short"):
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"0123456789" if self.path == "/image" else b"0123")
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a web server on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_address[1]
        running.shutdown()
        thread.join()


def download(cloud: Any, image: dict[str, Any], uri: str) -> dict[str, Any]:
    """What a download's task says in the end."""
    answer = begin(cloud.member, image, {"method": {"name": "web-download", "uri": uri}})
    assert answer.status_code == 202, answer.json
    task: dict[str, Any] = cloud.member.get(f"/image{image['self']}/tasks").json["tasks"][0]
    return task


@pytest.mark.parametrize("path", ["/image", "/moved"])
def test_a_named_host_is_downloaded_from(
    cloud: Any, make_image: Make, server: int, configure: Callable[[str], None], path: str
) -> None:
    configure(f'web_download_hosts = ["127.0.0.1"]\nweb_download_ports = [{server}]')
    image = make_image()
    assert download(cloud, image, f"http://127.0.0.1:{server}{path}")["status"] == "success"
    assert cloud.member.get(f"/image{image['file']}").data == b"0123456789"


@pytest.mark.parametrize(("path", "why"), [
    ("/away", "localhost"), ("/round", "redirects"), ("/nothing", "404"), ("/short", "broke off"),
])  # fmt: skip
def test_a_download_that_fails_queues_the_image(
    cloud: Any, make_image: Make, server: int, configure: Callable[[str], None], path: str, why: str
) -> None:
    configure(f'web_download_hosts = ["127.0.0.1"]\nweb_download_ports = [{server}]')
    image = make_image()
    task = download(cloud, image, f"http://127.0.0.1:{server}{path}")
    assert task["status"] == "failure"
    assert why in task["message"]
    assert show(cloud, image)["status"] == "queued"
    assert files() == []


def test_no_address_inside_is_reached(
    cloud: Any, make_image: Make, server: int, configure: Callable[[str], None]
) -> None:
    configure(f"web_download_ports = [{server}]")
    image = make_image()
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"):
        task = download(cloud, image, f"http://{host}:{server}/image")
        assert task["status"] == "failure"
        assert "inside" in task["message"] or "no host" in task["message"], (host, task["message"])


@pytest.mark.parametrize(("address", "public"), [
    ("8.8.8.8", True), ("2606:4700::1111", True), ("10.0.0.1", False), ("169.254.169.254", False), ("0.0.0.0", False),
    ("100.64.0.1", False), ("224.0.0.1", False), ("::1", False), ("fe80::1%eth0", False), ("fd00::1", False),
    ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("not an address", False),
])  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert web.is_public(address) is public


@pytest.fixture
def two_stores(cloud: Any, configure: Callable[[str], None]) -> None:
    configure(f'stores = {{ fast = "{cloud.folder}/fast", slow = "{cloud.folder}/slow" }}')


def test_an_import_goes_to_every_store(cloud: Any, make_image: Make, two_stores: None) -> None:
    image = make_image()
    stage(cloud.member, image, b"bytes")
    begin(cloud.member, image, DIRECT | {"all_stores": True})
    assert show(cloud, image)["stores"] == "fast,slow"
    assert files("fast") == files("slow") == [image["id"]]
    (store.directory("fast") / image["id"]).unlink()
    assert cloud.member.get(f"/image{image['file']}").data == b"bytes"


def test_copying_to_a_store_and_deleting_from_one(cloud: Any, make_image: Make, two_stores: None) -> None:
    made = cloud.member.post("/image/v2/images", json={"disk_format": "raw", "container_format": "bare"})
    assert made.headers["OpenStack-image-store-ids"] == "fast,slow"
    image = make_image(b"bytes")
    assert image["stores"] == "fast"
    copying = {"method": {"name": "copy-image"}, "stores": ["slow"]}
    assert begin(cloud.member, image, copying).status_code == 403
    assert begin(cloud.admin, image, copying).status_code == 202
    assert show(cloud, image)["stores"] == "fast,slow"
    assert begin(cloud.admin, image, copying).status_code == 400
    from_fast = f"/image/v2/stores/fast/{image['id']}"
    assert cloud.member.delete(f"/image/v2/stores/none/{image['id']}").status_code == 404
    assert cloud.member.delete(from_fast).status_code == 204
    assert cloud.member.delete(from_fast).status_code == 404
    assert (files("fast"), files("slow")) == ([], [image["id"]])
    assert cloud.member.delete(f"/image/v2/stores/slow/{image['id']}").status_code == 403
    assert cloud.member.get(f"/image{image['file']}").data == b"bytes"


def test_an_upload_says_its_store(cloud: Any, make_image: Make, two_stores: None) -> None:
    image = make_image()
    to = BYTES | {"X-Image-Meta-Store": "slow"}
    assert cloud.member.put(f"/image{image['file']}", data=b"x", headers=BYTES | {"X-Image-Meta-Store": "no"}
                            ).status_code == 400  # fmt: skip
    assert cloud.member.put(f"/image{image['file']}", data=b"x", headers=to).status_code == 204
    assert show(cloud, image)["stores"] == "slow"


def test_a_store_that_fails_does_not_end_an_import_that_may_lose_it(
    cloud: Any, make_image: Make, two_stores: None
) -> None:
    (cloud.folder / "slow").write_text("a file where the store's folder should be")
    image = make_image()
    stage(cloud.member, image, b"bytes")
    begin(cloud.member, image, DIRECT | {"all_stores": True})
    assert show(cloud, image)["status"] == "queued"
    assert files("fast") == []
    stage(cloud.member, image, b"bytes")
    begin(cloud.member, image, DIRECT | {"all_stores": True, "all_stores_must_succeed": False})
    shown = show(cloud, image)
    assert (shown["status"], shown["stores"], shown["os_glance_failed_import"]) == ("active", "fast", "slow")


def test_a_killed_import_is_failed_and_queued(cloud: Any, make_image: Make) -> None:
    image, task_id = make_image(), new_uuid()
    with cloud.write() as session:
        row = session.get_one(Image, image["id"])
        row.status, row.upload_token, row.importing_stores = "importing", task_id, ["file"]
        session.add(ImageTask(id=task_id, type="api_image_import", status="processing", image_id=image["id"], input={}))
    with store.uploading(image["id"], task_id), cloud.write() as session:
        repair.sweep(session)
        assert session.get_one(Image, image["id"]).status == "importing"
    with cloud.write() as session:
        repair.sweep(session)
    shown = show(cloud, image)
    assert (shown["status"], shown["os_glance_failed_import"]) == ("queued", "file")
    assert cloud.admin.get(f"/image/v2/tasks/{task_id}").json["status"] == "failure"


def test_staged_bytes_survive_sweeping(cloud: Any, make_image: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image()
    stage(cloud.member, image, b"bytes")
    monkeypatch.setattr(store, "YOUNG_S", -1)
    with cloud.write() as session:
        repair.sweep(session)
    assert show(cloud, image)["status"] == "uploading"
    begin(cloud.member, image, DIRECT)
    assert show(cloud, image)["status"] == "active"


def test_tasks_are_the_administrators(
    cloud: Any, server: int, configure: Callable[[str], None]
) -> None:
    configure(f'web_download_hosts = ["127.0.0.1"]\nweb_download_ports = [{server}]')
    body = {"type": "import", "input": {
        "import_from": f"http://127.0.0.1:{server}/image", "import_from_format": "raw",
        "image_properties": {"name": "by a task", "container_format": "bare"}}}  # fmt: skip
    assert cloud.member.post("/image/v2/tasks", json=body).status_code == 403
    assert cloud.member.get("/image/v2/tasks").status_code == 403
    answer = cloud.admin.post("/image/v2/tasks", json=body)
    assert answer.status_code == 201, answer.json
    importing.wait()
    task = cloud.admin.get(f"/image{answer.json['self']}").json
    assert task["status"] == "success"
    assert cloud.admin.get(f"/image/v2/images/{task['result']['image_id']}").json["name"] == "by a task"
    assert [entry["id"] for entry in cloud.admin.get("/image/v2/tasks?status=success").json["tasks"]] == [task["id"]]
    assert cloud.admin.get("/image/v2/tasks?status=failure").json["tasks"] == []
    assert cloud.admin.get("/image/v2/tasks/none").status_code == 404
    assert cloud.admin.delete(f"/image{task['self']}").status_code == 403


def test_what_a_project_uses(cloud: Any, make_image: Make) -> None:
    make_image(b"x" * (1 << 20))
    stage(cloud.member, make_image(), b"12345")
    assert cloud.member.get("/image/v2/info/usage").json["usage"] == {
        "image_size_total": {"limit": -1, "usage": 1}, "image_stage_total": {"limit": -1, "usage": 1},
        "image_count_total": {"limit": -1, "usage": 2}, "image_count_uploading": {"limit": -1, "usage": 1},
    }  # fmt: skip
    assert cloud.member.get("/image/v2/info/stores/detail").status_code == 403
    assert cloud.admin.get("/image/v2/info/stores/detail").json["stores"][0]["type"] == "file"
