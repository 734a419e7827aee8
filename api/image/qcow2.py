"""Whether a qcow2 file holds all that its own tables promise: a cut-off upload is found before a guest meets it.

Read with plain arithmetic, bounded in memory and time; no qemu-img ever sees bytes that were not checked.
Source: QEMU's docs/interop/qcow2.rst.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array

MAX_L1_BYTES = 32 << 20  # QEMU's own limits
MAX_REFCOUNT_TABLE_BYTES = 8 << 20
MAX_L2_ENTRIES = 4 << 20
"""How many L2 entries are looked at (256 GiB of disk at 64 KiB clusters); tables beyond are checked as a whole."""
OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
COMPRESSED = 1 << 62
CORRUPT = 1 << 1
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")


class BadQcow2(Exception):
    """Why the file cannot be used, in a sentence."""


def check(descriptor: int, size: int) -> int:
    """The virtual size in bytes of the qcow2 file behind `descriptor`, `size` bytes long; raises BadQcow2."""
    if size < _HEADER.size:
        raise BadQcow2("The file is shorter than a qcow2 header.")
    (magic, version, _backing, _backing_size, cluster_bits, virtual_size, encryption, l1_entries, l1_offset,
     refcount_offset, refcount_clusters, _snapshots, _snapshots_offset) = _HEADER.unpack(
        os.pread(descriptor, _HEADER.size, 0))  # fmt: skip
    if magic != b"QFI\xfb" or version not in (2, 3):
        raise BadQcow2("The file has no qcow2 header of version 2 or 3.")
    if not 9 <= cluster_bits <= 21:
        raise BadQcow2(f"Its cluster size of 2^{cluster_bits} bytes is not allowed.")
    if encryption:
        raise BadQcow2("It is encrypted.")
    if version == 3 and int.from_bytes(os.pread(descriptor, 8, 72), "big") & CORRUPT:
        raise BadQcow2("It is marked as corrupt. Repair it with qemu-img check -r.")
    cluster = 1 << cluster_bits
    needed = -(-virtual_size // (cluster * cluster // 8))
    if l1_entries * 8 > MAX_L1_BYTES or l1_entries < needed:
        raise BadQcow2("Its tables do not fit its virtual size.")
    if not virtual_size:
        raise BadQcow2("Its virtual size is 0.")
    if refcount_clusters * cluster > MAX_REFCOUNT_TABLE_BYTES:
        raise BadQcow2("Its reference counts are larger than QEMU reads.")
    _inside(l1_offset, l1_entries * 8, size, "table of tables")
    _inside(refcount_offset, refcount_clusters * cluster, size, "table of reference counts")
    _check_tables(descriptor, size, _words(descriptor, l1_offset, l1_entries), cluster, cluster_bits)
    return int(virtual_size)


def _check_tables(descriptor: int, size: int, l1: array[int], cluster: int, cluster_bits: int) -> None:
    """Every L2 table, and each cluster that it names, begins and ends inside the file."""
    left = MAX_L2_ENTRIES
    for table in sorted({entry & OFFSET_MASK for entry in l1} - {0}):
        _inside(table, cluster, size, "table of clusters")
        left -= cluster // 8
        if left < 0:
            continue
        for entry in filter(None, _words(descriptor, table, cluster // 8)):
            if entry & COMPRESSED:
                offset = entry & ((1 << (62 - (cluster_bits - 8))) - 1)  # its end is known only by unpacking
                _inside(offset, 1, size, "compressed cluster")
            elif offset := entry & OFFSET_MASK:
                # The last cluster of a file may be short: what is missing reads as zeros.
                _inside(offset, 1, size, "cluster")


def _inside(offset: int, length: int, size: int, what: str) -> None:
    if offset + length > size:
        raise BadQcow2(
            f"It is truncated: a {what} ends at byte {offset + length}, the file at byte {size}. Upload it whole."
        )


def _words(descriptor: int, offset: int, count: int) -> array[int]:
    words = array("Q", os.pread(descriptor, count * 8, offset))
    if sys.byteorder == "little":
        words.byteswap()
    return words
