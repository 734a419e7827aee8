#!/usr/bin/env python3
"""Build the tiny cloud image: a bootable qcow2 of about 20 MB, from Debian packages alone, without root and mounts.

It has a kernel, busybox and an SSH server (dropbear). It takes its address by DHCP (classless routes and MTU included),
and its name, SSH keys (users `tiny` and `root`) and user data (when it begins with `#!`, once) from a config drive or
from the metadata service. It boots with 112 MB of memory in a few seconds, without hardware virtualisation too.

The image is kept in the cache folder under a name that holds the hash of this script and its files, and built only when
it is not there. Prints the path. Needs apt-get, dpkg, mkfs.ext4 and qemu-img.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = Path(__file__).resolve().parent / "image"

PACKAGES = (
    "grub-pc-bin",
    "grub-common",
    "dropbear-bin",
    "busybox-static",
    "libc6",
    "libcrypt1",
    "libgmp10",
    "libtomcrypt1",
    "libtommath1",
    "zlib1g",
)
# grub-mkimage is run from the unpacked package; these are the libraries that it is linked with.
GRUB_LIBRARIES = ("libdevmapper1.02.1", "liblzma5", "libselinux1", "libudev1", "libpcre2-8-0")

# Drivers of the root disk: most guests have it on virtio-blk, and the others cost half a second of emulation.
ROOT_MODULES = ("virtio_pci", "virtio_blk")
OTHER_ROOT_MODULES = ("virtio_scsi", "sd_mod", "ata_piix")
# The address is asked for while what the config drive and the power button need is loaded.
NETWORK_MODULES = ("af_packet", "virtio_net")
LATER_MODULES = (*OTHER_ROOT_MODULES, "sr_mod", "isofs", "button", "evdev")

SECTOR = 512
PARTITION_START = 2048  # sectors; GRUB's core image lives in the gap before it
PARTITION_MB = 48
# What a guest without hardware virtualisation starts faster with: no self-tests, no security modules, no watchdogs.
COMMAND_LINE = (
    "root=LABEL=tiny-root nokaslr mitigations=off loglevel=4 console=tty0 console=ttyS0,115200 random.trust_cpu=on "
    "cryptomgr.notests lsm=capability audit=0 nowatchdog no_timer_check tsc=reliable rcupdate.rcu_expedited=1 "
    "8250.nr_uarts=1 i8042.noaux"
)
# "linux" would move the 54 MB that the kernel will take byte by byte after loading it; "linux16" moves nothing.
GRUB_CONFIG = f"""\
set timeout=0
serial --unit=0 --speed=115200
linux16 /boot/vmlinuz {COMMAND_LINE}
initrd16 /boot/initramfs
boot
"""
INITRAMFS_APPLETS = ("sh", "cat", "findfs", "insmod", "mount", "poweroff", "sleep", "switch_root", "umount")

SHELL_USERS = "root:*:0:0:root:/root:/bin/sh\ntiny:*:1000:1000:tiny:/home/tiny:/bin/sh\n"
GROUPS = "root:x:0:\ntiny:x:1000:\n"


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output; end the program with the command's own words when it fails."""
    result = subprocess.run(
        command, cwd=cwd, env={**os.environ, "LC_ALL": "C", **(env or {})}, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        sys.exit(f"build_image: {' '.join(command)} failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout


def fingerprint() -> str:
    """The hash of everything of ours that decides what the image holds."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(FILES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stratiform"


def unpack_packages(work: Path) -> Path:
    """Download the packages of this Debian release and unpack them; nothing is installed."""
    depends = run("apt-cache", "depends", "--important", "linux-image-cloud-amd64")
    kernel = re.search(r"Depends: (linux-image-\S+)", depends)
    if kernel is None:
        sys.exit("build_image: apt knows no linux-image-cloud-amd64; run 'apt-get update' on an amd64 Debian")
    downloads, tree = work / "deb", work / "tree"
    downloads.mkdir()
    tree.mkdir()
    sandbox = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()
    run("apt-get", "-q", *sandbox, "download", kernel[1], *PACKAGES, *GRUB_LIBRARIES, cwd=downloads)
    for package in sorted(downloads.glob("*.deb")):
        run("dpkg", "-x", str(package), str(tree))
    return tree


def module_order(tree: Path, wanted: tuple[str, ...], loaded: set[str]) -> list[Path]:
    """The module files that `wanted` needs, each after those it depends on, without those that are loaded already.

    Adds them to `loaded`. Built-in modules have no file.
    """
    found = {
        path.name.removesuffix(".ko").replace("-", "_"): path for path in tree.glob("lib/modules/*/kernel/**/*.ko")
    }
    order: list[Path] = []

    def add(name: str) -> None:
        if name in loaded or name not in found:
            return
        loaded.add(name)
        depends = re.search(rb"\0depends=([^\0]*)\0", found[name].read_bytes())
        for other in depends[1].decode().split(",") if depends else []:
            add(other.replace("-", "_"))
        order.append(found[name])

    for name in wanted:
        add(name)
    return order


def place_modules(paths: list[Path], target: Path) -> None:
    target.mkdir(parents=True)
    for path in paths:
        shutil.copy(path, target / path.name)
    (target / "order").write_text("".join(path.name.removesuffix(".ko") + "\n" for path in paths))


def cpio(root: Path) -> bytes:
    """The folder as a "newc" cpio archive (the kernel's driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()

    def entry(number: int, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        out.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
        out.extend(b"\0" * (-len(out) % 4) + data)
        out.extend(b"\0" * (-len(out) % 4))

    number = 0
    for number, path in enumerate(sorted(root.rglob("*")), start=1):
        name = str(path.relative_to(root))
        if path.is_symlink():
            entry(number, name, 0o120777, os.readlink(path).encode())
        elif path.is_dir():
            entry(number, name, 0o040755, b"")
        else:
            entry(number, name, 0o100000 | (path.stat().st_mode & 0o777), path.read_bytes())
    entry(number + 1, "dev/console", 0o020600, b"", (5, 1))
    entry(0, "TRAILER!!!", 0, b"")
    return bytes(out)


def build_initramfs(tree: Path, work: Path, loaded: set[str]) -> bytes:
    root = work / "initramfs"
    for folder in ("bin", "dev", "proc", "sys", "root"):
        (root / folder).mkdir(parents=True)
    shutil.copy(tree / "bin/busybox", root / "bin/busybox")
    for applet in INITRAMFS_APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    install(FILES / "initramfs-init", root, "init", 0o755)
    place_modules(module_order(tree, ROOT_MODULES, loaded), root / "modules")
    place_modules(module_order(tree, OTHER_ROOT_MODULES, set(loaded)), root / "modules/other")
    return gzip.compress(cpio(root), 6, mtime=0)


def install(source: Path, root: Path, name: str, mode: int = 0o644) -> None:
    """Copy a file to `name` below `root`; a name that leads out of it is refused, whoever made it up."""
    target = root / name
    if not target.resolve().is_relative_to(root.resolve()):
        sys.exit(f"build_image: {name} leads out of the image")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def build_root(tree: Path, work: Path) -> Path:
    """The root file system as a folder."""
    root = work / "root"
    for folder in (
        "bin",
        "sbin",
        "usr/bin",
        "usr/sbin",
        "dev",
        "proc",
        "sys",
        "run",
        "mnt",
        "root",
        "home/tiny",
        "var/lib",
        "var/log",
        "etc/dropbear",
        "etc/acpi/PWRF",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    install(tree / "bin/busybox", root, "bin/busybox", 0o755)
    for applet in run(str(root / "bin/busybox"), "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "sbin/init").symlink_to("../bin/busybox")
    for name in ("dropbear", "dropbearkey", "dbclient"):
        source = next(path for path in (tree / "usr/sbin" / name, tree / "usr/bin" / name) if path.exists())
        install(source, root, str(source.relative_to(tree)), 0o755)
    copy_libraries(tree, root)

    for name, mode in (("inittab", 0o644), ("rc", 0o755), ("rc.shutdown", 0o755), ("udhcpc", 0o755)):
        install(FILES / name, root, f"etc/{name}", mode)
    install(FILES / "acpi-power", root, "etc/acpi/PWRF/00000080", 0o755)
    (root / "etc/passwd").write_text(SHELL_USERS)
    (root / "etc/group").write_text(GROUPS)
    (root / "etc/shells").write_text("/bin/sh\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/hostname").write_text("tiny\n")
    (root / "etc/os-release").write_text('ID=tiny\nNAME="Stratiform tiny"\nPRETTY_NAME="Stratiform tiny guest"\n')

    loaded: set[str] = set()
    initramfs = build_initramfs(tree, work, loaded)
    place_modules(module_order(tree, NETWORK_MODULES, loaded), root / "lib/modules/network")
    place_modules(module_order(tree, LATER_MODULES, loaded), root / "lib/modules/later")
    kernel = next((tree / "boot").glob("vmlinuz-*"))
    install(kernel, root, "boot/vmlinuz")
    (root / "boot/initramfs").write_bytes(initramfs)
    (root / "boot/grub").mkdir()
    (root / "boot/grub/grub.cfg").write_text(GRUB_CONFIG)
    return root


def copy_libraries(tree: Path, root: Path) -> None:
    """The shared libraries of dropbear, from the same release, and the loader where its name is looked for.

    The unpacked release's own loader says which they are, so that one that is missing ends the build.
    """
    places = [tree / "lib/x86_64-linux-gnu", tree / "usr/lib/x86_64-linux-gnu"]
    loader = next(path for path in (place / "ld-linux-x86-64.so.2" for place in places) if path.exists())
    listing = run(
        str(loader),
        "--inhibit-cache",
        "--library-path",
        ":".join(map(str, places)),
        "--list",
        str(root / "usr/sbin/dropbear"),
    )
    for name, path in re.findall(r"^\s*(\S+) => (\S+)", listing, re.MULTILINE):
        if not path.startswith(str(tree)):
            sys.exit(
                f"build_image: dropbear needs {name}, which none of the packages holds: add its package to PACKAGES"
            )
        if not name.startswith("/"):  # the loader names itself by its whole path
            install(Path(path), root, f"lib/{name}", 0o755)
    install(loader, root, "lib64/ld-linux-x86-64.so.2", 0o755)


def build_boot_sectors(tree: Path, work: Path) -> bytes:
    """GRUB's boot sector and core image, which asks the first partition for its configuration."""
    libraries = f"{tree}/lib/x86_64-linux-gnu:{tree}/usr/lib/x86_64-linux-gnu"
    early = work / "early.cfg"
    early.write_text("set root=(hd0,msdos1)\nconfigfile /boot/grub/grub.cfg\n")
    core = work / "core.img"
    modules = ("biosdisk", "part_msdos", "ext2", "linux16", "normal", "configfile", "serial", "boot", "minicmd")
    # Only the libraries that this machine may lack come from the unpacked packages, never its C library.
    only = work / "grub-lib"
    only.mkdir()
    for pattern in ("libdevmapper*", "liblzma*", "libselinux*", "libudev*", "libpcre2-8*"):
        for place in libraries.split(":"):
            for library in Path(place).glob(pattern):
                (only / library.name).symlink_to(library.resolve())
    run(
        str(tree / "usr/bin/grub-mkimage"), "-O", "i386-pc", "-d", str(tree / "usr/lib/grub/i386-pc"),
        "-c", str(early), "-p", "(hd0,msdos1)/boot/grub",
        "-o", str(core), *modules, env={"LD_LIBRARY_PATH": str(only)},
    )  # fmt: skip
    # boot.img looks for the core image at sector 1, where it is put; bytes 440-511 are the partition table's.
    boot = (tree / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    entry = (
        bytes((0x80, 0, 0, 0, 0x83, 0, 0, 0))
        + PARTITION_START.to_bytes(4, "little")
        + (PARTITION_MB * 2048).to_bytes(4, "little")
    )
    sector = boot + bytes(6) + entry + bytes(48) + b"\x55\xaa"
    sectors = sector + core.read_bytes()
    if len(sectors) > PARTITION_START * SECTOR:
        sys.exit("build_image: GRUB's core image does not fit before the partition")
    return sectors


def build(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="stratiform-image-") as name:
        work = Path(name)
        tree = unpack_packages(work)
        root = build_root(tree, work)
        disk = work / "disk.raw"
        with disk.open("wb") as file:
            file.truncate((PARTITION_START + PARTITION_MB * 2048) * SECTOR)
        run(
            # GRUB reads block by block: big ones.
            "mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "tiny-root", "-m", "0",
            "-O", "^has_journal,^metadata_csum,^64bit",
            "-E", f"offset={PARTITION_START * SECTOR},root_owner=0:0",
            "-d", str(root), str(disk), f"{PARTITION_MB}M",
        )  # fmt: skip
        with disk.open("r+b") as file:
            file.write(build_boot_sectors(tree, work))
        finished = work / "tiny.qcow2"
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(disk), str(finished))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}")
        shutil.copyfile(finished, partial)
        partial.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--force", action="store_true", help="build it again")
    parser.add_argument("--output", type=Path, help="the file to write; default: in the cache folder")
    options = parser.parse_args()
    os.umask(0o022)  # the guest's folders are readable, whatever the caller's own files are
    target = options.output or cache_dir() / f"tiny-{fingerprint()}.qcow2"
    if options.force or options.output or not target.exists():
        build(target)
    print(target)


if __name__ == "__main__":
    main()
