"""Uploads and downloads: whole, cut off, too big, at the same time, killed; nothing is active that is not whole."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.config import settings
from api.http.context import Context
from api.image import actions, repair, service, store, upload
from api.image.models import Image

from .conftest import BYTES, qcow2

MIB = 1 << 20
Make = Callable[..., dict[str, Any]]


def files() -> list[str]:
    """What is in the image store (nothing, before the first upload)."""
    return sorted(path.name for path in store.directory().glob("*"))


def send(client: Any, image: dict[str, Any], data: Any, **headers: str) -> Any:
    return client.put(f"/image{image['file']}", data=data, headers=BYTES | headers)


class Source:
    """Zeros, `size` bytes of them, and what `at_each_read` does. `promised` becomes the Content-Length."""

    def __init__(
        self, size: int, at_each_read: Callable[[], None] = lambda: None, *, promised: int | None = None
    ) -> None:
        self.left, self.at_each_read = size, at_each_read
        self._size, self._position = size if promised is None else promised, 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        self._position = offset + (self._size if whence == os.SEEK_END else 0)

    def close(self) -> None:
        pass

    def read(self, size: int = -1, /) -> bytes:
        self.at_each_read()
        count = self.left if size < 0 else min(size, self.left)
        self.left -= count
        return bytes(count)


def test_an_upload_makes_the_image_active_with_size_and_hashes(cloud: Any, make_image: Make) -> None:
    data = os.urandom(3 * MIB + 5)
    image = make_image()
    assert cloud.member.get(f"/image{image['file']}").status_code == 204
    assert send(cloud.member, image, data).status_code == 204
    shown = cloud.member.get(f"/image{image['self']}").json
    assert (shown["status"], shown["size"], shown["virtual_size"]) == ("active", len(data), len(data))
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    answer = cloud.member.get(f"/image{image['file']}")
    assert answer.data == data
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert (answer.headers["Content-MD5"], answer.content_length) == (shown["checksum"], len(data))
    assert files() == [image["id"]]
    assert send(cloud.member, image, data).status_code == 409


@pytest.mark.parametrize(("asked", "status", "start", "end"), [
    ("bytes=0-0", 206, 0, 1), ("bytes=2-5", 206, 2, 6), ("bytes=7-", 206, 7, 10), ("bytes=-3", 206, 7, 10),
    ("bytes=5-99", 206, 5, 10),
])  # fmt: skip
def test_ranges(cloud: Any, make_image: Make, asked: str, status: int, start: int, end: int) -> None:
    image = make_image(b"0123456789")
    answer = cloud.member.get(f"/image{image['file']}", headers={"Range": asked})
    assert (answer.status_code, answer.data) == (status, b"0123456789"[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/10"
    assert "Content-MD5" not in answer.headers


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=0-1,3-4", "bytes=x", "lines=1-2", "bytes=5-2"])
def test_ranges_that_cannot_be(cloud: Any, make_image: Make, asked: str) -> None:
    image = make_image(b"0123456789")
    answer = cloud.member.get(f"/image{image['file']}", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */10"
    assert answer.json["message"]


def assert_queued_again(cloud: Any, image: dict[str, Any]) -> None:
    shown = cloud.member.get(f"/image{image['self']}").json
    assert (shown["status"], shown["size"], shown["checksum"]) == ("queued", None, None)
    assert files() == []
    assert send(cloud.member, image, qcow2() if image["disk_format"] == "qcow2" else b"x").status_code == 204


def test_the_wrong_length_is_refused(cloud: Any, make_image: Make) -> None:
    image = make_image()
    assert send(cloud.member, image, b"12345", **{"X-OpenStack-Image-Size": "6"}).status_code == 400
    assert send(cloud.member, image, b"12345", **{"X-OpenStack-Image-Size": "x"}).status_code == 400
    short = cloud.member.put(f"/image{image['file']}", input_stream=Source(5, promised=10), headers=BYTES)
    assert short.status_code == 400
    assert_queued_again(cloud, image)


def test_a_broken_connection_leaves_the_image_queued(cloud: Any, make_image: Make) -> None:
    image = make_image()

    def go_away() -> None:
        raise OSError("Connection reset by peer")

    broken = cloud.member.put(f"/image{image['file']}", input_stream=Source(5 * MIB, go_away), headers=BYTES)
    assert broken.status_code == 400
    assert "queued" in broken.json["message"]
    assert_queued_again(cloud, image)


def test_a_full_disk_is_told_and_leaves_nothing(cloud: Any, make_image: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image()

    def full(_upload: store.Upload, _chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(store.Upload, "write", full)
        answer = send(cloud.member, image, b"x")
    assert answer.status_code == 413
    assert "space" in answer.json["message"]
    assert_queued_again(cloud, image)


def test_too_big_is_refused_told_or_not(cloud: Any, make_image: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image()
    with monkeypatch.context() as patched:
        patched.setattr(upload, "CHUNK_BYTES", 10)
        patched.setattr(type(settings().image), "max_size_bytes", 100)
        object.__setattr__(settings().image, "max_size_bytes", 100)
        assert send(cloud.member, image, b"x" * 101).status_code == 413
        with pytest.raises(Exception, match="larger than 100 bytes"):
            upload.receive(_context(cloud), image["id"], Source(101), None)
    settings.cache_clear()
    assert_queued_again(cloud, image)


def _context(cloud: Any) -> Context:
    return Context("req-x", cloud.user_ids["member"], project_id=cloud.project_id, roles=("member", "reader"))


def test_uploads_need_formats_the_right_type_and_a_visible_image(cloud: Any, make_image: Make) -> None:
    bare = cloud.member.post("/image/v2/images", json={"name": "x"}).json
    assert send(cloud.member, bare, b"x").status_code == 400
    image = make_image()
    wrong = cloud.member.put(f"/image{image['file']}", data=b"x", headers={"Content-Type": "application/json"})
    assert wrong.status_code == 415
    assert cloud.member.put("/image/v2/images/a-name/file", data=b"x", headers=BYTES).status_code == 404
    assert files() == []


def test_only_one_upload_at_a_time(cloud: Any, make_image: Make) -> None:
    image = make_image()
    begun, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        assert go_on.wait(20)

    first = threading.Thread(target=upload.receive, args=(_context(cloud), image["id"], Source(10, pause), None))
    first.start()
    try:
        assert begun.wait(20)
        assert cloud.member.get(f"/image{image['self']}").json["status"] == "saving"
        assert send(cloud.member, image, b"second").status_code == 409
        with cloud.write() as session:
            repair.sweep(session)
    finally:
        go_on.set()
        first.join()
    shown = cloud.member.get(f"/image{image['self']}").json
    assert (shown["status"], shown["size"]) == ("active", 10)
    assert files() == [image["id"]]


def test_no_transaction_is_open_while_bytes_flow(cloud: Any, make_image: Make) -> None:
    image = make_image()
    written = []

    def write_elsewhere() -> None:
        with cloud.write() as session:
            session.add(Image(name=f"meanwhile {len(written)}", owner=cloud.project_id))
        written.append(1)

    upload.receive(_context(cloud), image["id"], Source(2 * MIB, write_elsewhere), None)
    assert len(written) >= 2


def test_deleting_during_the_upload_leaves_nothing(cloud: Any, make_image: Make) -> None:
    image = make_image()
    deleted = []

    def delete() -> None:
        if not deleted:
            deleted.append(cloud.member.delete(f"/image{image['self']}").status_code)

    with pytest.raises(Exception, match="was deleted during its upload"):
        upload.receive(_context(cloud), image["id"], Source(10, delete), None)
    assert deleted == [204]
    assert files() == []


def test_deleting_removes_the_bytes_but_not_from_under_a_download(cloud: Any, make_image: Make) -> None:
    image = make_image(b"y" * 3 * MIB)
    answer = cloud.member.get(f"/image{image['file']}", buffered=False)
    assert cloud.member.delete(f"/image{image['self']}").status_code == 204
    assert files() == []
    assert answer.data == b"y" * 3 * MIB
    answer.close()


def test_missing_bytes_are_an_error_not_an_empty_image(cloud: Any, make_image: Make) -> None:
    image = make_image(b"x")
    store.path_of(image["id"]).unlink()
    assert cloud.member.get(f"/image{image['file']}").status_code == 500


KILLED = """
    import sys
    from api.http.context import Context
    from api.image import store, upload
    from api.http import policy
    from api.image.policies import RULES

    policy.register(RULES)

    class Slow:
        first = True
        def read(self, size):
            if {when!r} == "bytes" and not self.first:
                print("ready", flush=True); sys.stdin.read()
            data = b"x" * 1000 if self.first else b""
            self.first = False
            return data

    if {when!r} == "publish":
        publish = store.Upload.publish
        def stop(self):
            publish(self)
            print("ready", flush=True); sys.stdin.read()
        store.Upload.publish = stop
    context = Context("req-x", {user!r}, project_id={project!r}, roles=("member", "reader"))
    upload.receive(context, {image!r}, Slow(), None)
"""


@pytest.mark.parametrize("when", ["bytes", "publish"])
@pytest.mark.parametrize("by", ["sweep", "next upload"])
def test_a_killed_upload_is_repaired(cloud: Any, make_image: Make, when: str, by: str) -> None:
    image = make_image()
    user = cloud.user_ids["member"]
    script = textwrap.dedent(KILLED.format(when=when, user=user, project=cloud.project_id, image=image["id"]))
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    with process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        with cloud.write() as session:
            repair.sweep(session)
        assert cloud.member.get(f"/image{image['self']}").json["status"] == "saving"
        process.kill()
    assert len(files()) == 1
    if by == "next upload":
        assert send(cloud.member, image, b"again").status_code == 204
        assert cloud.member.get(f"/image{image['file']}").data == b"again"
        return
    with cloud.write() as session:
        repair.sweep(session)
    assert len(files()) == 1, "a file so young may belong to an upload that just begins"
    assert store.strays(set(), now=time.time() + store.YOUNG_S + 1) == [store.directory() / files()[0]]
    assert cloud.member.get(f"/image{image['self']}").json["status"] == "queued"


def test_sweeping_and_deleting_need_no_store(cloud: Any, make_image: Make) -> None:
    image = make_image()
    with cloud.write() as session:
        repair.sweep(session)
    assert cloud.member.delete(f"/image{image['self']}").status_code == 204
    assert not store.directory().exists(), "the engine's user must not make it"


def test_the_engine_sweeps_once_a_minute(cloud: Any, make_image: Make) -> None:
    image = make_image()
    with cloud.write() as session:
        session.get(Image, image["id"]).status = "saving"
    sweeper = actions.Sweeper()
    with cloud.write() as session:
        sweeper(session, "host", {})
    assert cloud.member.get(f"/image{image['self']}").json["status"] == "queued"
    with cloud.write() as session:
        session.get(Image, image["id"]).status = "saving"
        sweeper(session, "host", {})
    assert cloud.member.get(f"/image{image['self']}").json["status"] == "saving"


def test_sweeping_removes_files_without_an_image_only(
    cloud: Any, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image(b"x")
    monkeypatch.setattr(store, "YOUNG_S", -1)
    store.path_of("22222222-2222-3333-4444-555555555555").write_bytes(b"left over")
    store.part_of(image["id"], "token").write_bytes(b"left over")
    with cloud.write() as session:
        repair.sweep(session)
    assert files() == [image["id"]]


def _rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def test_memory_does_not_grow_with_the_image(cloud: Any, make_image: Make) -> None:
    image = make_image()
    samples: list[int] = []
    size = 200 * MIB
    sent = cloud.member.put(
        f"/image{image['file']}", input_stream=Source(size, lambda: samples.append(_rss())), headers=BYTES
    )
    assert sent.status_code == 204
    assert max(samples) - samples[0] < 24 * MIB
    before = _rss()
    answer = cloud.member.get(f"/image{image['file']}", buffered=False)
    received = sum(len(chunk) for chunk in answer.response if _rss() - before < 24 * MIB)
    answer.close()
    assert received == size


def test_hosts_read_by_a_signed_url(cloud: Any, make_image: Make) -> None:
    image = make_image(b"0123456789")
    url = service.host_url(image["id"])
    assert url.startswith(f"https://cloud.test:8443/internal/images/{image['id']}?expires=")
    path = url.removeprefix("https://cloud.test:8443")
    assert cloud.anonymous.get(path).data == b"0123456789"
    part = cloud.anonymous.get(path, headers={"Range": "bytes=4-"})
    assert (part.status_code, part.data) == (206, b"456789")
    other = make_image(b"secret")
    for wrong in (
        path.replace(image["id"], other["id"]), path[:-1] + ("0" if path[-1] != "0" else "1"), path.split("?")[0],
        path.replace("expires=", "expires=9"), path.partition("&")[0], f"{path.partition('&')[0]}&signature=ü",
        service.host_url(image["id"], -1).removeprefix("https://cloud.test:8443"),
    ):  # fmt: skip
        answer = cloud.anonymous.get(wrong)
        assert answer.status_code == 403, wrong
        assert answer.json["message"]
    assert cloud.member.delete(f"/image{image['self']}").status_code == 204
    assert cloud.anonymous.get(path).status_code == 404


def test_what_compute_boots_from(cloud: Any, make_image: Make) -> None:
    image = make_image(qcow2(virtual_size=5 << 20), disk_format="qcow2", min_disk=1, min_ram=64, hw_disk_bus="scsi")
    with cloud.read() as session:
        found = service.boot_image(session, _context(cloud), image["id"])
        assert (found.status, found.disk_format, found.container_format) == ("active", "qcow2", "bare")
        assert (found.min_disk_gb, found.min_ram_mb, found.virtual_size_bytes) == (1, 64, 5 << 20)
        assert (found.checksum_algorithm, found.checksum) == ("sha512", image["os_hash_value"])
        assert found.properties == {"hw_disk_bus": "scsi"}
        stranger = Context("req-x", "u", project_id=cloud.other_project_id, roles=("member", "reader"))
        with pytest.raises(Exception, match="No image found"):
            service.boot_image(session, stranger, image["id"])
