"""Converges what lies on a host's disk for its guests: cached images, instance folders, disks, config drives."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.compute import cache_expiry, config_drive, qemu_img
from ansible_collections.stratiform.cloud.plugins.module_utils.compute.image_cache import ImageCache, remove_tree
from ansible_collections.stratiform.cloud.plugins.module_utils.compute.qemu_img import GIB, ImageError
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome

FOLDER_MODE = 0o711
# What a server's folder may hold beside its present disks: earlier and broken off ones.
DISK_NAMES = ("disk", "rescue", "snapshot-")


class DiskConverger:
    """One call's work; in check mode it only says what differs."""

    def __init__(self, params: dict[str, Any], outcome: Outcome, check_mode: bool) -> None:
        self.params = params
        self.outcome = outcome
        self.check_mode = check_mode
        self.cache = ImageCache(params["cache_dir"])
        self.images = {image["id"]: image for image in params["images"]}
        self.image_failures: dict[str, str] = {}

    def converge(self) -> None:
        """Do everything, in the order in which one thing needs another."""
        self._each(self.params["directories"], "present", self._folder)
        for image in self.params["images"]:
            self._image(image)
        self._each(self.params["disks"], "present", self._disk)
        self._each(self.params["config_drives"], "present", self._config_drive)
        self._each(self.params["config_drives"], "absent", self._remove_file)
        self._each(self.params["disks"], "absent", self._remove_file)
        self._each([folder for folder in self.params["directories"] if folder["disks"]], "present", self._tidy)
        self._each(self.params["directories"], "absent", self._remove_folder)
        if self.params["unused_images_s"] is not None:
            self._expire(self.params["unused_images_s"])
        users = {disk["image_id"] for disk in self.params["disks"] if disk["state"] == "present"}
        for image_id, sentence in self.image_failures.items():
            if image_id not in users:
                self.outcome.fail(image_id, sentence)

    def _each(self, specs: list[dict[str, Any]], state: str, work: Any) -> None:
        for spec in specs:
            if spec["state"] != state:
                continue
            try:
                if not os.path.isabs(spec["path"]):
                    raise ImageError(f"The path {spec['path']!r} is not absolute: give one that is.")
                work(spec)
            except ImageError as error:
                self.outcome.fail(spec["id"], str(error))
            except OSError as error:
                words = error.strerror or type(error).__name__
                self.outcome.fail(spec["id"], f"{spec['path']}: {words}. Look after the host's disk, then try again.")

    def _change(self, header: str, before: Any, after: Any) -> bool:
        return self.outcome.change(header, before, after) and not self.check_mode

    def _expire(self, age_s: int) -> None:
        """Tidying is no reason to fail: what cannot be looked at stays until the next time."""
        with contextlib.suppress(OSError):
            cache_expiry.expire(
                self.cache, self.params["instances_dir"], age_s,
                lambda image_id: self._change(f"cached image {image_id}", {"state": "present"}, {"state": "absent"}),
            )  # fmt: skip

    def _image(self, image: dict[str, Any]) -> None:
        try:
            if self.cache.holds(image["id"]) if self.check_mode else self.cache.use(image["id"]):
                self.outcome.record(image["id"], cached=True)
                return
            if self._change(f"cached image {image['id']}", None, {"format": image["format"]}):
                self.cache.fetch(image)
            self.outcome.record(image["id"], cached=not self.check_mode)
        except (ImageError, ConnectionError) as error:
            self.image_failures[image["id"]] = f"Image {image['id']}: {error}"
        except OSError as error:
            self.image_failures[image["id"]] = f"Image {image['id']}: {error.strerror}. Look after the host's disk."

    def _folder(self, spec: dict[str, Any]) -> None:
        there = os.path.isdir(spec["path"])
        if self._change(f"folder {spec['path']}", {"state": "present" if there else "absent"}, {"state": "present"}):
            os.makedirs(spec["path"], mode=FOLDER_MODE)

    def _tidy(self, spec: dict[str, Any]) -> None:
        """Remove the disks in the folder that are not listed: those of earlier shapes of the server."""
        for name in sorted(os.listdir(spec["path"]) if os.path.isdir(spec["path"]) else []):
            path = os.path.join(spec["path"], name)
            if name.startswith(DISK_NAMES) and name not in spec["disks"] and os.path.isfile(path):
                self._remove_file({"path": path})

    def _remove_folder(self, spec: dict[str, Any]) -> None:
        # A mistake here would be dear: only a folder that is named for the server goes.
        if os.path.basename(spec["path"]) != spec["id"] or os.path.islink(spec["path"]):
            raise ImageError(f"{spec['path']} is not the folder of server {spec['id']}: it is left as it is.")
        there = os.path.isdir(spec["path"])
        if self._change(f"folder {spec['path']}", {"state": "present" if there else "absent"}, {"state": "absent"}):
            remove_tree(spec["path"])

    def _disk(self, spec: dict[str, Any]) -> None:
        path = spec["path"]
        if spec["image_id"] in self.image_failures:
            raise ImageError(self.image_failures[spec["image_id"]])
        if spec["copy_of"] is not None:
            self._copy(spec)
            return
        if os.path.isfile(path):
            self.outcome.record(spec["id"], disk_bytes=qemu_img.virtual_size(path, "qcow2"))
            return
        after = {"image_id": spec["image_id"], "size_gb": spec["size_gb"]}
        if self._change(f"disk {path}", None, after):
            self.outcome.record(spec["id"], disk_bytes=self._create(spec))
        elif self.check_mode and (spec["image_id"] is None or self.cache.holds(spec["image_id"])):
            self._size(spec)

    def _copy(self, spec: dict[str, Any]) -> None:
        """A disk with the content of another one, which nobody may use meanwhile, and at least as large."""
        path, source = spec["path"], spec["copy_of"]
        if os.path.isfile(path):
            self.outcome.record(spec["id"], disk_bytes=qemu_img.virtual_size(path, "qcow2"))
            return
        if not os.path.isfile(source):
            raise ImageError(f"The disk {source} that is to be copied is not there: restore it, or delete the server.")
        size_bytes = int(spec["size_gb"]) * GIB
        if size_bytes and size_bytes < qemu_img.virtual_size(source, "qcow2"):
            raise ImageError("A disk cannot be made smaller: choose a flavor with a disk of at least the same size.")
        if self._change(f"disk {path}", None, {"copy_of": source, "size_gb": spec["size_gb"]}):
            qemu_img.copy(source, path, size_bytes)
            self.outcome.record(spec["id"], disk_bytes=qemu_img.virtual_size(path, "qcow2"))

    def _create(self, spec: dict[str, Any]) -> int:
        size_bytes = self._size(spec)
        backing = None
        if spec["image_id"] is not None:
            backing = (self.cache.path(spec["image_id"]), self._format(spec["image_id"]))
        qemu_img.create(spec["path"], size_bytes, backing)
        return size_bytes

    def _size(self, spec: dict[str, Any]) -> int:
        """The disk's size in bytes; refuses one that the image does not fit into."""
        size_bytes = int(spec["size_gb"]) * GIB
        if spec["image_id"] is None:
            if size_bytes <= 0:
                raise ImageError("A disk without an image needs a size: choose a flavor with a disk.")
            return size_bytes
        if not self.cache.holds(spec["image_id"]):
            raise ImageError(f"Image {spec['image_id']} is not in the host's cache: list it under images.")
        image_bytes = qemu_img.virtual_size(self.cache.path(spec["image_id"]), self._format(spec["image_id"]))
        if size_bytes == 0:
            return image_bytes
        if size_bytes < image_bytes:
            needed_gb = -(-image_bytes // GIB)
            raise ImageError(
                f"The disk of {spec['size_gb']} GB is smaller than image {spec['image_id']}, which needs "
                f"{needed_gb} GB: choose a flavor with a bigger disk."
            )
        return size_bytes

    def _format(self, image_id: str) -> str:
        if image_id not in self.images:
            raise ImageError(f"Nothing is known of image {image_id}: list it under images.")
        return str(self.images[image_id]["format"])

    def _config_drive(self, spec: dict[str, Any]) -> None:
        before = config_drive.digest_of(spec["path"])
        after = config_drive.digest(spec["files"])
        header = f"config drive {spec['path']}"
        if self._change(header, None if before is None else {"digest": before}, {"digest": after}):
            config_drive.make(spec["path"], spec["files"])

    def _remove_file(self, spec: dict[str, Any]) -> None:
        there = os.path.isfile(spec["path"])
        if self._change(f"file {spec['path']}", {"state": "present" if there else "absent"}, {"state": "absent"}):
            os.unlink(spec["path"])
