"""What an upload claims to be is what it must be: made by qemu-img where it is installed, else by hand."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.http.context import Context
from api.image import upload

from .conftest import BYTES, CLUSTER, qcow2

MIB = 1 << 20
Make = Callable[..., dict[str, Any]]
ISO = bytes(32 << 10) + b"\x01CD001\x01" + bytes(2041)
MBR = bytes(446) + b"\x80\x01\x01\x00\x83\xfe\xff\xff" + struct.pack("<II", 2048, 4096) + bytes(48) + b"\x55\xaa"
VMDK = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 2048, 128, 1, 20).ljust(2 * MIB, b"\0")


def send(cloud: Any, make_image: Make, data: bytes, disk_format: str) -> tuple[Any, dict[str, Any]]:
    container = disk_format if disk_format in ("ami", "ari", "aki") else "bare"
    image = make_image(disk_format=disk_format, container_format=container)
    answer = cloud.member.put(f"/image{image['file']}", data=data, headers=BYTES)
    shown: dict[str, Any] = cloud.member.get(f"/image{image['self']}").json
    assert shown["status"] == ("active" if answer.status_code == 204 else "queued")
    return answer, shown


HONEST: list[tuple[bytes, str, int]] = [
    (qcow2(virtual_size=10 * MIB), "qcow2", 10 * MIB), (qcow2(version=2), "qcow2", 1 << 30),
    (qcow2(clusters=5), "qcow2", 1 << 30), (b"x" * 1000, "raw", 1000), (MBR + bytes(512), "raw", 1024),
    (ISO + bytes(MIB), "iso", len(ISO) + MIB), (MBR + ISO[512:], "iso", len(ISO)), (b"kernel", "aki", 6),
    (b"\x1f\x8bramdisk", "ari", 9), (b"x" * 600, "ami", 600),
]  # fmt: skip
DISHONEST: list[tuple[bytes, str, str]] = [
    (qcow2(), "raw", "qcow2"), (qcow2(), "iso", "not"), (qcow2(), "aki", "qcow2"), (ISO, "raw", "iso"),
    (VMDK, "raw", "vmdk"), (b"x" * 4096, "qcow2", "not"), (b"x" * 100_000, "iso", "not"), (b"QFI\xfb", "qcow2", ""),
    (b"", "qcow2", "empty"), (b"", "raw", "empty"), (b"QED\0" + bytes(600), "raw", "qed"),
    (b"LUKS\xba\xbe\0\1" + bytes(600), "raw", "luks"),
    (qcow2(backing=1000), "qcow2", "backing file"), (qcow2(features=4), "qcow2", "data file"),
    (qcow2(features=1 << 9), "qcow2", "features"), (qcow2(features=2), "qcow2", "corrupt"),
    (qcow2(encryption=1), "qcow2", "encrypted"), (qcow2(cluster_bits=30), "qcow2", "cluster size"),
    (qcow2(virtual_size=0), "qcow2", "virtual size"), (qcow2(virtual_size=1 << 62), "qcow2", "tables"),
    (qcow2(version=4), "qcow2", "features"), (qcow2()[:CLUSTER], "qcow2", "truncated"),
    (qcow2()[: 3 * CLUSTER], "qcow2", "truncated"), (qcow2(clusters=5)[: 6 * CLUSTER], "qcow2", "truncated"),
    (qcow2()[:600], "qcow2", "truncated"),
]  # fmt: skip


def test_honest_images_are_taken(cloud: Any, make_image: Make) -> None:
    for data, disk_format, virtual_size in HONEST:
        answer, image = send(cloud, make_image, data, disk_format)
        assert answer.status_code == 204, (disk_format, data[:20], answer.json)
        assert (image["size"], image["virtual_size"]) == (len(data), virtual_size)


def test_others_are_refused_with_the_reason(cloud: Any, make_image: Make) -> None:
    for data, disk_format, reason in DISHONEST:
        answer, _ = send(cloud, make_image, data, disk_format)
        assert answer.status_code == 415, (disk_format, reason)
        assert reason in answer.json["message"]


def test_refused_before_the_end(cloud: Any, make_image: Make) -> None:
    """A client with the wrong terabyte learns of it at the first chunk."""
    image = make_image(disk_format="qcow2")
    read = []

    class Endless:
        def read(self, size: int = -1) -> bytes:
            read.append(size)
            assert len(read) < 100, "the upload was not stopped"
            return b"x" * min(size, MIB)

    context = Context("req-x", "u", project_id=cloud.project_id, roles=("member", "reader"))
    with pytest.raises(Exception, match="its content is not"):
        upload.receive(context, image["id"], Endless(), None)
    assert len(read) < 3


needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A raw disk of 8 MiB with something in it."""
    path = tmp_path / "disk.raw"
    path.write_bytes((b"some data" * 1000).ljust(MIB, b"\0") * 8)
    return path


@needs_qemu_img
@pytest.mark.parametrize("options", [
    ("-O", "qcow2"), ("-O", "qcow2", "-c"), ("-O", "qcow2", "-o", "compat=0.10"),
    ("-O", "qcow2", "-o", "cluster_size=512"), ("-O", "qcow2", "-o", "cluster_size=2M"),
    ("-O", "qcow2", "-o", "preallocation=metadata"),
    ("-O", "qcow2", "-o", "preallocation=falloc"), ("-O", "qcow2", "-o", "lazy_refcounts=on"),
    ("-O", "qcow2", "-c", "-o", "compression_type=zstd"),
])  # fmt: skip
def test_what_qemu_img_makes_is_taken(
    cloud: Any, make_image: Make, source: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    made = tmp_path / "made.qcow2"
    qemu_img("convert", "-f", "raw", *options, source, made)
    answer, image = send(cloud, make_image, made.read_bytes(), "qcow2")
    assert answer.status_code == 204, answer.json
    assert image["virtual_size"] == 8 * MIB


@needs_qemu_img
def test_what_qemu_img_makes_of_several_files_is_refused(
    cloud: Any, make_image: Make, source: Path, tmp_path: Path
) -> None:
    backed = tmp_path / "backed.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", source, "-F", "raw", backed)
    answer, _ = send(cloud, make_image, backed.read_bytes(), "qcow2")
    assert answer.status_code == 415 and "backing file" in answer.json["message"]
    outside = tmp_path / "outside.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", outside, "1M")
    answer, _ = send(cloud, make_image, outside.read_bytes(), "qcow2")
    assert answer.status_code == 415 and "data file" in answer.json["message"]


@needs_qemu_img
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("options", [(), ("-c",)])
def test_a_cut_off_file_is_refused(
    cloud: Any, make_image: Make, source: Path, tmp_path: Path, kept: float, options: tuple[str, ...]
) -> None:
    made = tmp_path / "made.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", *options, source, made)
    data = made.read_bytes()
    answer, _ = send(cloud, make_image, data[: int(len(data) * kept)], "qcow2")
    assert answer.status_code == 415, answer.status_code
    assert "truncated" in answer.json["message"]


@needs_qemu_img
@pytest.mark.parametrize("kind", ["vmdk", "vdi", "vhdx", "qed"])
def test_other_formats_are_no_raw(cloud: Any, make_image: Make, source: Path, tmp_path: Path, kind: str) -> None:
    made = tmp_path / f"made.{kind}"
    qemu_img("convert", "-f", "raw", "-O", kind, source, made)
    answer, _ = send(cloud, make_image, made.read_bytes(), "raw")
    assert answer.status_code == 415
    assert kind in answer.json["message"]
