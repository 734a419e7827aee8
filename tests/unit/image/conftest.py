"""A cloud with identity and images, and images' bytes to upload."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from api.config import settings

CLUSTER = 1 << 16
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="session")
def services() -> Sequence[str]:
    return ("identity", "image")


@pytest.fixture
def make_image(cloud: Any) -> Callable[..., dict[str, Any]]:
    """Creates an image (by `client`, default: the member); with `data` also uploads."""

    def make(data: bytes | None = None, *, client: Any = None, **fields: Any) -> dict[str, Any]:
        caller = client or cloud.member
        body = {"name": "an image", "disk_format": "raw", "container_format": "bare"} | fields
        answer = caller.post("/image/v2/images", json=body)
        assert answer.status_code == 201, answer.json
        if data is not None:
            sent = caller.put(f"/image{answer.json['file']}", data=data, headers=BYTES)
            assert sent.status_code == 204, sent.json
            answer = caller.get(f"/image{answer.json['self']}")
        image: dict[str, Any] = answer.json
        return image

    return make


@pytest.fixture
def configure(cloud: Any) -> Callable[[str], None]:
    """Adds lines of TOML to the section `[image]` of the settings."""

    def add(lines: str) -> None:
        path = cloud.folder / "stratiform.toml"
        path.write_text(f"{path.read_text()}[image]\n{lines}\n")
        settings.cache_clear()

    return add


def qcow2(
    *, virtual_size: int = 1 << 30, backing: int = 0, features: int = 0, clusters: int = 1, encryption: int = 0,
    cluster_bits: int = 16, version: int = 3,
) -> bytes:  # fmt: skip
    """A qcow2 file: header, refcount table, L1, one L2 table that names `clusters` clusters, and those."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, backing, 0, cluster_bits, virtual_size, encryption,
        2, 2 * CLUSTER, CLUSTER, 1, 0, 0,
    ) + struct.pack(">QQQII", features, 0, 0, 4, 104)  # fmt: skip
    blocks = [header.ljust(CLUSTER, b"\0"), bytes(CLUSTER)]
    blocks.append(struct.pack(">QQ", 3 * CLUSTER | 1 << 63, 0).ljust(CLUSTER, b"\0"))
    entries = b"".join(struct.pack(">Q", (4 + number) * CLUSTER | 1 << 63) for number in range(clusters))
    return b"".join([*blocks, entries.ljust(CLUSTER, b"\0"), b"d" * CLUSTER * clusters])
