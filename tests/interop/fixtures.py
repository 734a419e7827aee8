"""What Tempest expects to find in a cloud: two images and two flavors. The missing are made, and removed again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.interop.cloud import Cloud

BUILD_IMAGE = Path(__file__).resolve().parents[2] / "scripts/build_image.py"
FIRST, SECOND = "tempest-first", "tempest-second"
SMALL = {"vcpus": 1, "ram": 128, "disk": 1}


class Fixtures:
    """The ids of images and flavors for a run. A context manager: what it made goes when it ends."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.images: list[dict[str, Any]] = []
        self.flavors: list[dict[str, Any]] = []
        self._made: list[tuple[str, str]] = []

    def __enter__(self) -> Fixtures:
        try:
            self._find_images()
            self._find_flavors()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for service, path in reversed(self._made):
            self.cloud.request(service, "DELETE", path).raise_for_status()
        self._made.clear()

    def _find_images(self) -> None:
        """The image `tiny`, or one like it, and a second of the same bytes."""
        query = "v2/images?name=tiny&status=active&visibility=public"
        self.images = list(self.cloud.list("image", query, "images"))[:1]
        for name in (FIRST, SECOND)[len(self.images) :]:
            self.images.append(self._upload(name))

    def _upload(self, name: str) -> dict[str, Any]:
        path = subprocess.run(
            [sys.executable, str(BUILD_IMAGE)], check=True, capture_output=True, text=True
        ).stdout.strip()
        described = {"name": name, "disk_format": "qcow2", "container_format": "bare", "visibility": "public",
                     "min_ram": 112}  # fmt: skip
        answer = self.cloud.request("image", "POST", "v2/images", json=described)
        answer.raise_for_status()
        made: dict[str, Any] = answer.json()
        self._made.append(("image", f"v2/images/{made['id']}"))
        headers = {"Content-Type": "application/octet-stream"}
        with open(path, "rb") as data:
            self.cloud.request(
                "image", "PUT", f"v2/images/{made['id']}/file", data=data, headers=headers
            ).raise_for_status()
        return made

    def _find_flavors(self) -> None:
        """The smallest flavor in which the image boots, and a larger one that a resize can go to."""
        found = [
            flavor
            for flavor in self.cloud.list("compute", "flavors/detail", "flavors")
            if flavor["ram"] >= SMALL["ram"] and flavor["disk"] >= SMALL["disk"]
        ]
        self.flavors = sorted(found, key=lambda flavor: (flavor["ram"], flavor["disk"]))[:1]
        if not self.flavors:
            self.flavors.append(self._make_flavor(FIRST, SMALL))
        first = self.flavors[0]
        larger = {"vcpus": first["vcpus"], "ram": first["ram"] + 64, "disk": first["disk"] + 1}
        self.flavors.append(self._make_flavor(SECOND, larger))

    def _make_flavor(self, name: str, size: dict[str, int]) -> dict[str, Any]:
        answer = self.cloud.request("compute", "POST", "flavors", json={"flavor": {"name": name, **size}})
        answer.raise_for_status()
        made: dict[str, Any] = answer.json()["flavor"]
        self._made.append(("compute", f"flavors/{made['id']}"))
        return made
