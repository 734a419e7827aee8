"""disk_image with a real qemu-img, and a web server that breaks off."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

RunModule = Callable[..., dict[str, Any]]
MIB = 1 << 20


class ImageServer(ThreadingHTTPServer):
    """Serves bytes; the first answers break off after a part of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b""
        self.break_offs = 0
        self.ranges: list[str | None] = []
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    server: ImageServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        body = self.server.content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.break_offs:
            self.server.break_offs -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[ImageServer]:
    """An image service."""
    serving = ImageServer()
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


def qemu_img(*words: str) -> str:
    """Run qemu-img."""
    return subprocess.run(["qemu-img", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    """A sound qcow2 image with 4 MiB of data, of 8 MiB for its guest."""
    raw = tmp_path / "source.raw"
    raw.write_bytes(bytes(range(256)) * (4 * MIB // 256) + bytes(4 * MIB))
    image = tmp_path / "source.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))
    return image


def offer(server: ImageServer, content: bytes, tmp_path: Path, **more: Any) -> dict[str, Any]:
    """Arguments that fetch the content as an image."""
    server.content = content
    image = {
        "id": str(uuid.uuid4()),
        "url": f"http://127.0.0.1:{server.server_port}/image?signature=secret",
        "checksum": {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()},
        "size_bytes": len(content),
        "format": "qcow2",
        **more,
    }
    return {"cache_dir": str(tmp_path / "cache"), "images": [image]}


def server_disk(args: dict[str, Any], tmp_path: Path, size_gb: int = 1) -> dict[str, Any]:
    """A server's folder and disk added to the arguments."""
    server_id = str(uuid.uuid4())
    folder = tmp_path / "instances" / server_id
    args["directories"] = [{"id": server_id, "path": str(folder)}]
    args["disks"] = [
        {"id": server_id, "path": str(folder / "disk"), "image_id": args["images"][0]["id"], "size_gb": size_gb}
    ]
    return args


def test_a_disk_on_an_image(run_module: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path) -> None:
    args = server_disk(offer(server, qcow2.read_bytes(), tmp_path), tmp_path)
    planned = run_module("disk_image", args, check=True, diff=True)
    assert not (tmp_path / "cache").exists() and not (tmp_path / "instances").exists()
    done = run_module("disk_image", args, diff=True)
    assert not done.get("failed"), done
    assert planned["diff"] == done["diff"]
    assert "secret" not in json.dumps([planned, done])
    info = json.loads(qemu_img("info", "--output=json", args["disks"][0]["path"]))
    assert info["virtual-size"] == 1024**3
    assert info["full-backing-filename"] == str(tmp_path / "cache" / args["images"][0]["id"])
    assert info["backing-filename-format"] == "qcow2"
    again = run_module("disk_image", args, diff=True)
    assert not again["changed"], again.get("diff")
    assert len(server.ranges) == 1


def test_a_cold_run_does_the_same(
    run_module: RunModule, run_module_cold: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path
) -> None:
    args = server_disk(offer(server, qcow2.read_bytes(), tmp_path), tmp_path)
    planned = run_module("disk_image", args, check=True, diff=True)
    done = run_module_cold("disk_image", args, diff=True)
    assert not done.get("failed"), done
    assert planned["diff"] == done["diff"]
    assert not run_module("disk_image", args)["changed"]


def test_removed_again(run_module: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path) -> None:
    args = server_disk(offer(server, qcow2.read_bytes(), tmp_path), tmp_path)
    run_module("disk_image", args)
    gone = {"directories": [{**args["directories"][0], "state": "absent"}]}
    assert run_module("disk_image", gone, check=True)["changed"]
    assert Path(args["disks"][0]["path"]).exists()
    assert run_module("disk_image", gone)["changed"]
    assert not Path(args["directories"][0]["path"]).exists()
    assert not run_module("disk_image", gone)["changed"]


def test_unused_images_expire(run_module: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path) -> None:
    args = server_disk(offer(server, qcow2.read_bytes(), tmp_path), tmp_path)
    assert not run_module("disk_image", args).get("failed")
    cached = tmp_path / "cache" / args["images"][0]["id"]
    tidy = {"cache_dir": args["cache_dir"], "instances_dir": str(tmp_path / "instances"), "unused_images_s": 600}
    old = time.time() - 700
    os.utime(cached, (old, old))
    assert not run_module("disk_image", tidy)["changed"]
    assert cached.exists(), "a disk stands on it"
    assert not run_module("disk_image", args)["changed"]
    Path(args["disks"][0]["path"]).unlink()
    assert not run_module("disk_image", tidy)["changed"]
    assert cached.exists(), "it was asked for a moment ago"
    os.utime(cached, (old, old))
    assert run_module("disk_image", tidy, check=True)["changed"]
    assert cached.exists()
    assert run_module("disk_image", tidy)["changed"]
    assert not cached.exists()
    assert not run_module("disk_image", tidy)["changed"]
    assert run_module("disk_image", {**tidy, "unused_images_s": 5})["failed"]


def test_only_the_servers_own_folder_is_removed(run_module: RunModule, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    result = run_module(
        "disk_image", {"directories": [{"id": str(uuid.uuid4()), "path": str(other), "state": "absent"}]}
    )
    assert result["failed"] and other.exists()


def test_a_download_that_breaks_off_is_resumed(
    run_module: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path
) -> None:
    args = offer(server, qcow2.read_bytes(), tmp_path)
    server.break_offs = 1
    result = run_module("disk_image", args)
    assert not result.get("failed"), result
    assert server.ranges == [None, f"bytes={len(server.content) // 2}-"]
    assert (tmp_path / "cache" / args["images"][0]["id"]).read_bytes() == server.content


def test_a_wrong_checksum_is_refused(run_module: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path) -> None:
    args = server_disk(offer(server, qcow2.read_bytes(), tmp_path), tmp_path)
    args["images"][0]["checksum"]["value"] = "0" * 64
    result = run_module("disk_image", args)
    assert result["failed_resources"] == [args["disks"][0]["id"]]
    assert "checksum" in result["msg"]
    assert not list((tmp_path / "cache").glob("*.part"))


@pytest.mark.parametrize("status", [403, 404])
def test_a_refused_download_is_a_sentence(
    run_module: RunModule, server: ImageServer, tmp_path: Path, status: int
) -> None:
    server.status = status
    result = run_module("disk_image", offer(server, b"", tmp_path, size_bytes=5))
    assert result["failed"] and str(status) in result["msg"] and "secret" not in result["msg"]


def test_a_truncated_image_is_refused(run_module: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path) -> None:
    whole = qcow2.read_bytes()
    result = run_module("disk_image", offer(server, whole[: len(whole) // 2], tmp_path))
    assert result["failed"]
    assert "truncated" in result["msg"] or "damaged" in result["msg"]
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]


def test_an_empty_file_and_no_image_at_all_are_refused(
    run_module: RunModule, server: ImageServer, tmp_path: Path
) -> None:
    for content, image_format in ((b"", "qcow2"), (b"", "raw"), (b"hello" * 1000, "qcow2")):
        result = run_module("disk_image", offer(server, content, tmp_path, format=image_format))
        assert result["failed"], (content, image_format)


def test_a_backing_file_is_refused(run_module: RunModule, server: ImageServer, qcow2: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", str(overlay), "1M")
    result = run_module("disk_image", offer(server, overlay.read_bytes(), tmp_path))
    assert result["failed"] and "backing file" in result["msg"]


def test_a_data_file_is_refused(run_module: RunModule, server: ImageServer, tmp_path: Path) -> None:
    image = tmp_path / "external.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", str(image), "1M")
    result = run_module("disk_image", offer(server, image.read_bytes(), tmp_path))
    assert result["failed"] and "another file" in result["msg"]


def test_a_disk_smaller_than_its_image_is_refused(run_module: RunModule, server: ImageServer, tmp_path: Path) -> None:
    image = tmp_path / "big.qcow2"
    qemu_img("create", "-f", "qcow2", str(image), "2G")
    args = server_disk(offer(server, image.read_bytes(), tmp_path), tmp_path, size_gb=1)
    result = run_module("disk_image", args)
    assert result["failed"] and "needs 2 GB" in result["msg"]
    args["disks"][0]["size_gb"] = 0
    assert run_module("disk_image", args)["ansible_stats"]["data"]["results"][args["disks"][0]["id"]] == {
        "disk_bytes": 2 * 1024**3
    }


def test_a_config_drive(run_module: RunModule, tmp_path: Path) -> None:
    content = b'{"name": "{{ 7*7 }}"}'
    drive = {
        "id": "server",
        "path": str(tmp_path / "config.iso"),
        "files": {"openstack/latest/meta_data.json": base64.b64encode(content).decode()},
    }
    planned = run_module("disk_image", {"config_drives": [drive]}, check=True, diff=True)
    done = run_module("disk_image", {"config_drives": [drive]}, diff=True)
    assert not done.get("failed"), done
    assert planned["diff"] == done["diff"]
    image = Path(drive["path"]).read_bytes()
    assert image[32808:32840].rstrip() == b"config-2"
    assert content in image
    assert not run_module("disk_image", {"config_drives": [drive]})["changed"]
    drive["files"]["openstack/latest/user_data"] = base64.b64encode(b"#!/bin/sh\n").decode()
    assert run_module("disk_image", {"config_drives": [drive]})["changed"]
    drive["files"] = {"../outside": ""}
    assert run_module("disk_image", {"config_drives": [drive]})["failed"]
    assert not (tmp_path.parent / "outside").exists()
