"""Network namespaces by name, as ``ip netns`` keeps them: files under /run/netns. No forks, no commands."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterator

NAMESPACE_DIR = "/run/netns"

# From <sched.h>, <sys/mount.h> and <linux/magic.h>.
_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MS_REC = 16384
_MS_SHARED = 1 << 20
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str, target: str, flags: int) -> None:
    _checked(_libc.mount(source.encode(), target.encode(), b"none", flags, None), target)


def path_of(name: str) -> str:
    """The file that holds a namespace."""
    return f"{NAMESPACE_DIR}/{name}"


def exists(name: str) -> bool:
    """Whether the namespace is there, and whole: a run that was killed can leave the bare file."""
    try:
        return os.stat(path_of(name)).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def names() -> list[str]:
    """All entries under /run/netns, whole or not."""
    try:
        return sorted(entry.name for entry in os.scandir(NAMESPACE_DIR) if stat.S_ISREG(entry.stat().st_mode))
    except FileNotFoundError:
        return []


def _share_directory() -> None:
    """Make /run/netns a shared mount as ``ip netns`` does, so that mounts show in every mount namespace."""
    os.makedirs(NAMESPACE_DIR, mode=0o755, exist_ok=True)
    try:
        _mount("", NAMESPACE_DIR, _MS_SHARED | _MS_REC)
    except OSError:
        _mount(NAMESPACE_DIR, NAMESPACE_DIR, _MS_BIND | _MS_REC)
        _mount("", NAMESPACE_DIR, _MS_SHARED | _MS_REC)


def create(name: str) -> None:
    """Make a namespace; a half-made one of the same name is replaced."""
    if exists(name):
        return
    _share_directory()
    remove(name)
    os.close(os.open(path_of(name), os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444))
    with _returning_home():
        _checked(_libc.unshare(_CLONE_NEWNET), "unshare")
        _mount("/proc/thread-self/ns/net", path_of(name), _MS_BIND)


def remove(name: str) -> None:
    """Remove a namespace's name. The kernel drops the rest when the last process and socket in it are gone."""
    path = path_of(name)
    if not os.path.lexists(path):
        return
    # More than one mount can lie on the file when two runs raced; EINVAL says that none is left.
    while _libc.umount2(path.encode(), _MNT_DETACH) == 0:
        pass
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


@contextlib.contextmanager
def _returning_home() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _checked(_libc.setns(home, _CLONE_NEWNET), "setns")
        os.close(home)


@contextlib.contextmanager
def entered(name: str | None) -> Iterator[None]:
    """Be in a namespace: sockets made, commands started and /proc/sys/net written here belong to it. None: stay."""
    if name is None:
        yield
        return
    with _returning_home():
        handle = os.open(path_of(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_libc.setns(handle, _CLONE_NEWNET), name)
        finally:
            os.close(handle)
        yield


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    """Be in a new, empty namespace that has no name and vanishes afterwards."""
    with _returning_home():
        _checked(_libc.unshare(_CLONE_NEWNET), "unshare")
        yield


def read_sysctl(path: str) -> str | None:
    """A kernel setting of the namespace that we are in (``net/ipv4/ip_forward``), None when the kernel lacks it."""
    try:
        with open(f"/proc/sys/{path}", encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None


def write_sysctl(path: str, value: str) -> None:
    """Set a kernel setting of the namespace that we are in. A kernel without IPv6 has nothing to switch off."""
    if read_sysctl(path) in (None, value):
        return
    with open(f"/proc/sys/{path}", "w", encoding="ascii") as file:
        file.write(value)
